"""The AppSpec of a deployment to ECS: what to run and behind which container port. JSON and YAML are both read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from deployments.sandbox.aws.ecs_state import Document

HOOKS = ("BeforeInstall", "AfterInstall", "AfterAllowTestTraffic", "BeforeAllowTraffic", "AfterAllowTraffic")
INVALID = (
    "The deployment failed because the AppSpec file that specifies the deployment configuration is missing or has an "
    "invalid configuration. "
)
NOT_PARSED = "The input AppSpec file is a not well-formed {form}. The template cannot be parsed."


class AppSpecError(ValueError):
    """The AppSpec cannot be used; the text is what the deployment says of it."""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """What an AppSpec asks of an ECS service."""

    task_definition: str
    container: str
    port: int
    settings: Document = field(default_factory=dict)
    """What it overrides of the service, by the names of the ECS API."""


def parse(content: str) -> AppSpec:
    """Reads an AppSpec. Raises `AppSpecError` in AWS's words where these are known."""
    document = _loaded(content)
    version = document.get("version", document.get("Version"))
    if str(version) not in {"0.0", "0"}:
        raise _invalid(f"The version is {version!r}; it must be 0.0.")
    _check_hooks(document.get("Hooks") or document.get("hooks") or [])
    properties = _mapping(_target(document), "Properties")
    balancer = _mapping(properties, "LoadBalancerInfo")
    return AppSpec(
        _text(properties, "TaskDefinition"),
        _text(balancer, "ContainerName"),
        _port(balancer),
        _overrides(properties),
    )


def written(task_definition: str, container: str, port: int) -> str:
    """An AppSpec of this content, as JSON."""
    balancer = {"ContainerName": container, "ContainerPort": port}
    properties = {"TaskDefinition": task_definition, "LoadBalancerInfo": balancer}
    target = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return json.dumps({"version": 0.0, "Resources": [target]})


def _loaded(content: str) -> Mapping[str, Any]:
    form = "json" if content.lstrip().startswith("{") else "yaml"
    try:
        document = json.loads(content) if form == "json" else yaml.safe_load(content)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise _invalid(NOT_PARSED.format(form=form)) from error
    if not isinstance(document, Mapping):
        raise _invalid(NOT_PARSED.format(form=form))
    return document


def _target(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The one service under Resources."""
    resources = document.get("Resources") or document.get("resources")
    if not isinstance(resources, list) or len(resources) != 1 or not isinstance(resources[0], Mapping):
        raise _invalid("Resources must be a list of exactly one target service.")
    named = list(resources[0].values())
    if len(named) != 1 or not isinstance(named[0], Mapping):
        raise _invalid("The entry of Resources must name exactly one target service.")
    if named[0].get("Type") != "AWS::ECS::Service":
        raise _invalid(f"The Type of the target service is {named[0].get('Type')!r}; it must be 'AWS::ECS::Service'.")
    return named[0]


def _check_hooks(hooks: Any) -> None:
    if not isinstance(hooks, list) or not all(isinstance(hook, Mapping) for hook in hooks):
        raise _invalid("Hooks must be a list of lifecycle events with their Lambda functions.")
    names = [name for hook in hooks for name in hook]
    if unknown := [str(name) for name in names if name not in HOOKS]:
        raise _invalid(f"{', '.join(unknown)} is no lifecycle event for a hook; use {', '.join(HOOKS)}.")
    if names:
        raise _invalid("The sandbox runs no Lambda functions; leave Hooks out.")


def _mapping(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    if not isinstance(found, Mapping):
        raise _invalid(f"{name} of the target service is missing, or is no structure.")
    return found


def _text(document: Mapping[str, Any], name: str) -> str:
    found = document.get(name)
    if not isinstance(found, str) or not found:
        raise _invalid(f"{name} of the target service is missing, or is no text.")
    return found


def _port(balancer: Mapping[str, Any]) -> int:
    found = balancer.get("ContainerPort")
    text = str(found)
    if isinstance(found, bool) or not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:6]) <= 65535:
        raise _invalid(f"ContainerPort is {found!r}; it must be a number between 1 and 65535.")
    return int(text)


def _overrides(properties: Mapping[str, Any]) -> Document:
    """Platform, network and capacity, where the AppSpec says them."""
    found: Document = {}
    if version := properties.get("PlatformVersion"):
        found["platformVersion"] = str(version)
    if network := properties.get("NetworkConfiguration"):
        found["networkConfiguration"] = {"awsvpcConfiguration": _network(network)}
    if strategy := properties.get("CapacityProviderStrategy"):
        found["capacityProviderStrategy"] = [_provider(entry) for entry in _list(strategy)]
    return found


def _network(network: Any) -> Document:
    inner = network.get("AwsvpcConfiguration") if isinstance(network, Mapping) else None
    if not isinstance(inner, Mapping):
        raise _invalid("NetworkConfiguration must have an AwsvpcConfiguration.")
    found: Document = {"subnets": list(map(str, _list(inner.get("Subnets"))))}
    if groups := inner.get("SecurityGroups"):
        found["securityGroups"] = list(map(str, _list(groups)))
    if public := inner.get("AssignPublicIp"):
        found["assignPublicIp"] = str(public)
    return found


def _provider(entry: Any) -> Document:
    if not isinstance(entry, Mapping) or not isinstance(entry.get("CapacityProvider"), str):
        raise _invalid("Every entry of CapacityProviderStrategy needs a CapacityProvider.")
    numbers = {"base": entry.get("Base", 0), "weight": entry.get("Weight", 0)}
    if not all(isinstance(number, int) for number in numbers.values()):
        raise _invalid("Base and Weight of a CapacityProviderStrategy must be numbers.")
    return {"capacityProvider": entry["CapacityProvider"], **numbers}


def _list(found: Any) -> list[Any]:
    if not isinstance(found, list) or not found:
        raise _invalid(f"{found!r} must be a list of at least one entry.")
    return found


def _invalid(detail: str) -> AppSpecError:
    return AppSpecError(INVALID + detail)
