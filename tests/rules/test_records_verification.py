from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.records import Event, EventKind, Head, Record, chain
from rules.verification import Damage, verify

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
LENGTH = 8


@cache
def ledger() -> tuple[Record, ...]:
    records: list[Record] = []
    for number in range(LENGTH):
        event = Event("run", "plan", "staging", EventKind.ROLLOUT_OBSERVED, f"Look {number}.", {"weight": number})
        records.append(chain(records[-1] if records else None, event, NOON + timedelta(seconds=number)))
    return tuple(records)


def lines() -> list[str]:
    return [record.line for record in ledger()]


def head() -> Head:
    return Head(ledger()[-1].seq, ledger()[-1].hash)


def damages(text: list[str], anchor: Head | None = None, expected: str = "") -> set[tuple[Damage, int | None]]:
    report = verify(text, anchor or head(), expected)
    return {(fault.damage, fault.seq) for fault in report.faults}


positions = st.integers(0, LENGTH - 1)


def test_an_untouched_ledger_is_unbroken() -> None:
    report = verify(lines(), head())
    assert report.unbroken
    assert (report.records, report.head, report.notes) == (LENGTH, head(), ())


def test_an_empty_ledger_is_unbroken() -> None:
    assert verify([], None).unbroken
    assert verify([], Head()).unbroken


@given(positions)
def test_a_changed_line_is_named(at: int) -> None:
    text = lines()
    text[at] = text[at].replace(f"Look {at}.", "Nothing to see.")
    assert damages(text) == {(Damage.CHANGED, at + 1)}


@given(positions)
def test_a_changed_line_with_a_hash_to_match_is_named(at: int) -> None:
    text = lines()
    record = ledger()[at]
    before = ledger()[at - 1] if at else None
    text[at] = chain(before, replace(record.event, sentence="Nothing to see."), record.at).line
    assert damages(text) == {(Damage.CHANGED, at + 1)}


@given(positions)
def test_a_removed_line_is_named_even_the_last(at: int) -> None:
    text = lines()
    del text[at]
    assert damages(text) == {(Damage.REMOVED, at + 1)}


def test_everything_removed_is_seen() -> None:
    assert damages([]) == {(Damage.REMOVED, 1)}


@given(positions, positions)
def test_swapped_lines_are_seen(one: int, other: int) -> None:
    text = lines()
    text[one], text[other] = text[other], text[one]
    found = damages(text)
    assert {damage for damage, _ in found} == ({Damage.REORDERED} if one != other else set())


@given(positions, st.integers(0, LENGTH))
def test_a_doubled_line_is_named(at: int, to: int) -> None:
    text = lines()
    text.insert(to, text[at])
    assert (Damage.DUPLICATED, at + 1) in damages(text)


@given(positions, st.sampled_from(["", "{}", "null", "not json", '{"seq":1}', "[" * 2000]))
def test_a_spoilt_line_is_named(at: int, nonsense: str) -> None:
    text = lines()
    text[at] = nonsense
    report = verify(text, head())
    assert [(fault.damage, fault.line) for fault in report.faults if fault.line] == [(Damage.MALFORMED, at + 1)]


@settings(deadline=None)
@given(st.data())
def test_no_single_changed_character_goes_unseen(data: st.DataObject) -> None:
    text = lines()
    at = data.draw(positions)
    column = data.draw(st.integers(0, len(text[at]) - 1))
    character = data.draw(st.characters(codec="ascii").filter(lambda one: one != text[at][column]))
    text[at] = text[at][:column] + character + text[at][column + 1 :]
    assert not verify(text, head()).unbroken


@settings(deadline=None)
@given(st.permutations(range(LENGTH)).flatmap(lambda order: st.integers(0, LENGTH).map(lambda n: order[:n])))
def test_only_all_lines_in_their_order_are_unbroken(order: list[int]) -> None:
    text = [lines()[at] for at in order]
    assert verify(text, head()).unbroken == (order == list(range(LENGTH)))


def test_a_rewritten_end_is_seen_by_the_head() -> None:
    forged = chain(ledger()[-2], replace(ledger()[-1].event, sentence="All is well."), NOON)
    assert damages([*lines()[:-1], forged.line]) == {(Damage.CHANGED, LENGTH)}


def test_a_wholly_rewritten_ledger_is_seen_by_a_hash_noted_elsewhere() -> None:
    forged = chain(None, ledger()[0].event, NOON + timedelta(days=1))
    assert verify([forged.line], Head(1, forged.hash)).unbroken
    assert not verify([forged.line], Head(1, forged.hash), expected=head().hash).unbroken


def test_a_hash_noted_earlier_is_still_in_the_chain() -> None:
    assert verify(lines(), head(), expected=ledger()[2].hash).unbroken


def test_a_head_that_lags_is_a_note_and_no_fault() -> None:
    report = verify(lines(), Head(LENGTH - 1, ledger()[-2].hash))
    assert report.unbroken
    assert "writer died" in report.notes[0]


@pytest.mark.parametrize("seq", [0, LENGTH - 2])
def test_a_head_that_was_removed_or_set_back_is_seen(seq: int) -> None:
    anchor = Head(seq, ledger()[seq - 1].hash) if seq else Head()
    assert damages(lines(), anchor) == {(Damage.UNANCHORED, LENGTH)}


def test_a_single_record_without_its_head_is_seen() -> None:
    assert damages(lines()[:1], Head()) == {(Damage.UNANCHORED, 1)}


def test_without_a_head_the_report_says_what_it_cannot_see() -> None:
    report = verify(lines()[:-1], None)
    assert report.unbroken
    assert "--expect" in report.notes[0]


def test_a_forged_number_is_one_fault_and_not_a_million() -> None:
    forged = chain(Head(10**12, "f" * 64), ledger()[0].event, NOON)
    assert {(Damage.REMOVED, LENGTH + 1)} < damages([*lines(), forged.line])
    assert len(damages([*lines(), forged.line])) == 2


@pytest.mark.parametrize("seq", [-5, -1])
def test_a_record_before_the_first_is_seen(seq: int) -> None:
    forged = chain(Head(seq, "f" * 64), ledger()[0].event, NOON)
    assert (Damage.CHANGED, seq + 1) in damages([forged.line, *lines()])


def test_a_gap_names_all_that_is_missing() -> None:
    [fault] = verify(lines()[:2] + lines()[5:], head()).faults
    assert fault.sentence == "Records 3 to 5 are missing: removed, or no longer readable."
