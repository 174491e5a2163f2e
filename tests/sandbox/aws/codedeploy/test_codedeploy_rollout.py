"""A CodeDeploy deployment of an ECS service from its creation to its end, asked by boto3."""

import re

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.aws.codedeploy.conftest import EVENTS, GROUP, World


def statuses(world: World, deployment: str) -> list[str]:
    """All statuses that are seen on the way to the end."""
    seen: list[str] = []
    while not seen or seen[-1] not in {"Succeeded", "Failed", "Stopped"}:
        now = world.info(deployment)["status"]
        seen += [now] if [now] != seen[-1:] else []
        world.tick()
    return seen


def test_the_first_task_set_serves_without_codedeploy(served: World) -> None:
    service = served.service()
    assert service["deployments"] == []
    assert [(it["status"], it["taskDefinition"], it["runningCount"]) for it in service["taskSets"]] == [
        ("PRIMARY", served.first, 2)
    ]
    assert served.routes() == {served.first: 100.0}
    assert served.running() == {served.first: 2}


def test_all_at_once_moves_all_traffic_and_then_ends_the_original(world: World) -> None:
    new = world.definition("bbbbbbb")
    deployment = world.deploy(new)
    assert re.fullmatch(r"d-[A-Z0-9]{9}", deployment)
    assert statuses(world, deployment) == ["Created", "Queued", "InProgress", "Baking", "InProgress", "Succeeded"]
    assert world.shares() == (0, 100)
    assert world.routes() == {new: 100.0}
    assert world.running() == {new: 2}
    service = world.service()
    assert service["taskDefinition"] == new
    assert [(it["status"], it["externalId"]) for it in service["taskSets"]] == [("PRIMARY", deployment)]
    assert service["loadBalancers"][0]["targetGroupArn"] == world.groups["green"]


def test_the_replacement_is_complete_before_any_traffic_moves(world: World) -> None:
    new = world.definition("bbbbbbb", start_seconds=3.0)
    deployment = world.deploy(new)
    world.tick(10)
    assert (world.info(deployment)["status"], world.shares()) == ("InProgress", (100, 0))
    events = {event["lifecycleEventName"]: event["status"] for event in world.target(deployment)["lifecycleEvents"]}
    assert list(events.items()) == [
        (name, {"BeforeInstall": "Succeeded", "Install": "InProgress"}.get(name, "Pending")) for name in EVENTS
    ]
    world.until_weight(100, deployment)
    assert world.running() == {world.first: 2, new: 2}


def test_a_canary_moves_in_exactly_two_increments(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"), "ECSCanary10Percent5Minutes")
    world.until_weight(10, deployment)
    began, seen = world.clock.now(), set()
    while world.weight() != 100:
        seen.add(world.weight())
        world.tick()
    assert seen == {10}
    assert (world.clock.now() - began).total_seconds() == pytest.approx(world.clock.seconds(5), abs=0.4)


def test_both_task_sets_are_told_with_their_weights_while_a_canary_runs(world: World) -> None:
    new = world.definition("bbbbbbb")
    deployment = world.deploy(new, "ECSCanary10Percent5Minutes")
    world.until_weight(10, deployment)
    target = world.target(deployment)
    told = [
        (it["taskSetLabel"], it["status"], it["trafficWeight"], it["runningCount"], it["targetGroup"]["name"])
        for it in target["taskSetsInfo"]
    ]
    assert told == [("Blue", "PRIMARY", 90.0, 2, "blue"), ("Green", "ACTIVE", 10.0, 2, "green")]
    assert world.routes() == {world.first: 90.0, new: 10.0}
    sets = world.service()["taskSets"]
    assert [it["identifer"] for it in target["taskSetsInfo"]] == [it["id"] for it in sets]
    assert {task["startedBy"] for task in world.tasks()} == {it["id"] for it in sets}


def test_linear_moves_by_equal_steps_every_minute(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"), "ECSLinear10PercentEvery1Minutes")
    world.until_weight(10, deployment)
    seen = [10]
    while seen[-1] != 100:
        world.tick()
        seen += [world.weight()] if world.weight() != seen[-1] else []
    assert seen == list(range(10, 101, 10))


def test_a_configuration_of_ones_own_is_followed(world: World) -> None:
    routing = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 25, "canaryInterval": 3}}
    world.codedeploy.create_deployment_config(
        deploymentConfigName="own.Canary25", computePlatform="ECS", trafficRoutingConfig=routing
    )
    deployment = world.deploy(world.definition("bbbbbbb"), "own.Canary25")
    world.until_weight(25, deployment)
    world.pass_minutes(3.4)
    assert world.weight() == 100


