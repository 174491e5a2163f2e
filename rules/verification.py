"""Proves a ledger unbroken, or names each line that somebody changed, removed, moved, doubled or spoilt.

The chain alone cannot show that its end was cut off. The head, kept apart from the records, does; and so does
a hash that was written down elsewhere (`expected`), even against somebody who rewrites records and head.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rules.errors import InvalidInput
from rules.records import START, Head, Record, is_sealed, read


class Damage(StrEnum):
    CHANGED = "changed"
    REMOVED = "removed"
    REORDERED = "reordered"
    DUPLICATED = "duplicated"
    MALFORMED = "malformed"
    UNANCHORED = "unanchored"
    """Records behind the head, more than a writer that died can have left."""


@dataclass(frozen=True, slots=True)
class Fault:
    damage: Damage
    sentence: str
    seq: int | None = None
    """The record's number, where it is known."""
    line: int | None = None
    """Counted from 1; a removed record has none."""


@dataclass(frozen=True, slots=True)
class VerificationReport:
    records: int
    """How many lines could be read as records."""
    head: Head
    """The last record that is there."""
    faults: tuple[Fault, ...]
    notes: tuple[str, ...] = ()
    """What a person should know and what is no fault."""

    @property
    def unbroken(self) -> bool:
        return not self.faults


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a ledger can show of itself at one moment."""

    lines: tuple[str, ...]
    head: Head | None
    """None where the ledger keeps no head of its own."""
    oddities: tuple[str, ...] = ()
    """What the place where it is kept says: unfinished or hidden or unlocked records."""


@dataclass(frozen=True, slots=True)
class _Line:
    number: int
    record: Record


def verify(lines: Iterable[str], head: Head | None, expected: str = "") -> VerificationReport:
    """Check all lines of a ledger, the oldest first, against each other and against the head.

    Args:
        lines: as they are kept, without line ends.
        head: the anchor; None where there is none, and then a cut-off end can only be seen by `expected`.
        expected: a record's hash noted elsewhere, which must be in the chain.

    """
    read_lines, faults = _read_all(lines)
    by_seq: dict[int, _Line] = {}
    for line in read_lines:
        by_seq.setdefault(line.record.seq, line)
    faults += [
        *_moved_or_doubled(read_lines, by_seq),
        *_changed(by_seq),
        *_removed(by_seq, head or Head()),
        *_against_head(by_seq, head),
        *_against_expected(by_seq, expected),
    ]
    last = by_seq[max(by_seq)].record if by_seq else Head()
    return VerificationReport(len(read_lines), Head(last.seq, last.hash), tuple(faults), _notes(last.seq, head))


def _read_all(lines: Iterable[str]) -> tuple[list[_Line], list[Fault]]:
    found, faults = [], []
    for number, text in enumerate(lines, start=1):
        try:
            found.append(_Line(number, read(text)))
        except InvalidInput:
            faults.append(Fault(Damage.MALFORMED, f"Line {number} is not a record.", line=number))
    return found, faults


def _moved_or_doubled(lines: Sequence[_Line], by_seq: dict[int, _Line]) -> Iterator[Fault]:
    highest = 0
    for line in lines:
        seq = line.record.seq
        if by_seq[seq] is not line:
            sentence = f"Record {seq} stands again on line {line.number}."
            yield Fault(Damage.DUPLICATED, sentence, seq, line.number)
        elif seq < highest:
            sentence = f"Record {seq} stands on line {line.number}, after record {highest}."
            yield Fault(Damage.REORDERED, sentence, seq, line.number)
        highest = max(highest, seq)


def _changed(by_seq: dict[int, _Line]) -> Iterator[Fault]:
    for seq, line in by_seq.items():
        if not is_sealed(line.record):
            yield _change(line, "its content and its hash disagree")
        elif seq < 1 or (seq == 1 and line.record.previous != START):
            yield _change(line, "a ledger begins with record 1, which follows nothing")
        elif (after := by_seq.get(seq + 1)) and is_sealed(after.record) and after.record.previous != line.record.hash:
            yield _change(line, f"record {seq + 1} was chained to another one")


def _change(line: _Line, why: str) -> Fault:
    sentence = f"Record {line.record.seq} on line {line.number} was changed: {why}."
    return Fault(Damage.CHANGED, sentence, line.record.seq, line.number)


def _removed(by_seq: dict[int, _Line], head: Head) -> Iterator[Fault]:
    """Gaps, each as one fault: a number so high that it must be forged does not become a million faults."""
    present = [0, *sorted(seq for seq in by_seq if seq > 0)]
    beyond = [head.seq + 1] if head.seq > present[-1] else []
    ends = [*present[1:], *beyond]
    for before, after in zip(present, ends, strict=False):
        if after > before + 1:
            missing = f"Record {before + 1} is" if after == before + 2 else f"Records {before + 1} to {after - 1} are"
            yield Fault(Damage.REMOVED, f"{missing} missing: removed, or no longer readable.", before + 1)


def _against_head(by_seq: dict[int, _Line], head: Head | None) -> Iterator[Fault]:
    if head is None or not by_seq:
        return
    last, line = max(by_seq), by_seq.get(head.seq)
    if line and line.record.hash != head.hash and is_sealed(line.record):
        yield _change(line, "the head was made from another one")
    if last > head.seq + 1 or head.seq == 0:
        sentence = f"The head names record {head.seq}, the last is {last}: the head was changed or removed."
        yield Fault(Damage.UNANCHORED, sentence, last)


def _against_expected(by_seq: dict[int, _Line], expected: str) -> Iterator[Fault]:
    if expected and all(line.record.hash != expected for line in by_seq.values()):
        yield Fault(Damage.REMOVED, f"No record has the expected hash {expected}: the ledger was cut or rewritten.")


def _notes(last: int, head: Head | None) -> tuple[str, ...]:
    if head is None:
        return ("There is no head: records removed from the end can be seen only with --expect.",)
    if last == head.seq + 1 > 1:
        why = "a writer died between the two, or lines were added by hand"
        return (f"The head names record {head.seq}, the last is {last}: {why}.",)
    return ()
