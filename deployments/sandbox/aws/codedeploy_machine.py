"""How a CodeDeploy deployment of an ECS service goes on: what was observed in, the next state out.

No clock, no AWS, no tasks. `advance` makes at most one step, so that whoever polls sees every stage.
"""

from dataclasses import replace
from datetime import datetime

from deployments.sandbox.aws.codedeploy_stages import (
    ALARM_ACTIVE,
    FINAL,
    MANUAL_STOP,
    NO_EVENTS,
    TIMEOUT,
    Event,
    EventStatus,
    Fault,
    Observed,
    Progress,
    RolloutPlan,
    Stage,
    Status,
    Wanted,
)

STATUS_OF_WAIT = {Stage.READY_WAIT: Status.READY, Stage.TERMINATION_WAIT: Status.BAKING}
INSTALL_TIMED_OUT = (
    "The deployment timed out while waiting for the replacement task set to become healthy. "
    "This time out period is 60 minutes."
)
STOPPED_BY_HAND = "The deployment was stopped on request."
NOT_CONTINUED = "The deployment was stopped because traffic rerouting was not started before the wait time ended."
ALARMS_RING = (
    "One or more alarms have been activated according to the Amazon CloudWatch metrics you selected, and the affected "
    "deployments have been stopped. Activated alarms: {names}"
)


def advance(plan: RolloutPlan, progress: Progress, seen: Observed) -> Progress:
    """The next state; the same one when there is nothing to do yet."""
    if progress.status in FINAL:
        return progress
    fault = _fault(plan, progress, seen)
    if fault is not None:
        return end_badly(progress, fault, seen.now)
    if progress.status is Status.CREATED:
        return replace(progress, status=Status.QUEUED, since=seen.now)
    if progress.stage is None:
        return _enter(plan, progress, plan.path[0], seen)
    return _go_on(plan, progress, progress.stage, seen)


def end_badly(progress: Progress, fault: Fault, now: datetime) -> Progress:
    """Stopped or Failed, as the fault says. Traffic stays where it is."""
    status = Status.STOPPED if fault.stops else Status.FAILED
    events = _closed(progress.events, EventStatus.FAILED, now)
    return replace(progress, status=status, fault=fault, since=now, events=events)


def ask_stop(progress: Progress) -> Progress:
    """Ask a deployment to stop. Asking twice, or after its end, changes nothing."""
    return progress if progress.status in FINAL else replace(progress, stop_asked=True)


def hurry(progress: Progress) -> Progress:
    """Cut the present wait short. Outside a wait, or after the end, it changes nothing."""
    waits = progress.stage in STATUS_OF_WAIT and progress.status not in FINAL
    return replace(progress, hurried=True) if waits else progress


def wanted(plan: RolloutPlan, progress: Progress) -> Wanted:
    """Which task sets are to live now. A deployment that ended badly leaves both as they are."""
    arrived = progress.status is Status.SUCCEEDED or progress.stage is Stage.TERMINATE
    if plan.goes_back:
        return Wanted(blue=True, green=not arrived)
    return Wanted(blue=not arrived, green=_has_reached(plan, progress, Stage.INSTALL))


def green_is_primary(plan: RolloutPlan, progress: Progress) -> bool | None:
    """Whether the replacement is the service's primary task set; None: whatever it was before the deployment."""
    if plan.goes_back:
        return False if _has_reached(plan, progress, Stage.TERMINATE) else None
    return True if _has_reached(plan, progress, Stage.AFTER_ALLOW_TRAFFIC) else None


def all_events(plan: RolloutPlan, progress: Progress) -> tuple[Event, ...]:
    """The lifecycle events of the whole way, with those that have not begun."""
    ahead = EventStatus.SKIPPED if progress.status in FINAL else EventStatus.PENDING
    begun = {event.stage: event for event in progress.events}
    return tuple(begun.get(stage, Event(stage, ahead)) for stage in plan.path if stage not in NO_EVENTS)


def _has_reached(plan: RolloutPlan, progress: Progress, stage: Stage) -> bool:
    return progress.stage is not None and plan.path.index(progress.stage) >= plan.path.index(stage)


