"""Of two runs that ask at the same moment, the newer one takes the older one's place as soon as it sees it."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rules.errors import Superseded
from rules.records import Event, EventKind, Record, chain
from rules.waiting import superseded_by
from tasks.superseding import take_place

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.all: list[Record] = []

    def append(self, event: Event) -> Record:
        self.all.append(chain(self.all[-1] if self.all else None, event, NOW))
        return self.all[-1]

    def records(self, run_id: str | None = None) -> list[Record]:
        return [it for it in self.all if run_id in {None, it.event.run_id}]

    def add(self, run_id: str, kind: EventKind) -> None:
        details = {"key": "approval-1", "deadline": NOW.isoformat(), "awaited": ["anna"]}
        self.append(Event(run_id, "p1", "production", kind, f"{kind}.", details))

    def promotion(self, run_id: str) -> Any:
        target = SimpleNamespace(environment=SimpleNamespace(name="production"))
        return SimpleNamespace(run_id=run_id, application=SimpleNamespace(ledger=self), target=target)


@pytest.fixture
def book() -> Book:
    """Both have asked, neither had seen the other wait. Such ids no Prefect server knows."""
    book = Book()
    for kind in (EventKind.STARTED, EventKind.APPROVAL_ASKED):
        for run_id in ("older", "newer"):
            book.add(run_id, kind)
    return book


def test_the_newer_run_takes_the_place_at_its_next_pass_once(book: Book) -> None:
    for _ in range(2):
        take_place.fn(book.promotion("newer"))
    assert sum(it.event.kind is EventKind.SUPERSEDES for it in book.all) == 1
    assert book.all[-1].event.details["run"] == "older"


def test_the_older_run_ends_at_its_next_pass(book: Book) -> None:
    with pytest.raises(Superseded, match="newer"):
        take_place.fn(book.promotion("older"))
    assert superseded_by(book.all, "newer") == ""
