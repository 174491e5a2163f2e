"""The operations on deployment groups and deployment configurations. The groups themselves are moto's."""

from typing import Any

from moto.codedeploy.responses import _deployment_group_info

from deployments.sandbox.aws.codedeploy_answers import config_answer, group_answer
from deployments.sandbox.aws.codedeploy_configs import ALL_AT_ONCE, PREDEFINED, PREFIX, made, refuse
from deployments.sandbox.aws.codedeploy_requests import check_config, check_group
from deployments.sandbox.aws.codedeploy_state import Desk, backend, group_of
from deployments.sandbox.aws.ecs_fleet import Caller
from deployments.sandbox.aws.ecs_state import Document

ATTRIBUTES = {
    "deploymentConfigName": "deployment_config_name",
    "ec2TagFilters": "ec2_tag_filters",
    "onPremisesInstanceTagFilters": "on_premises_instance_tag_filters",
    "autoScalingGroups": "auto_scaling_groups",
    "serviceRoleArn": "service_role_arn",
    "triggerConfigurations": "trigger_configurations",
    "alarmConfiguration": "alarm_configuration",
    "autoRollbackConfiguration": "auto_rollback_configuration",
    "outdatedInstancesStrategy": "outdated_instances_strategy",
    "deploymentStyle": "deployment_style",
    "blueGreenDeploymentConfiguration": "blue_green_deployment_configuration",
    "loadBalancerInfo": "load_balancer_info",
    "ec2TagSet": "ec2_tag_set",
    "ecsServices": "ecs_services",
    "onPremisesTagSet": "on_premises_tag_set",
    "tags": "tags",
    "terminationHookEnabled": "termination_hook_enabled",
}
"""What moto calls the parts of a deployment group, by the API's names."""


def create_deployment_group(desk: Desk, caller: Caller) -> Document:
    application = backend(caller).get_application(caller.parameters["applicationName"])
    settings = {name: caller.get(name) for name in ATTRIBUTES}
    if application.compute_platform == "ECS":
        settings["deploymentConfigName"] = settings["deploymentConfigName"] or ALL_AT_ONCE
        check_config(desk.config(caller, settings["deploymentConfigName"]))
        check_group(settings)
        _check_service(caller, settings["ecsServices"], "")
    named = {ATTRIBUTES[name]: value for name, value in settings.items()}
    name = caller.parameters["deploymentGroupName"]
    return {"deploymentGroupId": backend(caller).create_deployment_group(application.application_name, name, **named)}


def get_deployment_group(desk: Desk, caller: Caller) -> Document:
    group = group_of(caller, caller.parameters["deploymentGroupName"])
    answer = group_answer(desk, _deployment_group_info(group), group, caller.account, caller.region)
    return {"deploymentGroupInfo": answer}


def update_deployment_group(desk: Desk, caller: Caller) -> Document:
    group = group_of(caller, caller.parameters["currentDeploymentGroupName"])
    given = {name: caller.parameters[name] for name in ATTRIBUTES if name in caller.parameters}
    if group.application.compute_platform == "ECS":
        settings = {name: getattr(group, attribute) for name, attribute in ATTRIBUTES.items()} | given
        check_config(desk.config(caller, str(settings["deploymentConfigName"])))
        check_group(settings)
        _check_service(caller, settings["ecsServices"], group.deployment_group_name)
    for name, value in given.items():
        setattr(group, ATTRIBUTES[name], value)
    return {"hooksNotCleanedUp": []}


def create_deployment_config(desk: Desk, caller: Caller) -> Document:
    config = made(caller.parameters, desk.fleet.clock.now())
    key = (caller.account, caller.region, config.name)
    if key in desk.configs:
        words = f"Deployment Configuration already exists with the name: {config.name}"
        raise refuse("DeploymentConfigAlreadyExistsException", words)
    desk.configs[key] = config
    return {"deploymentConfigId": config.id}


def get_deployment_config(desk: Desk, caller: Caller) -> Document:
    return {"deploymentConfigInfo": config_answer(desk.config(caller, caller.parameters["deploymentConfigName"]))}


def list_deployment_configs(desk: Desk, caller: Caller) -> Document:
    own = [name for account, region, name in desk.configs if (account, region) == (caller.account, caller.region)]
    return {"deploymentConfigsList": [*PREDEFINED, *own]}


def delete_deployment_config(desk: Desk, caller: Caller) -> Document:
    name = caller.parameters["deploymentConfigName"]
    if name.startswith(PREFIX):
        raise refuse("InvalidOperationException", f"{name} is a predefined configuration and cannot be deleted")
    if any(str(group.deployment_config_name) == name for group in _groups(caller)):
        raise refuse("DeploymentConfigInUseException", f"{name} is in use by a deployment group")
    desk.configs.pop((caller.account, caller.region, name), None)
    return {}


def _groups(caller: Caller) -> list[Any]:
    return [group for groups in backend(caller).deployment_groups.values() for group in groups.values()]


def _check_service(caller: Caller, services: list[Document], own: str) -> None:
    """A service belongs to one deployment group."""
    for group in _groups(caller):
        if group.deployment_group_name != own and any(service in group.ecs_services for service in services):
            raise refuse(
                "ECSServiceMappingLimitExceededException",
                f"The ECS service is already associated with the deployment group {group.deployment_group_name}",
            )
