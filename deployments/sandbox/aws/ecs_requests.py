"""What may be asked of a service, and the plan and revision that follow from it. Refuses in AWS's words."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from moto.ecs.models import TaskDefinition

from deployments.sandbox.aws.ecs_configuration import check_configuration, refuse, strategy_of, traffic_steps
from deployments.sandbox.aws.ecs_registry import digest_of
from deployments.sandbox.aws.ecs_stages import Breaker, DeploymentPlan, PauseHook, Stage, Strategy
from deployments.sandbox.aws.ecs_state import ContainerImage, Document, Revision, ServiceState
from deployments.sandbox.aws.ecs_traffic import both_groups

REVISION_FIELDS = (
    "loadBalancers",
    "serviceRegistries",
    "networkConfiguration",
    "platformVersion",
    "launchType",
    "capacityProviderStrategy",
    "serviceConnectConfiguration",
    "volumeConfigurations",
)


def check_service(settings: Document) -> None:
    """Refuse settings of a service that cannot work. Raises an ECS error."""
    configuration = settings.get("deploymentConfiguration") or {}
    check_configuration(configuration)
    strategy = strategy_of(configuration)
    if strategy is not Strategy.ROLLING and not _can_shift(settings):
        raise refuse(
            f"{strategy} needs a load balancer with advancedConfiguration (alternateTargetGroupArn, "
            "productionListenerRule, roleArn) or an enabled serviceConnectConfiguration."
        )


def check_controller(settings: Document) -> None:
    """Refuse a new service that its deployment controller could not deploy. Raises an ECS error."""
    if settings["deploymentController"].get("type") != "CODE_DEPLOY":
        return
    if len(settings.get("loadBalancers") or ()) != 1 or not both_groups(settings):
        raise refuse("A service with the CODE_DEPLOY deployment controller needs exactly one target group.")
    if (settings.get("serviceConnectConfiguration") or {}).get("enabled"):
        raise refuse("Service Connect is not supported with the CODE_DEPLOY deployment controller.")
    strategy = strategy_of(settings.get("deploymentConfiguration") or {})
    if strategy is not Strategy.ROLLING:
        raise refuse(f"{strategy} is not supported with the CODE_DEPLOY deployment controller.")


def plan_of(
    configuration: Document, deployment_id: str, desired: int, seconds: Callable[[float], float], *, has_source: bool
) -> DeploymentPlan:
    """The plan of a deployment; `seconds` converts AWS minutes into real seconds."""

    def minutes(number: float) -> timedelta:
        return timedelta(seconds=seconds(number))

    strategy = strategy_of(configuration)
    weights, between = traffic_steps(configuration)
    alarms = configuration.get("alarms") or {}
    return DeploymentPlan(
        deployment_id,
        strategy,
        has_source,
        weights=weights,
        step_bake=minutes(between),
        bake=minutes(configuration.get("bakeTimeInMinutes") or 0),
        hooks=tuple(_hook(hook, minutes) for hook in configuration.get("lifecycleHooks") or ()),
        alarms=tuple(alarms.get("alarmNames") or ()) if alarms.get("enable") else (),
        alarms_roll_back=bool(alarms.get("rollback")) or strategy is not Strategy.ROLLING,
        breaker=_breaker(configuration, strategy, desired),
        minimum_healthy_percent=configuration.get("minimumHealthyPercent", 100),
        maximum_percent=configuration.get("maximumPercent", 200),
    )


def revision_of(service: ServiceState, definition: TaskDefinition, settings: Document, now: datetime) -> Revision:
    """A new revision of a service, its images pinned to what their tags stand for now."""
    number = str(secrets.randbelow(9 * 10**18) + 10**18)
    containers: list[Document] = [dict(container) for container in definition.container_definitions]
    images = tuple(_image(container) for container in containers)
    arn = f"arn:aws:ecs:{service.region}:{service.account}:service-revision/{service.cluster}/{service.name}/{number}"
    kept = {name: settings[name] for name in REVISION_FIELDS if settings.get(name)}
    return Revision(arn, f"ecs-svc/{number}", definition.arn, images, now, kept)


def _image(container: Document) -> ContainerImage:
    environment = {entry["name"]: entry["value"] for entry in container.get("environment") or ()}
    return ContainerImage(container["name"], container["image"], digest_of(container["image"]), environment)


def _can_shift(settings: Document) -> bool:
    connected = (settings.get("serviceConnectConfiguration") or {}).get("enabled", False)
    return bool(connected) or len(both_groups(settings)) == 2


def _hook(hook: Document, minutes: Callable[[float], timedelta]) -> PauseHook:
    timeout = hook.get("timeoutConfiguration") or {}
    return PauseHook(
        frozenset(Stage(stage) for stage in hook["lifecycleStages"]),
        minutes(timeout.get("timeoutInMinutes", 1440)),
        timeout.get("action", "ROLLBACK") == "ROLLBACK",
    )


def _breaker(configuration: Document, strategy: Strategy, desired: int) -> Breaker | None:
    """Only ROLLING has a circuit breaker, whatever was configured for the others."""
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    if strategy is not Strategy.ROLLING or not breaker.get("enable"):
        return None
    return Breaker(max(3, min(200, -(-desired // 2))), bool(breaker.get("rollback")))
