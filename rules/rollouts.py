"""A roll-out: observed state → next step. What a canary adds is in `rules.holds`.

A roll-out is never a script that must live to its end. Each look at the world is judged afresh, so a run that
died is continued by the next one from whatever is there. Success is a fact about the world: the deployment
that carries our revision is SUCCESSFUL and the digest that serves is ours. "Stable" is not success, because a
service is also stable after it was rolled back.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rules.catalogue import RolloutPolicy
from rules.vocabulary import short


class DeploymentStatus(StrEnum):
    """Status of an ECS service deployment, as the API names it."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"

    @property
    def ongoing(self) -> bool:
        return self in _ONGOING

    @property
    def going_back(self) -> bool:
        return self in _GOING_BACK

    @property
    def gave_back(self) -> bool:
        """It has ended, and the old revision serves."""
        return self in {DeploymentStatus.STOPPED, DeploymentStatus.ROLLBACK_SUCCESSFUL}


_GOING_BACK = frozenset(
    {
        DeploymentStatus.STOP_REQUESTED,
        DeploymentStatus.ROLLBACK_REQUESTED,
        DeploymentStatus.ROLLBACK_IN_PROGRESS,
    }
)
_ONGOING = _GOING_BACK | {DeploymentStatus.PENDING, DeploymentStatus.IN_PROGRESS}


@dataclass(frozen=True, slots=True)
class Arm:
    """One of the two versions between which traffic is divided, as its metrics name it."""

    task_definition: str
    """ARN."""
    target_group: str = ""
    """ARN; empty where no load balancer carries the traffic."""


@dataclass(frozen=True, slots=True)
class Pause:
    """A lifecycle hook at which ECS waits for our word."""

    hook: str
    expires_at: datetime
    """Then ECS by itself does what the hook was told: a canary's goes back."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """One ECS service deployment: a revision on its way to all traffic."""

    arn: str
    status: DeploymentStatus
    stage: str
    """Lifecycle stage as ECS names it; unknown names occur and are passed on."""
    target_revision: str
    target_task_definition: str
    weight: float
    """Production traffic on the target revision, percent."""
    created_at: datetime
    reason: str = ""
    failed_tasks: int = 0
    """Stopped tasks of the target revision."""
    failure: str = ""
    """What the last of them said when it stopped."""
    carrying: frozenset[str] = frozenset()
    """Task definitions that carry production traffic at this moment."""
    old: Arm | None = None
    new: Arm | None = None
    pause: Pause | None = None
    """Where it waits for our word; None while it moves by itself."""
    complete: bool = False
    """As many tasks of the target revision run as it is to have."""
    due: str = ""
    """What its follower must do, in words, where nobody else moves it. Whoever moves by itself has nothing due."""


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a service that is to run `digest` by `task_definition`."""

    service: str
    digest: str
    task_definition: str
    serving: frozenset[str]
    """Digests of the tasks that carry production traffic."""
    steady: bool
    """Running equals desired and nothing is in progress."""
    followed: Deployment | None
    """The deployment that this attempt started or adopted."""
    ongoing: Deployment | None
    """The deployment in progress, whoever started it."""
    minutes: float
    """Since this attempt began."""
    ended_minutes: float = 0.0
    """Since the followed deployment was first seen ended."""
    ours: frozenset[str] = frozenset()
    """On the way back: the task definitions that our own runs may have begun to deploy."""


class Move(StrEnum):
    START = "start"
    WAIT = "wait"
    CONTINUE = "continue"
    """On to the next share of the traffic, or to whatever else is due."""
    ASK = "ask"
    """A person is to decide; meanwhile nothing moves."""
    STOP = "stop"
    DONE = "done"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Step:
    """What to do next, and the sentence that says why."""

    move: Move
    why: str
    weight: float = 0.0
    """Production traffic on the new revision now, percent: for progress."""


def next_step(seen: Observation, policy: RolloutPolicy) -> Step:
    """The next step of a blue-green roll-out. Total: every observation has an answer."""
    if seen.ongoing is not None:
        return _while_ongoing(seen, seen.ongoing, policy)
    if seen.followed is not None:
        return _after_the_end(seen, seen.followed, policy)
    if seen.serving == frozenset({seen.digest}):
        return _while_settling(seen, policy)
    return Step(Move.START, f"{seen.service} serves {_names(seen.serving)}; {short(seen.digest)} is to replace it.")


def _while_settling(seen: Observation, policy: RolloutPolicy) -> Step:
    if seen.steady:
        return Step(Move.DONE, f"{seen.service} serves {short(seen.digest)}.", 100.0)
    # A task that is replaced, or autoscaling, just when the roll-out ended is no reason to take it back.
    minutes = seen.ended_minutes if seen.followed else seen.minutes
    if minutes > policy.start_minutes:
        return Step(
            Move.FAIL,
            f"{seen.service} serves {short(seen.digest)}, but not with all its tasks after {minutes:.0f} minutes",
        )
    return Step(Move.WAIT, f"{seen.service} serves {short(seen.digest)}, but not yet with all its tasks", 100.0)


