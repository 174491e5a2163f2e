"""How a canary's roll-out ends: what was aborted is never a success, and no step is skipped in silence."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rules.catalogue import CanaryPolicy, RolloutPolicy
from rules.holds import Canary, next_canary_step, next_step_of_canary
from rules.judgements import Decision, Judgement
from rules.rollouts import Deployment, DeploymentStatus, Move, Observation, Pause

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NEW = "sha256:new"
POLICY = CanaryPolicy()
FEW = Judgement("gateway", Decision.NOT_ENOUGH_DATA, "Too few.")


def deployment(weight: float, status: DeploymentStatus = DeploymentStatus.IN_PROGRESS) -> Deployment:
    pause = Pause("hook", NOW + timedelta(hours=1)) if weight < 100 else None
    return Deployment(
        arn="arn:deployment",
        status=status,
        stage="BAKE_TIME",
        target_revision="arn:revision",
        target_task_definition="gateway:2",
        weight=weight,
        created_at=NOW,
        pause=pause,
        complete=True,
    )


def look(seen: Deployment, serving: str, minutes: float = 1) -> Observation:
    ongoing = seen if seen.status.ongoing else None
    return Observation("gateway", NEW, "gateway:2", frozenset({serving}), ongoing is None, seen, ongoing, minutes)


def test_an_aborted_canary_that_succeeded_all_the_same_has_failed() -> None:
    """The bake ended between the judge's word and Amazon's ear: the way back is somebody's, and must be taken."""
    ended = look(deployment(100, DeploymentStatus.SUCCESSFUL), NEW)
    assert next_step_of_canary(ended, RolloutPolicy(), Canary(POLICY)).move is Move.DONE
    step = next_step_of_canary(ended, RolloutPolicy(), Canary(POLICY, aborted="5 % errors"))
    assert step.move is Move.FAIL
    assert "5 % errors" in step.why


def test_all_traffic_without_any_step_cleared_is_not_waited_for_to_succeed() -> None:
    """Somebody answered Amazon's pauses by hand, or a blue-green deployment of a dead run was taken over."""
    canary = Canary(POLICY, judgement=FEW)
    assert next_canary_step("gateway", deployment(100), canary).move is not Move.WAIT
    cleared = replace(canary, cleared=frozenset(POLICY.steps))
    assert next_canary_step("gateway", deployment(100), cleared).move is Move.WAIT


def test_a_window_that_a_person_gave_begins_when_it_is_given() -> None:
    late = Canary(POLICY, judgement=FEW, held_minutes=45, granted=1, excused_minutes=0.5)
    assert next_canary_step("gateway", deployment(10), late).move is Move.WAIT
    assert next_canary_step("gateway", deployment(10), replace(late, excused_minutes=5)).move is Move.ASK
