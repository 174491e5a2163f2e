"""The state machine alone, under whatever the world may do to it."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.sandbox.aws.ecs_machine import advance, decide_hook, request_rollback, supersede, wanted
from deployments.sandbox.aws.ecs_stages import (
    FINAL,
    GOING_BACK,
    Breaker,
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

PLAN = DeploymentPlan("ecs-svc/1", Strategy.BLUE_GREEN, has_source=True, bake=5 * SECOND, alarms=("errors",))


@given(st.lists(st.sampled_from(EVENTS), max_size=40), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_whatever_happens_traffic_stays_where_somebody_answers(events: list[str], desired: int) -> None:
    life = Life(PLAN, desired)
    for event in events:
        life.suffer(event)
        before, seen = life.tick()
        after = life.progress
        assert after.weight in {0.0, 100.0}
        if after.weight > before.weight:
            assert seen.target_healthy >= desired, "traffic moved to a revision that cannot take it"
        if after.weight < before.weight:
            assert seen.source_healthy or not seen.target_healthy, "traffic moved away from the only healthy one"


@given(st.lists(st.sampled_from(EVENTS), max_size=40), st.integers(1, 4))
@settings(max_examples=300, deadline=None)
def test_the_old_tasks_live_until_clean_up(events: list[str], desired: int) -> None:
    life = Life(PLAN, desired)
    for event in events:
        life.suffer(event)
        life.tick()
        cleaning = life.progress.status is Status.IN_PROGRESS and life.progress.stage is Stage.CLEAN_UP
        if life.progress.status not in FINAL and not cleaning:
            assert len(life.source) == desired
        if life.progress.status in GOING_BACK and life.progress.weight > 0:
            assert len(life.target) == desired, "the new tasks were stopped while they had the traffic"


@given(st.lists(st.sampled_from(EVENTS), max_size=40), st.sampled_from(Strategy))
@settings(max_examples=300, deadline=None)
def test_every_deployment_ends_with_all_traffic_on_one_revision(events: list[str], strategy: Strategy) -> None:
    life = Life(replace(PLAN, strategy=strategy))
    for event in events:
        life.suffer(event)
        life.tick()
    for _ in range(60):
        life.suffer("target ready")
        life.suffer("source ready")
        life.tick()
    assert life.progress.status in FINAL
    succeeded = life.progress.status is Status.SUCCESSFUL
    assert life.progress.weight == (100.0 if succeeded else 0.0)
    assert (life.source if succeeded else life.target) == []


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
@settings(max_examples=200, deadline=None)
def test_a_step_enters_at_most_one_stage(events: list[str]) -> None:
    life = Life(PLAN)
    order = [None, *Stage]
    for event in events:
        life.suffer(event)
        before, _ = life.tick()
        if life.progress.status is Status.IN_PROGRESS:
            assert order.index(life.progress.stage) - order.index(before.stage) in {0, 1}


@given(st.integers(1, 6), st.sampled_from([(100, 200), (50, 100), (50, 150), (0, 100), (100, 150)]))
def test_rolling_never_has_more_or_fewer_tasks_than_allowed(desired: int, percents: tuple[int, int]) -> None:
    least, most = percents
    plan = DeploymentPlan("x", Strategy.ROLLING, has_source=True, minimum_healthy_percent=least, maximum_percent=most)
    life = Life(plan, desired)
    if desired * most // 100 == desired and -(-desired * least // 100) == desired:
        return
    for _ in range(desired * 6 + 6):
        life.suffer("target ready")
        life.tick()
        assert len(life.target) + len(life.source) <= desired * most // 100
        if life.progress.status not in FINAL:
            assert sum(life.target) + sum(life.source) >= min(-(-desired * least // 100), desired)
    assert life.progress.status is Status.SUCCESSFUL


def in_stage(stage: Stage, plan: DeploymentPlan = PLAN, **changes: object) -> Progress:
    progress = Progress(START, Status.IN_PROGRESS, stage, watch=Watch.MONITORING)
    return replace(progress, **changes)  # type: ignore[arg-type]


def healthy(**changes: object) -> Observed:
    return replace(Observed(START, 2, 2, 2, 2, 2), **changes)  # type: ignore[arg-type]


def test_a_revision_with_one_unhealthy_task_does_not_leave_scale_up() -> None:
    progress = in_stage(Stage.SCALE_UP)
    assert advance(PLAN, progress, healthy(target_healthy=1)) == progress


def test_the_bake_lasts_as_long_as_asked() -> None:
    progress = in_stage(Stage.BAKE_TIME, weight=100.0)
    assert advance(PLAN, progress, healthy(now=START + 4.9 * SECOND)).stage is Stage.BAKE_TIME
    assert advance(PLAN, progress, healthy(now=START + 5 * SECOND)).stage is Stage.CLEAN_UP


def test_an_alarm_that_rings_at_the_start_is_ignored() -> None:
    ringing = healthy(alarming=frozenset({"errors"}))
    begun = advance(PLAN, Progress(START), ringing)
    assert begun.watch is Watch.DISABLED
    assert advance(PLAN, begun, ringing).status is Status.IN_PROGRESS


def test_an_alarm_that_begins_to_ring_ends_the_deployment_and_is_named() -> None:
    progress = advance(PLAN, in_stage(Stage.BAKE_TIME, weight=100.0), healthy(alarming=frozenset({"errors", "x"})))
    assert progress.status is Status.ROLLBACK_REQUESTED
    assert (progress.watch, progress.triggered) == (Watch.TRIGGERED, ("errors",))


def test_traffic_is_back_one_step_before_the_new_tasks_go() -> None:
    progress = request_rollback(in_stage(Stage.BAKE_TIME, weight=100.0), START, "stopped")
    progress = advance(PLAN, progress, healthy())
    assert (progress.status, progress.weight) == (Status.ROLLBACK_IN_PROGRESS, 100.0)
    assert wanted(PLAN, progress, healthy()).target == 2
    progress = advance(PLAN, progress, healthy())
    assert (progress.status, progress.weight) == (Status.ROLLBACK_IN_PROGRESS, 0.0)
    assert wanted(PLAN, progress, healthy()).target == 0
    assert advance(PLAN, progress, healthy(target_living=0)).status is Status.ROLLBACK_SUCCESSFUL


@pytest.mark.parametrize(("rolls_back", "status"), [(True, Status.ROLLBACK_REQUESTED), (False, Status.IN_PROGRESS)])
def test_a_pause_that_nobody_answers_does_what_was_configured(*, rolls_back: bool, status: Status) -> None:
    plan = replace(PLAN, hooks=(PauseHook(frozenset({Stage.POST_SCALE_UP}), 3 * SECOND, rolls_back),))
    waiting = advance(plan, in_stage(Stage.SCALE_UP), healthy())
    assert waiting.hooks[0].status is HookStatus.AWAITING_ACTION
    assert advance(plan, waiting, healthy(now=START + 2 * SECOND)).stage is Stage.POST_SCALE_UP
    after = advance(plan, waiting, healthy(now=START + 3 * SECOND))
    assert (after.hooks[0].status, after.status) == (HookStatus.TIMED_OUT, status)


def test_all_pauses_of_a_stage_must_be_answered() -> None:
    hook = PauseHook(frozenset({Stage.PRE_PRODUCTION_TRAFFIC_SHIFT}), 60 * SECOND)
    plan = replace(PLAN, hooks=(hook, hook))
    waiting = advance(plan, in_stage(Stage.POST_TEST_TRAFFIC_SHIFT), healthy())
    assert waiting.stage is Stage.PRE_PRODUCTION_TRAFFIC_SHIFT
    first, second = waiting.hooks
    waiting = decide_hook(waiting, first.id, HookStatus.SUCCEEDED)
    assert advance(plan, waiting, healthy()).weight == 0.0
    waiting = decide_hook(waiting, second.id, HookStatus.SUCCEEDED)
    assert advance(plan, waiting, healthy()).weight == 100.0


def test_blue_green_has_no_circuit_breaker_and_rolling_has() -> None:
    failing = healthy(target_healthy=0, failures=3)
    assert advance(PLAN, in_stage(Stage.SCALE_UP), failing).status is Status.IN_PROGRESS
    rolling = replace(PLAN, strategy=Strategy.ROLLING, breaker=Breaker(3, rolls_back=True))
    assert advance(rolling, in_stage(Stage.SCALE_UP), failing).status is Status.ROLLBACK_REQUESTED
    only_failing = replace(rolling, breaker=Breaker(3, rolls_back=False))
    assert advance(only_failing, in_stage(Stage.SCALE_UP), failing).status is Status.STOPPED


def test_a_first_deployment_has_nothing_to_go_back_to() -> None:
    plan = replace(PLAN, has_source=False)
    progress = request_rollback(in_stage(Stage.SCALE_UP, weight=100.0), START, "Stopped.")
    ended = advance(plan, progress, healthy())
    assert ended.status is Status.ROLLBACK_FAILED
    assert "no completed deployment" in ended.reason


def test_a_deployment_that_is_cleaning_up_is_not_superseded() -> None:
    progress = in_stage(Stage.CLEAN_UP, weight=100.0)
    assert supersede(progress, START) is progress