def _while_ongoing(seen: Observation, ongoing: Deployment, policy: RolloutPolicy) -> Step:
    if ongoing.target_task_definition != seen.task_definition:
        return Step(
            Move.FAIL,
            f"another deployment of {seen.service} is in progress, to {ongoing.target_task_definition} "
            f"({ongoing.arn}); wait for its end or stop it, then run again.",
        )
    if overdue := _overdue(seen, ongoing, policy):
        return overdue
    if ongoing.status.going_back:
        why = f"ECS is rolling {seen.service} back: {ongoing.reason or ongoing.status}"
        return _due(ongoing) or Step(Move.WAIT, why, ongoing.weight)
    too_bad = _too_bad(seen, ongoing, policy)
    if too_bad:
        return Step(Move.STOP, too_bad, ongoing.weight)
    why = f"{seen.service}: {ongoing.stage or ongoing.status}, {ongoing.weight:g} % on the new revision"
    return _due(ongoing) or Step(Move.WAIT, why, ongoing.weight)


def _due(ongoing: Deployment) -> Step | None:
    return Step(Move.CONTINUE, ongoing.due, ongoing.weight) if ongoing.due else None


def _overdue(seen: Observation, ongoing: Deployment, policy: RolloutPolicy) -> Step | None:
    """Also going back, and being stopped, must end: ECS itself would try for a day."""
    most = policy.total_minutes + policy.start_minutes
    if seen.minutes <= most:
        return None
    why = f"{ongoing.arn} of {seen.service} is still {ongoing.status} after {seen.minutes:.0f} minutes"
    return Step(Move.FAIL, f"{why} (allowed: {most:g}); look at it in ECS.", ongoing.weight)


def _too_bad(seen: Observation, ongoing: Deployment, policy: RolloutPolicy) -> str:
    # Native blue-green has no circuit breaker: a revision that dies at start would be tried for ever.
    if ongoing.failed_tasks >= policy.max_failed_tasks:
        return (
            f"{ongoing.failed_tasks} tasks of the new revision of {seen.service} stopped "
            f"(allowed: fewer than {policy.max_failed_tasks}); the last said: {ongoing.failure or 'nothing'}"
        )
    if ongoing.weight == 0 and seen.minutes > policy.start_minutes:
        return (
            f"the new revision of {seen.service} serves nothing after {seen.minutes:.0f} minutes "
            f"(allowed: {policy.start_minutes:g})"
        )
    if seen.minutes > policy.total_minutes:
        return f"the roll-out of {seen.service} takes longer than {policy.total_minutes:g} minutes"
    return ""


def _after_the_end(seen: Observation, followed: Deployment, policy: RolloutPolicy) -> Step:
    if followed.status is not DeploymentStatus.SUCCESSFUL:
        return Step(
            Move.FAIL,
            f"deployment of {seen.service} ended {followed.status}: {followed.reason or 'no reason given'}",
        )
    if seen.serving != frozenset({seen.digest}):
        why = f"deployment of {seen.service} ended SUCCESSFUL, yet {_names(seen.serving)} serves"
        lags = seen.ended_minutes < policy.settle_minutes
        return Step(Move.WAIT if lags else Move.FAIL, why, 100.0)
    return _while_settling(seen, policy)


def step_beside(step: Step, seen: Observation, why: str) -> Step:
    """The step, when another service of the same wave goes back: what is begun goes back too, and nothing begins."""
    forward = seen.ongoing is not None and seen.ongoing.target_task_definition == seen.task_definition
    if step.move is Move.START:
        return Step(Move.FAIL, why)
    if forward and step.move in {Move.WAIT, Move.CONTINUE, Move.ASK} and seen.ongoing is not None:
        if seen.ongoing.status.going_back:
            return step
        return Step(Move.STOP, why, step.weight)
    return step


def next_step_back(seen: Observation, policy: RolloutPolicy) -> Step:
    """The next step back to `digest`, the old one, after a failed promotion: stop what goes forward, return.

    Only what is ours is stopped; somebody else's deployment is left alone, and that is a failure to go back.
    """
    ongoing = seen.ongoing
    if ongoing is None or ongoing.target_task_definition not in seen.ours - {seen.task_definition}:
        return next_step(seen, policy)
    if overdue := _overdue(seen, ongoing, policy):
        return overdue
    if ongoing.status.going_back:
        return _due(ongoing) or Step(Move.WAIT, f"ECS is rolling {seen.service} back", ongoing.weight)
    return Step(Move.STOP, f"{seen.service} was on its way to {ongoing.target_task_definition}", ongoing.weight)


def _names(digests: frozenset[str]) -> str:
    return " and ".join(short(digest) for digest in sorted(digests)) or "nothing"
