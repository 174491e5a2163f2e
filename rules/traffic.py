"""Whether a load balancer really sends its traffic where ECS believes that it goes.

ECS moves weights from where it believes them to be. A rule that somebody turned by hand, or a template put back,
would be discovered with users on the wrong side.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rules.vocabulary import Finding, Service, Verdict

ALLOWED = "all weight on the target group of a current revision, with healthy targets"


@dataclass(frozen=True, slots=True)
class Traffic:
    """One load balanced service: what its rule does, and what ECS says of it."""

    weights: Mapping[str, int]
    """By target group: what the production rule says at this moment. Empty where there is no rule."""
    groups: frozenset[str]
    """Target groups of the service's current revisions, as ECS says."""
    healthy: int
    """Healthy targets in the groups that have weight."""
    moving: bool = False
    """Whether a deployment is in progress: then ECS itself divides the weight, between its own groups."""

    @property
    def carrying(self) -> frozenset[str]:
        return frozenset(group for group, weight in self.weights.items() if weight > 0)


def check_traffic(services: Iterable[Service], seen: Mapping[str, Traffic], environment: str) -> tuple[Finding, ...]:
    """One finding for each load balanced service. A service that was not looked at has not passed."""
    balanced = [service.id for service in services if service.load_balanced]
    return tuple(_judge(service, seen.get(service), environment) for service in balanced)


def _judge(service: str, traffic: Traffic | None, environment: str) -> Finding:
    gate, where = f"traffic/{service}", f"The production rule of {service} in {environment}"
    if traffic is None:
        return Finding(gate, Verdict.INCONCLUSIVE, f"{where} could not be looked at.", "nothing", ALLOWED)
    measured = ", ".join(f"{_name(group)} {weight}" for group, weight in sorted(traffic.weights.items())) or "no rule"
    if not traffic.groups:
        sentence = f"ECS does not say which target group {service} serves from in {environment}."
        return Finding(gate, Verdict.INCONCLUSIVE, sentence, measured, ALLOWED)
    if fault := _fault(traffic):
        return Finding(gate, Verdict.FAILED, f"{where} {fault}.", measured, ALLOWED)
    return Finding(gate, Verdict.PASSED, f"{where} agrees with ECS; {traffic.healthy} targets are healthy.", measured)


def _fault(traffic: Traffic) -> str:
    if not traffic.weights:
        return "is missing or forwards to no target group; see the README on what a service needs"
    if len(traffic.carrying) != 1 and not traffic.moving:
        return f"gives weight to {len(traffic.carrying)} target groups; set one of them to 0 first"
    if not traffic.carrying <= traffic.groups:
        believed, found = (", ".join(map(_name, sorted(groups))) for groups in (traffic.groups, traffic.carrying))
        return f"sends traffic to {found}, and ECS serves from {believed}; put the weights right first"
    if not traffic.healthy:
        return "sends traffic to a target group without a healthy target"
    return ""


def _name(group: str) -> str:
    """Of `arn:…:targetgroup/NAME/ID` the name."""
    return group.split("/")[1] if group.count("/") > 1 else group
