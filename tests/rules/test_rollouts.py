"""Blue-green, step by step: the four situations of each policy, then properties over all of them."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import RolloutPolicy
from rules.rollouts import Deployment, DeploymentStatus, Move, Observation, next_step, next_step_back

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW = "sha256:" + "0" * 64, "sha256:" + "1" * 64
POLICY = RolloutPolicy(start_minutes=15, max_failed_tasks=3, total_minutes=60)
GOING = Deployment("arn:1", DeploymentStatus.IN_PROGRESS, "SCALE_UP", "rev/new", "td:new", 0.0, NOW)
BEFORE = Observation("events", NEW, "td:new", frozenset({OLD}), steady=True, followed=None, ongoing=None, minutes=0)


def on_its_way(**changes: object) -> Observation:
    deployment = replace(GOING, **changes)  # type: ignore[arg-type]
    return replace(BEFORE, followed=deployment, ongoing=deployment, steady=False)


def ended(status: DeploymentStatus, serving: str) -> Observation:
    return replace(BEFORE, followed=replace(GOING, status=status, reason="alarm"), serving=frozenset({serving}))


def test_the_old_version_is_to_be_replaced() -> None:
    assert next_step(BEFORE, POLICY).move is Move.START


def test_a_service_that_already_serves_the_image_is_left_alone() -> None:
    assert next_step(replace(BEFORE, serving=frozenset({NEW})), POLICY).move is Move.DONE


def test_a_service_that_lacks_tasks_has_not_arrived_yet() -> None:
    lacking = replace(BEFORE, serving=frozenset({NEW}), steady=False)
    assert next_step(lacking, POLICY).move is Move.WAIT
    assert next_step(replace(lacking, minutes=16), POLICY).move is Move.FAIL


def test_a_roll_out_on_its_way_is_waited_for() -> None:
    step = next_step(on_its_way(weight=100.0, stage="BAKE_TIME"), POLICY)
    assert (step.move, step.weight) == (Move.WAIT, 100.0)
    assert "BAKE_TIME" in step.why


def test_what_is_due_is_done() -> None:
    step = next_step(on_its_way(weight=100.0, due="the old side is scaled down"), POLICY)
    assert (step.move, step.why) == (Move.CONTINUE, "the old side is scaled down")
    back = on_its_way(due="all traffic back", status=DeploymentStatus.ROLLBACK_IN_PROGRESS)
    assert next_step(back, POLICY).move is Move.CONTINUE
    assert next_step(on_its_way(due="more tasks", failed_tasks=3), POLICY).move is Move.STOP


def test_a_roll_out_that_a_dead_run_left_is_adopted() -> None:
    assert next_step(replace(on_its_way(), followed=None), POLICY).move is Move.WAIT


def test_somebody_elses_roll_out_is_never_touched() -> None:
    step = next_step(on_its_way(target_task_definition="td:other"), POLICY)
    assert step.move is Move.FAIL
    assert "td:other" in step.why


def test_a_revision_that_dies_at_start_is_stopped_early() -> None:
    assert next_step(on_its_way(failed_tasks=2), POLICY).move is Move.WAIT
    step = next_step(on_its_way(failed_tasks=3, failure="exit 1"), POLICY)
    assert step.move is Move.STOP
    assert "exit 1" in step.why


def test_a_revision_that_never_serves_is_stopped() -> None:
    assert next_step(replace(on_its_way(), minutes=15.1), POLICY).move is Move.STOP


def test_a_baking_revision_has_until_the_total() -> None:
    assert next_step(replace(on_its_way(weight=100.0), minutes=30), POLICY).move is Move.WAIT
    assert next_step(replace(on_its_way(weight=100.0), minutes=61), POLICY).move is Move.STOP


def test_a_rollback_by_ecs_is_waited_for_and_then_a_failure() -> None:
    assert next_step(on_its_way(status=DeploymentStatus.ROLLBACK_IN_PROGRESS), POLICY).move is Move.WAIT
    step = next_step(ended(DeploymentStatus.ROLLBACK_SUCCESSFUL, OLD), POLICY)
    assert step.move is Move.FAIL
    assert "alarm" in step.why


def test_stable_after_a_rollback_is_not_success() -> None:
    seen = ended(DeploymentStatus.SUCCESSFUL, OLD)
    assert next_step(replace(seen, ended_minutes=3), POLICY).move is Move.FAIL


def test_a_success_that_does_not_show_yet_is_given_a_moment() -> None:
    assert next_step(ended(DeploymentStatus.SUCCESSFUL, OLD), POLICY).move is Move.WAIT


def test_success_is_our_digest_serving_after_our_deployment() -> None:
    assert next_step(ended(DeploymentStatus.SUCCESSFUL, NEW), POLICY).move is Move.DONE


def test_a_task_short_when_a_long_roll_out_ends_is_waited_for() -> None:
    seen = replace(ended(DeploymentStatus.SUCCESSFUL, NEW), steady=False, minutes=40)
    assert next_step(seen, POLICY).move is Move.WAIT
    assert next_step(replace(seen, ended_minutes=16), POLICY).move is Move.FAIL


def back_from(**changes: object) -> Observation:
    back = replace(on_its_way(**changes), digest=OLD, task_definition="td:old", followed=None)
    return replace(back, ours=frozenset({"td:new"}))


def test_on_the_way_back_what_goes_forward_is_stopped_first() -> None:
    assert next_step_back(back_from(), POLICY).move is Move.STOP


def test_on_the_way_back_somebody_elses_deployment_is_left_alone() -> None:
    step = next_step_back(back_from(target_task_definition="td:theirs"), POLICY)
    assert step.move is Move.FAIL
    assert "another deployment" in step.why


def test_on_the_way_back_a_rollback_in_progress_is_waited_for() -> None:
    assert next_step_back(back_from(status=DeploymentStatus.ROLLBACK_IN_PROGRESS), POLICY).move is Move.WAIT


def test_on_the_way_back_what_is_due_is_done() -> None:
    going = back_from(status=DeploymentStatus.ROLLBACK_IN_PROGRESS, due="all traffic back")
    assert next_step_back(going, POLICY).move is Move.CONTINUE


def test_on_the_way_back_a_service_that_had_arrived_is_deployed_backwards() -> None:
    back = replace(BEFORE, digest=OLD, task_definition="td:old", serving=frozenset({NEW}))
    assert next_step_back(back, POLICY).move is Move.START


def test_on_the_way_back_a_service_that_was_never_touched_is_done() -> None:
    assert next_step_back(replace(BEFORE, digest=OLD, task_definition="td:old"), POLICY).move is Move.DONE


DEPLOYMENTS = st.builds(
    Deployment,
    arn=st.just("arn:1"),
    status=st.sampled_from(DeploymentStatus),
    stage=st.sampled_from(["", "SCALE_UP", "BAKE_TIME", "SOMETHING_NEW"]),
    target_revision=st.just("rev"),
    target_task_definition=st.sampled_from(["td:new", "td:half", "td:other"]),
    weight=st.sampled_from([0.0, 10.0, 100.0]),
    created_at=st.just(NOW),
    failed_tasks=st.integers(0, 5),
)
OBSERVATIONS = st.builds(
    Observation,
    service=st.just("events"),
    digest=st.just(NEW),
    task_definition=st.just("td:new"),
    serving=st.frozensets(st.sampled_from([OLD, NEW])),
    steady=st.booleans(),
    followed=st.none() | DEPLOYMENTS,
    ongoing=st.none() | DEPLOYMENTS.filter(lambda deployment: deployment.status.ongoing),
    minutes=st.floats(0, 100),
    ended_minutes=st.floats(0, 10),
    ours=st.just(frozenset({"td:new", "td:half"})),
)


@given(OBSERVATIONS)
def test_it_is_never_done_while_anything_but_our_digest_serves(seen: Observation) -> None:
    for judge in (next_step, next_step_back):
        if judge(seen, POLICY).move is Move.DONE:
            assert seen.serving == {NEW}
            assert seen.steady
            assert seen.ongoing is None


@given(OBSERVATIONS)
def test_nothing_is_started_while_something_is_on_its_way(seen: Observation) -> None:
    for judge in (next_step, next_step_back):
        if judge(seen, POLICY).move is Move.START:
            assert seen.ongoing is None


@given(OBSERVATIONS)
def test_going_forward_only_our_own_roll_out_is_stopped(seen: Observation) -> None:
    if next_step(seen, POLICY).move is Move.STOP:
        assert seen.ongoing is not None
        assert seen.ongoing.target_task_definition == "td:new"
        assert not seen.ongoing.status.going_back


@given(OBSERVATIONS)
def test_nobody_elses_roll_out_is_ever_stopped(seen: Observation) -> None:
    if next_step_back(seen, POLICY).move is Move.STOP:
        assert seen.ongoing is not None
        assert seen.ongoing.target_task_definition in seen.ours


@given(OBSERVATIONS.filter(lambda seen: seen.ongoing is not None))
def test_nothing_in_progress_is_waited_for_for_ever(seen: Observation) -> None:
    for judge in (next_step, next_step_back):
        assert judge(replace(seen, minutes=75.1), POLICY).move is Move.FAIL


@given(OBSERVATIONS)
def test_every_step_says_why(seen: Observation) -> None:
    assert next_step(seen, POLICY).why
    assert next_step_back(seen, POLICY).why
