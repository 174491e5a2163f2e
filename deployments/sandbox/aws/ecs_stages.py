"""The words of a service deployment: its stages, statuses and hooks, what it was asked and how far it is."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Strategy(StrEnum):
    ROLLING = "ROLLING"
    BLUE_GREEN = "BLUE_GREEN"
    LINEAR = "LINEAR"
    CANARY = "CANARY"


class Stage(StrEnum):
    """In the order in which a deployment goes through them; by LINEAR and CANARY it does so several times with two.

    These are PRE_PRODUCTION_TRAFFIC_SHIFT and PRODUCTION_TRAFFIC_SHIFT: once for every traffic step.
    """

    RECONCILE_SERVICE = "RECONCILE_SERVICE"
    PRE_SCALE_UP = "PRE_SCALE_UP"
    SCALE_UP = "SCALE_UP"
    POST_SCALE_UP = "POST_SCALE_UP"
    TEST_TRAFFIC_SHIFT = "TEST_TRAFFIC_SHIFT"
    POST_TEST_TRAFFIC_SHIFT = "POST_TEST_TRAFFIC_SHIFT"
    PRE_PRODUCTION_TRAFFIC_SHIFT = "PRE_PRODUCTION_TRAFFIC_SHIFT"
    PRODUCTION_TRAFFIC_SHIFT = "PRODUCTION_TRAFFIC_SHIFT"
    POST_PRODUCTION_TRAFFIC_SHIFT = "POST_PRODUCTION_TRAFFIC_SHIFT"
    BAKE_TIME = "BAKE_TIME"
    CLEAN_UP = "CLEAN_UP"


class Status(StrEnum):
    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCESSFUL = "SUCCESSFUL"
    STOP_REQUESTED = "STOP_REQUESTED"
    STOPPED = "STOPPED"
    ROLLBACK_REQUESTED = "ROLLBACK_REQUESTED"
    ROLLBACK_IN_PROGRESS = "ROLLBACK_IN_PROGRESS"
    ROLLBACK_SUCCESSFUL = "ROLLBACK_SUCCESSFUL"
    ROLLBACK_FAILED = "ROLLBACK_FAILED"


FINAL = frozenset({Status.SUCCESSFUL, Status.STOPPED, Status.ROLLBACK_SUCCESSFUL, Status.ROLLBACK_FAILED})
GOING_BACK = frozenset({Status.STOP_REQUESTED, Status.ROLLBACK_REQUESTED, Status.ROLLBACK_IN_PROGRESS})


class HookStatus(StrEnum):
    AWAITING_ACTION = "AWAITING_ACTION"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"


class Watch(StrEnum):
    """What ECS says about the alarms of a deployment."""

    TRIGGERED = "TRIGGERED"
    MONITORING = "MONITORING"
    MONITORING_COMPLETE = "MONITORING_COMPLETE"
    DISABLED = "DISABLED"


@dataclass(frozen=True, slots=True)
class PauseHook:
    """A place where the deployment waits for somebody's decision."""

    stages: frozenset[Stage]
    timeout: timedelta
    """Real time, already converted from AWS minutes."""
    rolls_back_on_timeout: bool = True


@dataclass(frozen=True, slots=True)
class Hook:
    """One waiting, or decided, pause."""

    id: str
    stage: Stage
    status: HookStatus
    expires_at: datetime
    rolls_back_on_timeout: bool


@dataclass(frozen=True, slots=True)
class Breaker:
    """The deployment circuit breaker of ROLLING."""

    threshold: int
    rolls_back: bool


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What a deployment was asked to do. Durations are real time."""

    id: str
    strategy: Strategy
    has_source: bool
    weights: tuple[float, ...] = (100.0,)
    """Shares of production traffic that the target is to have one after the other, percent; the last one is 100."""
    step_bake: timedelta = timedelta(0)
    """Wait after every traffic step but the last."""
    bake: timedelta = timedelta(0)
    """Wait with all traffic on the target and the source still there."""
    hooks: tuple[PauseHook, ...] = ()
    alarms: tuple[str, ...] = ()
    alarms_roll_back: bool = True
    breaker: Breaker | None = None
    minimum_healthy_percent: int = 100
    maximum_percent: int = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deployment is."""

    since: datetime
    """When the present stage was entered, or production traffic was shifted in it."""
    status: Status = Status.PENDING
    stage: Stage | None = None
    weight: float = 0.0
    """Share of production traffic of the target revision, 0 to 100; the source has the rest."""
    aim: float = 0.0
    """The weight that the present, or last, traffic step leads to."""
    test_weight: float = 0.0
    reason: str = ""
    hooks: tuple[Hook, ...] = ()
    watch: Watch = Watch.DISABLED
    triggered: tuple[str, ...] = ()
    """Names of the alarms that ended it."""
    rollback_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """The world as one tick found it."""

    now: datetime
    desired: int
    target_healthy: int = 0
    target_living: int = 0
    """Tasks that are not STOPPED, whatever their health."""
    source_healthy: int = 0
    source_living: int = 0
    failures: int = 0
    """Tasks of the target that failed since the last one that became healthy."""
    alarming: frozenset[str] = frozenset()
    rule_fault: str = ""
    """Why the listener rule cannot carry this deployment; empty when it can."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many tasks of each revision are to live."""

    target: int
    source: int
