"""The history of an environment: one row for each run that ended."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.histories import MOST, history, history_rows
from rules.messages import Ending
from rules.records import RUN_ENDINGS, Event, EventKind, Record, chain

BEGIN = datetime(2026, 11, 23, 9, tzinfo=UTC)


class Ledger:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, run: str, kind: EventKind, environment: str = "production", /, **details: Any) -> None:
        at = BEGIN + timedelta(minutes=len(self.records))
        event = Event(run, "plan", environment, kind, f"{kind} of {run}", details)
        self.records.append(chain(self.records[-1] if self.records else None, event, at))

    def ran(self, run: str, end: EventKind = EventKind.COMPLETED, environment: str = "production") -> None:
        self.add(run, EventKind.STARTED, environment, source="staging", requested="3f2a1bc")
        self.add(run, end, environment)

    def rows(self, environment: str = "production") -> list[dict[str, str]]:
        return history_rows(history(self.records, environment), lambda run: f"https://prefect.example/{run}")


def test_a_run_to_production_is_told_in_one_row() -> None:
    ledger = Ledger()
    asked = {"source": "staging", "requested": "", "requested_by": "maria", "ticket": ""}
    ledger.add("one", EventKind.STARTED, **asked)
    ledger.add("one", EventKind.VALIDATED, "staging", digests={})
    ledger.add("one", EventKind.PLAN, version="3f2a1bc")
    ledger.add("one", EventKind.TICKET_CREATED, ticket="CHG-7")
    ledger.add("one", EventKind.APPROVED, by=["anna", "reto"])
    ledger.add("one", EventKind.LOCK_TAKEN)
    ledger.add("one", EventKind.COMPLETED)
    ledger.add("one", EventKind.NOTIFIED)
    assert ledger.rows() == [
        {
            "when": "2026-11-23 09:06 UTC",
            "version": "3f2a1bc",
            "from": "staging",
            "ending": "succeeded",
            "asked by": "maria",
            "approved by": "anna, reto",
            "ticket": "CHG-7",
            "took": "6 min, 1 min of it with the lock",
            "run": "https://prefect.example/one",
        }
    ]
    assert ledger.rows("staging") == []


def test_the_newest_run_stands_first_and_at_most_fifty_are_shown() -> None:
    ledger = Ledger()
    for number in range(MOST + 3):
        ledger.ran(f"run-{number}")
    rows = ledger.rows()
    assert len(rows) == MOST
    assert rows[0]["run"].endswith(f"run-{MOST + 2}")


def test_a_run_that_has_not_ended_and_a_dry_run_are_no_part_of_it() -> None:
    ledger = Ledger()
    ledger.add("under way", EventKind.STARTED)
    ledger.add("rehearsed", EventKind.STARTED)
    ledger.add("rehearsed", EventKind.COMPLETED, dry_run=True)
    ledger.add("rehearsed too", EventKind.STARTED, dry_run=True)
    ledger.add("rehearsed too", EventKind.REFUSED)
    assert ledger.rows() == []


def test_without_an_address_of_the_ui_the_run_is_named() -> None:
    ledger = Ledger()
    ledger.ran("one")
    [row] = history_rows(history(ledger.records, "production"), lambda _run: "")
    assert (row["run"], row["took"], row["approved by"]) == ("one", "1 min", "")


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(list(EventKind))), max_size=30))
def test_every_run_that_ended_has_one_entry_with_its_last_ending(happened: list[tuple[str, EventKind]]) -> None:
    ledger = Ledger()
    for run, kind in happened:
        ledger.add(run, kind)
    ended = {run: kind for run, kind in happened if kind in RUN_ENDINGS}
    entries = history(ledger.records, "production")
    assert {it.run_id for it in entries} == set(ended)
    assert len(entries) == len(ended)
    assert all(isinstance(it.ending, Ending) for it in entries)
    assert [it.ended for it in entries] == sorted((it.ended for it in entries), reverse=True)
