"""What may be asked of a deployment group and of a deployment, and the plan that follows. Refuses in AWS's words."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from hashlib import sha256
from typing import Any

from deployments.sandbox.aws.codedeploy_configs import Config, increments, refuse
from deployments.sandbox.aws.codedeploy_stages import RolloutPlan
from deployments.sandbox.aws.ecs_state import Document

ROLLBACK_EVENTS = frozenset({"DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"})
STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
INSTALL_MINUTES = 60.0
MAX_TERMINATION_MINUTES = 2880
MAX_ALARMS = 10


def check_group(settings: Mapping[str, Any]) -> None:
    """Refuse a deployment group of the platform ECS that cannot work. Raises a CodeDeploy error."""
    if settings.get("deploymentStyle") != STYLE:
        raise refuse(
            "InvalidDeploymentStyleException",
            "For ECS deployment group, deploymentType must be BLUE_GREEN and deploymentOption WITH_TRAFFIC_CONTROL",
        )
    if len(settings.get("ecsServices") or ()) != 1:
        raise refuse("InvalidECSServiceException", "For ECS deployment, ecsServices must contain exactly one service")
    _check_load_balancer(settings.get("loadBalancerInfo") or {})
    _check_blue_green(settings.get("blueGreenDeploymentConfiguration") or {})
    check_alarms(settings.get("alarmConfiguration") or {})
    check_rollback(settings.get("autoRollbackConfiguration") or {})


def check_alarms(configuration: Document) -> None:
    names = [alarm.get("name") for alarm in configuration.get("alarms") or ()]
    if configuration.get("enabled") and not names:
        raise refuse("InvalidAlarmConfigException", "The alarm configuration is enabled, but the alarm list is empty")
    if not all(names) or len(set(names)) < len(names):
        raise refuse("InvalidAlarmConfigException", "Alarm names must not be empty, and each may be named only once")
    if len(names) > MAX_ALARMS:
        raise refuse("AlarmsLimitExceededException", f"At most {MAX_ALARMS} alarms; {len(names)} were given")


def check_rollback(configuration: Document) -> None:
    events = set(configuration.get("events") or ())
    if configuration.get("enabled") and not events:
        raise refuse("InvalidAutoRollbackConfigException", "Auto rollback is enabled, but no events were listed")
    if unknown := sorted(events - ROLLBACK_EVENTS):
        raise refuse("InvalidAutoRollbackConfigException", f"{', '.join(unknown)} is no event for auto rollback")


def check_revision(revision: Document | None) -> None:
    """Refuse a revision that is no AppSpec. What the AppSpec says is found out when the deployment begins."""
    if not revision:
        raise refuse("RevisionRequiredException", "RevisionLocation must be specified")
    if revision.get("revisionType") != "AppSpecContent":
        raise refuse(
            "InvalidRevisionException",
            f"The revisionType is {revision.get('revisionType')}; the sandbox deploys AppSpecContent to ECS",
        )
    content = (revision.get("appSpecContent") or {}).get("content")
    if not content:
        raise refuse("InvalidRevisionException", "AppSpecContent must contain the content of an AppSpec")
    given = revision["appSpecContent"].get("sha256")
    found = hash_of(revision)
    if given and given.lower() != found:
        raise refuse("InvalidRevisionException", f"The sha256 of the content is {found}; {given} was given")


def hash_of(revision: Document) -> str:
    """The hash under which CodeDeploy keeps an AppSpec."""
    return sha256(revision["appSpecContent"]["content"].encode()).hexdigest()


def check_config(config: Config) -> None:
    if config.platform != "ECS":
        raise refuse(
            "InvalidDeploymentConfigNameException",
            f"{config.name} is a deployment configuration for {config.platform}; ECS needs one for ECS",
        )


def plan_of(group: Any, config: Config, request: Document, seconds: Callable[[float], float]) -> RolloutPlan:
    """The plan of a deployment; `seconds` converts AWS minutes into real seconds."""

    def minutes(number: float) -> timedelta:
        return timedelta(seconds=seconds(number))

    shares, between = increments(config.routing)
    options = group.blue_green_deployment_configuration
    ready = options.get("deploymentReadyOption") or {}
    blue = options.get("terminateBlueInstancesOnDeploymentSuccess") or {}
    waits = ready.get("actionOnTimeout") == "STOP_DEPLOYMENT"
    return RolloutPlan(
        shares,
        minutes(between),
        ready_wait=minutes(ready["waitTimeInMinutes"]) if waits else None,
        termination_wait=minutes(blue.get("terminationWaitTimeInMinutes") or 0),
        install_limit=minutes(INSTALL_MINUTES),
        has_test_route=bool(listeners(pair_of(group), "testTrafficRoute")),
        alarms=_alarm_names(request.get("overrideAlarmConfiguration") or group.alarm_configuration or {}),
    )


def rollback_events(group: Any, request: Document) -> frozenset[str]:
    """After which events a deployment is rolled back: the request's word, else its group's."""
    configuration = request.get("autoRollbackConfiguration") or group.auto_rollback_configuration or {}
    return frozenset(configuration.get("events") or ()) if configuration.get("enabled") else frozenset()


def pair_of(group: Any) -> Document:
    """The `TargetGroupPairInfo` of a deployment group."""
    return dict(group.load_balancer_info["targetGroupPairInfoList"][0])


def listeners(pair: Document, route: str) -> tuple[str, ...]:
    return tuple((pair.get(route) or {}).get("listenerArns") or ())


def _alarm_names(configuration: Document) -> tuple[str, ...]:
    names = (str(alarm["name"]) for alarm in configuration.get("alarms") or ())
    return tuple(names) if configuration.get("enabled") else ()


def _check_load_balancer(info: Document) -> None:
    for name in ("elbInfo", "targetGroupInfo"):
        if info.get(f"{name}List"):
            raise _no_pair(f"For ECS deployment group, loadBalancerInfo must not contain {name} list")
    pairs: list[Document] = info.get("targetGroupPairInfoList") or []
    if len(pairs) != 1 or len({group.get("name") for group in pairs[0].get("targetGroups") or ()} - {None}) != 2:
        raise _no_pair("For ECS deployment group, loadBalancerInfo must contain one pair of two target groups")
    production, test = (listeners(pairs[0], route) for route in ("prodTrafficRoute", "testTrafficRoute"))
    if len(production) != 1 or len(test) > 1 or set(production) & set(test):
        raise _no_pair("A target group pair needs one production listener and may have one other as test listener")


def _check_blue_green(options: Document) -> None:
    ready = options.get("deploymentReadyOption") or {}
    blue = options.get("terminateBlueInstancesOnDeploymentSuccess") or {}
    wait, stay = ready.get("waitTimeInMinutes") or 0, blue.get("terminationWaitTimeInMinutes") or 0
    action = ready.get("actionOnTimeout", "CONTINUE_DEPLOYMENT")
    if action == "CONTINUE_DEPLOYMENT" and wait:
        raise _invalid(f"Deployment ready action cannot be set to '{action}' when timeout is specified")
    if action == "STOP_DEPLOYMENT" and wait < 1:
        raise _invalid(f"Deployment ready action '{action}' needs a waitTimeInMinutes of at least 1")
    if blue.get("action", "TERMINATE") != "TERMINATE":
        raise _invalid("For ECS deployment group, the action on blue task sets can only be TERMINATE")
    if not 0 <= stay <= MAX_TERMINATION_MINUTES:
        raise _invalid(f"terminationWaitTimeInMinutes is {stay}; at most {MAX_TERMINATION_MINUTES} is allowed")


def _no_pair(message: str) -> Exception:
    return refuse("InvalidLoadBalancerInfoException", message)


def _invalid(message: str) -> Exception:
    return refuse("InvalidBlueGreenDeploymentConfigurationException", message)
