"""A canary's past, from the ledger alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rules.canary_memory import Answer, Happening, Memory, recall
from rules.catalogue import CanaryPolicy
from rules.records import Event, EventKind, Record, chain

START = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POLICY = CanaryPolicy()
ARN = "arn:deployment/1"


def records(*happened: tuple[float, Happening, dict[str, Any]], deployment: str = ARN) -> list[Record]:
    """Records of a canary: minutes since the start, what happened, more details."""
    written: list[Record] = []
    for minutes, what, details in happened:
        more = {"service": "gateway", "deployment": deployment, "happened": what, **details}
        event = Event("run", "plan", "staging", EventKind.ROLLOUT_OBSERVED, "…", more)
        written.append(chain(written[-1] if written else None, event, START + timedelta(minutes=minutes)))
    return written


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_a_run_that_takes_over_knows_since_when_the_step_is_held() -> None:
    past = records(
        (0, Happening.STARTED, {"reference_ms": 300.0}),
        (0.1, Happening.REACHED, {"step": 10}),
        (5.2, Happening.CLEARED, {"step": 10}),
        (6, Happening.REACHED, {"step": 50}),
    )
    memory = recall(past, "gateway", ARN)
    assert memory.started_at == START
    assert memory.reference_ms == 300.0
    assert memory.view(POLICY, None, 20, at(6)).held_at(20) is None
    assert memory.view(POLICY, None, 50, at(8)).held_minutes == 2


def test_the_past_of_another_deployment_is_not_ours() -> None:
    past = records((0, Happening.STARTED, {}), (1, Happening.ABORTED, {"why": "worse"}), deployment="arn:other")
    assert recall(past, "gateway", ARN) == Memory("gateway", ARN)


def test_what_is_written_twice_counts_once() -> None:
    past = records(
        (0, Happening.STARTED, {"reference_ms": 250.0}),
        (1, Happening.REACHED, {"step": 10}),
        (2, Happening.STARTED, {"reference_ms": 900.0}),
        (3, Happening.REACHED, {"step": 10}),
    )
    memory = recall(past, "gateway", ARN)
    assert (memory.started_at, memory.reference_ms, memory.reached) == (START, 250.0, {10: at(1)})


def test_an_answer_counts_for_the_step_at_which_it_was_given() -> None:
    past = records(
        (1, Happening.REACHED, {"step": 10}),
        (9, Happening.ANSWERED, {"step": 10, "answer": Answer.EXTEND}),
        (15, Happening.ANSWERED, {"step": 10, "answer": Answer.PROMOTE}),
        (15, Happening.CLEARED, {"step": 10}),
        (16, Happening.REACHED, {"step": 50}),
    )
    memory = recall(past[:2], "gateway", ARN)
    assert memory.view(POLICY, None, 10, at(10)).granted == 1
    assert memory.view(POLICY, None, 10, at(10)).excused_minutes == 1
    whole = recall(past, "gateway", ARN)
    there = whole.view(POLICY, None, 50, at(17))
    assert (there.trusted, there.granted, there.trusted_before) == (False, 0, True)


def test_an_abort_is_never_unsaid() -> None:
    past = records(
        (1, Happening.ABORTED, {"why": "5 % errors"}),
        (2, Happening.ABORTED, {"why": "a person said abort"}),
        (3, Happening.ANSWERED, {"step": 10, "answer": Answer.PROMOTE}),
    )
    assert recall(past, "gateway", ARN).view(POLICY, None, 10, at(4)).aborted == "5 % errors"