def _fault(plan: RolloutPlan, progress: Progress, seen: Observed) -> Fault | None:
    """Why the deployment must not go on."""
    if progress.stop_asked:
        return Fault(MANUAL_STOP, STOPPED_BY_HAND, stops=True)
    if progress.status is Status.CREATED:
        return None
    ringing = sorted(seen.alarming & set(plan.alarms))
    if ringing:
        return Fault(ALARM_ACTIVE, ALARMS_RING.format(names=", ".join(ringing)), stops=True)
    return seen.fault or _overdue(plan, progress, seen.now)


def _overdue(plan: RolloutPlan, progress: Progress, now: datetime) -> Fault | None:
    waited = now - progress.since
    if progress.stage is Stage.INSTALL and waited >= plan.install_limit:
        return Fault(TIMEOUT, INSTALL_TIMED_OUT)
    unanswered = progress.stage is Stage.READY_WAIT and not progress.hurried
    if unanswered and plan.ready_wait is not None and waited >= plan.ready_wait:
        return Fault(TIMEOUT, NOT_CONTINUED, stops=True)
    return None


def _enter(plan: RolloutPlan, progress: Progress, stage: Stage, seen: Observed) -> Progress:
    """Begin a stage; the traffic that it moves at once is moved at once."""
    events = _closed(progress.events, EventStatus.SUCCEEDED, seen.now)
    if stage not in NO_EVENTS:
        events += (Event(stage, EventStatus.IN_PROGRESS, seen.now),)
    status = STATUS_OF_WAIT.get(stage, Status.IN_PROGRESS)
    entered = replace(progress, status=status, stage=stage, since=seen.now, events=events, hurried=False)
    return _shift(plan, entered, seen.now)


def _shift(plan: RolloutPlan, progress: Progress, now: datetime) -> Progress:
    match progress.stage:
        case Stage.ALLOW_TEST_TRAFFIC:
            return replace(progress, test_weight=100.0)
        case Stage.ALLOW_TRAFFIC if plan.goes_back:
            return replace(progress, weight=0.0, test_weight=0.0)
        case Stage.ALLOW_TRAFFIC:
            following = next((weight for weight in plan.increments if weight > progress.weight), 100.0)
            return replace(progress, weight=following, since=now)
        case _:
            return progress


def _go_on(plan: RolloutPlan, progress: Progress, stage: Stage, seen: Observed) -> Progress:
    if stage is Stage.ALLOW_TRAFFIC and not plan.goes_back and progress.weight < 100.0:
        return _shift(plan, progress, seen.now) if seen.now - progress.since >= plan.interval else progress
    if not _is_done(plan, progress, seen):
        return progress
    if stage is plan.path[-1]:
        events = _closed(progress.events, EventStatus.SUCCEEDED, seen.now)
        return replace(progress, status=Status.SUCCEEDED, since=seen.now, events=events)
    return _enter(plan, progress, plan.path[plan.path.index(stage) + 1], seen)


def _is_done(plan: RolloutPlan, progress: Progress, seen: Observed) -> bool:
    match progress.stage:
        case Stage.INSTALL if plan.goes_back:
            # Traffic goes where somebody answers: while only the replacement does, it keeps the traffic.
            return seen.blue_healthy > 0 or seen.green_healthy == 0
        case Stage.INSTALL:
            return seen.green_healthy >= seen.desired
        case Stage.READY_WAIT:
            return progress.hurried
        case Stage.TERMINATION_WAIT:
            return progress.hurried or seen.now - progress.since >= plan.termination_wait
        case Stage.TERMINATE:
            return (seen.green_living if plan.goes_back else seen.blue_living) == 0
        case _:
            return True


def _closed(events: tuple[Event, ...], status: EventStatus, now: datetime) -> tuple[Event, ...]:
    """The events with the one in progress ended."""
    return tuple(
        replace(event, status=status, ended_at=now) if event.status is EventStatus.IN_PROGRESS else event
        for event in events
    )
