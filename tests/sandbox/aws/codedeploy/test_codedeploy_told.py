"""What is told and refused about CodeDeploy deployments and the services they belong to, asked by boto3."""

import re
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.aws.codedeploy.conftest import CLUSTER, GROUP, SERVICE, TARGET, World


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"taskDefinition": "gateway"}, "task definition"),
        ({"platformVersion": "1.4.0"}, "platform version"),
        ({"loadBalancers": []}, "load balancers"),
    ],
)
def test_ecs_refuses_what_only_codedeploy_may_change(world: World, change: dict[str, Any], words: str) -> None:
    says = (
        f"Unable to update {words} on services with a CODE_DEPLOY deployment controller. "
        "Use AWS CodeDeploy to trigger a new deployment."
    )
    with pytest.raises(ClientError, match=re.escape(says)):
        world.ecs.update_service(cluster=CLUSTER, service=SERVICE, **change)
    with pytest.raises(ClientError, match="Cannot force a new deployment"):
        world.ecs.update_service(cluster=CLUSTER, service=SERVICE, forceNewDeployment=True)


def test_more_tasks_may_be_asked_for_during_a_deployment(world: World) -> None:
    new = world.definition("bbbbbbb")
    deployment = world.deploy(new, "ECSCanary10Percent5Minutes")
    world.until_weight(10, deployment)
    world.ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=3)
    world.tick(5)
    assert world.running() == {world.first: 3, new: 3}


def test_an_appspec_in_yaml_with_its_sum_is_as_good(world: World) -> None:
    new = world.definition("bbbbbbb")
    content = (
        "version: 0.0\nResources:\n  - TargetService:\n      Type: AWS::ECS::Service\n      Properties:\n"
        f'        TaskDefinition: "{new}"\n        LoadBalancerInfo:\n'
        '          ContainerName: "app"\n          ContainerPort: 8080\n'
    )
    spec = {"content": content, "sha256": sha256(content.encode()).hexdigest()}
    revision = {"revisionType": "AppSpecContent", "appSpecContent": spec}
    world.until("Succeeded", world.deploy_content("", revision=revision))
    assert world.running() == {new: 2}


def test_deployments_are_listed_newest_first_and_chosen_by_status_and_time(world: World) -> None:
    first = world.deploy(world.definition("bbbbbbb"))
    world.until("Succeeded", first)
    between = world.clock.now()
    world.tick()
    second = world.deploy(world.definition("ccccccc"))
    ask = world.codedeploy.list_deployments
    named = {"applicationName": "batbern", "deploymentGroupName": GROUP}
    assert ask()["deployments"] == ask(**named)["deployments"] == [second, first]
    assert ask(includeOnlyStatuses=["Created", "InProgress"], **named)["deployments"] == [second]
    assert ask(createTimeRange={"end": between}, **named)["deployments"] == [first]
    assert ask(createTimeRange={"start": between}, **named)["deployments"] == [second]
    infos = world.codedeploy.batch_get_deployments(deploymentIds=[first, second, "d-000000000"])["deploymentsInfo"]
    assert [info["deploymentId"] for info in infos] == [first, second]


def test_targets_are_there_once_a_deployment_has_begun(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"))
    with pytest.raises(ClientError, match="DeploymentNotStarted"):
        world.codedeploy.list_deployment_targets(deploymentId=deployment)
    world.until("InProgress", deployment)
    assert world.codedeploy.list_deployment_targets(deploymentId=deployment)["targetIds"] == [TARGET]
    with pytest.raises(ClientError, match="DeploymentTargetDoesNotExist"):
        world.codedeploy.get_deployment_target(deploymentId=deployment, targetId="other:service")
    one = world.codedeploy.get_deployment_target(deploymentId=deployment, targetId=TARGET)["deploymentTarget"]
    assert one["ecsTarget"] == world.target(deployment)


def test_the_waiter_of_boto3_is_satisfied(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"))
    world.pass_minutes(10)
    world.codedeploy.get_waiter("deployment_successful").wait(
        deploymentId=deployment, WaiterConfig={"Delay": 0, "MaxAttempts": 1}
    )
    group = world.codedeploy.get_deployment_group(applicationName="batbern", deploymentGroupName=GROUP)
    assert group["deploymentGroupInfo"]["lastSuccessfulDeployment"]["deploymentId"] == deployment


def test_an_empty_world_again_after_a_reset(world: World) -> None:
    deployment = world.deploy(world.definition("bbbbbbb"))
    world.aws.reset()
    with pytest.raises(ClientError, match="could not be found"):
        world.info(deployment)


def test_ecs_lists_no_service_deployments_of_a_service_that_codedeploy_deploys(world: World) -> None:
    assert world.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"] == []
