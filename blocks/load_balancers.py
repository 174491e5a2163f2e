"""The door to the load balancers of one environment: where the traffic of a service really goes. Changes nothing."""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from blocks.task_sets import task_sets
from rules.deployment_groups import DeploymentGroup
from rules.task_sets import primary
from rules.traffic import Traffic

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import ServiceTypeDef
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

SYSTEM = "The load balancer (Elastic Load Balancing)"
GONE = frozenset({"RuleNotFound", "ListenerNotFound", "TargetGroupNotFound"})


class LoadBalancers:
    """What carries the traffic of the services of one cluster."""

    def __init__(self, ecs: ECSClient, elbv2: ElasticLoadBalancingv2Client, cluster: str) -> None:
        self._ecs, self._elbv2, self._cluster = ecs, elbv2, cluster

    def traffic(self, name: str, group: DeploymentGroup | None = None) -> Traffic | None:
        """Of an ECS service by its full name; None where ECS does not know it. `group`: where CodeDeploy moves it."""
        with translated(SYSTEM, f"looking at the traffic of {name}"):
            services = self._ecs.describe_services(cluster=self._cluster, services=[name])["services"]
            if not services:
                return None
            weights = self._weights_of_pair(group) if group else self._weights(_production_rule(services[0]))
            groups = self._groups(services[0])
            carrying = [group for group, weight in weights.items() if weight > 0]
            return Traffic(weights, groups, sum(self._healthy(group) for group in carrying))

    def _groups(self, service: ServiceTypeDef) -> frozenset[str]:
        """Target groups of what is current: of the primary task set, or of the service's revisions."""
        if first := primary(task_sets(service)):
            return frozenset(filter(None, (first.target_group,)))
        revisions = [one["arn"] for one in service.get("currentServiceRevisions", ())]
        if not revisions:
            return frozenset()
        answer = self._ecs.describe_service_revisions(serviceRevisionArns=revisions)["serviceRevisions"]
        resolved = [it for one in answer for it in one.get("resolvedConfiguration", {}).get("loadBalancers", ())]
        return frozenset(group for it in resolved if (group := it.get("targetGroupArn")))

    def _weights(self, rule: str) -> dict[str, int]:
        """Of an application load balancer's rule; a network load balancer has its one action in the listener."""
        if not rule:
            return {}
        try:
            if ":listener/" in rule:
                return _forwarded(self._elbv2.describe_listeners(ListenerArns=[rule])["Listeners"][0]["DefaultActions"])
            return _forwarded(self._elbv2.describe_rules(RuleArns=[rule])["Rules"][0]["Actions"])
        except ClientError as error:
            if code_of(error) in GONE:
                return {}
            raise

    def _weights_of_pair(self, group: DeploymentGroup) -> dict[str, int]:
        """Of all production rules that forward to the pair. Where two differ, both sides have weight."""
        weights: dict[str, int] = {}
        for listener in group.listeners:
            for actions in self._actions(listener):
                here = {arn: it for arn, it in _forwarded(actions).items() if _name(arn) in group.target_groups}
                weights = {arn: max(weights.get(arn, 0), here.get(arn, 0)) for arn in weights | here}
        return weights

    def _actions(self, listener: str) -> list[Any]:
        """Of each rule of a listener, the default one too; a network load balancer's listener has no other."""
        try:
            if ":listener/net/" in listener:
                answer = self._elbv2.describe_listeners(ListenerArns=[listener])
                return [one["DefaultActions"] for one in answer["Listeners"]]
            pages = self._elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener)
            return [rule["Actions"] for page in pages for rule in page["Rules"]]
        except ClientError as error:
            if code_of(error) in GONE:
                return []
            raise

    def _healthy(self, group: str) -> int:
        try:
            targets = self._elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        except ClientError as error:
            if code_of(error) in GONE:
                return 0
            raise
        return sum(1 for target in targets if target.get("TargetHealth", {}).get("State") == "healthy")


def _production_rule(service: Any) -> str:
    entries = (one.get("advancedConfiguration", {}) for one in service.get("loadBalancers", ()))
    return next((str(one["productionListenerRule"]) for one in entries if one.get("productionListenerRule")), "")


def _forwarded(actions: Iterable[Any]) -> dict[str, int]:
    groups = [it for action in actions for it in action.get("ForwardConfig", {}).get("TargetGroups", ())]
    return {it["TargetGroupArn"]: int(it.get("Weight", 1)) for it in groups}


def _name(group: str) -> str:
    """Of `arn:…:targetgroup/NAME/ID` the name."""
    return group.split("/")[1]
