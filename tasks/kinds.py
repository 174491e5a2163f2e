"""The two kinds of task. Retries, back-off and jitter stand here and nowhere else.

An asking task reads and judges; an acting task changes the world and observes before it does, so that repeating
it is safe. Both are retried on an outage only: a refusal is an answer, and repeating it would not change it.
"""

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun

from rules.errors import Outage

P = ParamSpec("P")
R = TypeVar("R")

RETRIES = 4
PAUSES_SECONDS = (1.0, 3.0, 9.0, 27.0)
"""Before each retry; with jitter up to double. An outage longer than about a minute is for a person to see."""


def _is_outage(_task: Task[Any, Any], _run: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, Outage)


def asking(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that looks and judges."""
    return _kind(name, "asking")


def acting(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task that changes the world, after looking."""
    return _kind(name, "acting")


def _kind(name: str, tag: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    def made(function: Callable[P, R]) -> Task[P, R]:
        # A cached answer about the world is a wrong answer, hence no cache.
        return task(
            name=name,
            task_run_name=name,
            tags={tag},
            retries=RETRIES,
            retry_delay_seconds=list(PAUSES_SECONDS),
            retry_jitter_factor=1.0,
            retry_condition_fn=_is_outage,
            cache_policy=NO_CACHE,
            persist_result=False,
        )(function)

    return made
