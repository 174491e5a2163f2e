"""The keeper of the waiting runs: what it does for one run disturbs no other, and nobody's last word is overwritten."""

import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.input import keyset_from_paused_state
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Running, Suspended

from rules.records import Event, EventKind, Record, chain
from rules.waiting import WaitingRun, waiting_runs
from tasks.keeping import close, look_after_whatever_comes
from tasks.waking import see, wake

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

    def add(self, run_id: str, kind: EventKind, **details: Any) -> None:
        self.append(Event(run_id, "p1", "production", kind, f"{kind}.", details))

    def asks(self, run_id: str) -> WaitingRun:
        self.add(run_id, EventKind.STARTED)
        deadline = NOW + timedelta(hours=1)
        self.add(run_id, EventKind.APPROVAL_ASKED, key="approval-1", deadline=deadline, awaited=["anna"])
        return waiting_runs(self.all, "production")[-1]


def application(book: Any) -> Any:
    return SimpleNamespace(name="batbern", ledger=book)


def test_a_run_that_ended_by_itself_meanwhile_keeps_its_last_word() -> None:
    book = Book()
    run = book.asks("one")
    book.add("one", EventKind.REJECTED)
    assert close(application(book), run, "Rejected", "") == ""
    assert book.all[-1].event.kind is EventKind.REJECTED


def test_a_run_that_cannot_be_looked_after_is_told_and_keeps_nobody_from_the_others() -> None:
    run = Book().asks(str(uuid4()))
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        assert "could not be looked after" in look_after_whatever_comes(application(Book()), run, NOW)


@flow(name="waits")
def waits() -> None:
    """Is never run here."""


def suspended(*, asks: bool) -> str:
    """A run that was suspended, and killed before its form was there."""
    state: State[Any] = Suspended(timeout_seconds=None, pause_key="approval-1")
    if asks:
        state.state_details.run_input_keyset = {str(key): name for key, name in keyset_from_paused_state(state).items()}
    with get_client(sync_client=True) as client:
        deployment = client.create_deployment(client.create_flow(waits), name="waits")
        run = client.create_flow_run_from_deployment(deployment)
        client.set_flow_run_state(run.id, Running(), force=True)
        client.set_flow_run_state(run.id, state, force=True)
    return str(run.id)


@pytest.mark.usefixtures("prefect_server")
def test_a_run_is_woken_once() -> None:
    run_id = suspended(asks=False)
    assert wake(run_id, "its time has come")
    assert not wake(run_id, "its time has come")
    assert see(run_id).name == "Resuming"


@pytest.mark.usefixtures("prefect_server")
def test_a_run_that_was_killed_before_its_form_was_there_can_be_woken() -> None:
    run_id = suspended(asks=True)
    assert wake(run_id, "the deadline for approvals is over")
    assert see(run_id).name == "Resuming"


class Page(BaseHTTPRequestHandler):
    """A proxy that says 200 and a page of its own."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Please sign in</html>")

    def log_message(self, *_args: object) -> None:
        """Nothing."""


def test_a_proxys_page_is_no_word_of_a_run_having_ended() -> None:
    with HTTPServer(("127.0.0.1", 0), Page) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{proxy.server_port}/api"}):
            told = look_after_whatever_comes(application(book := Book()), book.asks(str(uuid4())), NOW)
        proxy.shutdown()
    assert "could not be looked after" in told
    assert book.all[-1].event.kind is EventKind.APPROVAL_ASKED
