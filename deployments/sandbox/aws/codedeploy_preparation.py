"""Before a deployment moves anything: is there a service to deploy to, a definition to run and a road for traffic?"""

from typing import Any

from moto.codedeploy.models import codedeploy_backends
from moto.ecs.exceptions import ECSException
from moto.ecs.models import TaskDefinition, ecs_backends
from moto.elbv2.models import elbv2_backends

from deployments.sandbox.aws.codedeploy_appspec import AppSpec, AppSpecError, parse
from deployments.sandbox.aws.codedeploy_requests import listeners, pair_of
from deployments.sandbox.aws.codedeploy_stages import Fault
from deployments.sandbox.aws.codedeploy_state import Rollout
from deployments.sandbox.aws.ecs_fleet import Fleet
from deployments.sandbox.aws.ecs_requests import revision_of
from deployments.sandbox.aws.ecs_state import Document, Revision, ServiceState, TargetGroupPair
from deployments.sandbox.aws.ecs_traffic import pair_weights

ECS_SAYS = "The ECS service cannot be updated due to the following error: {reason}"
ELB_SAYS = "The ELB could not be updated due to the following error: {reason}"


class UnpreparedError(Exception):
    """A deployment cannot begin. `fault` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(code, message)


def service_of(fleet: Fleet, rollout: Rollout) -> ServiceState:
    """The service that the deployment group names. Raises `UnpreparedError`."""
    named = rollout.terms["ecsServices"][0]
    cluster = str(named.get("clusterName", "default")).rsplit("/", maxsplit=1)[-1]
    found = fleet.services.get((rollout.account, rollout.region, cluster, named["serviceName"]))
    if found is None or found.status != "ACTIVE":
        raise UnpreparedError("INVALID_ECS_SERVICE", f"The ECS service {named['serviceName']} could not be found.")
    if found.controller != "CODE_DEPLOY":
        raise UnpreparedError(
            "INVALID_ECS_SERVICE",
            f"The deployment controller of the ECS service {found.name} is {found.controller}; it must be CODE_DEPLOY.",
        )
    return found


def prepare(rollout: Rollout, service: ServiceState, blue: Revision, now: Any) -> Revision:
    """Makes the replacement's revision and gives it the free target group. Raises `UnpreparedError`."""
    spec = _spec_of(rollout)
    definition = _definition_of(rollout, spec)
    pair = target_group_pair(rollout.account, rollout.region, rollout.terms["loadBalancerInfo"])
    if pair is None:
        raise UnpreparedError("ELASTIC_LOAD_BALANCING_INVALID", ELB_SAYS.format(reason="Target group does not exist."))
    service.pair = pair
    green_group = _free_group(service, blue, pair)
    balancer = {"targetGroupArn": green_group, "containerName": spec.container, "containerPort": spec.port}
    green = revision_of(service, definition, service.settings | spec.settings | {"loadBalancers": [balancer]}, now)
    service.revisions[green.arn] = green
    service.groups[green.arn] = green_group
    return green


def target_group_pair(account: str, region: str, load_balancer_info: Document) -> TargetGroupPair | None:
    """The pair that a deployment group names, by ARNs; None when a target group does not exist."""
    named = load_balancer_info["targetGroupPairInfoList"][0]
    known = {group.name: arn for arn, group in elbv2_backends[account][region].target_groups.items()}
    arns = [known.get(group["name"]) for group in named["targetGroups"]]
    if arns[0] is None or arns[1] is None:
        return None
    return TargetGroupPair(
        (arns[0], arns[1]), listeners(named, "prodTrafficRoute"), listeners(named, "testTrafficRoute")
    )


def attach(fleet: Fleet, account: str, region: str) -> None:
    """Let every service know the pair of its deployment group, so that its traffic is read from the listener."""
    for groups in codedeploy_backends[account][region].deployment_groups.values():
        for group in groups.values():
            for named in group.ecs_services if group.load_balancer_info else ():
                _attach(fleet, account, region, named, {"targetGroupPairInfoList": [pair_of(group)]})


def _attach(fleet: Fleet, account: str, region: str, named: Document, info: Document) -> None:
    service = fleet.services.get((account, region, named.get("clusterName", "default"), named["serviceName"]))
    if service is not None and service.controller == "CODE_DEPLOY" and service.pair is None:
        service.pair = target_group_pair(account, region, info)


def _spec_of(rollout: Rollout) -> AppSpec:
    try:
        return parse(rollout.revision["appSpecContent"]["content"])
    except AppSpecError as error:
        raise UnpreparedError("INVALID_REVISION", str(error)) from error


def _definition_of(rollout: Rollout, spec: AppSpec) -> TaskDefinition:
    """The task definition of an AppSpec, which must have its container."""
    try:
        found = ecs_backends[rollout.account][rollout.region].describe_task_definition(spec.task_definition)
    except (ECSException, ValueError) as error:
        reason = "Unable to describe task definition."
        raise UnpreparedError("ECS_UPDATE_ERROR", ECS_SAYS.format(reason=reason)) from error
    names: list[Document] = [dict(container) for container in found.container_definitions]
    if spec.container not in {container["name"] for container in names}:
        reason = f"The container {spec.container} does not exist in the task definition."
        raise UnpreparedError("ECS_UPDATE_ERROR", ECS_SAYS.format(reason=reason))
    return found


def _free_group(service: ServiceState, blue: Revision, pair: TargetGroupPair) -> str:
    """The target group of the pair that the primary task set does not have."""
    taken = service.groups.get(blue.arn)
    behind = {group for group, _ in pair_weights(service, pair)}
    if taken not in pair.groups or taken not in behind:
        reason = f"Primary taskset target group must be behind listener {', '.join(pair.listeners)}"
        raise UnpreparedError("ELASTIC_LOAD_BALANCING_INVALID", ELB_SAYS.format(reason=reason))
    return next(group for group in pair.groups if group != taken)
