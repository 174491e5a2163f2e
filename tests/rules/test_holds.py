"""A canary's steps, as facts and as properties of every sequence of observations."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import CanaryPolicy, RolloutPolicy
from rules.holds import Canary, next_canary_step, next_step_of_canary
from rules.judgements import Decision, Judgement
from rules.rollouts import Deployment, DeploymentStatus, Move, Observation, Pause

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
POLICY = CanaryPolicy(window_minutes=5, extensions=1)
PAUSE = Pause("hook-1", NOW + timedelta(hours=1))


def deployment(weight: float, *, pause: Pause | None = PAUSE, complete: bool = True) -> Deployment:
    return Deployment(
        arn="arn:deployment",
        status=DeploymentStatus.IN_PROGRESS,
        stage="POST_SCALE_UP",
        target_revision="arn:revision",
        target_task_definition="gateway:2",
        weight=weight,
        created_at=NOW,
        pause=pause,
        complete=complete,
    )


def said(decision: Decision) -> Judgement:
    return Judgement("gateway", decision, f"The judge says {decision}.")


def move(weight: float, canary: Canary, **how: object) -> Move:
    return next_canary_step("gateway", deployment(weight, **how), canary).move  # type: ignore[arg-type]


def test_the_first_visitors_come_when_all_new_tasks_are_healthy() -> None:
    assert move(0, Canary(POLICY)) is Move.CONTINUE
    assert move(0, Canary(POLICY), complete=False) is Move.WAIT
    assert move(0, Canary(POLICY), pause=None) is Move.WAIT


def test_nothing_is_judged_while_nobody_can_reach_the_new_version() -> None:
    assert move(0, Canary(POLICY, judgement=said(Decision.ROLL_BACK))) is Move.CONTINUE


@pytest.mark.parametrize("weight", [20, 30, 40])
def test_between_the_steps_it_goes_straight_on(weight: float) -> None:
    canary = Canary(POLICY, cleared=frozenset({10}), judgement=said(Decision.NOT_ENOUGH_DATA))
    assert move(weight, canary) is Move.CONTINUE


@pytest.mark.parametrize("weight", [10, 50])
def test_a_step_is_held_for_its_whole_window_even_with_evidence(weight: float) -> None:
    canary = Canary(POLICY, cleared=frozenset({10} if weight > 10 else ()), judgement=said(Decision.PROMOTE))
    assert move(weight, replace(canary, held_minutes=4.9)) is Move.WAIT
    assert move(weight, replace(canary, held_minutes=5)) is Move.CONTINUE


def test_a_worse_version_goes_back_at_once_at_any_share() -> None:
    for weight in (10, 30, 50, 90, 100):
        assert move(weight, Canary(POLICY, judgement=said(Decision.ROLL_BACK))) is Move.STOP


def test_without_evidence_it_is_extended_and_then_a_person_is_asked() -> None:
    canary = Canary(POLICY, judgement=said(Decision.NOT_ENOUGH_DATA))
    assert move(10, replace(canary, held_minutes=9)) is Move.WAIT
    assert move(10, replace(canary, held_minutes=10)) is Move.ASK
    assert move(10, replace(canary, held_minutes=10, granted=1)) is Move.WAIT
    assert move(10, replace(canary, held_minutes=10, trusted=True)) is Move.CONTINUE


def test_a_window_that_a_person_gives_begins_when_it_is_given() -> None:
    late = Canary(POLICY, judgement=said(Decision.NOT_ENOUGH_DATA), held_minutes=30, granted=1)
    assert move(10, replace(late, excused_minutes=1)) is Move.WAIT
    assert move(10, replace(late, excused_minutes=6)) is Move.ASK


def test_no_numbers_at_all_is_not_a_pass() -> None:
    assert move(10, Canary(POLICY, judgement=None, held_minutes=60)) is Move.ASK


def test_a_silent_canary_asks_at_once_unless_a_person_gave_it_time() -> None:
    canary = Canary(POLICY, judgement=said(Decision.HOLD))
    assert move(10, canary) is Move.ASK
    assert move(10, replace(canary, granted=1, excused_minutes=1, held_minutes=2)) is Move.WAIT
    assert move(10, replace(canary, granted=1, excused_minutes=6, held_minutes=7)) is Move.ASK


def test_silence_at_all_traffic_goes_back_unless_a_person_has_said_promote() -> None:
    canary = Canary(POLICY, cleared=frozenset({10, 50}), judgement=said(Decision.HOLD))
    assert move(100, canary, pause=None) is Move.STOP
    assert move(100, replace(canary, trusted_before=True), pause=None) is Move.WAIT


def test_silence_between_the_steps_waits_for_a_person_too() -> None:
    canary = Canary(POLICY, cleared=frozenset({10}), judgement=said(Decision.HOLD))
    assert move(30, canary) is Move.ASK
    assert move(30, replace(canary, trusted_before=True)) is Move.CONTINUE


def test_all_traffic_without_anybodys_word_goes_back() -> None:
    assert move(100, Canary(POLICY, judgement=said(Decision.NOT_ENOUGH_DATA)), pause=None) is Move.STOP
    assert move(100, Canary(POLICY, cleared=frozenset({10, 50}), judgement=None), pause=None) is Move.WAIT


def test_what_arrives_while_it_is_stopped_has_not_arrived_well() -> None:
    seen = replace(deployment(100, pause=None), status=DeploymentStatus.SUCCESSFUL)
    look = Observation("gateway", "sha256:new", "gateway:2", frozenset({"sha256:new"}), True, seen, None, 9)
    assert next_step_of_canary(look, RolloutPolicy(), Canary(POLICY)).move is Move.DONE
    step = next_step_of_canary(look, RolloutPolicy(), Canary(POLICY, aborted="a person said abort"))
    assert step.move is Move.FAIL
    assert "a person said abort" in step.why


def test_what_is_due_is_done_unless_it_must_go_back() -> None:
    seen = replace(deployment(100, pause=None), due="the old side is scaled down")
    look = Observation("gateway", "sha256:new", "gateway:2", frozenset({"sha256:new"}), False, seen, seen, 9)
    well = Canary(POLICY, cleared=frozenset(POLICY.steps))
    assert next_step_of_canary(look, RolloutPolicy(), well).move is Move.CONTINUE
    worse = replace(well, judgement=said(Decision.ROLL_BACK))
    assert next_step_of_canary(look, RolloutPolicy(), worse).move is Move.STOP
    assert next_step_of_canary(look, RolloutPolicy(), Canary(POLICY)).move is Move.STOP, "it skipped its steps"


def test_what_is_due_is_no_answer_to_a_pause() -> None:
    short = replace(deployment(10, pause=None, complete=False), due="more tasks")
    look = Observation("gateway", "sha256:new", "gateway:2", frozenset({"sha256:old"}), False, short, short, 9)
    assert next_step_of_canary(look, RolloutPolicy(), Canary(POLICY)).why == "more tasks"
    assert next_step_of_canary(look, RolloutPolicy(), Canary(POLICY, aborted="abort")).move is Move.STOP


def test_a_step_that_somebody_skipped_is_held_where_it_is_noticed() -> None:
    assert move(30, Canary(POLICY, judgement=said(Decision.NOT_ENOUGH_DATA))) is Move.WAIT


def test_who_does_not_wait_goes_back_instead_of_going_on_without_evidence() -> None:
    codedeploy = Canary(POLICY, waits=False, held_minutes=POLICY.codedeploy_minutes - 1)
    too_little = replace(codedeploy, judgement=said(Decision.NOT_ENOUGH_DATA))
    assert move(10, replace(too_little, held_minutes=6), pause=None) is Move.WAIT, "there is time left"
    assert move(10, too_little, pause=None) is Move.STOP
    assert move(10, replace(codedeploy, judgement=said(Decision.HOLD), held_minutes=1), pause=None) is Move.STOP
    assert move(10, replace(codedeploy, judgement=said(Decision.PROMOTE)), pause=None) is Move.CONTINUE
    assert move(10, replace(codedeploy, judgement=said(Decision.PROMOTE)), pause=None, complete=False) is Move.WAIT


@pytest.mark.parametrize("judgement", [None, said(Decision.NOT_ENOUGH_DATA), said(Decision.PROMOTE)])
def test_who_does_not_wait_and_went_on_before_it_was_allowed_to_goes_back(judgement: Judgement | None) -> None:
    one = Canary(CanaryPolicy(steps=(10,)), waits=False, judgement=judgement)
    assert move(100, one, pause=None) is Move.STOP
    assert move(100, replace(one, cleared=frozenset({10})), pause=None) is Move.WAIT


# --- properties: the rules drive a deployment that obeys them, and may be observed at any moment in any order -------

judgements = st.none() | st.sampled_from(Decision).map(said)
weights = st.sampled_from([0.0, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0])
canaries = st.builds(
    Canary,
    st.just(POLICY),
    waits=st.booleans(),
    judgement=judgements,
    cleared=st.sampled_from([frozenset(), frozenset({10}), frozenset({10, 50})]),
    held_minutes=st.floats(0, 60),
    granted=st.integers(0, 3),
    excused_minutes=st.none() | st.floats(0, 60),
    trusted=st.booleans(),
    trusted_before=st.booleans(),
    aborted=st.sampled_from(["", "a person said abort"]),
)
deployments = st.builds(deployment, weights, pause=st.sampled_from([None, PAUSE]), complete=st.booleans())


@given(deployments, canaries)
def test_traffic_never_moves_on_without_health(seen: Deployment, canary: Canary) -> None:
    if next_canary_step("gateway", seen, canary).move is Move.CONTINUE:
        assert seen.complete
        assert seen.pause is not None or not canary.waits


@given(deployments, canaries)
def test_traffic_never_moves_on_after_an_abort(seen: Deployment, canary: Canary) -> None:
    assert next_canary_step("gateway", seen, replace(canary, aborted="enough")).move is Move.STOP


@given(deployments, canaries)
def test_nobody_jumps_past_a_hold(seen: Deployment, canary: Canary) -> None:
    held = canary.held_at(seen.weight)
    if held is not None and 0 < seen.weight < 100 and next_canary_step("gateway", seen, canary).move is Move.CONTINUE:
        evidence = canary.judgement is not None and canary.judgement.decision is Decision.PROMOTE
        assert canary.trusted or (evidence and canary.held_minutes >= POLICY.window_minutes)


@given(st.lists(st.tuples(judgements, st.floats(0.1, 4), st.booleans(), st.booleans()), max_size=60))
def test_a_deployment_that_obeys_reaches_all_traffic_only_over_evidence(
    looks: list[tuple[Judgement | None, float, bool, bool]],
) -> None:
    """A small ECS: waits before each tenth, moves when told, goes back when stopped."""
    weight, cleared, reached, minutes, aborted = 0.0, frozenset[int](), dict[int, float](), 0.0, ""
    cleared_by: dict[int, Decision | None] = {}
    for judgement, passed, complete, waiting in looks:
        minutes += passed
        reached = {step: reached.get(step, minutes) for step in POLICY.steps if step <= weight}
        canary = Canary(POLICY, judgement=judgement, cleared=cleared, aborted=aborted)
        held = canary.held_at(weight)
        canary = replace(canary, held_minutes=minutes - reached[held] if held else 0.0)
        seen = deployment(weight, pause=PAUSE if waiting and weight < 100 else None, complete=complete)
        step = next_canary_step("gateway", seen, canary)
        if aborted:
            assert step.move is Move.STOP
        if step.move is Move.STOP:
            aborted = step.why
        if step.move is Move.CONTINUE:
            assert not aborted
            if held:
                cleared, cleared_by[held] = cleared | {held}, judgement.decision if judgement else None
            weight += 10
    assert weight <= 10 or cleared_by.get(10) is Decision.PROMOTE
    assert weight <= 50 or cleared_by.get(50) is Decision.PROMOTE


@given(deployments, canaries, st.sampled_from([s for s in DeploymentStatus if s.going_back]))
def test_what_ecs_takes_back_is_never_pushed_on(seen: Deployment, canary: Canary, status: DeploymentStatus) -> None:
    back = replace(seen, status=status)
    look = Observation("gateway", "sha256:new", "gateway:2", frozenset({"sha256:old"}), False, back, back, 1)
    assert next_step_of_canary(look, RolloutPolicy(), canary).move in {Move.WAIT, Move.FAIL}


def test_a_canary_may_take_longer_than_a_blue_green_roll_out() -> None:
    seen = deployment(10)
    look = Observation("gateway", "sha256:new", "gateway:2", frozenset({"sha256:old"}), False, seen, seen, 90)
    canary = Canary(POLICY, judgement=said(Decision.NOT_ENOUGH_DATA), held_minutes=3)
    assert next_step_of_canary(look, RolloutPolicy(), canary).move is Move.WAIT
    assert next_step_of_canary(replace(look, minutes=500), RolloutPolicy(), canary).move is not Move.WAIT
