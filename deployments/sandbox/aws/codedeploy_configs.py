"""Deployment configurations: those that AWS brings along, those that somebody creates, and the steps they stand for."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from moto.codedeploy.exceptions import CodeDeployException

from deployments.sandbox.aws.ecs_state import Document

ALL_AT_ONCE = "CodeDeployDefault.ECSAllAtOnce"
PREFIX = "CodeDeployDefault."
STEPS = {
    "TimeBasedCanary": ("timeBasedCanary", "canaryPercentage", "canaryInterval"),
    "TimeBasedLinear": ("timeBasedLinear", "linearPercentage", "linearInterval"),
}
"""The field of a routing type, and in it the names of percentage and interval."""
LONGEST_MINUTES = 2880
"""How long the traffic shift of an ECS deployment may last altogether: two days."""


def refuse(code: str, message: str) -> CodeDeployException:
    """An answer of HTTP status 400 with this error code and message, to be raised."""
    return CodeDeployException(code, message)


@dataclass(frozen=True, slots=True)
class Config:
    """How traffic moves."""

    name: str
    id: str
    created_at: datetime
    platform: str
    routing: Document
    """A `TrafficRoutingConfig` of the API; empty for the platform Server."""


def _routing(kind: str, percentage: int = 0, interval: int = 0) -> Document:
    if kind == "AllAtOnce":
        return {"type": kind}
    field, percent_name, interval_name = STEPS[kind]
    return {"type": kind, field: {percent_name: percentage, interval_name: interval}}


def _predefined(name: str, routing: Document) -> Config:
    full = PREFIX + name
    return Config(full, str(uuid.uuid5(uuid.NAMESPACE_DNS, full)), datetime(2019, 2, 5, tzinfo=UTC), "ECS", routing)


PREDEFINED: Mapping[str, Config] = {
    config.name: config
    for config in (
        _predefined("ECSAllAtOnce", _routing("AllAtOnce")),
        _predefined("ECSCanary10Percent5Minutes", _routing("TimeBasedCanary", 10, 5)),
        _predefined("ECSCanary10Percent15Minutes", _routing("TimeBasedCanary", 10, 15)),
        _predefined("ECSLinear10PercentEvery1Minutes", _routing("TimeBasedLinear", 10, 1)),
        _predefined("ECSLinear10PercentEvery3Minutes", _routing("TimeBasedLinear", 10, 3)),
    )
}
"""All that AWS has for ECS."""


def made(request: Document, now: datetime) -> Config:
    """The configuration that a `create_deployment_config` asks for. Raises a CodeDeploy error."""
    name, platform = request["deploymentConfigName"], request.get("computePlatform", "Server")
    if name.startswith(PREFIX):
        raise refuse("InvalidDeploymentConfigNameException", f"The prefix {PREFIX} is reserved.")
    routing = request.get("trafficRoutingConfig") or {}
    if platform != "Server":
        _check_routing(routing)
    return Config(name, str(uuid.uuid4()), now, platform, dict(routing))


def increments(routing: Document) -> tuple[tuple[float, ...], float]:
    """Shares of production traffic in their order, percent, and AWS minutes between them. The last share is 100."""
    kind = routing.get("type", "AllAtOnce")
    if kind not in STEPS:
        return (100.0,), 0.0
    field, percent_name, interval_name = STEPS[kind]
    percentage, interval = routing[field][percent_name], routing[field][interval_name]
    first = (percentage,) if kind == "TimeBasedCanary" else range(percentage, 100, percentage)
    return (*map(float, first), 100.0), float(interval)


def _check_routing(routing: Document) -> None:
    kind = routing.get("type")
    if kind == "AllAtOnce":
        return
    if kind not in STEPS:
        raise _invalid("A trafficRoutingConfig with a type is required for the compute platforms Lambda and ECS.")
    field, percent_name, interval_name = STEPS[kind]
    steps = routing.get(field) or {}
    percentage, interval = steps.get(percent_name), steps.get(interval_name)
    if percentage is None or not 1 <= percentage <= 99:
        raise _invalid(f"{percent_name} is {percentage}; it must be between 1 and 99.")
    if interval is None or interval < 1:
        raise _invalid(f"{interval_name} is {interval}; it must be at least 1.")
    shares, minutes = increments(routing)
    if (len(shares) - 1) * minutes > LONGEST_MINUTES:
        raise _invalid(f"The traffic shift would last longer than {LONGEST_MINUTES} minutes.")


def _invalid(message: str) -> CodeDeployException:
    return refuse("InvalidTrafficRoutingConfigurationException", message)
