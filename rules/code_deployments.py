"""What AWS CodeDeploy says of a deployment, in the words that every mover of traffic has here.

CodeDeploy takes a deployment back by a second one. Here the two are one: the first, on its way back, until the
second has ended. "Stopped" says nothing of the traffic, so where it is decides what a stopped deployment is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from rules.rollouts import Arm, Deployment, DeploymentStatus
from rules.task_sets import DRAINING, TaskSet, primary

ALL_AT_ONCE = "CodeDeployDefault.ECSAllAtOnce"
PREDEFINED_CANARIES = {
    (10, 5): "CodeDeployDefault.ECSCanary10Percent5Minutes",
    (10, 15): "CodeDeployDefault.ECSCanary10Percent15Minutes",
}
"""By percentage and minutes: all canaries that AWS brings along for Amazon ECS."""
ROLLBACK_SECONDS = 120.0
"""So long after a deployment's end the one that takes it back may appear."""
MANUAL_STOP = "MANUAL_STOP"
ON_REQUEST: Final = "DEPLOYMENT_STOP_ON_REQUEST"
ON_ALARM: Final = "DEPLOYMENT_STOP_ON_ALARM"
ON_FAILURE: Final = "DEPLOYMENT_FAILURE"
_EVENTS = {MANUAL_STOP: ON_REQUEST, "ALARM_ACTIVE": ON_ALARM}
"""What CodeDeploy's configuration calls the end by such an error; all others are ON_FAILURE."""


class Status(StrEnum):
    """As CodeDeploy names it."""

    CREATED = "Created"
    QUEUED = "Queued"
    IN_PROGRESS = "InProgress"
    READY = "Ready"
    """Waits for somebody's word before traffic moves."""
    BAKING = "Baking"
    """All traffic has moved, and the old version is still there."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def ended(self) -> bool:
        return self in {Status.SUCCEEDED, Status.FAILED, Status.STOPPED}


ACTIVE = tuple(status for status in Status if not status.ended)


@dataclass(frozen=True, slots=True)
class Share:
    """What one task set has of the production traffic."""

    task_set: str
    weight: float
    """Percent."""
    green: bool
    """Whether CodeDeploy calls it the replacement."""


@dataclass(frozen=True, slots=True)
class Report:
    """One deployment, as CodeDeploy tells it."""

    id: str
    status: Status
    created_at: datetime
    task_definition: str
    """Which its AppSpec names."""
    stage: str = ""
    """The lifecycle event that it is at."""
    shares: tuple[Share, ...] = ()
    """Empty before it has begun."""
    ended_at: datetime | None = None
    code: str = ""
    message: str = ""
    goes_back_on: frozenset[str] = frozenset()
    """Events after which CodeDeploy was told to take it back."""
    taken_back_by: str = ""
    """Id of the deployment that takes this one back."""
    takes_back: str = ""
    """Id of the deployment that this one takes back."""
    rollback_message: str = ""

    @property
    def error(self) -> str:
        return ": ".join(part for part in (self.code, self.message) if part)


@dataclass(frozen=True, slots=True)
class Deaths:
    """Tasks of the new version that stopped by themselves."""

    number: int = 0
    last_said: str = ""


def canary_config(percent: int, minutes: int) -> str:
    """Name of the traffic configuration with exactly this step: AWS's own where there is one, else one of ours."""
    return PREDEFINED_CANARIES.get((percent, minutes)) or f"promotion-flows-canary-{percent}-{minutes}"


def status_of(forward: Report, back: Report | None, weight: float, now: datetime) -> DeploymentStatus:
    """`weight`: percent of the traffic that the new version has. `back`: the deployment that takes it back."""
    if back is not None:
        return _going_back(back)
    match forward.status:
        case Status.CREATED | Status.QUEUED:
            return DeploymentStatus.PENDING
        case Status.SUCCEEDED:
            return DeploymentStatus.SUCCESSFUL
        case Status.FAILED | Status.STOPPED:
            return _ended_badly(forward, weight, now)
        case _:
            return DeploymentStatus.IN_PROGRESS


