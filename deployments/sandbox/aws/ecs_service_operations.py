"""The operations on services: create, update, describe, list, delete."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from deployments.sandbox.aws.codedeploy_task_sets import task_set_answers
from deployments.sandbox.aws.ecs_answers import service_answer
from deployments.sandbox.aws.ecs_configuration import joined, refuse
from deployments.sandbox.aws.ecs_fleet import Caller, Fleet, check_count, page
from deployments.sandbox.aws.ecs_lifecycle import deployment_arn
from deployments.sandbox.aws.ecs_requests import (
    REVISION_FIELDS,
    check_controller,
    check_service,
    plan_of,
    revision_of,
)
from deployments.sandbox.aws.ecs_stages import Progress, Stage, Status, Wanted
from deployments.sandbox.aws.ecs_state import Deployment, Document, Revision, ServiceState

DEFAULTS: Document = {
    "launchType": "EC2",
    "schedulingStrategy": "REPLICA",
    "deploymentController": {"type": "ECS"},
    "propagateTags": "NONE",
    "enableECSManagedTags": False,
    "enableExecuteCommand": False,
    "loadBalancers": [],
    "serviceRegistries": [],
    "placementConstraints": [],
    "placementStrategy": [],
}
NOT_BY_UPDATE = {
    "taskDefinition": "task definition",
    "loadBalancers": "load balancers",
    "networkConfiguration": "network parameters",
    "platformVersion": "platform version",
}
"""What only the service's deployment controller may change, and what ECS calls it, unless it is that controller."""
NOT_SETTINGS = frozenset({"cluster", "service", "serviceName", "desiredCount", "forceNewDeployment", "clientToken"})


def create_service(fleet: Fleet, caller: Caller) -> Document:
    name, cluster = caller.parameters["serviceName"], caller.cluster()
    existing = fleet.find(caller, name)
    if existing is not None and existing.status != "INACTIVE":
        raise refuse("Creation of service was not idempotent.")
    given = {key: value for key, value in caller.parameters.items() if key not in NOT_SETTINGS}
    settings = _settings(DEFAULTS, given)
    check_service(settings)
    check_controller(settings)
    known_by_moto = _create_in_moto(caller, settings)
    service = ServiceState(
        account=caller.account,
        region=caller.region,
        cluster=cluster.name,
        cluster_arn=cluster.arn,
        name=name,
        arn=known_by_moto.arn,
        settings=settings,
        created_at=fleet.clock.now(),
        desired=caller.get("desiredCount", 0),
    )
    fleet.services[caller.account, caller.region, cluster.name, name] = service
    if settings.get("taskDefinition") and service.controller != "EXTERNAL":
        deploy(fleet, caller, service)
    return {"service": _answer(caller, service, with_tags=True)}


def update_service(fleet: Fleet, caller: Caller) -> Document:
    service = fleet.get(caller, caller.parameters["service"])
    if service.status != "ACTIVE":
        raise refuse("Service was not ACTIVE.", "ServiceNotActiveException")
    given = {key: value for key, value in caller.parameters.items() if key not in NOT_SETTINGS}
    _check_controller(service, caller.parameters)
    settings = _settings(service.settings, given)
    check_service(settings)
    changed = _changes(caller, service, settings)
    service.settings = settings
    service.desired = caller.get("desiredCount", service.desired)
    if changed or caller.get("forceNewDeployment", False):
        deploy(fleet, caller, service)
    return {"service": _answer(caller, service, with_tags=True)}


def describe_services(fleet: Fleet, caller: Caller) -> Document:
    names = caller.get("services", [])
    check_count("services", names, 10)
    found = {name: fleet.find(caller, name) for name in names}
    with_tags = "TAGS" in caller.get("include", [])
    return {
        "services": [_answer(caller, service, with_tags=with_tags) for service in found.values() if service],
        "failures": [
            {"arn": _arn(caller, name), "reason": "MISSING"} for name, service in found.items() if service is None
        ],
    }


def list_services(fleet: Fleet, caller: Caller) -> Document:
    wanted = {name: caller.get(name) for name in ("launchType", "schedulingStrategy") if caller.get(name)}
    arns = [
        service.arn
        for service in fleet.of_cluster(caller)
        if service.status != "INACTIVE" and wanted.items() <= {k: service.settings.get(k) for k in wanted}.items()
    ]
    arns, token = page(caller, arns, most=100, default=10)
    return {"serviceArns": arns} | ({"nextToken": token} if token else {})


