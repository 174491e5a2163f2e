"""Deployment configurations: what is refused, what stays from one update to the next."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.ecs_stages import Status
from tests.sandbox.aws.ecs.conftest import BLUE_GREEN, CLUSTER, SERVICE, World

HOOK = {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}
LINEAR = {"stepPercent": 20.0, "stepBakeTimeInMinutes": 1}
CANARY = {"canaryPercent": 20.0, "canaryBakeTimeInMinutes": 1}


def configured(world: World, **configuration: Any) -> dict[str, Any]:
    """Update the configuration alone, and give what the service then has."""
    answer = world.ecs.update_service(cluster=CLUSTER, service=SERVICE, deploymentConfiguration=configuration)
    return dict(answer["service"]["deploymentConfiguration"])


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({"strategy": "NOPE"}, "NOPE is not a deployment strategy"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 2.9}}, r"between 3\.0 and 100\.0"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 100.1}}, r"stepPercent is 100\.1"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 10.05}}, r"multiple of 0\.1"),
        ({"strategy": "LINEAR", "linearConfiguration": {"stepBakeTimeInMinutes": 1441}}, "between 0 and 1440"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryPercent": 0.0}}, r"between 0\.1 and 100\.0"),
        ({"strategy": "CANARY", "canaryConfiguration": {"canaryBakeTimeInMinutes": -1}}, "between 0 and 1440"),
        ({"strategy": "CANARY", "canaryConfiguration": CANARY, "linearConfiguration": LINEAR}, "together"),
        ({"strategy": "CANARY", "linearConfiguration": LINEAR}, "only valid with the LINEAR strategy"),
        ({"linearConfiguration": LINEAR}, "the strategy is ROLLING"),
        ({"strategy": "LINEAR", "bakeTimeInMinutes": 1441}, "bakeTimeInMinutes is 1441"),
        ({"strategy": "LINEAR", "lifecycleHooks": [HOOK] * 11}, "at most 10 PAUSE lifecycle hooks; 11 were given"),
        ({"strategy": "LINEAR", "lifecycleHooks": [HOOK | {"lifecycleStages": []}]}, "at least one entry"),
        ({"lifecycleHooks": [HOOK | {"lifecycleStages": ["BAKE_TIME"]}]}, "BAKE_TIME is no stage for lifecycle hooks"),
        ({"lifecycleHooks": [HOOK | {"lifecycleStages": ["PRODUCTION_TRAFFIC_SHIFT"]}]}, "not allowed at PRODUCTION_"),
        ({"lifecycleHooks": [HOOK | {"lifecycleStages": ["TEST_TRAFFIC_SHIFT"]}]}, "not allowed at TEST_TRAFFIC"),
        ({"lifecycleHooks": [HOOK | {"targetType": "AWS_LAMBDA"}]}, "runs no Lambda functions"),
        ({"lifecycleHooks": [HOOK | {"timeoutConfiguration": {"timeoutInMinutes": 20161}}]}, "between 1 and 20160"),
        ({"lifecycleHooks": [HOOK | {"timeoutConfiguration": {"action": "WAIT"}}]}, "ROLLBACK or CONTINUE"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_changes(world: World, configuration: Any, words: str) -> None:
    with pytest.raises(ClientError, match=words) as refusal:
        world.create(world.definition("aaaaaaa"), deploymentConfiguration=configuration)
    assert refusal.value.response["Error"]["Code"] == "InvalidParameterException"
    assert world.ecs.list_services(cluster=CLUSTER)["serviceArns"] == []


def test_an_update_that_is_refused_leaves_the_service_as_it_was(world: World) -> None:
    definition = world.created()
    before = world.service()["deploymentConfiguration"]
    with pytest.raises(ClientError, match="stepPercent is 1"):
        world.update(
            world.definition("bbbbbbb"),
            deploymentConfiguration={"strategy": "LINEAR", "linearConfiguration": {"stepPercent": 1.0}},
        )
    assert (world.service()["deploymentConfiguration"], world.service()["taskDefinition"]) == (before, definition)


@pytest.mark.parametrize("strategy", ["LINEAR", "CANARY"])
def test_steps_need_somebody_who_can_divide_traffic(world: World, strategy: str) -> None:
    with pytest.raises(ClientError, match=f"{strategy} needs a load balancer"):
        world.create(
            world.definition("aaaaaaa"),
            deploymentConfiguration={"strategy": strategy},
            serviceConnectConfiguration={"enabled": False},
        )


def test_the_extremes_are_allowed(world: World) -> None:
    world.created()
    for percent in (3.0, 100.0, 33.3):
        steps = {"stepPercent": percent, "stepBakeTimeInMinutes": 1440}
        assert configured(world, strategy="LINEAR", linearConfiguration=steps)["linearConfiguration"] == steps
    for percent in (0.1, 100.0):
        few = {"canaryPercent": percent, "canaryBakeTimeInMinutes": 0}
        assert configured(world, strategy="CANARY", canaryConfiguration=few)["canaryConfiguration"] == few


def test_what_a_strategy_does_not_say_is_what_aws_takes(world: World) -> None:
    world.created()
    assert configured(world, strategy="LINEAR")["linearConfiguration"] == {
        "stepPercent": 10.0,
        "stepBakeTimeInMinutes": 6,
    }
    assert configured(world, strategy="CANARY", canaryConfiguration={"canaryPercent": 20.0})["canaryConfiguration"] == {
        "canaryPercent": 20.0,
        "canaryBakeTimeInMinutes": 10,
    }


def test_a_configuration_stays_for_the_updates_after_it(world: World) -> None:
    world.created()
    linear = {"strategy": "LINEAR", "bakeTimeInMinutes": 1, "linearConfiguration": LINEAR}
    first = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear)
    world.until(Status.SUCCESSFUL, first)
    second = world.update(world.definition("ccccccc"))
    kept = world.deployment(second)["deploymentConfiguration"]
    assert (
        kept
        == world.deployment(first)["deploymentConfiguration"]
        == linear
        | {
            "maximumPercent": 200,
            "minimumHealthyPercent": 100,
        }
    )


def test_a_configuration_alone_deploys_nothing(world: World) -> None:
    world.created()
    before = world.newest()
    configured(world, strategy="LINEAR")
    assert world.newest() == before


def test_hooks_and_alarms_stay_until_they_are_taken_away_by_name(world: World) -> None:
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    world.created(deploymentConfiguration={**BLUE_GREEN, "alarms": alarms})
    assert configured(world, strategy="LINEAR", lifecycleHooks=[HOOK])["lifecycleHooks"] == [HOOK]
    later = configured(world, strategy="BLUE_GREEN", bakeTimeInMinutes=3)
    assert (later["lifecycleHooks"], later["alarms"], later["bakeTimeInMinutes"]) == ([HOOK], alarms, 3)
    assert configured(world, lifecycleHooks=[])["lifecycleHooks"] == []
    world.until(Status.SUCCESSFUL, world.update(world.definition("bbbbbbb")))
    assert world.deployment()["lifecycleHookDetails"] == []


def test_the_steps_of_a_strategy_that_was_left_are_dropped(world: World) -> None:
    world.created()
    assert configured(world, strategy="LINEAR", linearConfiguration=LINEAR)["linearConfiguration"] == LINEAR
    later = configured(world, strategy="CANARY", canaryConfiguration=CANARY)
    assert (later["canaryConfiguration"], "linearConfiguration" in later) == (CANARY, False)
    assert configured(world, strategy="BLUE_GREEN").keys() & {"linearConfiguration", "canaryConfiguration"} == set()


def test_after_a_rollback_the_configuration_is_still_the_one_of_the_last_request(world: World) -> None:
    first = world.created()
    arn = world.update(
        world.definition("bbbbbbb"), deploymentConfiguration={"strategy": "LINEAR", "lifecycleHooks": [HOOK]}
    )
    world.until_stage("PRE_PRODUCTION_TRAFFIC_SHIFT")
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    service = world.service()
    assert service["taskDefinition"] == first
    assert service["deploymentConfiguration"]["strategy"] == "LINEAR"
    assert service["deploymentConfiguration"]["lifecycleHooks"] == [HOOK]
