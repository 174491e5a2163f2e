"""Two ECS services and the listener rule between them: read as one pair, and the two writes that the rule gets.

The rule is found, not named: the one rule of the load balancer that forwards to both target groups, and no other rule
may forward to either, because weights that some visitors do not pass divide nothing.
"""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from rules.errors import InvalidInput, Outage
from rules.weighted_pairs import Intent, Pair, Side, parse

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ServiceTypeDef
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_elbv2.type_defs import RuleTypeDef

    from blocks.containers import Containers

Names = tuple[str, str]
SYSTEM = "The load balancer (Elastic Load Balancing)"
TAG = "promotion-flows"
ORDINARY = "two ECS services of the strategy ROLLING, each behind one target group of an application load balancer"
REMEDY = "See docs/adr/0012, or choose the controller ecs."


class WeightedLooks:
    """Of one pair. Its names and its rule are found once."""

    def __init__(
        self, ecs: ECSClient, elbv2: ElasticLoadBalancingv2Client, containers: Containers, names: Names
    ) -> None:
        self._ecs, self._elbv2, self._containers, self._wanted = ecs, elbv2, containers, names
        self._names: tuple[str, ...] = ()
        self._rule = ""

    def present(self) -> bool:
        """Whether both services are there."""
        self._names = self._names or self._containers.full_names(self._wanted)
        return len(self._names) == len(self._wanted)

    def pair(self) -> Pair:
        """Both sides as they are now. Raises InvalidInput for what is no such pair."""
        if not self.present():
            found = ", ".join(self._names) or "none"
            raise InvalidInput(f"the services {' and '.join(self._wanted)}", found, "both", "Mend the catalogue.")
        first, second = (self._side(service) for service in self._services())
        rule = self._the_rule(first, second)
        weights = _weights(rule)
        if set(weights) != {first.target_group, second.target_group}:
            raise InvalidInput(rule["RuleArn"], _words(weights), "exactly the two groups of the service", REMEDY)
        return Pair(
            rule["RuleArn"],
            (first, second),
            (weights[first.target_group], weights[second.target_group]),
            _sticky(rule),
            self._intent(rule["RuleArn"]),
        )

    # --- the rule ------------------------------------------------------------------------------------------

    def divide(self, pair: Pair, weights: tuple[int, int]) -> None:
        """Gives the rule these weights and reads them back. All its actions are said again: AWS replaces the list."""
        new = {side.target_group: weight for side, weight in zip(pair.sides, weights, strict=True)}
        actions = [_with_weights(action, new) for action in self._read(pair.rule)["Actions"]]
        with translated(SYSTEM, f"giving {pair.rule} the weights {weights}"):
            self._elbv2.modify_rule(RuleArn=pair.rule, Actions=actions)
        found = _weights(self._read(pair.rule))
        if found != new:
            raise Outage(
                SYSTEM, f"reading {pair.rule} back", f"it has {_words(found)}, and {_words(new)} was asked for"
            )

    def note(self, rule: str, text: str) -> None:
        with translated(SYSTEM, f"tagging {rule}"):
            self._elbv2.add_tags(ResourceArns=[rule], Tags=[{"Key": TAG, "Value": text}])

    def _intent(self, rule: str) -> Intent | None:
        with translated(SYSTEM, f"reading the tags of {rule}"):
            found = self._elbv2.describe_tags(ResourceArns=[rule])["TagDescriptions"]
            tags = {tag["Key"]: tag.get("Value", "") for one in found for tag in one["Tags"]}
        return parse(tags[TAG]) if TAG in tags else None

    def _read(self, rule: str) -> RuleTypeDef:
        with translated(SYSTEM, f"looking at {rule}"):
            return self._elbv2.describe_rules(RuleArns=[rule])["Rules"][0]

    def _the_rule(self, first: Side, second: Side) -> RuleTypeDef:
        if self._rule:
            return self._read(self._rule)
        groups = {first.target_group, second.target_group}
        found = [rule for rule in self._rules(groups) if groups & set(_weights(rule))]
        fitting = [rule for rule in found if groups <= set(_weights(rule)) and not rule.get("IsDefault")]
        if len(found) != 1 or not fitting:
            told = ", ".join(f"{rule['RuleArn']}{' (a default rule)' * rule['IsDefault']}" for rule in found)
            allowed = "one rule, not a listener's default one, that forwards to both, and no other to either"
            what = f"what forwards to the target groups of {first.name} and {second.name}"
            raise InvalidInput(what, told or "no rule", allowed, REMEDY)
        self._rule = fitting[0]["RuleArn"]
        return fitting[0]

    def _rules(self, groups: Iterable[str]) -> list[RuleTypeDef]:
        """All rules of the load balancers behind which the groups are."""
        with translated(SYSTEM, "looking for the rule between two services"):
            answer = self._elbv2.describe_target_groups(TargetGroupArns=sorted(groups))["TargetGroups"]
            balancers = sorted({arn for group in answer for arn in group.get("LoadBalancerArns", ())})
            pages = self._elbv2.get_paginator("describe_listeners")
            listeners = [
                listener["ListenerArn"]
                for balancer in balancers
                for page in pages.paginate(LoadBalancerArn=balancer)
                for listener in page["Listeners"]
            ]
            rules = self._elbv2.get_paginator("describe_rules")
            return [
                rule
                for listener in listeners
                for page in rules.paginate(ListenerArn=listener)
                for rule in page["Rules"]
            ]

    # --- the services --------------------------------------------------------------------------------------

    def _services(self) -> list[ServiceTypeDef]:
        with translated("Amazon ECS", f"describing {' and '.join(self._names)}"):
            found = self._ecs.describe_services(cluster=self._containers.cluster, services=list(self._names))
        by_name = {service["serviceName"]: service for service in found["services"]}
        if set(by_name) != set(self._names):
            raise Outage("Amazon ECS", "describing a pair of services", f"it described {', '.join(by_name) or 'none'}")
        return [by_name[name] for name in self._names]

    def _side(self, service: ServiceTypeDef) -> Side:
        groups = [it["targetGroupArn"] for it in service.get("loadBalancers", ()) if it.get("targetGroupArn")]
        managed = _managed_by(service)
        if len(groups) != 1 or managed:
            found = f"moved by {managed}" if managed else f"behind {len(groups)} target groups"
            raise InvalidInput(service["serviceName"], found, ORDINARY, REMEDY)
        newest = next((one for one in service["deployments"] if one["status"] == "PRIMARY"), None)
        return Side(
            name=service["serviceName"],
            task_definition=service["taskDefinition"],
            target_group=groups[0],
            desired=service["desiredCount"],
            running=service["runningCount"],
            healthy=self._healthy(groups[0]),
            deployed_at=newest["createdAt"] if newest else service["createdAt"],
            settled=len(service["deployments"]) == 1 and bool(newest) and _completed(newest or {}),
        )

    def _healthy(self, group: str) -> int:
        with translated(SYSTEM, f"looking at the targets of {group}"):
            try:
                targets = self._elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
            except ClientError as error:
                if code_of(error) == "TargetGroupNotFound":
                    return 0
                raise
        return sum(1 for target in targets if target.get("TargetHealth", {}).get("State") == "healthy")


