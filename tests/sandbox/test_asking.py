"""The control room shows who is asked to approve, from the ledger that the product keeps."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from blocks.catalogue import load_catalogue
from deployments.sandbox.approvers import code_at
from deployments.sandbox.asking import Asking, approver_views
from deployments.sandbox.ledger_file import RECORDS, read_ledger
from deployments.sandbox.settings import Settings
from rules.production_policies import Person
from rules.records import Event, EventKind, Record, chain

CATALOGUE = load_catalogue(Settings().catalogue)
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
DEADLINE = "2026-01-08T12:00:00+00:00"


class Ledger:
    """The folder, written as the product does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.last = folder, list[Record]()

    def add(self, kind: EventKind, details: Mapping[str, Any], run: str = "run-1") -> None:
        event = Event(run, "plan-1", "production", kind, "It happened.", details)
        self.last.append(chain(self.last[-1] if self.last else None, event, NOON))
        with (self.folder / RECORDS).open("a") as file:
            file.write(f"{self.last[-1].line}\n")

    def ask(self, *people: str) -> None:
        details = {"key": f"approval-{len(self.last)}", "stage": "s", "deadline": DEADLINE, "awaited": people}
        self.add(EventKind.APPROVAL_ASKED, details)


def test_who_is_awaited_and_who_has_approved_is_shown_by_name(tmp_path: Path) -> None:
    ledger, asking = Ledger(tmp_path), Asking(CATALOGUE, tmp_path, "http://ui")
    assert asking.views() == []
    ledger.add(EventKind.PLAN, {"version": "3f2a1bc"})
    ledger.ask("anna-meier", "reto-keller")
    [view] = asking.views()
    assert (view["version"], view["awaited"], view["approved"]) == ("3f2a1bc", ["Anna Meier", "Reto Keller"], [])
    assert view["url"] == "http://ui/v2/runs/flow-run/run-1"
    ledger.add(EventKind.APPROVAL_GIVEN, {"person": "anna-meier", "decision": "approve"})
    ledger.ask("sofia-rossi")
    [view] = asking.views()
    assert (view["awaited"], view["approved"]) == (["Sofia Rossi"], ["Anna Meier"])
    assert (view["until"], view["deadline"]) == (None, DEADLINE)


def test_an_approved_run_waits_for_its_time_and_one_that_began_does_not_wait(tmp_path: Path) -> None:
    ledger, asking = Ledger(tmp_path), Asking(CATALOGUE, tmp_path, None)
    ledger.ask("anna-meier")
    ledger.add(EventKind.APPROVED, {"by": ["anna-meier"]})
    ledger.add(EventKind.WAITING, {"until": DEADLINE, "why": "the window"})
    [view] = asking.views()
    assert (view["awaited"], view["until"], view["url"]) == ([], DEADLINE, "")
    ledger.add(EventKind.LOCK_TAKEN, {})
    assert asking.views() == []


def test_without_a_ledger_nobody_is_known_to_wait() -> None:
    assert Asking(CATALOGUE, None, None).views() == []


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert read_ledger(tmp_path) == []
    ledger.ask("anna-meier")
    with (tmp_path / RECORDS).open("a") as file:
        file.write('{"seq": 2, "at"')
    assert read_ledger(tmp_path) == ledger.last


def test_whoever_is_removed_has_no_code() -> None:
    people = {"a": Person("a", "Anna", ("leads",)), "b": Person("b", "Bert", active=False)}
    [view] = approver_views(people, lambda: 30 * 7 + 12.5)
    assert view == {"id": "a", "name": "Anna", "groups": ["leads"], "code": code_at("a", 7), "seconds": 17.5}
