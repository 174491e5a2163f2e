"""The state machine alone, moving traffic in several steps, under whatever the world may do to it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.sandbox.aws.ecs_configuration import joined, traffic_steps
from deployments.sandbox.aws.ecs_machine import advance, decide_hook, request_rollback
from deployments.sandbox.aws.ecs_stages import (
    FINAL,
    GOING_BACK,
    DeploymentPlan,
    HookStatus,
    Observed,
    PauseHook,
    Progress,
    Stage,
    Status,
    Strategy,
    Watch,
)
from tests.sandbox.aws.ecs.life import EVENTS, SECOND, START, Life

PRE, SHIFT = Stage.PRE_PRODUCTION_TRAFFIC_SHIFT, Stage.PRODUCTION_TRAFFIC_SHIFT
PAUSE = PauseHook(frozenset({PRE}), 5 * SECOND)
PLAN = DeploymentPlan(
    "ecs-svc/1",
    Strategy.LINEAR,
    has_source=True,
    weights=(10.0, 40.0, 70.0, 100.0),
    bake=2 * SECOND,
    hooks=(PAUSE,),
    alarms=("errors",),
)
PLANS = st.builds(
    replace,
    st.just(PLAN),
    weights=st.lists(st.integers(1, 999), unique=True, max_size=4).map(
        lambda tenths: (*(t / 10 for t in sorted(tenths)), 100.0)
    ),
    step_bake=st.sampled_from([0 * SECOND, 2 * SECOND]),
    hooks=st.sampled_from([(), (PAUSE,), (PAUSE, PAUSE), (replace(PAUSE, rolls_back_on_timeout=False),)]),
)
HAPPENINGS = st.lists(
    st.sampled_from(
        (*EVENTS, *("target ready", "answer continue") * 6, "answer rollback", "nothing", "source ready")
    ),
    max_size=60,
)  # fmt: skip
NEEDED = {HookStatus.SUCCEEDED, HookStatus.TIMED_OUT}


@given(PLANS, HAPPENINGS, st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_going_forward_shares_only_grow_and_after_an_abort_they_only_fall(
    plan: DeploymentPlan, events: list[str], desired: int
) -> None:
    life = Life(plan, desired)
    for event in events:
        life.suffer(event)
        before, _ = life.tick()
        turned_back = life.progress.rollback_at is not None
        if turned_back:
            assert life.progress.weight <= before.weight
        else:
            assert life.progress.weight >= before.weight
        assert 0.0 <= life.progress.weight <= 100.0


@given(PLANS, HAPPENINGS, st.integers(1, 3))
@settings(max_examples=300, deadline=None)
def test_a_share_grows_by_one_step_at_a_time_onto_healthy_tasks_only(
    plan: DeploymentPlan, events: list[str], desired: int
) -> None:
    life = Life(plan, desired)
    for event in events:
        life.suffer(event)
        before, seen = life.tick()
        if life.progress.weight > before.weight:
            assert life.progress.weight == min(weight for weight in plan.weights if weight > before.weight)
            assert seen.target_healthy >= desired
            assert life.progress.stage is SHIFT
        if life.progress.weight < before.weight:
            assert life.progress.weight == 0.0
            assert seen.source_healthy or not seen.target_healthy


@given(PLANS, HAPPENINGS)
@settings(max_examples=300, deadline=None)
def test_no_share_grows_before_every_pause_of_that_step_has_been_answered(
    plan: DeploymentPlan, events: list[str]
) -> None:
    life = Life(plan)
    answered: set[str] = set()
    for event in events:
        life.suffer(event)
        before, _ = life.tick()
        hooks = life.progress.hooks
        assert len({hook.id for hook in hooks}) == len(hooks), "a hook id came twice"
        if life.progress.weight > before.weight:
            fresh = [hook for hook in hooks if hook.id not in answered]
            assert len(fresh) == len(plan.hooks), "a step without pauses of its own"
            assert {hook.status for hook in fresh} <= NEEDED
            answered |= {hook.id for hook in fresh}


@given(PLANS, HAPPENINGS)
@settings(max_examples=300, deadline=None)
def test_an_aborted_deployment_ends_with_no_traffic_and_no_pause_open(plan: DeploymentPlan, events: list[str]) -> None:
    life = Life(plan)
    for event in events:
        life.suffer(event)
        life.tick()
    life.progress = request_rollback(life.progress, life.now, "stopped")
    for _ in range(10):
        life.suffer("source ready")
        life.tick()
    assert life.progress.status in FINAL
    if life.progress.status is not Status.SUCCESSFUL:
        assert (life.progress.weight, life.target, life.waiting) == (0.0, [], [])


@given(PLANS, HAPPENINGS)
@settings(max_examples=200, deadline=None)
def test_the_old_tasks_live_as_long_as_they_may_be_needed(plan: DeploymentPlan, events: list[str]) -> None:
    life = Life(plan)
    for event in events:
        life.suffer(event)
        life.tick()
        arrived = life.progress.status is Status.IN_PROGRESS and life.progress.stage is Stage.CLEAN_UP
        if life.progress.status not in FINAL and not arrived:
            assert len(life.source) == life.desired
        if life.progress.status in GOING_BACK and life.progress.weight > 0:
            assert len(life.target) == life.desired


@given(st.integers(30, 1000))
def test_linear_steps_are_equal_and_end_at_100(tenths: int) -> None:
    configuration = joined({}, {"strategy": "LINEAR", "linearConfiguration": {"stepPercent": tenths / 10}})
    weights, minutes = traffic_steps(configuration)
    assert minutes == 6
    assert weights[-1] == 100.0
    grown = [round(10 * later) - round(10 * earlier) for earlier, later in zip((0.0, *weights), weights, strict=False)]
    assert set(grown[:-1]) <= {tenths}
    assert 0 < grown[-1] <= tenths


@given(st.integers(1, 1000))
def test_a_canary_has_two_steps_unless_the_first_is_everything(tenths: int) -> None:
    configuration = joined({}, {"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": tenths / 10}})
    assert traffic_steps(configuration) == (tuple(dict.fromkeys((tenths / 10, 100.0))), 10)


def healthy(seconds: float = 0.0, **changes: object) -> Observed:
    return replace(Observed(START + seconds * SECOND, 2, 2, 2, 2, 2), **changes)  # type: ignore[arg-type]


def paused(plan: DeploymentPlan = PLAN, weight: float = 10.0) -> Progress:
    """At the pause before the step after this weight."""
    shifted = Progress(START, Status.IN_PROGRESS, SHIFT, weight=weight, aim=weight, watch=Watch.MONITORING)
    waiting = advance(plan, shifted, healthy())
    assert waiting.stage is PRE
    return waiting


def test_between_two_steps_the_step_bake_is_waited_and_after_the_last_one_it_is_not() -> None:
    plan = replace(PLAN, step_bake=10 * SECOND)
    shifted = Progress(START, Status.IN_PROGRESS, SHIFT, weight=10.0, aim=10.0)
    assert advance(plan, shifted, healthy(9.9)) == shifted
    assert advance(plan, shifted, healthy(10)).stage is PRE
    arrived = replace(shifted, weight=100.0, aim=100.0)
    assert advance(plan, arrived, healthy()).stage is Stage.POST_PRODUCTION_TRAFFIC_SHIFT


def test_the_step_bake_begins_when_traffic_moves_not_when_the_stage_is_entered() -> None:
    plan = replace(PLAN, hooks=(), step_bake=10 * SECOND)
    before = Progress(START, Status.IN_PROGRESS, PRE, weight=10.0, aim=10.0)
    sick = advance(plan, before, healthy(1, target_healthy=1))
    assert (sick.stage, sick.weight, sick.aim) == (SHIFT, 10.0, 40.0)
    moved = advance(plan, sick, healthy(20))
    assert (moved.weight, moved.since) == (40.0, START + 20 * SECOND)
    assert advance(plan, moved, healthy(29)).stage is SHIFT
    assert advance(plan, moved, healthy(30)).stage is PRE


def test_a_pause_in_the_middle_that_nobody_answers_returns_everything_and_says_so() -> None:
    waiting = paused()
    assert advance(PLAN, waiting, healthy(4.9)) == waiting
    back = advance(PLAN, waiting, healthy(5))
    assert (back.status, back.hooks[0].status) == (Status.ROLLBACK_REQUESTED, HookStatus.TIMED_OUT)
    assert f"lifecycle hook {waiting.hooks[0].id} timed out at {PRE}" in back.reason
    back = advance(PLAN, advance(PLAN, back, healthy(6)), healthy(7))
    assert (back.status, back.weight) == (Status.ROLLBACK_IN_PROGRESS, 0.0)


def test_a_pause_in_the_middle_may_also_go_on_by_itself() -> None:
    plan = replace(PLAN, hooks=(replace(PAUSE, rolls_back_on_timeout=False),))
    after = advance(plan, paused(plan), healthy(5))
    assert (after.stage, after.weight, after.hooks[0].status) == (SHIFT, 40.0, HookStatus.TIMED_OUT)


@pytest.mark.parametrize("weight", [10.0, 40.0, 70.0])
def test_an_alarm_returns_everything_from_any_step_and_closes_the_pause(weight: float) -> None:
    after = advance(PLAN, paused(weight=weight), healthy(1, alarming=frozenset({"errors"})))
    assert (after.status, after.triggered, after.hooks[0].status) == (
        Status.ROLLBACK_REQUESTED,
        ("errors",),
        HookStatus.FAILED,
    )


def test_a_rule_that_lost_a_target_group_returns_everything_in_the_middle_too() -> None:
    after = advance(PLAN, paused(), healthy(1, rule_fault="The rule has only one target group."))
    assert (after.status, after.reason) == (Status.ROLLBACK_REQUESTED, "The rule has only one target group.")


def test_of_two_pauses_one_refusal_is_enough() -> None:
    plan = replace(PLAN, hooks=(PAUSE, PAUSE))
    waiting = paused(plan)
    yes, no = waiting.hooks
    waiting = decide_hook(decide_hook(waiting, yes.id, HookStatus.SUCCEEDED), no.id, HookStatus.FAILED)
    after = advance(plan, waiting, healthy(1))
    assert after.status is Status.ROLLBACK_REQUESTED
    assert no.id in after.reason


def test_a_first_deployment_has_all_traffic_and_passes_the_shift_once() -> None:
    life = Life(replace(PLAN, has_source=False, hooks=()))
    visits = []
    for _ in range(20):
        life.suffer("target ready")
        before, _ = life.tick()
        if life.progress.stage is not before.stage:
            visits.append(life.progress.stage)
    assert life.progress.status is Status.SUCCESSFUL
    assert visits.count(SHIFT) == 1
