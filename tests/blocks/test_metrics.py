"""The numbers of a canary over the wire: the AWS stand-in's CloudWatch and load balancers."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from blocks.cloudwatch_metrics import CloudWatchMetrics
from rules.catalogue import LatencyUnit, MetricSource, MetricsPolicy
from rules.errors import InvalidInput
from rules.rollouts import Arm
from rules.vocabulary import Service, Verdict

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SERVICE = Service("event-management", "events", "batbern/events", "app", "/health")
FINE = MetricsPolicy(
    MetricSource.CLOUDWATCH,
    resolution_seconds=5,
    delay_seconds=10,
    namespace="BATbern",
    dimensions={"Service": "{service}", "Environment": "{environment}", "Version": "{task_definition}"},
)
COARSE = MetricsPolicy()
COUNTED = ["arm", "t", "n", "errors", "slow", "slow_ref"]


@dataclass(frozen=True)
class Behind:
    """Two target groups behind one load balancer, and how their metrics are named."""

    cloudwatch: Any
    elbv2: Any
    balancer: str
    old: Arm
    new: Arm

    @property
    def arms(self) -> dict[str, Arm]:
        return {"old": self.old, "new": self.new}

    def metrics(self, policy: MetricsPolicy = COARSE) -> CloudWatchMetrics:
        return CloudWatchMetrics(self.cloudwatch, self.elbv2, policy, pause=lambda _: None)

    def put(self, arm: Arm, at: datetime, times: Mapping[float, int], errors: int = 0, unanswered: int = 0) -> None:
        """What a load balancer reports of one minute: each count only where there is one."""
        counts = {"RequestCount": sum(times.values()) + unanswered, "HTTPCode_Target_5XX_Count": errors}
        data = [datum(name, {1.0: count}) for name, count in counts.items() if count]
        data += [datum("TargetResponseTime", times)] if times else []
        group = arm.target_group.rpartition(":")[2]
        dimensions = [{"Name": "TargetGroup", "Value": group}, {"Name": "LoadBalancer", "Value": self.balancer}]
        filled = [{**one, "Dimensions": dimensions, "Timestamp": at} for one in data]
        self.cloudwatch.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=filled)

    def publish(self, arm: Arm, at: datetime, times: Mapping[float, int], errors: int = 0, untimed: int = 0) -> None:
        """What an application reports of one second, zeros as well."""
        version = arm.task_definition.rpartition("/")[2]
        told = {"Service": SERVICE.id, "Environment": "staging", "Version": version}
        data = [
            datum("Requests", {float(sum(times.values()) + untimed): 1}),
            datum("Errors", {float(errors): 1}),
            datum("Latency", times),
        ]
        dimensions = [{"Name": name, "Value": value} for name, value in told.items()]
        common = {"Dimensions": dimensions, "Timestamp": at, "StorageResolution": 1}
        self.cloudwatch.put_metric_data(Namespace="BATbern", MetricData=[{**one, **common} for one in data])

    def counts(self, policy: MetricsPolicy = COARSE, reference_ms: float = 300, **more: Any) -> pd.DataFrame:
        window = {"started": NOON, "since": NOON - timedelta(minutes=5), "until": NOON + timedelta(minutes=10)} | more
        return self.metrics(policy).counts(
            SERVICE, "staging", self.arms, slow_ms=500, reference_ms=reference_ms, **window
        )


def datum(name: str, values: Mapping[float, int]) -> dict[str, Any]:
    return {"MetricName": name, "Values": list(values), "Counts": [float(count) for count in values.values()]}


def rows(counts: pd.DataFrame) -> list[tuple[Any, ...]]:
    return list(counts[COUNTED].itertuples(index=False, name=None))


@pytest.fixture
def behind(open_client: Callable[..., Any]) -> Behind:
    elbv2, ec2 = open_client("elbv2"), open_client("ec2")
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    subnets = [it["SubnetId"] for it in ec2.describe_subnets()["Subnets"]][:2]
    balancer = elbv2.create_load_balancer(Name="staging", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
    old, new = (_group(elbv2, vpc, name) for name in ("blue", "green"))
    elbv2.create_listener(
        LoadBalancerArn=balancer, Protocol="HTTP", Port=80,
        DefaultActions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": [
            {"TargetGroupArn": old.target_group, "Weight": 90}, {"TargetGroupArn": new.target_group, "Weight": 10},
        ]}}],
    )  # fmt: skip
    return Behind(open_client("cloudwatch"), elbv2, balancer.partition(":loadbalancer/")[2], old, new)


def _group(elbv2: Any, vpc: str, name: str) -> Arm:
    made = elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, TargetType="ip")
    revision = {"blue": 41, "green": 42}[name]
    arn = f"arn:aws:ecs:eu-central-1:222222222222:task-definition/events:{revision}"
    return Arm(arn, made["TargetGroups"][0]["TargetGroupArn"])


def test_a_load_balancer_s_minutes_are_counted_for_each_version(behind: Behind) -> None:
    behind.put(behind.old, NOON - timedelta(minutes=1), {0.1: 80, 0.3: 10, 0.4: 5, 0.5: 4, 0.6: 1}, errors=2)
    behind.put(behind.old, NOON, {0.1: 90})
    behind.put(behind.new, NOON, {0.1: 5, 0.7: 5}, errors=1)
    assert rows(behind.counts()) == [
        ("new", 0.0, 10, 1, 5, 5),
        ("old", -60.0, 100, 2, 1, 10),
        ("old", 0.0, 90, 0, 0, 0),
    ]


def test_a_request_at_the_limit_is_not_slower_than_it(behind: Behind) -> None:
    behind.put(behind.new, NOON, {0.5: 3, 0.500001: 2})
    assert rows(behind.counts()) == [("new", 0.0, 5, 0, 2, 5)]


def test_minutes_without_requests_have_no_row(behind: Behind) -> None:
    for minute in (0, 3):
        behind.put(behind.new, NOON + timedelta(minutes=minute), {0.1: 7})
    assert list(behind.counts()["t"]) == [0.0, 180.0]


def test_a_version_that_hangs_has_failed_once_the_minute_is_settled(behind: Behind) -> None:
    behind.put(behind.new, NOON, {}, unanswered=50)
    assert rows(behind.counts(until=NOON + timedelta(seconds=100))) == []
    assert rows(behind.counts(until=NOON + timedelta(seconds=120))) == [("new", 0.0, 50, 50, 0, 0)]


def test_visitors_who_leave_are_no_errors_where_the_catalogue_says_so(behind: Behind) -> None:
    behind.put(behind.new, NOON, {0.1: 98}, unanswered=2)
    assert rows(behind.counts(MetricsPolicy(unanswered_fail=False))) == [("new", 0.0, 98, 0, 0, 0)]


def test_without_a_reference_nothing_is_slower_than_it(behind: Behind) -> None:
    behind.put(behind.new, NOON, {0.7: 10})
    assert rows(behind.counts(reference_ms=float("inf"))) == [("new", 0.0, 10, 0, 10, 0)]


def test_what_was_put_in_is_counted_exactly(behind: Behind) -> None:
    """Generated traffic of forty minutes: each request with its time, and the same numbers come out."""
    chance = random.Random(7)  # noqa: S311 - traffic
    expected = []
    for arm, version in behind.arms.items():
        for minute in range(-20 if arm == "old" else 0, 20):
            times = Counter(round(chance.lognormvariate(-1.5, 0.8), 3) for _ in range(chance.randrange(150)))
            n, errors = times.total(), min(times.total(), chance.randrange(5))
            behind.put(version, NOON + timedelta(minutes=minute), times, errors)
            over = [sum(count for seconds, count in times.items() if seconds > limit) for limit in (0.5, 0.3)]
            expected += [(arm, minute * 60.0, n, errors, *over)] if n else []
    window = {"since": NOON - timedelta(minutes=20), "until": NOON + timedelta(minutes=20)}
    assert rows(behind.counts(**window)) == sorted(expected)


def test_own_metrics_are_counted_every_five_seconds(behind: Behind) -> None:
    for second in range(12):
        behind.publish(behind.new, NOON + timedelta(seconds=second), {0.2: 3, 0.9: 1}, errors=1)
        behind.publish(behind.old, NOON + timedelta(seconds=second - 7), {0.2: 30})
    assert rows(behind.counts(FINE)) == [
        ("new", 0.0, 20, 5, 5, 5),
        ("new", 5.0, 20, 5, 5, 5),
        ("new", 10.0, 8, 2, 2, 2),
        ("old", -10.0, 60, 0, 0, 0),
        ("old", -5.0, 150, 0, 0, 0),
        ("old", 0.0, 150, 0, 0, 0),
    ]


def test_own_metrics_may_be_in_milliseconds(behind: Behind) -> None:
    behind.publish(behind.new, NOON, {200.0: 3, 500.0: 2, 501.0: 1})
    policy = replace(FINE, latency_unit=LatencyUnit.MILLISECONDS)
    assert rows(behind.counts(policy)) == [("new", 0.0, 6, 0, 1, 3)]


def test_the_reference_is_one_percentile_of_the_whole_time(behind: Behind) -> None:
    for minute in range(30):
        behind.put(behind.old, NOON - timedelta(minutes=minute + 1), {0.1: 94, 0.2 + minute / 1000: 6})
    found = behind.metrics().reference_ms(SERVICE, "staging", behind.old, NOON, 30)
    assert found == pytest.approx(204, abs=1)


def test_a_reference_of_few_requests_is_none(behind: Behind) -> None:
    behind.put(behind.old, NOON - timedelta(minutes=1), {0.1: 19})
    assert behind.metrics().reference_ms(SERVICE, "staging", behind.old, NOON, 30) is None


def test_a_version_without_a_target_group_has_no_load_balancer_s_numbers(behind: Behind) -> None:
    with pytest.raises(InvalidInput, match="target group of event-management in staging"):
        behind.metrics().counts(
            SERVICE, "staging", {"new": Arm("arn:x/events:42")}, NOON, NOON, NOON, slow_ms=500, reference_ms=300
        )


def preflight(behind: Behind, policy: MetricsPolicy = COARSE, arms: Any = None) -> tuple[Verdict, str]:
    by_service = {SERVICE.id: behind.arms} if arms is None else arms
    (finding,) = behind.metrics(policy).preflight([SERVICE], "staging", by_service, NOON)
    return finding.verdict, finding.sentence


def test_metrics_with_data_are_seen_before_the_start(behind: Behind) -> None:
    for minute in range(1, 16):
        behind.put(behind.old, NOON - timedelta(minutes=minute), {0.1: 100})
    verdict, sentence = preflight(behind)
    assert verdict is Verdict.PASSED
    assert sentence.startswith("event-management can be judged: 1500 requests in 15 ticks (the load balancer's")


def test_no_data_before_the_start_is_no_pass(behind: Behind) -> None:
    verdict, sentence = preflight(behind)
    assert verdict is Verdict.INCONCLUSIVE
    assert "shows no request of event-management in the last 15 minutes" in sentence


def test_an_unknown_version_or_target_group_is_told(behind: Behind) -> None:
    assert preflight(behind, arms={})[0] is Verdict.FAILED
    verdict, sentence = preflight(behind, arms={SERVICE.id: {"old": Arm("arn:x/events:41")}})
    assert verdict is Verdict.FAILED
    assert 'metrics.source = "cloudwatch"' in sentence


def test_a_target_group_that_is_gone_or_unattached_is_told(behind: Behind) -> None:
    gone = Arm(behind.old.task_definition, behind.old.target_group.replace("blue", "red"))
    vpc = behind.elbv2.describe_target_groups()["TargetGroups"][0]["VpcId"]
    loose = behind.elbv2.create_target_group(Name="loose", Protocol="HTTP", Port=80, VpcId=vpc)["TargetGroups"][0]
    for arm in (gone, Arm(behind.old.task_definition, loose["TargetGroupArn"])):
        verdict, sentence = preflight(behind, arms={SERVICE.id: {"old": arm}})
        assert verdict is Verdict.FAILED
        assert "is 'no load balancer'; allowed is an application load balancer" in sentence


def test_many_unanswered_requests_before_the_start_are_told(behind: Behind) -> None:
    behind.put(behind.old, NOON - timedelta(minutes=2), {0.1: 990}, unanswered=10)
    verdict, sentence = preflight(behind)
    assert (verdict, "1.0% of the requests" in sentence) == (Verdict.INCONCLUSIVE, True)


def test_own_metrics_whose_errors_never_had_a_point_are_told(behind: Behind) -> None:
    behind.publish(behind.old, NOON - timedelta(minutes=2), {0.1: 990})
    assert preflight(behind, FINE)[0] is Verdict.PASSED
    verdict, sentence = preflight(behind, replace(FINE, errors="Erorrs"))
    assert (verdict, "Publish zeros" in sentence) == (Verdict.INCONCLUSIVE, True)


def test_own_metrics_with_the_time_of_few_requests_cannot_judge(behind: Behind) -> None:
    behind.publish(behind.old, NOON - timedelta(minutes=2), {0.1: 10}, untimed=90)
    verdict, sentence = preflight(behind, FINE)
    assert (verdict, "90% of the requests of event-management have no time" in sentence) == (Verdict.FAILED, True)
