"""Which runs wait, and whose plan takes whose place."""

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Verdict
from rules.waiting import check_not_superseded, check_not_waiting, newer, older, superseded_by, waiting_runs

BEGIN = datetime(2026, 11, 23, 9, tzinfo=UTC)
DEADLINE = BEGIN + timedelta(hours=72)


class Ledger:
    def __init__(self) -> None:
        self.records: list[Record] = []

    def add(self, run_id: str, kind: EventKind, plan: str = "", /, **details: Any) -> None:
        at = BEGIN + timedelta(minutes=len(self.records))
        event = Event(run_id, plan, "production", kind, f"{kind} of {run_id}", details)
        self.records.append(chain(self.records[-1] if self.records else None, event, at))

    def asks(self, run: str, plan: str) -> None:
        self.add(run, EventKind.STARTED)
        self.add(run, EventKind.PLAN, plan, version="3f2a1bc")
        self.add(run, EventKind.APPROVAL_ASKED, plan, key="approval-1", deadline=DEADLINE, awaited=["anna", "reto"])


def test_a_run_that_asked_waits_until_its_deadline() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    [run] = waiting_runs(ledger.records, "production")
    assert (run.run_id, run.plan_hash, run.version, run.deadline) == ("one", "p1", "3f2a1bc", DEADLINE)
    assert (run.awaited, run.approved, run.until) == (("anna", "reto"), False, None)


def test_an_approved_run_waits_for_its_time_and_for_nobody() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    ledger.add("one", EventKind.APPROVED, "p1", by=["anna", "reto"])
    until = BEGIN + timedelta(days=1)
    ledger.add("one", EventKind.WAITING, "p1", until=until, why="The window opens tomorrow.")
    [run] = waiting_runs(ledger.records, "production")
    assert (run.awaited, run.approved, run.until) == ((), True, until)


def test_the_approval_of_an_earlier_plan_is_none() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    ledger.add("one", EventKind.APPROVED, "p1", by=["anna"])
    ledger.add("one", EventKind.APPROVAL_ASKED, "p2", key="approval-2", deadline=DEADLINE, awaited=["anna"])
    [run] = waiting_runs(ledger.records, "production")
    assert not run.approved


def test_what_was_approved_before_people_were_asked_again_is_not_approved() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    ledger.add("one", EventKind.APPROVED, "p1", by=["anna", "reto"])
    ledger.add("one", EventKind.WAITING, "p1", until=BEGIN + timedelta(days=1), why="The window opens tomorrow.")
    for number, plan in enumerate(("p2", "p1"), start=2):  # there and back again
        ledger.add("one", EventKind.APPROVAL_ASKED, plan, key=f"approval-{number}", deadline=DEADLINE, awaited=["anna"])
    [run] = waiting_runs(ledger.records, "production")
    assert (run.approved, run.awaited, run.until) == (False, ("anna",), None)
    ledger.add("one", EventKind.APPROVED, "p1", by=["anna", "reto"])
    [run] = waiting_runs(ledger.records, "production")
    assert (run.approved, run.until) == (True, None)


def test_a_run_that_ended_or_holds_the_lock_does_not_wait() -> None:
    for kind in (EventKind.LOCK_TAKEN, EventKind.REJECTED, EventKind.CANCELLED, EventKind.SUPERSEDED):
        ledger = Ledger()
        ledger.asks("one", "p1")
        ledger.add("one", kind)
        assert waiting_runs(ledger.records, "production") == ()


def test_other_environments_are_other_queues() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    assert waiting_runs(ledger.records, "staging") == ()


def test_the_newer_run_takes_the_place_of_the_older_and_never_the_other_way() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    ledger.asks("two", "p2")
    one, two = waiting_runs(ledger.records, "production")
    assert older((one, two), two.began) == (one,)
    assert newer((one, two), one.began) == (two,)
    assert (older((one, two), one.began), newer((one, two), two.began)) == ((), ())


def test_a_superseded_run_is_told_by_whom() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    ledger.asks("two", "p2")
    ledger.add("two", EventKind.SUPERSEDES, run="one")
    assert superseded_by(ledger.records, "one") == "two"
    assert superseded_by(ledger.records, "two") == ""
    assert check_not_superseded(ledger.records, "one").verdict is Verdict.FAILED
    assert check_not_superseded(ledger.records, "two").verdict is Verdict.PASSED
    assert waiting_runs(ledger.records, "production")[0].superseded_by == "two"


def test_the_same_plan_is_not_asked_about_twice_at_once() -> None:
    ledger = Ledger()
    ledger.asks("one", "p1")
    waiting = waiting_runs(ledger.records, "production")
    finding = check_not_waiting(waiting, "two", "p1")
    assert (finding.verdict, finding.measured) == (Verdict.FAILED, "one")
    assert check_not_waiting(waiting, "two", "p2").verdict is Verdict.PASSED
    assert check_not_waiting(waiting, "one", "p1").verdict is Verdict.PASSED


@given(st.lists(st.sampled_from("abcdef"), min_size=1, unique=True))
def test_of_all_that_ask_exactly_one_has_no_newer(runs: list[str]) -> None:
    ledger = Ledger()
    for run in runs:
        ledger.asks(run, f"plan of {run}")
    waiting = waiting_runs(ledger.records, "production")
    assert [run.run_id for run in waiting if not newer(waiting, run.began)] == [runs[-1]]
