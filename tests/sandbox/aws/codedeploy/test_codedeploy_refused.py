"""Deployment groups, deployments and configurations that CodeDeploy refuses, and the error that it names."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.aws.codedeploy.conftest import APPLICATION, GROUP, World, appspec

KEEPS = {"terminateBlueInstancesOnDeploymentSuccess": {"action": "KEEP_ALIVE"}}
IMPATIENT = {"deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 5}}
FOREVER = {"terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 2881}}
IN_PLACE = {"deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
MANY = {"enabled": True, "alarms": [{"name": f"alarm-{number}"} for number in range(11)]}
CONTENT = appspec("gateway:1")


def error_of(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return str(refused.value.response["Error"]["Code"]).removesuffix("Exception")


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"blueGreenDeploymentConfiguration": KEEPS}, "InvalidBlueGreenDeploymentConfiguration"),
        ({"blueGreenDeploymentConfiguration": IMPATIENT}, "InvalidBlueGreenDeploymentConfiguration"),
        ({"blueGreenDeploymentConfiguration": FOREVER}, "InvalidBlueGreenDeploymentConfiguration"),
        ({"deploymentStyle": IN_PLACE}, "InvalidDeploymentStyle"),
        ({"ecsServices": []}, "InvalidECSService"),
        ({"loadBalancerInfo": {"elbInfoList": [{"name": "lb"}]}}, "InvalidLoadBalancerInfo"),
        ({"loadBalancerInfo": {"targetGroupPairInfoList": []}}, "InvalidLoadBalancerInfo"),
        ({"alarmConfiguration": {"enabled": True}}, "InvalidAlarmConfig"),
        ({"alarmConfiguration": MANY}, "AlarmsLimitExceeded"),
        ({"autoRollbackConfiguration": {"enabled": True}}, "InvalidAutoRollbackConfig"),
        ({"deploymentConfigName": "CodeDeployDefault.ECSCanary50Percent"}, "DeploymentConfigDoesNotExist"),
    ],
)
def test_a_group_that_cannot_work_is_refused(empty: World, settings: dict[str, Any], error: str) -> None:
    with pytest.raises(ClientError) as refused:
        empty.create_group(**settings)
    assert error_of(refused) == error
    assert empty.codedeploy.list_deployment_groups(applicationName=APPLICATION)["deploymentGroups"] == []


def test_a_service_belongs_to_one_group(empty: World) -> None:
    empty.create_group()
    with pytest.raises(ClientError) as refused:
        empty.create_group(deploymentGroupName="another")
    assert error_of(refused) == "ECSServiceMappingLimitExceeded"


def test_a_group_takes_another_configuration_and_keeps_the_rest(empty: World) -> None:
    empty.create_group(alarmConfiguration={"enabled": True, "alarms": [{"name": "latency"}]})
    named = {"applicationName": APPLICATION, "currentDeploymentGroupName": GROUP}
    canary = "CodeDeployDefault.ECSCanary10Percent5Minutes"
    empty.codedeploy.update_deployment_group(**named, deploymentConfigName=canary)
    with pytest.raises(ClientError, match="can only be TERMINATE"):
        empty.codedeploy.update_deployment_group(**named, blueGreenDeploymentConfiguration=KEEPS)
    asked = empty.codedeploy.get_deployment_group(applicationName=APPLICATION, deploymentGroupName=GROUP)
    info = asked["deploymentGroupInfo"]
    assert (info["deploymentConfigName"], info["alarmConfiguration"]["alarms"]) == (canary, [{"name": "latency"}])


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"revision": {}}, "RevisionRequired"),
        ({"revision": {"revisionType": "String", "string": {"content": CONTENT}}}, "InvalidRevision"),
        (
            {"revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": CONTENT, "sha256": "0"}}},
            "InvalidRevision",
        ),
        ({"deploymentConfigName": "nowhere"}, "DeploymentConfigDoesNotExist"),
        ({"deploymentConfigName": "own.Servers"}, "InvalidDeploymentConfigName"),
        ({"deploymentGroupName": "nowhere"}, "DeploymentGroupDoesNotExist"),
        ({"applicationName": "nowhere"}, "ApplicationDoesNotExist"),
        ({"autoRollbackConfiguration": {"enabled": True, "events": []}}, "InvalidAutoRollbackConfig"),
        ({"overrideAlarmConfiguration": {"enabled": True, "alarms": []}}, "InvalidAlarmConfig"),
    ],
)
def test_a_deployment_that_cannot_work_is_refused(empty: World, settings: dict[str, Any], error: str) -> None:
    empty.create_group()
    empty.codedeploy.create_deployment_config(
        deploymentConfigName="own.Servers", minimumHealthyHosts={"type": "HOST_COUNT", "value": 1}
    )
    with pytest.raises(ClientError) as refused:
        empty.deploy_content(CONTENT, **settings)
    assert error_of(refused) == error
    assert empty.codedeploy.list_deployments()["deployments"] == []


@pytest.mark.parametrize(
    ("name", "routing", "error"),
    [
        ("CodeDeployDefault.Own", {"type": "AllAtOnce"}, "InvalidDeploymentConfigName"),
        ("own", {"type": "TimeBasedCanary"}, "InvalidTrafficRoutingConfiguration"),
        (
            "own",
            {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 100, "canaryInterval": 1}},
            "InvalidTrafficRoutingConfiguration",
        ),
        (
            "own",
            {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 1, "linearInterval": 60}},
            "InvalidTrafficRoutingConfiguration",
        ),
    ],
)
def test_a_configuration_that_cannot_work_is_refused(
    empty: World, name: str, routing: dict[str, Any], error: str
) -> None:
    with pytest.raises(ClientError) as refused:
        empty.codedeploy.create_deployment_config(
            deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig=routing
        )
    assert error_of(refused) == error


def test_configurations_are_told_and_those_in_use_stay(empty: World) -> None:
    routing = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 20, "canaryInterval": 7}}
    make = {"deploymentConfigName": "own.Canary", "computePlatform": "ECS", "trafficRoutingConfig": routing}
    empty.codedeploy.create_deployment_config(**make)
    with pytest.raises(ClientError, match="already exists"):
        empty.codedeploy.create_deployment_config(**make)
    told = empty.codedeploy.get_deployment_config(deploymentConfigName="own.Canary")["deploymentConfigInfo"]
    assert told["trafficRoutingConfig"] == routing
    assert len(empty.codedeploy.list_deployment_configs()["deploymentConfigsList"]) == 6
    empty.create_group(deploymentConfigName="own.Canary")
    with pytest.raises(ClientError, match="is in use"):
        empty.codedeploy.delete_deployment_config(deploymentConfigName="own.Canary")
