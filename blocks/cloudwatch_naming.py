"""How CloudWatch names the metrics of one version of a service."""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from rules.catalogue import LatencyUnit, MetricsPolicy
from rules.errors import InvalidInput
from rules.rollouts import Arm
from rules.telemetry import Measure
from rules.vocabulary import Service

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

Dimensions = tuple[tuple[str, str], ...]

ALB_NAMESPACE = "AWS/ApplicationELB"
ALB_METRICS: Mapping[Measure, str] = {
    Measure.REQUESTS: "RequestCount",
    Measure.ERRORS: "HTTPCode_Target_5XX_Count",
    Measure.TIMED: "TargetResponseTime",
    Measure.SLOW: "TargetResponseTime",
    Measure.SLOW_REF: "TargetResponseTime",
}


class Naming(Protocol):
    namespace: str
    metrics: Mapping[Measure, str]
    per_second: float
    """How many of the latency's units are one second."""

    def dimensions(self, service: Service, environment: str, arm: Arm) -> Dimensions:
        """Raises InvalidInput where this version has no such metrics."""
        ...

    def errors_known(self, dimensions: Dimensions) -> bool:
        """Whether no point of the errors means no error."""
        ...


class LoadBalancerNames:
    """Metrics of a target group behind an application load balancer.

    Its error counts have no point where there was no error: that is documented, so silence about them is good news.
    """

    namespace, metrics, per_second = ALB_NAMESPACE, ALB_METRICS, 1.0

    def __init__(self, elbv2: ElasticLoadBalancingv2Client) -> None:
        self._elbv2, self._known = elbv2, dict[str, Dimensions]()

    def dimensions(self, service: Service, environment: str, arm: Arm) -> Dimensions:
        """The load balancer is asked for: a target group's metrics stand under both names."""
        if not arm.target_group:
            raise InvalidInput(
                f"the target group of {service.id} in {environment}", "none", "a target group of a load balancer",
                'Take metrics of the application: metrics.source = "cloudwatch" or "prometheus".',
            )  # fmt: skip
        if arm.target_group not in self._known:
            self._known[arm.target_group] = self._look(arm.target_group)
        return self._known[arm.target_group]

    def errors_known(self, dimensions: Dimensions) -> bool:
        return bool(dimensions)

    def _look(self, group: str) -> Dimensions:
        balancers = [arn.partition(":loadbalancer/")[2] for arn in self._balancers(group)]
        if not balancers or not balancers[0].startswith("app/"):
            told = ", ".join(balancers) or "no load balancer"
            raise InvalidInput(f"what sends traffic to {group}", told, "an application load balancer")
        return ("LoadBalancer", balancers[0]), ("TargetGroup", group.rpartition(":")[2])

    def _balancers(self, group: str) -> list[str]:
        """ARNs; none where there is no such group."""
        with translated("The load balancer (Elastic Load Balancing)", f"asking who sends traffic to {group}"):
            try:
                found = self._elbv2.describe_target_groups(TargetGroupArns=[group])["TargetGroups"]
            except ClientError as error:
                if code_of(error) == "TargetGroupNotFound":
                    return []
                raise
            return [arn for it in found for arn in it.get("LoadBalancerArns", ())]


class OwnNames:
    """Metrics that the application publishes, under dimensions that tell its versions apart."""

    def __init__(self, cloudwatch: CloudWatchClient, policy: MetricsPolicy) -> None:
        self._cloudwatch, self._policy = cloudwatch, policy
        self.namespace = policy.namespace
        times = dict.fromkeys((Measure.TIMED, Measure.SLOW, Measure.SLOW_REF), policy.latency)
        self.metrics: Mapping[Measure, str] = {
            Measure.REQUESTS: policy.requests,
            Measure.ERRORS: policy.errors,
            **times,
        }
        self.per_second = 1.0 if policy.latency_unit is LatencyUnit.SECONDS else 1000.0

    def dimensions(self, service: Service, environment: str, arm: Arm) -> Dimensions:
        """The catalogue's templates, filled in."""
        names = {
            "service": service.id,
            "environment": environment,
            "task_definition": arm.task_definition.rpartition("/")[2],
        }
        return tuple((key, template.format_map(names)) for key, template in sorted(self._policy.dimensions.items()))

    def errors_known(self, dimensions: Dimensions) -> bool:
        """Whether any version of it had a point within the last two weeks, which is as far as CloudWatch lists."""
        with translated("CloudWatch", f"looking for {self.metrics[Measure.ERRORS]} in {self.namespace}"):
            listed = self._cloudwatch.list_metrics(
                Namespace=self.namespace,
                MetricName=self.metrics[Measure.ERRORS],
                Dimensions=[{"Name": name} for name, _ in dimensions],
            )["Metrics"]
        return bool(listed)
