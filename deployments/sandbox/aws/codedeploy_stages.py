"""The words of a CodeDeploy deployment of an ECS service: stages, statuses, waits; what it was asked, how far it is.

The original task set is `blue` and the replacement `green`, in a rollback deployment too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class Status(StrEnum):
    CREATED = "Created"
    QUEUED = "Queued"
    IN_PROGRESS = "InProgress"
    READY = "Ready"
    BAKING = "Baking"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"


FINAL = frozenset({Status.SUCCEEDED, Status.FAILED, Status.STOPPED})


class Stage(StrEnum):
    """In the order in which a deployment goes through them. The last two, and `READY_WAIT`, are no lifecycle events."""

    BEFORE_INSTALL = "BeforeInstall"
    INSTALL = "Install"
    AFTER_INSTALL = "AfterInstall"
    ALLOW_TEST_TRAFFIC = "AllowTestTraffic"
    AFTER_ALLOW_TEST_TRAFFIC = "AfterAllowTestTraffic"
    READY_WAIT = "ReadyWait"
    BEFORE_ALLOW_TRAFFIC = "BeforeAllowTraffic"
    ALLOW_TRAFFIC = "AllowTraffic"
    AFTER_ALLOW_TRAFFIC = "AfterAllowTraffic"
    TERMINATION_WAIT = "TerminationWait"
    TERMINATE = "Terminate"


NO_EVENTS = frozenset({Stage.READY_WAIT, Stage.TERMINATION_WAIT, Stage.TERMINATE})
TEST_STAGES = frozenset({Stage.ALLOW_TEST_TRAFFIC, Stage.AFTER_ALLOW_TEST_TRAFFIC})
WAY_BACK = (Stage.INSTALL, Stage.ALLOW_TRAFFIC, Stage.TERMINATE)
"""A rollback deployment: the original answers again, has all traffic, and the replacement goes."""
WAITS = {"READY_WAIT": Stage.READY_WAIT, "TERMINATION_WAIT": Stage.TERMINATION_WAIT}
"""What `continue_deployment` can cut short."""


class EventStatus(StrEnum):
    PENDING = "Pending"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"


@dataclass(frozen=True, slots=True)
class Event:
    """One lifecycle event of a deployment."""

    stage: Stage
    status: EventStatus = EventStatus.PENDING
    started_at: datetime | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a deployment ended badly, in the API's words."""

    code: str
    message: str
    stops: bool = False
    """Then the deployment is `Stopped`, otherwise `Failed`."""


MANUAL_STOP = "MANUAL_STOP"
ALARM_ACTIVE = "ALARM_ACTIVE"
TIMEOUT = "TIMEOUT"
ROLLBACK_EVENTS = {MANUAL_STOP: "DEPLOYMENT_STOP_ON_REQUEST", ALARM_ACTIVE: "DEPLOYMENT_STOP_ON_ALARM"}
"""The event of the automatic rollback configuration; for all other codes it is DEPLOYMENT_FAILURE."""


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """What a deployment was asked to do. Durations are real time."""

    increments: tuple[float, ...] = (100.0,)
    """Shares of production traffic that the replacement is to have one after the other, percent; the last is 100."""
    interval: timedelta = timedelta(0)
    """Between two increments."""
    ready_wait: timedelta | None = None
    """How long it waits, Ready, for somebody's word before traffic moves; None: it does not wait."""
    termination_wait: timedelta = timedelta(0)
    """How long the original task set stays after all traffic has gone."""
    install_limit: timedelta = timedelta(hours=1)
    has_test_route: bool = False
    alarms: tuple[str, ...] = ()
    goes_back: bool = False
    """A rollback deployment."""

    @property
    def path(self) -> tuple[Stage, ...]:
        """The stages that this deployment goes through, in their order."""
        if self.goes_back:
            return WAY_BACK
        left_out = set() if self.has_test_route else set(TEST_STAGES)
        if self.ready_wait is None:
            left_out.add(Stage.READY_WAIT)
        return tuple(stage for stage in Stage if stage not in left_out)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a deployment is."""

    since: datetime
    """When the present stage was entered, or traffic was shifted in it."""
    status: Status = Status.CREATED
    stage: Stage | None = None
    weight: float = 0.0
    """Share of production traffic of the replacement, 0 to 100; the original has the rest."""
    test_weight: float = 0.0
    events: tuple[Event, ...] = ()
    """Those that have begun, oldest first."""
    fault: Fault | None = None
    hurried: bool = False
    """Somebody has cut the present wait short."""
    stop_asked: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """The world as one tick found it."""

    now: datetime
    desired: int
    green_healthy: int = 0
    green_living: int = 0
    """Tasks that are not STOPPED, whatever their health."""
    blue_healthy: int = 0
    blue_living: int = 0
    alarming: frozenset[str] = frozenset()
    fault: Fault | None = None
    """What in the world makes the deployment impossible."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which task sets are to live."""

    blue: bool
    green: bool