def _going_back(back: Report) -> DeploymentStatus:
    if not back.status.ended:
        return DeploymentStatus.ROLLBACK_IN_PROGRESS
    succeeded = back.status is Status.SUCCEEDED
    return DeploymentStatus.ROLLBACK_SUCCESSFUL if succeeded else DeploymentStatus.ROLLBACK_FAILED


def _ended_badly(forward: Report, weight: float, now: datetime) -> DeploymentStatus:
    if forward.shares and _is_awaited(forward, now):
        return DeploymentStatus.ROLLBACK_REQUESTED
    # Without a way back the traffic stays where it was: only with all of it on the old version is that one back.
    return DeploymentStatus.ROLLBACK_FAILED if weight > 0 else DeploymentStatus.STOPPED


def _is_awaited(forward: Report, now: datetime) -> bool:
    """Whether CodeDeploy is about to take it back: its second deployment is not there at the first one's end."""
    told = forward.code == MANUAL_STOP or _EVENTS.get(forward.code, ON_FAILURE) in forward.goes_back_on
    late = forward.ended_at is not None and now - forward.ended_at > timedelta(seconds=ROLLBACK_SECONDS)
    return told and not late and not forward.rollback_message


def deployment_of(
    forward: Report, back: Report | None, sets: Sequence[TaskSet], now: datetime, deaths: Deaths | None = None
) -> Deployment:
    """One deployment and, where there is one, its way back, as a deployment like any other. `sets`: all there are."""
    deaths, latest = deaths or Deaths(), back or forward
    shares = latest.shares or forward.shares
    ours = _made_by(forward, sets)
    returned = back is not None and back.status is Status.SUCCEEDED
    weight = 0.0 if returned else _weight(forward, shares, ours)
    status = status_of(forward, back, weight, now)
    new = next((one for one in sets if one.id in ours), None)
    return Deployment(
        arn=forward.id,
        status=status,
        stage=f"rollback: {back.stage or back.status}" if back else forward.stage or str(forward.status),
        target_revision=forward.id,
        target_task_definition=forward.task_definition,
        weight=weight,
        created_at=forward.created_at,
        reason=_reason(forward, back, weight, status),
        failed_tasks=deaths.number,
        failure=deaths.last_said,
        carrying=_carrying(forward, shares, sets, ours),
        old=next((one.arm for one in _lasting_first(sets) if one.id not in ours), None),
        new=Arm(forward.task_definition, new.target_group if new else ""),
        complete=new is not None and new.complete,
    )


def _made_by(forward: Report, sets: Sequence[TaskSet]) -> frozenset[str]:
    """Ids of the new version's task sets. In the way back's own report CodeDeploy may call it by the other colour."""
    green = {share.task_set for share in forward.shares if share.green}
    return frozenset(green | {one.id for one in sets if one.deployment == forward.id})


def _lasting_first(sets: Sequence[TaskSet]) -> list[TaskSet]:
    return sorted(sets, key=lambda one: one.status == DRAINING)


def _weight(forward: Report, shares: Sequence[Share], ours: frozenset[str]) -> float:
    if not shares:
        return 100.0 if forward.status is Status.SUCCEEDED else 0.0
    return sum(share.weight for share in shares if share.task_set in ours)


def _carrying(
    forward: Report, shares: Sequence[Share], sets: Sequence[TaskSet], ours: frozenset[str]
) -> frozenset[str]:
    definitions = {one.id: one.task_definition for one in sets} | dict.fromkeys(ours, forward.task_definition)
    carrying = {definitions[it.task_set] for it in shares if it.weight > 0 and it.task_set in definitions}
    first = primary(sets)
    if not carrying and first is not None:  # it has not begun, or CodeDeploy speaks of task sets that are gone
        return frozenset({first.task_definition})
    return frozenset(carrying)


def _reason(forward: Report, back: Report | None, weight: float, status: DeploymentStatus) -> str:
    if status is not DeploymentStatus.ROLLBACK_FAILED:
        return forward.error
    if back is None:
        told = forward.rollback_message or "CodeDeploy did not take it back"
    else:
        told = f"taking it back ({back.id}) ended {back.status}: {back.error or 'no reason given'}"
    return f"{forward.error or 'no reason given'}; {told}; the new version still has {weight:g} % of the traffic"
