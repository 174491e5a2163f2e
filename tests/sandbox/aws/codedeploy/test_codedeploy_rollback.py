"""CodeDeploy deployments that go wrong: alarms, failures, somebody's stop, and the deployment that takes them back."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.aws.codedeploy.conftest import ACCOUNT, CLUSTER, ROLLBACK, SERVICE, World, appspec

CANARY = "ECSCanary10Percent5Minutes"
LATENCY, ERRORS = "gateway-latency", "gateway-errors"


@pytest.fixture
def guarded(served: World) -> World:
    """The group watches an alarm and rolls back whatever goes wrong."""
    served.create_alarm(LATENCY)
    alarms = {"enabled": True, "alarms": [{"name": LATENCY}]}
    served.create_group(alarmConfiguration=alarms, autoRollbackConfiguration=ROLLBACK)
    return served


def rolled_back(world: World, deployment: str) -> dict[str, Any]:
    """The deployment that takes this one back, when it is through."""
    back = world.info(deployment)["rollbackInfo"]["rollbackDeploymentId"]
    return world.until("Succeeded", back)


def test_an_alarm_stops_a_canary_and_a_new_deployment_takes_it_back(guarded: World) -> None:
    deployment = guarded.deploy(guarded.definition("bbbbbbb"), CANARY)
    guarded.until_weight(10, deployment)
    guarded.ring(LATENCY)
    info = guarded.until("Stopped", deployment)
    assert info["errorInformation"]["code"] == "ALARM_ACTIVE"
    assert info["errorInformation"]["message"].endswith(f"Activated alarms: {LATENCY}")
    back = rolled_back(guarded, deployment)
    assert (back["creator"], back["rollbackInfo"]["rollbackTriggeringDeploymentId"]) == (
        "codeDeployRollback",
        deployment,
    )
    assert guarded.first in guarded.spec(back["revision"])
    assert (guarded.shares(), guarded.running()) == ((100, 0), {guarded.first: 2})
    assert [it["status"] for it in guarded.service()["taskSets"]] == ["PRIMARY"]


def test_traffic_is_back_within_a_second_of_the_alarm(guarded: World) -> None:
    deployment = guarded.deploy(guarded.definition("bbbbbbb"), CANARY)
    guarded.until_weight(10, deployment)
    guarded.ring(LATENCY)
    guarded.tick(5)
    assert guarded.weight() == 0


def test_a_deployments_own_alarms_stand_in_for_the_groups(guarded: World) -> None:
    guarded.create_alarm(ERRORS)
    guarded.ring(LATENCY)
    own = {"enabled": True, "alarms": [{"name": ERRORS}]}
    deployment = guarded.deploy(guarded.definition("bbbbbbb"), CANARY, overrideAlarmConfiguration=own)
    guarded.until_weight(10, deployment)
    guarded.ring(ERRORS)
    assert ERRORS in guarded.until("Stopped", deployment)["errorInformation"]["message"]


def test_an_alarm_that_rings_already_stops_the_deployment_before_a_task_starts(guarded: World) -> None:
    guarded.ring(LATENCY)
    deployment = guarded.deploy(guarded.definition("bbbbbbb"))
    assert "rollbackInfo" not in guarded.until("Stopped", deployment)
    assert guarded.running() == {guarded.first: 2}


def test_an_alarm_during_the_wait_for_termination_brings_the_original_back(guarded: World) -> None:
    deployment = guarded.deploy(guarded.definition("bbbbbbb"))
    guarded.until("Baking", deployment)
    assert guarded.shares() == (0, 100)
    guarded.ring(LATENCY)
    guarded.until("Stopped", deployment)
    rolled_back(guarded, deployment)
    assert (guarded.shares(), guarded.service()["taskDefinition"]) == ((100, 0), guarded.first)
    assert guarded.service()["loadBalancers"][0]["targetGroupArn"] == guarded.groups["blue"]


def test_a_stop_with_rollback_takes_all_traffic_back(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"), CANARY)
    world.until_weight(10, deployment)
    answers = [
        world.codedeploy.stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)["status"] for _ in "12"
    ]
    assert answers == ["Pending", "Pending"]
    assert world.until("Stopped", deployment)["errorInformation"]["code"] == "MANUAL_STOP"
    rolled_back(world, deployment)
    assert (world.shares(), world.running()) == ((100, 0), {world.first: 2})
    rollbacks = world.codedeploy.list_deployments(includeOnlyStatuses=["Succeeded"])["deployments"]
    assert rollbacks == [world.info(deployment)["rollbackInfo"]["rollbackDeploymentId"]]


def test_a_stop_without_rollback_leaves_everything_as_it_is(world: World) -> None:
    new = world.definition("bbbbbbb")
    deployment = world.deploy(new, CANARY)
    world.until_weight(10, deployment)
    world.codedeploy.stop_deployment(deploymentId=deployment)
    assert "rollbackInfo" not in world.until("Stopped", deployment)
    world.pass_minutes(10)
    assert (world.shares(), world.running()) == ((90, 10), {world.first: 2, new: 2})
    third = world.definition("ccccccc")
    world.until("Succeeded", world.deploy(third))
    assert (world.shares(), world.running()) == ((0, 100), {third: 2})


def test_the_group_may_ask_for_a_rollback_at_every_stop(guarded: World) -> None:
    deployment = guarded.deploy(guarded.definition("bbbbbbb"), CANARY)
    guarded.until_weight(10, deployment)
    guarded.codedeploy.stop_deployment(deploymentId=deployment)
    guarded.until("Stopped", deployment)
    rolled_back(guarded, deployment)
    assert guarded.weight() == 0


def test_a_rollback_holds_the_group_like_any_deployment(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"), CANARY)
    world.until_weight(10, deployment)
    world.codedeploy.stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)
    world.until("Stopped", deployment)
    with pytest.raises(ClientError, match="already has an active Deployment"):
        world.deploy(world.definition("ccccccc"))


def test_what_has_ended_can_be_neither_stopped_nor_continued(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"))
    world.until("Succeeded", deployment)
    for ask in (world.codedeploy.stop_deployment, world.codedeploy.continue_deployment):
        with pytest.raises(ClientError, match="DeploymentAlreadyCompleted"):
            ask(deploymentId=deployment)


def test_a_replacement_that_never_gets_healthy_fails_after_an_hour(guarded: World) -> None:
    deployment = guarded.deploy(guarded.definition("bbbbbbb", crash_at_start=True))
    guarded.until("InProgress", deployment)
    guarded.pass_minutes(59)
    assert (guarded.info(deployment)["status"], guarded.weight()) == ("InProgress", 0)
    assert guarded.until("Failed", deployment)["errorInformation"]["code"] == "TIMEOUT"
    rolled_back(guarded, deployment)
    assert guarded.running() == {guarded.first: 2}


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        ("version: [", "INVALID_REVISION", "is a not well-formed yaml. The template cannot be parsed."),
        ("{", "INVALID_REVISION", "is a not well-formed json. The template cannot be parsed."),
        (appspec("gateway:99"), "ECS_UPDATE_ERROR", "Unable to describe task definition."),
        (appspec("gateway:1", container="web"), "ECS_UPDATE_ERROR", "The container web does not exist"),
    ],
)
def test_a_wrong_appspec_fails_the_deployment_and_moves_nothing(
    guarded: World, content: str, code: str, words: str
) -> None:
    info = guarded.until("Failed", guarded.deploy_content(content))
    assert (info["errorInformation"]["code"], words in info["errorInformation"]["message"]) == (code, True)
    assert (guarded.weight(), guarded.running()) == (0, {guarded.first: 2})


def test_a_listener_that_does_not_know_the_primary_target_group_fails_the_deployment(world: World) -> None:
    nothing = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "503"}}]
    world.elbv2.modify_rule(RuleArn=world.rule, Actions=nothing)
    info = world.until("Failed", world.deploy(world.definition("bbbbbbb")))
    assert info["errorInformation"]["code"] == "ELASTIC_LOAD_BALANCING_INVALID"
    assert "Primary taskset target group must be behind listener" in info["errorInformation"]["message"]


def test_a_placed_revision_ends_what_is_under_way(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"), CANARY)
    world.until_weight(10, deployment)
    placed = world.definition("ccccccc")
    world.aws.simulator.place(ACCOUNT, CLUSTER, SERVICE, placed, world.clock.now())
    assert world.info(deployment)["status"] == "Stopped"
    world.pass_minutes(5)
    assert (world.routes(), world.running(), world.weight()) == ({placed: 100.0}, {placed: 2}, 0)
    world.until("Succeeded", world.deploy(world.definition("ddddddd")))
    assert world.weight() == 100


def test_a_revision_placed_after_a_deployment_serves_from_its_target_group(world: World) -> None:
    world.until("Succeeded", world.deploy(world.definition("bbbbbbb")))
    placed = world.definition("ccccccc")
    world.aws.simulator.place(ACCOUNT, CLUSTER, SERVICE, placed, world.clock.now())
    world.pass_minutes(5)
    assert (world.routes(), world.weight()) == ({placed: 100.0}, 100)


def test_a_deleted_service_ends_its_deployment(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"), CANARY)
    world.until_weight(10, deployment)
    world.ecs.delete_service(cluster=CLUSTER, service=SERVICE, force=True)
    assert world.until("Failed", deployment)["errorInformation"]["code"] == "INVALID_ECS_SERVICE"
    world.pass_minutes(2)
    assert world.aws.runtime.running() == ()