def _completed(deployment: Mapping[str, Any]) -> bool:
    return str(deployment.get("rolloutState", "COMPLETED")) == "COMPLETED"


def _managed_by(service: ServiceTypeDef) -> str:
    """Who else moves the traffic of a service: two that move it would undo each other's work."""
    kind = service.get("deploymentController", {}).get("type", "ECS")
    strategy = service.get("deploymentConfiguration", {}).get("strategy", "ROLLING")
    if kind != "ECS":
        return f"the deployment controller {kind}"
    if strategy != "ROLLING" or any(it.get("advancedConfiguration") for it in service.get("loadBalancers", ())):
        return f"Amazon ECS itself (strategy {strategy})"
    return ""


def _weights(rule: Mapping[str, Any]) -> dict[str, int]:
    """By target group. One without weights forwards to one group, with all there is."""
    found: dict[str, int] = {}
    for action in rule["Actions"]:
        groups = action.get("ForwardConfig", {}).get("TargetGroups", ())
        found |= {it["TargetGroupArn"]: int(it.get("Weight", 1)) for it in groups}
        if not groups and action.get("TargetGroupArn"):
            found[action["TargetGroupArn"]] = 1
    return found


def _with_weights(action: Mapping[str, Any], weights: Mapping[str, int]) -> Any:
    """As AWS told it, so that it can be said again, with other weights."""
    said = dict(action)
    if said["Type"] == "authenticate-oidc":  # AWS never tells the secret
        said["AuthenticateOidcConfig"] = {
            **{key: value for key, value in said["AuthenticateOidcConfig"].items() if key != "ClientSecret"},
            "UseExistingClientSecret": True,
        }
    if said["Type"] != "forward":
        return said
    said.pop("TargetGroupArn", None)  # AWS takes it only where there is one group
    config = said["ForwardConfig"]
    groups = [{**it, "Weight": weights[it["TargetGroupArn"]]} for it in config["TargetGroups"]]
    return {**said, "ForwardConfig": {**config, "TargetGroups": groups}}


def _sticky(rule: Mapping[str, Any]) -> bool:
    configs = [action.get("ForwardConfig", {}).get("TargetGroupStickinessConfig", {}) for action in rule["Actions"]]
    return any(bool(config.get("Enabled")) for config in configs)


def _words(weights: Mapping[str, int]) -> str:
    return ", ".join(f"{arn.split('/')[1]} {weight}" for arn, weight in sorted(weights.items())) or "no group"
