"""A person decides what the judge cannot. The run is paused in the Prefect UI, with a form, until somebody answers.

Paused, and not suspended: the environment is half way between two versions, so its lock stays held, the other
followers go on watching, and whatever happens meanwhile is still put back by this very run.
"""

import threading
from contextvars import copy_context
from datetime import UTC, datetime
from functools import partial
from typing import Literal
from uuid import UUID

from prefect import get_run_logger, pause_flow_run
from prefect.client.orchestration import get_client
from prefect.input import RunInput
from prefect.logging import get_logger
from prefect.runtime import flow_run
from pydantic import Field

from rules.canary_memory import Answer
from tasks.canary_records import said, unanswered
from tasks.kinds import acting
from tasks.promotions import Promotion
from tasks.waves import Question, Wave

logger = get_logger("promotion-flows.deciding")

POLL_SECONDS = 2
GRACE_SECONDS = 60
"""Prefect refuses an answer after the pause's own time: our own answer comes before that."""
WITHDRAWN, LATE = "the question has answered itself", "nobody answered in time"
"""The comments of the answers that we give ourselves: nothing is left to decide, or nobody did."""


class CanaryDecision(RunInput):
    """The form. Its keys are also what `resume` is given by API: decision and comment."""

    decision: Literal["abort", "extend", "promote"] = Field(
        default="abort",
        description="What each of them does is said above.",
    )
    comment: str = Field(default="", description="Why. It stands in the ledger.")


def decide(promotion: Promotion, plan_hash: str, wave: Wave, question: Question) -> None:
    """Pauses the run until the question is answered, or is no longer one. No answer in time is to abort."""
    from rules.canary_pages import WHERE, clock  # pandas is for those who have a canary

    get_run_logger().warning(
        "%s at %d %%: a person decides until %s, %s", question.service, question.step, clock(question.until), WHERE
    )
    answered = threading.Event()
    watching = partial(_answer_ourselves, wave, question, UUID(str(flow_run.id)), answered)
    # In this context, because the run's settings, and with them its server, are part of it.
    watcher = threading.Thread(target=copy_context().run, args=(watching,), daemon=True)
    watcher.start()
    try:
        reply = pause_flow_run(
            wait_for_input=CanaryDecision.with_initial_data(description=question.page),
            timeout=max(round((question.until - datetime.now(UTC)).total_seconds()), 1) + GRACE_SECONDS,
            poll_interval=POLL_SECONDS,
            key=question.key,
        )
    finally:
        answered.set()
        watcher.join()
    if reply.comment == WITHDRAWN:
        return
    get_run_logger().info("%s: %s. %s", question.service, reply.decision, reply.comment)
    record_answer(promotion, plan_hash, question, Answer(reply.decision), reply.comment)
    wave.answered(question)


@acting("record the answer")
def record_answer(promotion: Promotion, plan_hash: str, question: Question, answer: Answer, comment: str) -> None:
    """A task, so that a short outage of the ledger does not lose a person's word."""
    if comment == LATE:
        unanswered(promotion, plan_hash, question)
    else:
        said(promotion, plan_hash, question, answer, comment)


def _answer_ourselves(wave: Wave, question: Question, run_id: UUID, answered: threading.Event) -> None:
    """Ends a pause that nobody has to end any more, and one that nobody has ended in time."""
    while not answered.wait(POLL_SECONDS):
        if not wave.is_open(question):
            _resume(run_id, WITHDRAWN)
        elif datetime.now(UTC) > question.until:
            _resume(run_id, LATE)


def _resume(run_id: UUID, comment: str) -> None:
    try:
        with get_client(sync_client=True) as client:
            client.resume_flow_run(run_id, run_input={"decision": Answer.ABORT.value, "comment": comment})
    except Exception as trouble:  # noqa: BLE001 - a server out of reach is asked again at the next look
        logger.warning("the pause could not be ended yet: %s", trouble)