def delete_service(fleet: Fleet, caller: Caller) -> Document:
    service = fleet.get(caller, caller.parameters["service"])
    if service.desired > 0 and not caller.get("force", False):
        raise refuse("The service cannot be stopped while it is scaled above 0.")
    fleet.lifecycle.retire(service, fleet.clock.now())
    return {"service": _answer(caller, service, with_tags=False)}


def deploy(fleet: Fleet, caller: Caller, service: ServiceState) -> None:
    """Begin the deployment of what the service's settings now say."""
    now = fleet.clock.now()
    revision = new_revision(fleet, caller, service)
    configuration = service.settings["deploymentConfiguration"]
    plan = plan_of(
        configuration,
        revision.deployment_id,
        service.desired,
        fleet.clock.seconds,
        has_source=service.steady is not None,
    )
    fleet.lifecycle.deploy(service, revision, plan, configuration, now)


def place(fleet: Fleet, caller: Caller, service: ServiceState, deployed_at: datetime) -> None:
    """Make what the service's settings now say its steady revision, as if it had been deployed at that time."""
    revision = replace(new_revision(fleet, caller, service), created_at=deployed_at)
    configuration = service.settings["deploymentConfiguration"]
    plan = plan_of(configuration, revision.deployment_id, service.desired, fleet.clock.seconds, has_source=False)
    progress = Progress(deployed_at, Status.SUCCESSFUL, Stage.CLEAN_UP, weight=100.0)
    fleet.lifecycle.place(
        service,
        Deployment(
            deployment_arn(service),
            plan,
            revision,
            progress,
            deployed_at,
            configuration,
            source=None,
            started_at=deployed_at,
            finished_at=deployed_at,
            updated_at=deployed_at,
            wanted=Wanted(service.desired, 0),
        ),
    )


def new_revision(fleet: Fleet, caller: Caller, service: ServiceState) -> Revision:
    definition = caller.backend.describe_task_definition(service.settings["taskDefinition"])
    service.settings["taskDefinition"] = definition.arn
    return revision_of(service, definition, service.settings, fleet.clock.now())


def _create_in_moto(caller: Caller, settings: Document) -> Any:
    """Let moto know the service too: it validates networks, keeps the tags and the task sets."""
    return caller.backend.create_service(
        caller.get("cluster", "default"),
        caller.parameters["serviceName"],
        caller.get("desiredCount", 0),
        settings.get("taskDefinition"),
        load_balancers=settings["loadBalancers"],
        scheduling_strategy=settings["schedulingStrategy"],
        tags=caller.get("tags", []),
        deployment_controller=settings["deploymentController"],
        launch_type=settings["launchType"],
        network_configuration=settings.get("networkConfiguration"),
    )


def _settings(present: Document, given: Document) -> Document:
    """What a service is told from now on, parameter by parameter, its deployment configuration field by field."""
    both = [settings.get("deploymentConfiguration") or {} for settings in (present, given)]
    return present | given | {"deploymentConfiguration": joined(*both)}


def _check_controller(service: ServiceState, given: Document) -> None:
    controller = (given.get("deploymentController") or {}).get("type", service.controller)
    if controller == "ECS":
        return
    instead = "Use AWS CodeDeploy to trigger a new deployment." if controller == "CODE_DEPLOY" else "Use task sets."
    fixed = [words for name, words in NOT_BY_UPDATE.items() if name in given]
    if fixed:
        raise refuse(
            f"Unable to update {', '.join(fixed)} on services with a {controller} deployment controller. {instead}"
        )
    if given.get("forceNewDeployment"):
        raise refuse(f"Cannot force a new deployment on services with a {controller} deployment controller. {instead}")


def _changes(caller: Caller, service: ServiceState, settings: Document) -> bool:
    """Whether the settings roll out anything other than the newest revision does."""
    if not settings.get("taskDefinition") or service.controller == "EXTERNAL":
        return False
    definition = caller.backend.describe_task_definition(settings["taskDefinition"]).arn
    newest = service.waiting or service.current
    revision = newest.target if newest is not None else service.steady
    if revision is None or revision.task_definition != definition:
        return True
    return any((settings.get(name) or None) != revision.settings.get(name) for name in REVISION_FIELDS)


def _answer(caller: Caller, service: ServiceState, *, with_tags: bool) -> Document:
    known = caller.backend.services.get(f"{service.cluster}:{service.name}")
    answer = service_answer(service, list(known.tags) if with_tags and known is not None else None)
    if service.controller != "ECS" and known is not None:
        answer["taskSets"] = task_set_answers(service)
    return answer


def _arn(caller: Caller, name: str) -> str:
    if name.startswith("arn:"):
        return name
    return f"arn:aws:ecs:{caller.region}:{caller.account}:service/{caller.cluster().name}/{name}"
