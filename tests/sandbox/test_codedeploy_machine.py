"""Facts about every CodeDeploy deployment: whatever happens, in whatever order, these never break."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.codedeploy_configs import PREDEFINED, increments
from deployments.sandbox.aws.codedeploy_machine import (
    advance,
    all_events,
    ask_stop,
    green_is_primary,
    hurry,
    wanted,
)
from deployments.sandbox.aws.codedeploy_stages import (
    FINAL,
    EventStatus,
    Fault,
    Observed,
    Progress,
    RolloutPlan,
    Stage,
    Status,
)

NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HEALTHY = Observed(NOW, 2, green_healthy=2, green_living=2, blue_healthy=2, blue_living=2)

plans = st.builds(
    RolloutPlan,
    increments=st.sampled_from([(100.0,), (10.0, 100.0), tuple(float(n) for n in range(10, 101, 10)), (60.0, 100.0)]),
    interval=st.sampled_from([SECOND, 5 * SECOND]),
    ready_wait=st.sampled_from([None, 4 * SECOND]),
    termination_wait=st.sampled_from([0 * SECOND, 3 * SECOND]),
    install_limit=st.just(60 * SECOND),
    has_test_route=st.booleans(),
    alarms=st.sampled_from([(), ("errors",)]),
)
GONE = replace(HEALTHY, blue_healthy=0, blue_living=0)
ILL = replace(HEALTHY, green_healthy=1)
RINGING = replace(HEALTHY, alarming=frozenset({"errors"}))
BROKEN = replace(HEALTHY, fault=Fault("INVALID_ECS_SERVICE", "gone"))
NOBODY = replace(HEALTHY, green_healthy=0, green_living=0, blue_healthy=0)
# Mostly healthy, or no deployment would get anywhere.
moments = st.sampled_from([HEALTHY] * 25 + [GONE] * 8 + [ILL] * 6 + [NOBODY, RINGING, BROKEN])
deeds = st.sampled_from(["nothing"] * 40 + ["hurry"] * 5 + ["stop"])
lives = st.integers(1, 60).flatmap(
    lambda seconds: st.lists(st.tuples(moments, deeds), min_size=seconds, max_size=seconds)
)
Life = list[tuple[Observed, str]]


def live(plan: RolloutPlan, life: Life, first: Progress | None = None) -> list[Progress]:
    """All states of a deployment, one a second."""
    states = [first or Progress(NOW)]
    for second, (moment, deed) in enumerate(life, start=1):
        before = {"hurry": hurry, "stop": ask_stop}.get(deed, lambda it: it)(states[-1])
        states.append(advance(plan, before, replace(moment, now=NOW + second * SECOND)))
    return states


def run(plan: RolloutPlan, seconds: int = 200) -> list[Progress]:
    """A deployment to which nothing bad happens: the old tasks are gone when nobody wants them."""
    states = [Progress(NOW)]
    for second in range(1, seconds):
        want = wanted(plan, states[-1])
        seen = replace(
            HEALTHY,
            now=NOW + second * SECOND,
            blue_living=2 if want.blue else 0,
            green_living=2 if want.green else 0,
            green_healthy=2 if want.green else 0,
        )
        states.append(advance(plan, states[-1], seen))
    return states


@given(plans, lives)
def test_the_weight_only_grows_and_only_by_the_plans_increments(plan: RolloutPlan, life: Life) -> None:
    weights = [state.weight for state in live(plan, life)]
    assert set(weights) <= {0.0, *plan.increments}
    assert weights == sorted(weights)
    steps = [weight for before, weight in pairwise(weights) if weight != before]
    assert steps == list(plan.increments[: len(steps)])


@given(plans)
def test_increments_are_an_interval_apart(plan: RolloutPlan) -> None:
    states = run(replace(plan, ready_wait=None))
    moved = [second for second, (before, after) in enumerate(pairwise(states)) if after.weight != before.weight]
    assert len(moved) == len(plan.increments)
    assert {(later - earlier) * SECOND for earlier, later in pairwise(moved)} <= {plan.interval}


@given(plans, st.integers(0, 50), st.sampled_from([ILL, NOBODY]))
def test_no_traffic_moves_before_the_replacement_was_healthy(plan: RolloutPlan, seconds: int, ill: Observed) -> None:
    states = live(plan, [(ill, "nothing")] * seconds)
    assert {(state.weight, state.test_weight) for state in states} == {(0.0, 0.0)}
    assert states[-1].stage in {None, Stage.BEFORE_INSTALL, Stage.INSTALL}


@given(plans, lives)
def test_what_has_ended_never_changes_again(plan: RolloutPlan, life: Life) -> None:
    states = live(plan, life)
    ended = next((number for number, state in enumerate(states) if state.status in FINAL), len(states))
    assert all(state == states[ended] for state in states[ended:])


@given(plans, lives)
def test_a_ringing_alarm_a_stop_or_a_fault_ends_it_at_once(plan: RolloutPlan, life: Life) -> None:
    states = live(plan, life)
    for before, after, (moment, deed) in zip(states, states[1:], life, strict=False):
        if before.status in FINAL or before.status is Status.CREATED:
            continue
        rings = bool(moment.alarming & set(plan.alarms))
        if deed == "stop" or rings:
            assert after.status is Status.STOPPED
        elif moment.fault:
            assert after.status is Status.FAILED
        assert after.weight == before.weight or after.status not in {Status.STOPPED, Status.FAILED}


@given(plans, lives)
def test_the_original_lives_until_all_traffic_and_the_primary_role_have_left_it(plan: RolloutPlan, life: Life) -> None:
    for state in live(plan, life):
        if not wanted(plan, state).blue:
            assert state.weight == 100.0
            assert green_is_primary(plan, state)
        if green_is_primary(plan, state):
            assert state.weight == 100.0
        if state.weight or state.test_weight:
            assert wanted(plan, state).green


@given(plans, lives)
def test_events_come_in_their_order_and_every_one_has_its_time(plan: RolloutPlan, life: Life) -> None:
    for state in live(plan, life):
        events = all_events(plan, state)
        begun = [event for event in events if event.started_at]
        assert list(events[: len(begun)]) == begun
        assert all(event.ended_at for event in begun[:-1])
        in_progress = [event for event in events if event.status is EventStatus.IN_PROGRESS]
        assert len(in_progress) <= (0 if state.status in FINAL else 1)


@given(plans)
def test_a_good_deployment_arrives_and_waits_in_between(plan: RolloutPlan) -> None:
    plan = replace(plan, ready_wait=None)
    states = run(plan)
    assert states[-1].status is Status.SUCCEEDED
    assert states[-1].weight == 100.0
    baking = [state for state in states if state.status is Status.BAKING]
    assert len(baking) * SECOND >= plan.termination_wait


@given(lives, st.sampled_from([10.0, 50.0, 100.0]))
def test_a_rollback_only_takes_traffic_back_and_never_starts_anything_new(life: Life, weight: float) -> None:
    plan = RolloutPlan(goes_back=True)
    for state in live(plan, life, Progress(NOW, weight=weight)):
        assert state.weight in {weight, 0.0}
        assert wanted(plan, state).blue
        if not wanted(plan, state).green:
            assert state.weight == 0.0


def test_a_rollback_leaves_traffic_where_somebody_answers() -> None:
    plan = RolloutPlan(goes_back=True)
    dead = replace(HEALTHY, blue_healthy=0)
    state = live(plan, [(dead, "nothing")] * 30, Progress(NOW, weight=100.0))[-1]
    assert (state.stage, state.weight) == (Stage.INSTALL, 100.0)
    assert advance(plan, state, HEALTHY).weight == 0.0
    nobody = replace(HEALTHY, blue_healthy=0, green_healthy=0)
    assert advance(plan, state, nobody).weight == 0.0


def test_somebody_who_continues_at_the_last_moment_is_heard() -> None:
    plan = RolloutPlan(ready_wait=SECOND)
    ready = Progress(NOW, Status.READY, Stage.READY_WAIT)
    late = replace(HEALTHY, now=NOW + 5 * SECOND)
    assert advance(plan, ready, late).status is Status.STOPPED
    assert advance(plan, hurry(ready), late).stage is Stage.BEFORE_ALLOW_TRAFFIC


@pytest.mark.parametrize(
    ("name", "shares", "minutes"),
    [
        ("ECSAllAtOnce", (100.0,), 0.0),
        ("ECSCanary10Percent5Minutes", (10.0, 100.0), 5.0),
        ("ECSCanary10Percent15Minutes", (10.0, 100.0), 15.0),
        ("ECSLinear10PercentEvery1Minutes", tuple(float(n) for n in range(10, 101, 10)), 1.0),
        ("ECSLinear10PercentEvery3Minutes", tuple(float(n) for n in range(10, 101, 10)), 3.0),
    ],
)
def test_what_aws_brings_along(name: str, shares: tuple[float, ...], minutes: float) -> None:
    assert increments(PREDEFINED[f"CodeDeployDefault.{name}"].routing) == (shares, minutes)
    assert len(PREDEFINED) == 5


@given(st.integers(1, 99), st.integers(1, 60))
def test_linear_steps_are_equal_and_arrive(percentage: int, interval: int) -> None:
    steps = {"linearPercentage": percentage, "linearInterval": interval}
    shares, minutes = increments({"type": "TimeBasedLinear", "timeBasedLinear": steps})
    assert (shares[-1], minutes) == (100.0, interval)
    gaps = [after - before for before, after in zip((0.0, *shares), shares, strict=False)]
    assert set(gaps[:-1]) <= {float(percentage)}
    assert 0 < gaps[-1] <= percentage
