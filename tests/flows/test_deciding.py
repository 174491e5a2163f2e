"""A person decides for a canary: the run is paused meanwhile, and the pause always ends."""

import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from rules.canary_memory import Answer, Memory, recall
from rules.records import Event, Record, chain
from tasks.deciding import decide
from tasks.waves import Question, Wave

pytestmark = pytest.mark.usefixtures("prefect_server")
PATIENCE = 60.0


class Notebook:
    """A ledger that keeps its records in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, event: Event) -> Record:
        self.records.append(chain(self.records[-1] if self.records else None, event, datetime.now(UTC)))
        return self.records[-1]


class Case:
    """A wave with a question, and whoever answers it. A class of its own, because Prefect copies a flow's lists."""

    def __init__(self, seconds: float = 120) -> None:
        self.run_id, self.ledger, self.wave = "", Notebook(), Wave()
        page = "# Too few requests"
        self.question = Question(
            "gateway", "arn:deployment", 10, "gateway-1", page, datetime.now(UTC) + timedelta(seconds=seconds)
        )
        self.promotion: Any = SimpleNamespace(
            application=SimpleNamespace(ledger=self.ledger),
            target=SimpleNamespace(environment=SimpleNamespace(name="staging")),
            run_id="run",
        )

    def memory(self) -> Memory:
        return recall(self.ledger.records, "gateway", "arn:deployment")

    def paused(self) -> UUID:
        deadline = time.monotonic() + PATIENCE
        with get_client(sync_client=True) as client:
            while time.monotonic() < deadline:
                state = client.read_flow_run(UUID(self.run_id)).state if self.run_id else None
                if state and state.is_paused():
                    return UUID(self.run_id)
                time.sleep(0.2)
        raise AssertionError("the run is not paused")

    def resume(self, **answer: str) -> None:
        run_id = self.paused()
        with get_client(sync_client=True) as client:
            client.resume_flow_run(run_id, run_input=answer)


@flow(name="asks", persist_result=False)
def asks(case: Any) -> None:
    case.run_id = str(flow_run.id)
    assert case.wave.ask(case.question, heard=0)
    decide(case.promotion, "plan", case.wave, case.question)


def run(case: Case, act: Callable[[], object]) -> None:
    person = threading.Thread(target=copy_context().run, args=(act,))
    person.start()
    asks(case)
    person.join()


def test_what_a_person_answers_is_in_the_ledger_before_the_follower_hears_of_it() -> None:
    case = Case()
    run(case, lambda: case.resume(decision="promote", comment="watched the logs"))
    [said] = case.memory().answers
    assert (said.step, said.answer) == (10, Answer.PROMOTE)
    assert "watched the logs" in case.ledger.records[0].event.sentence
    assert (case.wave.answers("gateway"), case.wave.asks("gateway")) == (1, False)


def test_a_question_that_has_answered_itself_holds_nothing_up() -> None:
    case = Case()

    def roll_back() -> None:
        case.paused()
        case.wave.fail("gateway", "5 % errors")

    run(case, roll_back)
    assert case.ledger.records == []


def test_nobody_answers_and_that_is_to_abort() -> None:
    case = Case(seconds=3)
    run(case, case.paused)
    assert "nobody answered" in case.memory().aborted
