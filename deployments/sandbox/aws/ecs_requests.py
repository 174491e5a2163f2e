"""What may be asked of a service, and the plan and revision that follow from it. Refuses in AWS's words."""

import secrets
from collections.abc import Callable
from datetime import datetime, timedelta

from moto.ecs.exceptions import ECSException
from moto.ecs.models import TaskDefinition

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
NO_PAUSE = frozenset({Stage.TEST_TRAFFIC_SHIFT, Stage.PRODUCTION_TRAFFIC_SHIFT})
MAX_BAKE_MINUTES = 1440
MAX_PAUSE_MINUTES = 20_160


def refuse(message: str, code: str = "InvalidParameterException") -> ECSException:
    """An answer of HTTP status 400 with this error code and message, to be raised."""
    return ECSException(code, message)


def check_service(settings: Document) -> None:
    """Refuse settings of a service that cannot work. Raises an ECS error."""
    configuration = settings.get("deploymentConfiguration") or {}
    strategy_of(configuration)
    if configuration.get("strategy") == Strategy.BLUE_GREEN and not _can_shift(settings):
        raise refuse(
            "BLUE_GREEN needs a load balancer with advancedConfiguration (alternateTargetGroupArn, "
            "productionListenerRule, roleArn) or an enabled serviceConnectConfiguration."
        )
    bake = configuration.get("bakeTimeInMinutes", 0)
    if not 0 <= bake <= MAX_BAKE_MINUTES:
        raise refuse(f"bakeTimeInMinutes is {bake}; it must be between 0 and {MAX_BAKE_MINUTES}.")
    for hook in configuration.get("lifecycleHooks") or ():
        _check_hook(hook)


def strategy_of(configuration: Document) -> Strategy:
    """The strategy of a deployment. Raises an ECS error for those that the stand-in cannot do yet."""
    name = configuration.get("strategy") or Strategy.ROLLING
    if name not in set(Strategy):
        raise refuse(
            f"The sandbox does not move traffic by {name} yet; it knows ROLLING and BLUE_GREEN.",
            "UnsupportedFeatureException",
        )
    return Strategy(name)


def plan_of(
    configuration: Document, deployment_id: str, desired: int, seconds: Callable[[float], float], *, has_source: bool
) -> DeploymentPlan:
    """The plan of a deployment; `seconds` converts AWS minutes into real seconds."""

    def minutes(number: float) -> timedelta:
        return timedelta(seconds=seconds(number))

    strategy = strategy_of(configuration)
    alarms = configuration.get("alarms") or {}
    return DeploymentPlan(
        deployment_id,
        strategy,
        has_source,
        bake=minutes(configuration.get("bakeTimeInMinutes") or 0),
        hooks=tuple(_hook(hook, minutes) for hook in configuration.get("lifecycleHooks") or ()),
        alarms=tuple(alarms.get("alarmNames") or ()) if alarms.get("enable") else (),
        alarms_roll_back=bool(alarms.get("rollback")) or strategy is Strategy.BLUE_GREEN,
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


def _check_hook(hook: Document) -> None:
    if hook.get("targetType", "AWS_LAMBDA") != "PAUSE":
        raise refuse("The sandbox runs no Lambda functions; use a hook with targetType PAUSE.")
    if not hook.get("lifecycleStages"):
        raise refuse("A lifecycle hook needs at least one entry in lifecycleStages.")
    forbidden = NO_PAUSE.intersection(hook["lifecycleStages"])
    if forbidden:
        raise refuse(f"A PAUSE hook is not allowed at {', '.join(sorted(forbidden))}.")
    minutes = (hook.get("timeoutConfiguration") or {}).get("timeoutInMinutes", 1)
    if not 1 <= minutes <= MAX_PAUSE_MINUTES:
        raise refuse(f"timeoutInMinutes is {minutes}; it must be between 1 and {MAX_PAUSE_MINUTES}.")


def _hook(hook: Document, minutes: Callable[[float], timedelta]) -> PauseHook:
    timeout = hook.get("timeoutConfiguration") or {}
    return PauseHook(
        frozenset(Stage(stage) for stage in hook["lifecycleStages"]),
        minutes(timeout.get("timeoutInMinutes", 1440)),
        timeout.get("action", "ROLLBACK") == "ROLLBACK",
    )


def _breaker(configuration: Document, strategy: Strategy, desired: int) -> Breaker | None:
    """The native blue/green deployment has no circuit breaker, whatever was configured."""
    breaker = configuration.get("deploymentCircuitBreaker") or {}
    if strategy is not Strategy.ROLLING or not breaker.get("enable"):
        return None
    return Breaker(max(3, min(200, -(-desired // 2))), bool(breaker.get("rollback")))
