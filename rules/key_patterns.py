"""Which keys a pattern covers: `*` within one level, `**` for any number of levels, none included."""

import re
from collections.abc import Sequence
from functools import lru_cache

from rules.catalogue import KeyRule

_WILD = re.compile(r"[*?]")


def covers(pattern: str, key: str) -> bool:
    """Whether the whole key (relative to its environment's root) fits the pattern; case counts, as in AWS."""
    return bool(_compiled(pattern).fullmatch(key))


def is_literal(pattern: str) -> bool:
    """Whether the pattern names exactly one key."""
    return not _WILD.search(pattern)


def first_rule(rules: Sequence[KeyRule], key: str) -> KeyRule | None:
    """The rule that decides about the key: the first one that covers it."""
    return next((rule for rule in rules if covers(rule.pattern, key)), None)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    levels = pattern.strip("/").split("/")
    return re.compile("".join(_level(level, last=n == len(levels) - 1) for n, level in enumerate(levels)))


def _level(level: str, *, last: bool) -> str:
    if level == "**":
        return ".+" if last else "(?:[^/]+/)*"
    text = "".join({"*": "[^/]*", "?": "[^/]"}.get(letter, re.escape(letter)) for letter in level)
    return text if last else text + "/"
