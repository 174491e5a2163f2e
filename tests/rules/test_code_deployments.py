"""CodeDeploy's words in ours: every end, every error, and where the traffic is decides."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.code_deployments import (
    ACTIVE,
    ON_ALARM,
    ON_FAILURE,
    ON_REQUEST,
    Deaths,
    Report,
    Share,
    Status,
    canary_config,
    deployment_of,
)
from rules.rollouts import Arm, Deployment, DeploymentStatus
from rules.task_sets import TaskSet, beside_primary, primary

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVENTS = frozenset({ON_FAILURE, ON_ALARM, ON_REQUEST})
OLD = TaskSet("ecs-svc/1", "td:old", "PRIMARY", 2, 2, NOW, "tg/blue", "app", 8080)
NEW = TaskSet("ecs-svc/2", "td:new", "ACTIVE", 2, 2, NOW, "tg/green", "app", 8080, deployment="d-1")


def shares(weight: float) -> tuple[Share, ...]:
    return Share(OLD.id, 100 - weight, green=False), Share(NEW.id, weight, green=True)


FORWARD = Report("d-1", Status.IN_PROGRESS, NOW, "td:new", "AllowTraffic", shares(10), goes_back_on=EVENTS)
BACK = Report("d-2", Status.IN_PROGRESS, NOW, "td:old", "AllowTraffic", shares(10), takes_back="d-1")
ENDED_BADLY = replace(FORWARD, status=Status.STOPPED, ended_at=NOW, code="MANUAL_STOP", message="Stopped by hand.")


def seen(
    forward: Report, back: Report | None = None, sets: Sequence[TaskSet] = (OLD, NEW), seconds: float = 0
) -> Deployment:
    return deployment_of(forward, back, sets, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status.CREATED, DeploymentStatus.PENDING),
        (Status.QUEUED, DeploymentStatus.PENDING),
        (Status.IN_PROGRESS, DeploymentStatus.IN_PROGRESS),
        (Status.READY, DeploymentStatus.IN_PROGRESS),
        (Status.BAKING, DeploymentStatus.IN_PROGRESS),
        (Status.SUCCEEDED, DeploymentStatus.SUCCESSFUL),
        (Status.FAILED, DeploymentStatus.ROLLBACK_REQUESTED),
        (Status.STOPPED, DeploymentStatus.ROLLBACK_REQUESTED),
    ],
)
def test_each_status_has_its_word(status: Status, expected: DeploymentStatus) -> None:
    ended = NOW if status.ended else None
    assert seen(replace(FORWARD, status=status, ended_at=ended)).status is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        *((status, DeploymentStatus.ROLLBACK_IN_PROGRESS) for status in ACTIVE),
        (Status.SUCCEEDED, DeploymentStatus.ROLLBACK_SUCCESSFUL),
        (Status.FAILED, DeploymentStatus.ROLLBACK_FAILED),
        (Status.STOPPED, DeploymentStatus.ROLLBACK_FAILED),
    ],
)
def test_a_deployment_with_a_way_back_is_as_far_as_that_is(status: Status, expected: DeploymentStatus) -> None:
    found = seen(ENDED_BADLY, replace(BACK, status=status))
    assert (found.arn, found.target_task_definition, found.status) == ("d-1", "td:new", expected)
    assert found.stage == "rollback: AllowTraffic"


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("ALARM_ACTIVE", ON_ALARM),
        ("TIMEOUT", ON_FAILURE),
        ("HOOK_EXECUTION_FAILURE", ON_FAILURE),
        ("ECS_UPDATE_ERROR", ON_FAILURE),
        ("INVALID_ECS_SERVICE", ON_FAILURE),
        ("ELASTIC_LOAD_BALANCING_INVALID", ON_FAILURE),
        ("IAM_ROLE_PERMISSIONS", ON_FAILURE),
        ("INTERNAL_ERROR", ON_FAILURE),
        ("AN_ERROR_OF_TOMORROW", ON_FAILURE),
    ],
)
def test_each_error_goes_back_where_codedeploy_was_told_to(code: str, event: str) -> None:
    told = replace(ENDED_BADLY, status=Status.FAILED, code=code, message="So it was.", goes_back_on=frozenset({event}))
    assert seen(told).status is DeploymentStatus.ROLLBACK_REQUESTED
    assert seen(told).reason == f"{code}: So it was."
    other = replace(told, goes_back_on=EVENTS - {event})
    assert seen(other).status is DeploymentStatus.ROLLBACK_FAILED


def test_a_way_back_that_does_not_appear_is_not_waited_for_for_ever() -> None:
    assert seen(ENDED_BADLY, seconds=119).status is DeploymentStatus.ROLLBACK_REQUESTED
    late = seen(ENDED_BADLY, seconds=121)
    assert late.status is DeploymentStatus.ROLLBACK_FAILED
    assert late.reason.endswith("CodeDeploy did not take it back; the new version still has 10 % of the traffic")


def test_a_way_back_that_codedeploy_says_is_none_is_not_waited_for() -> None:
    told = replace(ENDED_BADLY, rollback_message="There is no earlier version.")
    assert seen(told).status is DeploymentStatus.ROLLBACK_FAILED
    assert "There is no earlier version." in seen(told).reason


def test_what_has_never_had_traffic_and_is_not_taken_back_has_left_the_old_version_serving() -> None:
    assert seen(replace(ENDED_BADLY, shares=())).status is DeploymentStatus.STOPPED
    assert seen(replace(ENDED_BADLY, shares=shares(0)), seconds=121).status.gave_back


def test_a_way_back_that_failed_says_so_with_both_reasons() -> None:
    failed = replace(BACK, status=Status.FAILED, code="TIMEOUT", message="No task became healthy.")
    reason = seen(ENDED_BADLY, failed).reason
    assert reason == (
        "MANUAL_STOP: Stopped by hand.; taking it back (d-2) ended Failed: TIMEOUT: No task became healthy.; "
        "the new version still has 10 % of the traffic"
    )


def test_the_traffic_is_known_by_task_set() -> None:
    found = seen(FORWARD)
    assert (found.weight, found.stage, found.complete) == (10, "AllowTraffic", True)
    assert (found.old, found.new) == (Arm("td:old", "tg/blue"), Arm("td:new", "tg/green"))
    assert found.carrying == {"td:old", "td:new"}
    assert seen(replace(FORWARD, shares=shares(100))).carrying == {"td:new"}


def test_before_it_has_begun_the_old_version_carries_everything() -> None:
    found = seen(replace(FORWARD, status=Status.CREATED, stage="", shares=()), sets=[OLD])
    assert (found.weight, found.carrying, found.complete) == (0, {"td:old"}, False)
    assert (found.stage, found.new) == ("Created", Arm("td:new", ""))


def test_on_the_way_back_codedeploy_may_call_the_old_version_the_replacement() -> None:
    swapped = (Share(OLD.id, 40, green=True), Share(NEW.id, 60, green=False))
    found = seen(ENDED_BADLY, replace(BACK, shares=swapped))
    assert (found.weight, found.carrying) == (60, {"td:old", "td:new"})


def test_a_way_back_that_has_not_begun_has_moved_nothing() -> None:
    assert seen(ENDED_BADLY, replace(BACK, shares=(), stage="", status=Status.CREATED)).weight == 10


def test_a_task_set_on_its_way_out_is_not_the_old_version() -> None:
    draining = replace(OLD, id="ecs-svc/0", status="DRAINING", task_definition="td:older")
    assert seen(FORWARD, sets=[draining, OLD, NEW]).old == OLD.arm
    assert (primary([draining, NEW, OLD]), beside_primary([draining, OLD, NEW])) == (OLD, (NEW,))


def test_tasks_that_died_are_told() -> None:
    found = deployment_of(FORWARD, None, [OLD, NEW], NOW, Deaths(3, "Essential container exited"))
    assert (found.failed_tasks, found.failure) == (3, "Essential container exited")


@pytest.mark.parametrize(
    ("percent", "minutes", "name"),
    [
        (10, 5, "CodeDeployDefault.ECSCanary10Percent5Minutes"),
        (10, 15, "CodeDeployDefault.ECSCanary10Percent15Minutes"),
        (10, 10, "promotion-flows-canary-10-10"),
        (25, 5, "promotion-flows-canary-25-5"),
    ],
)
def test_amazons_canaries_are_used_where_they_are_exactly_what_is_asked_for(
    percent: int, minutes: int, name: str
) -> None:
    assert canary_config(percent, minutes) == name


WEIGHTS = st.sampled_from([0.0, 10.0, 50.0, 100.0])
REPORTS = st.builds(
    Report,
    id=st.just("d-1"),
    status=st.sampled_from(Status),
    created_at=st.just(NOW),
    task_definition=st.just("td:new"),
    shares=st.one_of(st.just(()), WEIGHTS.map(shares)),
    ended_at=st.one_of(st.none(), st.just(NOW)),
    code=st.sampled_from(["", "MANUAL_STOP", "ALARM_ACTIVE", "TIMEOUT"]),
    goes_back_on=st.frozensets(st.sampled_from(sorted(EVENTS))),
)
BACKS = st.one_of(
    st.none(),
    st.builds(
        Report,
        id=st.just("d-2"),
        status=st.sampled_from(Status),
        created_at=st.just(NOW),
        task_definition=st.just("td:old"),
        shares=st.one_of(st.just(()), WEIGHTS.map(shares)),
    ),
)
SETS = st.lists(st.sampled_from([OLD, NEW]), unique=True)


@given(REPORTS, BACKS, SETS, st.floats(0, 1000))
def test_whatever_codedeploy_says_traffic_that_is_not_back_is_never_called_back(
    forward: Report, back: Report | None, sets: list[TaskSet], seconds: float
) -> None:
    found = seen(forward, back, sets, seconds)
    if found.status is DeploymentStatus.STOPPED:
        assert found.weight == 0
    if found.status is DeploymentStatus.SUCCESSFUL:
        assert (forward.status, back) == (Status.SUCCEEDED, None)
    if found.status is DeploymentStatus.ROLLBACK_SUCCESSFUL:
        assert back is not None
        assert (back.status, found.weight) == (Status.SUCCEEDED, 0)
    assert 0 <= found.weight <= 100