def test_the_next_deployment_goes_the_other_way(world: World) -> None:
    world.until("Succeeded", world.deploy(world.definition("bbbbbbb")))
    third = world.definition("ccccccc")
    deployment = world.deploy(third)
    world.until("Succeeded", deployment)
    assert (world.shares(), world.routes()) == ((100, 0), {third: 100.0})
    info = world.info(deployment)
    assert third in world.spec(info["revision"])
    assert "gateway:2" in world.spec(info["previousRevision"])


def test_the_original_stays_for_the_wait_that_the_group_asks_for(world: World) -> None:
    new = world.definition("bbbbbbb")
    deployment = world.deploy(new)
    info = world.until("Baking", deployment)
    assert info["instanceTerminationWaitTimeStarted"]
    assert world.target(deployment)["status"] == "Succeeded"
    assert world.service()["taskDefinition"] == new
    world.pass_minutes(1.5)
    assert (world.info(deployment)["status"], world.running()) == ("Baking", {world.first: 2, new: 2})
    world.pass_minutes(3)
    assert (world.info(deployment)["status"], world.running()) == ("Succeeded", {new: 2})


def test_the_wait_for_termination_can_be_cut_short(served: World) -> None:
    served.create_group(minutes=600)
    deployment = served.deploy(served.definition("bbbbbbb"))
    served.until("Baking", deployment)
    served.codedeploy.continue_deployment(deploymentId=deployment, deploymentWaitType="TERMINATION_WAIT")
    served.until("Succeeded", deployment, seconds=3)


def ready_group(world: World, minutes: int = 5) -> None:
    group = world.group(test=True)
    ready = {"actionOnTimeout": "STOP_DEPLOYMENT", "waitTimeInMinutes": minutes}
    group["blueGreenDeploymentConfiguration"]["deploymentReadyOption"] = ready
    world.codedeploy.create_deployment_group(**group)


def test_a_deployment_that_is_to_wait_is_ready_until_somebody_continues_it(served: World) -> None:
    ready_group(served)
    deployment = served.deploy(served.definition("bbbbbbb"))
    served.until("Ready", deployment)
    assert served.info(deployment)["deploymentOverview"]["Ready"] == 1
    assert (served.shares(), served.shares(served.test_listener)) == ((100, 0), (0, 100))
    with pytest.raises(ClientError, match="DeploymentIsNotInReadyState"):
        served.codedeploy.continue_deployment(deploymentId=deployment, deploymentWaitType="TERMINATION_WAIT")
    served.codedeploy.continue_deployment(deploymentId=deployment, deploymentWaitType="READY_WAIT")
    served.until("Succeeded", deployment)
    assert served.shares() == (0, 100)


def test_nobody_continues_and_the_deployment_is_stopped(served: World) -> None:
    ready_group(served, minutes=2)
    deployment = served.deploy(served.definition("bbbbbbb"))
    served.until("Ready", deployment)
    served.pass_minutes(1.5)
    assert served.info(deployment)["status"] == "Ready"
    served.until("Stopped", deployment, seconds=2)
    assert served.shares() == (100, 0)


def test_test_traffic_moves_before_production_traffic(served: World) -> None:
    served.create_group(test=True)
    deployment = served.deploy(served.definition("bbbbbbb"), "ECSCanary10Percent5Minutes")
    served.until_weight(10, deployment)
    assert served.shares(served.test_listener) == (0, 100)
    events = [event["lifecycleEventName"] for event in served.target(deployment)["lifecycleEvents"]]
    assert events == [*EVENTS[:3], "AllowTestTraffic", "AfterAllowTestTraffic", *EVENTS[3:]]


def test_one_deployment_at_a_time(world: World) -> None:
    first = world.deploy(world.definition("bbbbbbb"))
    with pytest.raises(ClientError, match=f"'{GROUP}' already has an active Deployment '{first}'") as refused:
        world.deploy(world.definition("ccccccc"))
    assert refused.value.response["Error"]["Code"] == "DeploymentLimitExceededException"
    world.until("Succeeded", first)
    world.deploy(world.definition("ddddddd"))
