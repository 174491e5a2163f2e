"""Texts that match a pattern of a check: LIKE, and the regular expressions that people write into checks.

    samples("^[A-Z]{2}-[0-9]+$", 3)  ──▶  ("AA-0", "BA-0", "CA-0")

A pattern is read into choices, and a number is counted out over them, so that each number gives another text. What is
not understood (look-ahead, back-references) gives no sample. That a sample matches is PostgreSQL's to say: it is asked.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Choices = tuple[str, ...]
Piece = Callable[[int], tuple[str, int]]
"""Takes a number, gives a text and what is left of the number for the pieces that follow."""
DIGITS, LOWER, UPPER = "0123456789", "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
ANY = LOWER + UPPER + DIGITS
_CLASSES = {"d": DIGITS, "w": LOWER + DIGITS + "_", "s": " ", "D": LOWER, "W": "-", "S": ANY}
_NAMED = {
    "alpha": LOWER + UPPER, "digit": DIGITS, "alnum": ANY, "upper": UPPER, "lower": LOWER, "space": " ",
    "punct": "-.,", "xdigit": DIGITS + "abcdef", "print": ANY, "graph": ANY, "word": LOWER + DIGITS,
}  # fmt: skip
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r"}
_EMPTY = "AZbBmMyYzZ"
"""Escapes that match a place and no character."""
MOST_REPEATED = 200
"""Characters that a repetition makes at the most; a check that wants more gets none."""


class NotUnderstood(Exception):
    """The pattern has something that this reader does not know."""


def like_samples(pattern: str, count: int) -> tuple[str, ...]:
    """Texts that are LIKE this, the shortest first."""
    pieces = re.findall(r"\\.|.", pattern, re.DOTALL)
    return tuple(dict.fromkeys("".join(_like_piece(it, number) for it in pieces) for number in range(count)))


def _like_piece(piece: str, number: int) -> str:
    if piece == "%":
        return str(number) if number else ""
    return ANY[number % len(ANY)] if piece == "_" else piece[-1]


def samples(pattern: str, count: int) -> tuple[str, ...]:
    """Texts that match the regular expression, each once, at most `count`. None where it is not understood."""
    try:
        piece = _Reader(pattern).read()
    except (NotUnderstood, IndexError, ValueError, RecursionError):
        return ()
    return tuple(dict.fromkeys(piece(number)[0] for number in range(count)))


@dataclass(slots=True)
class _Reader:
    """Recursive descent over a pattern."""

    text: str
    at: int = 0

    def read(self) -> Piece:
        piece = self._alternatives()
        if self.at < len(self.text):
            raise NotUnderstood(self.text[self.at :])
        return piece

    def _alternatives(self) -> Piece:
        branches = [self._branch()]
        while self._takes("|"):
            branches.append(self._branch())
        return branches[0] if len(branches) == 1 else _one_of(branches)

    def _branch(self) -> Piece:
        pieces = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            atom = self._atom()
            least, most = self._repetition()
            pieces.append(_repeated(atom, least, most))
        return _all_of(pieces)

    def _atom(self) -> Piece:
        character = self._next()
        if character == "(":
            return self._group()
        if character == "[":
            return _chosen(self._class())
        if character == "\\":
            return self._escape()
        if character in "^$":
            return _chosen(("",))
        return _chosen(tuple(ANY) if character == "." else (character,))

    def _group(self) -> Piece:
        if self._takes("?") and not self._takes(":"):
            raise NotUnderstood("a group of another kind")
        piece = self._alternatives()
        if not self._takes(")"):
            raise NotUnderstood("a group without its end")
        return piece

    def _escape(self) -> Piece:
        character = self._next()
        if character in _CLASSES:
            return _chosen(tuple(_CLASSES[character]))
        if character in _EMPTY:
            return _chosen(("",))
        if character.isdigit():
            raise NotUnderstood("a back-reference")
        return _chosen((_ESCAPED.get(character, character),))

    def _class(self) -> Choices:
        is_not = self._takes("^")
        found = list(self._members())
        if is_not:
            found = [it for it in ANY + " -." if it not in found]
        if not found:
            raise NotUnderstood("a class without members")
        return tuple(dict.fromkeys(found))

    def _members(self) -> Iterator[str]:
        begin = self.at
        while not (self.text[self.at] == "]" and self.at > begin):
            if self.text.startswith("[:", self.at):
                name, self.at = (
                    self.text[self.at + 2 : self.text.index(":]", self.at)],
                    self.text.index(":]", self.at) + 2,
                )
                yield from _NAMED.get(name, "")
                continue
            member = self._next()
            if member == "\\":
                member = self._next()
                if member in _CLASSES:
                    yield from _CLASSES[member]
                    continue
                member = _ESCAPED.get(member, member)
            if self.text[self.at] == "-" and self.text[self.at + 1] != "]":
                self.at += 1
                yield from map(chr, range(ord(member), min(ord(self._next()), ord(member) + 100) + 1))
            else:
                yield member
        self.at += 1

    def _repetition(self) -> tuple[int, int]:
        least, most = 1, 1
        if found := re.compile(r"\{(\d+)(,?)(\d*)\}").match(self.text, self.at):
            self.at = found.end()
            least = int(found[1])
            most = int(found[3]) if found[3] else least + 3 if found[2] else least
        elif self.at < len(self.text) and self.text[self.at] in "*+?":
            least, most = {"*": (0, 3), "+": (1, 4), "?": (0, 1)}[self._next()]
        else:
            return 1, 1
        self._takes("?")
        if least > MOST_REPEATED:
            raise NotUnderstood("a long repetition")
        return least, min(most, MOST_REPEATED)

    def _next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def _takes(self, character: str) -> bool:
        if self.text.startswith(character, self.at):
            self.at += 1
            return True
        return False


def _chosen(choices: Choices) -> Piece:
    def piece(number: int) -> tuple[str, int]:
        left, at = divmod(number, len(choices))
        return choices[at], left

    return piece


def _one_of(branches: list[Piece]) -> Piece:
    def piece(number: int) -> tuple[str, int]:
        left, at = divmod(number, len(branches))
        return branches[at](left)

    return piece


def _all_of(pieces: list[Piece]) -> Piece:
    def piece(number: int) -> tuple[str, int]:
        text = ""
        for it in pieces:
            more, number = it(number)
            text += more
        return text, number

    return piece


def _repeated(atom: Piece, least: int, most: int) -> Piece:
    if (least, most) == (1, 1):
        return atom

    def piece(number: int) -> tuple[str, int]:
        text = ""
        for _ in range(least):
            more, number = atom(number)
            text += more
        number, times = divmod(number, most - least + 1)
        for _ in range(times):
            more, number = atom(number)
            text += more
        return text, number

    return piece
