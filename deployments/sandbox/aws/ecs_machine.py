"""How a service deployment goes on: what was observed in, the next state out. No clock, no AWS, no tasks.

`advance` makes at most one step, so that whoever polls sees every stage.
"""

from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from hashlib import sha256

from deployments.sandbox.aws.ecs_stages import (
    FINAL,
    GOING_BACK,
    DeploymentPlan,
    Hook,
    HookStatus,
    Observed,
    Progress,
    Stage,
    Status,
    Strategy,
    Wanted,
    Watch,
)


def advance(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Progress:
    """The next state; the same one when there is nothing to do yet."""
    if progress.status in FINAL:
        return progress
    if progress.status is Status.PENDING:
        return _begin(plan, progress, seen)
    if progress.status in GOING_BACK:
        return _go_back(plan, progress, seen)
    progress = _expire_hooks(progress, seen.now)
    fault, triggered = _fault(plan, progress, seen)
    if fault:
        return _fail(plan, progress, seen, fault, triggered)
    return STEPS[plan.strategy](plan, progress, seen)


def request_rollback(progress: Progress, now: datetime, reason: str) -> Progress:
    """Ask a deployment that is under way to give the traffic back. Asking twice changes nothing."""
    if progress.status in FINAL or progress.status in GOING_BACK:
        return progress
    return _turn_back(progress, Status.ROLLBACK_REQUESTED, now, reason)


def supersede(progress: Progress, now: datetime) -> Progress:
    """Make way for a newer deployment: traffic goes back, unless it has arrived already and is cleaning up."""
    arriving = progress.status is Status.IN_PROGRESS and progress.stage is Stage.CLEAN_UP
    if progress.status in FINAL or progress.status in GOING_BACK or arriving:
        return progress
    return _turn_back(progress, Status.STOP_REQUESTED, now, "A newer service deployment was started.")


def _turn_back(progress: Progress, status: Status, now: datetime, reason: str) -> Progress:
    """From here on traffic only goes back, and no pause awaits an answer any more."""
    for hook in progress.hooks:
        if hook.status is HookStatus.AWAITING_ACTION:
            progress = decide_hook(progress, hook.id, HookStatus.FAILED)
    return replace(progress, status=status, reason=reason, rollback_at=now)


def decide_hook(progress: Progress, hook_id: str, status: HookStatus) -> Progress:
    """Set the status of one hook."""
    hooks = tuple(replace(h, status=status) if h.id == hook_id else h for h in progress.hooks)
    return replace(progress, hooks=hooks)


def wanted(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Wanted:
    """How many tasks of each revision the deployment wants to live now."""
    if plan.strategy is Strategy.ROLLING:
        return _wanted_by_rolling(plan, progress, seen)
    source = seen.desired if plan.has_source else 0
    if progress.status is Status.PENDING:
        return Wanted(0, source)
    if progress.status in GOING_BACK:
        return Wanted(seen.desired if progress.weight > 0 else 0, source)
    up = progress.stage is not None and _order(progress.stage) >= _order(Stage.SCALE_UP)
    return Wanted(seen.desired if up else 0, 0 if progress.stage is Stage.CLEAN_UP else source)


def _begin(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Progress:
    watch = Watch.MONITORING if plan.alarms else Watch.DISABLED
    # An alarm that rings already says nothing about the new revision: ECS then watches none of them.
    if seen.alarming & set(plan.alarms):
        watch = Watch.DISABLED
    first_weight = 0.0 if plan.has_source else 100.0
    begun = replace(progress, status=Status.IN_PROGRESS, watch=watch, weight=first_weight)
    first = Stage.SCALE_UP if plan.strategy is Strategy.ROLLING else Stage.RECONCILE_SERVICE
    return _enter(plan, begun, first, seen.now)


def _enter(plan: DeploymentPlan, progress: Progress, stage: Stage, now: datetime) -> Progress:
    hooks = tuple(
        Hook(
            _hook_id(plan, progress, stage, n),
            stage,
            HookStatus.AWAITING_ACTION,
            now + hook.timeout,
            hook.rolls_back_on_timeout,
        )
        for n, hook in enumerate(plan.hooks)
        if stage in hook.stages
    )
    aim = _next_weight(plan, progress) if stage is Stage.PRODUCTION_TRAFFIC_SHIFT else progress.aim
    return replace(progress, stage=stage, since=now, aim=aim, hooks=progress.hooks + hooks)


def _hook_id(plan: DeploymentPlan, progress: Progress, stage: Stage, number: int) -> str:
    """A fresh one for every visit of a stage: the weight tells the visits apart."""
    seed = f"{plan.id} {stage} {progress.weight} {number}"
    return "ecs-pause-" + urlsafe_b64encode(sha256(seed.encode()).digest()).decode().rstrip("=")


def _next_weight(plan: DeploymentPlan, progress: Progress) -> float:
    return next((weight for weight in plan.weights if weight > progress.weight), 100.0)


def _order(stage: Stage) -> int:
    return tuple(Stage).index(stage)


def _following(progress: Progress, stage: Stage) -> Stage:
    """The stage after this one: traffic that has not all arrived takes another step."""
    if stage is Stage.PRODUCTION_TRAFFIC_SHIFT and progress.weight < 100.0:
        return Stage.PRE_PRODUCTION_TRAFFIC_SHIFT
    return tuple(Stage)[_order(stage) + 1]


def _expire_hooks(progress: Progress, now: datetime) -> Progress:
    for hook in progress.hooks:
        if hook.status is HookStatus.AWAITING_ACTION and hook.expires_at <= now:
            progress = decide_hook(progress, hook.id, HookStatus.TIMED_OUT)
    return progress


def _fault(plan: DeploymentPlan, progress: Progress, seen: Observed) -> tuple[str, tuple[str, ...]]:
    """Why the deployment must not go on, with the alarms that say so; empty when it may."""
    ringing = tuple(sorted(seen.alarming & set(plan.alarms))) if progress.watch is Watch.MONITORING else ()
    if ringing:
        return f"Service deployment rolled back because alarms were detected: {', '.join(ringing)}.", ringing
    for hook in progress.hooks:
        if hook.status is HookStatus.FAILED:
            return f"Service deployment rolled back by lifecycle hook {hook.id} at {hook.stage}.", ()
        if hook.status is HookStatus.TIMED_OUT and hook.rolls_back_on_timeout:
            return f"Service deployment rolled back because lifecycle hook {hook.id} timed out at {hook.stage}.", ()
    if plan.strategy is not Strategy.ROLLING and seen.rule_fault:
        return seen.rule_fault, ()
    if plan.breaker is not None and seen.failures >= plan.breaker.threshold:
        return "ECS deployment circuit breaker: tasks failed to start.", ()
    return "", ()


def _fail(
    plan: DeploymentPlan, progress: Progress, seen: Observed, reason: str, triggered: tuple[str, ...]
) -> Progress:
    if triggered:
        progress = replace(progress, watch=Watch.TRIGGERED, triggered=triggered)
    by_breaker = plan.breaker is not None and not triggered
    rolls_back = plan.breaker.rolls_back if plan.breaker is not None and by_breaker else plan.alarms_roll_back
    if plan.strategy is Strategy.ROLLING and not rolls_back:
        return replace(progress, status=Status.STOPPED, reason=reason)
    return request_rollback(progress, seen.now, reason)


def _go_back(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Progress:
    if not plan.has_source:
        return _nowhere_to_go(progress)
    if progress.status is Status.ROLLBACK_REQUESTED:
        return replace(
            progress, status=Status.ROLLBACK_IN_PROGRESS, stage=Stage.PRODUCTION_TRAFFIC_SHIFT, since=seen.now
        )
    if plan.strategy is Strategy.ROLLING:
        progress = replace(progress, weight=_share(seen))
        done = seen.target_living == 0 and seen.source_healthy >= seen.desired
        return _gone_back(progress) if done else progress
    if not _traffic_is_back(progress):
        # Traffic goes where somebody answers: while only the target does, it keeps the traffic.
        if seen.source_healthy == 0 and seen.target_healthy > 0:
            return progress
        return replace(progress, weight=0.0, test_weight=0.0, stage=Stage.CLEAN_UP, since=seen.now)
    return _gone_back(progress) if seen.target_living == 0 else progress


def _nowhere_to_go(progress: Progress) -> Progress:
    status = Status.STOPPED if progress.status is Status.STOP_REQUESTED else Status.ROLLBACK_FAILED
    reason = f"{progress.reason} There is no completed deployment to roll back to."
    return replace(progress, status=status, reason=reason)


def _gone_back(progress: Progress) -> Progress:
    status = Status.STOPPED if progress.status is Status.STOP_REQUESTED else Status.ROLLBACK_SUCCESSFUL
    return replace(progress, status=status, weight=0.0, test_weight=0.0)


def _traffic_is_back(progress: Progress) -> bool:
    return progress.stage is Stage.CLEAN_UP and progress.weight == 0.0


def _step_shifting(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Progress:
    """BLUE_GREEN, LINEAR and CANARY differ only in how many traffic steps they take."""
    stage = progress.stage or Stage.RECONCILE_SERVICE
    done = _do_stage(progress, seen)
    if done != progress or not _stage_is_done(plan, done, seen) or _awaits(done, stage):
        return done
    if stage is Stage.CLEAN_UP:
        return _succeed(progress)
    entered = _enter(plan, progress, _following(progress, stage), seen.now)
    return _do_stage(entered, seen)


def _do_stage(progress: Progress, seen: Observed) -> Progress:
    """The traffic that a stage moves, moved at once when it is entered."""
    if progress.stage is Stage.TEST_TRAFFIC_SHIFT:
        return replace(progress, test_weight=100.0)
    shifting = progress.stage is Stage.PRODUCTION_TRAFFIC_SHIFT and progress.weight < progress.aim
    if shifting and _serves(seen):
        return replace(progress, weight=progress.aim, since=seen.now)
    return progress


def _serves(seen: Observed) -> bool:
    return seen.target_healthy >= max(1, seen.desired) or seen.desired == 0


def _stage_is_done(plan: DeploymentPlan, progress: Progress, seen: Observed) -> bool:
    match progress.stage:
        case Stage.SCALE_UP:
            return seen.target_healthy >= seen.desired
        case Stage.PRODUCTION_TRAFFIC_SHIFT:
            arrived, baked = progress.weight >= progress.aim, seen.now - progress.since >= plan.step_bake
            return arrived and (baked or progress.weight == 100.0)
        case Stage.BAKE_TIME:
            return seen.now - progress.since >= plan.bake
        case Stage.CLEAN_UP:
            return seen.source_living == 0
        case _:
            return True


def _awaits(progress: Progress, stage: Stage) -> bool:
    return any(h.status is HookStatus.AWAITING_ACTION and h.stage is stage for h in progress.hooks)


def _succeed(progress: Progress) -> Progress:
    watch = Watch.MONITORING_COMPLETE if progress.watch is Watch.MONITORING else progress.watch
    return replace(progress, status=Status.SUCCESSFUL, weight=100.0, watch=watch)


def _step_rolling(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Progress:
    progress = replace(progress, weight=_share(seen) if plan.has_source else 100.0)
    arrived = seen.target_healthy >= seen.desired and seen.source_living == 0
    if progress.stage is Stage.SCALE_UP:
        return _enter(plan, progress, Stage.BAKE_TIME, seen.now) if arrived else progress
    baked = seen.now - progress.since >= plan.bake
    return _succeed(progress) if baked and seen.target_healthy >= seen.desired else progress


def _share(seen: Observed) -> float:
    """A rolling deployment's traffic follows its healthy tasks."""
    healthy = seen.target_healthy + seen.source_healthy
    return round(100.0 * seen.target_healthy / healthy, 1) if healthy else 0.0


def _wanted_by_rolling(plan: DeploymentPlan, progress: Progress, seen: Observed) -> Wanted:
    if progress.status is Status.PENDING:
        return Wanted(0, seen.desired if plan.has_source else 0)
    if not plan.has_source:
        return Wanted(seen.desired, 0)
    if progress.status in GOING_BACK:
        back = _roll(plan, seen.desired, seen.source_living, seen.source_healthy, seen.target_living)
        return Wanted(back.source, back.target)
    return _roll(plan, seen.desired, seen.target_living, seen.target_healthy, seen.source_living)


def _roll(plan: DeploymentPlan, desired: int, growing: int, healthy: int, shrinking: int) -> Wanted:
    """Grow one revision within the maximum, shrink the other one down to what the minimum still needs."""
    most = desired * plan.maximum_percent // 100
    least = -(-desired * plan.minimum_healthy_percent // 100)
    grow = min(desired, max(growing, most - shrinking))
    keep = 0 if healthy >= desired else min(shrinking, max(0, least - healthy))
    return Wanted(grow, keep)


Step = Callable[[DeploymentPlan, Progress, Observed], Progress]

STEPS: Mapping[Strategy, Step] = {
    Strategy.ROLLING: _step_rolling,
    Strategy.BLUE_GREEN: _step_shifting,
    Strategy.LINEAR: _step_shifting,
    Strategy.CANARY: _step_shifting,
}
