"""What really runs the tasks that the ECS stand-in decides about.

The simulator knows only this protocol. `SimulatedRuntime` runs nothing at all: it only remembers when a task
was started, which is enough for tests of deployments; the sandbox's own runtime hosts real HTTP servers.
"""

import itertools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from deployments.sandbox.behaviour import Behaviour, behaviour_of
from deployments.sandbox.clock import Clock


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """One task to run."""

    id: str
    """32 hexadecimal digits: the last part of the task's ARN."""
    account: str
    cluster: str
    """Cluster name, not its ARN."""
    service: str
    """ECS service name."""
    task_definition_arn: str
    container: str
    image: str
    """The image as the task definition names it."""
    digest: str
    """`sha256:…` that the image stood for when the revision was made; empty when the registry lacks it."""
    environment: Mapping[str, str] = field(default_factory=dict)


class TaskPhase(StrEnum):
    STARTING = "STARTING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    EXITED = "EXITED"


@dataclass(frozen=True, slots=True)
class TaskCondition:
    """How a task is right now."""

    phase: TaskPhase
    address: str | None = None
    """Where it listens, `127.0.0.1:41234`; None until it does."""
    exit_code: int | None = None
    reason: str = ""


class Runtime(Protocol):
    """Runs tasks. No method waits for a task, and none raises for a task that it does not know."""

    def start(self, spec: TaskSpec) -> None:
        """Begin to run the task; returns at once."""

    def condition(self, task_id: str) -> TaskCondition:
        """The task's condition. A task that was never started, or was stopped, is EXITED."""

    def stop(self, task_id: str) -> None:
        """Let the task finish what it is answering, then end it; returns at once."""


def environment_of(spec: TaskSpec) -> str:
    """`staging` of the cluster `batbern-staging`: the name under which behaviours are overridden."""
    return spec.cluster.rpartition("-")[2]


@dataclass(slots=True)
class _Simulated:
    spec: TaskSpec
    behaviour: Behaviour
    started: float
    address: str
    ended: TaskCondition | None = None
    sick: bool = False


class SimulatedRuntime:
    """Tasks that behave as their image's manifest says, without any process or socket."""

    def __init__(self, clock: Clock, manifests: Callable[[str], str]) -> None:
        """`manifests` gives the image manifest (JSON text) of a digest; KeyError when there is none."""
        self._clock = clock
        self._manifests = manifests
        self._tasks: dict[str, _Simulated] = {}
        self._ports = itertools.count(20_000)
        self._lock = threading.Lock()

    def start(self, spec: TaskSpec) -> None:
        try:
            behaviour = behaviour_of(self._manifests(spec.digest), environment_of(spec))
        except KeyError:
            self._put(spec, Behaviour(), TaskCondition(TaskPhase.EXITED, None, None, _cannot_pull(spec)))
            return
        self._put(spec, behaviour, None)

    def condition(self, task_id: str) -> TaskCondition:
        with self._lock:
            task = self._tasks.get(task_id)
        if task is None:
            return TaskCondition(TaskPhase.EXITED, reason="This task was never started.")
        if task.ended is not None:
            return task.ended
        return self._living(task)

    def stop(self, task_id: str) -> None:
        self.exit(task_id, 0, "Stopped on request.")

    def exit(self, task_id: str, code: int, reason: str = "") -> None:
        """End a task from within, as a process that dies."""
        with self._lock:
            task = self._tasks.get(task_id)
            if task is not None and task.ended is None:
                task.ended = TaskCondition(TaskPhase.EXITED, None, code, reason)

    def sicken(self, task_id: str, sick: bool = True) -> None:
        """Make a task fail (or pass again) its health check while it goes on running."""
        with self._lock:
            self._tasks[task_id].sick = sick

    def running(self) -> tuple[TaskSpec, ...]:
        """The tasks that were started and did not end, oldest first."""
        with self._lock:
            tasks = list(self._tasks.values())
        return tuple(t.spec for t in tasks if self.condition(t.spec.id).phase is not TaskPhase.EXITED)

    def _put(self, spec: TaskSpec, behaviour: Behaviour, ended: TaskCondition | None) -> None:
        with self._lock:
            address = f"127.0.0.1:{next(self._ports)}"
            self._tasks[spec.id] = _Simulated(spec, behaviour, self._clock.monotonic(), address, ended)

    def _living(self, task: _Simulated) -> TaskCondition:
        if self._clock.monotonic() - task.started < task.behaviour.start_seconds:
            return TaskCondition(TaskPhase.STARTING)
        if task.behaviour.crash_at_start:
            return TaskCondition(TaskPhase.EXITED, None, 1, "The application failed to start.")
        if task.sick or task.behaviour.unhealthy:
            return TaskCondition(TaskPhase.UNHEALTHY, task.address)
        return TaskCondition(TaskPhase.HEALTHY, task.address)


def _cannot_pull(spec: TaskSpec) -> str:
    return f"CannotPullContainerError: {spec.image} ({spec.digest or 'no digest'}) is not in the registry."
