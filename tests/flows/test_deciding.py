"""A person decides for a canary: the run is paused meanwhile, and the pause always ends."""

import threading
import time
from contextvars import copy_context
from typing import Any
from uuid import UUID

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.runtime import flow_run

from rules.canary_memory import Answer
from tasks.deciding import decide
from tasks.waves import Question, Reply, Wave

pytestmark = pytest.mark.usefixtures("prefect_server")
PATIENCE = 60.0


def question(seconds: float = 120) -> Question:
    return Question("gateway", "gateway-1", "# Too few requests\n\n| n |\n|---|\n| 3 |", seconds)


class Seen:
    """What the person sees of the run. A class of its own, because Prefect copies a flow's lists."""

    run_id = ""


@flow(name="asks", persist_result=False)
def asks(wave: Any, asked: Any, seen: Any) -> None:
    seen.run_id = str(flow_run.id)
    wave.ask(asked)
    decide(wave, asked)


def paused(seen: Seen) -> UUID:
    deadline = time.monotonic() + PATIENCE
    with get_client(sync_client=True) as client:
        while time.monotonic() < deadline:
            if seen.run_id and (state := client.read_flow_run(UUID(seen.run_id)).state) and state.is_paused():
                return UUID(seen.run_id)
            time.sleep(0.2)
    raise AssertionError("the run is not paused")


def run(wave: Wave, asked: Question, act: Any) -> None:
    seen = Seen()
    person = threading.Thread(target=copy_context().run, args=(act, seen))
    person.start()
    asks(wave, asked, seen)
    person.join()


def test_what_a_person_answers_reaches_the_follower() -> None:
    wave = Wave()

    def promote(seen: Seen) -> None:
        with get_client(sync_client=True) as client:
            client.resume_flow_run(paused(seen), run_input={"decision": "promote", "comment": "watched the logs"})

    run(wave, question(), promote)
    assert wave.reply_to("gateway-1") == Reply(Answer.PROMOTE, "watched the logs")


def test_a_question_that_has_answered_itself_holds_nothing_up() -> None:
    wave = Wave()

    def roll_back(seen: Seen) -> None:
        paused(seen)
        wave.fail("gateway", "5 % errors")

    run(wave, question(), roll_back)
    assert wave.reply_to("gateway-1") is None


def test_nobody_answers_and_that_is_to_abort() -> None:
    wave = Wave()
    run(wave, question(seconds=3), paused)
    reply = wave.reply_to("gateway-1")
    assert reply is not None
    assert reply.answer is Answer.ABORT
    assert "nobody answered" in reply.comment
