"""Contract of deployments/sandbox/aws/patches/metrics.py and series.py: what CloudWatch computes."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.patches import metrics
from deployments.sandbox.aws.patches.series import KEPT_SECONDS, SeriesStore, distribution, percentile, statistic

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SIZED = [{"Name": "LoadBalancer", "Value": "app/x"}, {"Name": "TargetGroup", "Value": "tg/blue"}]


@pytest.fixture
def cloudwatch(open_client: Callable[..., Any]) -> Any:
    return open_client("cloudwatch")


def put(cloudwatch: Any, namespace: str = "AWS/ApplicationELB", at: datetime = NOON, **datum: Any) -> None:
    known = {"MetricName": "Latency", "Dimensions": SIZED, "Timestamp": at}
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[known | datum])


def ask(
    cloudwatch: Any, stat: str, period: int = 60, namespace: str = "AWS/ApplicationELB", **more: Any
) -> list[float]:
    metric = {"Namespace": namespace, "MetricName": "Latency", "Dimensions": SIZED} | more
    answer = cloudwatch.get_metric_data(
        MetricDataQueries=[{"Id": "q", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}}],
        StartTime=NOON - timedelta(minutes=5),
        EndTime=NOON + timedelta(minutes=5),
        ScanBy="TimestampAscending",
    )
    values: list[float] = answer["MetricDataResults"][0]["Values"]
    return values


@pytest.mark.parametrize(
    ("stat", "value"),
    [
        ("Sum", 50 * 1 + 45 * 2 + 5 * 100),
        ("SampleCount", 100),
        ("Average", 6.4),
        ("Minimum", 1),
        ("Maximum", 100),
        ("p50", 1.5),
        ("p94", 2),
        ("p95", 6.9),
        ("p99.9", 100),
        ("p100", 100),
        ("TC(0.5:)", 100),
        ("TC(1:)", 50),
        ("TC(:2)", 95),
        ("PR(:2)", 95),
        ("PR(2:)", 5),
        ("TM(:50%)", 1),
        ("TS(1:2)", 90),
    ],
)
def test_values_with_counts_are_a_distribution(cloudwatch: Any, stat: str, value: float) -> None:
    put(cloudwatch, Values=[1.0, 2.0, 100.0], Counts=[50.0, 45.0, 5.0])
    assert ask(cloudwatch, stat) == [pytest.approx(value)]


def test_single_values_have_percentiles(cloudwatch: Any) -> None:
    data = [{"MetricName": "Latency", "Dimensions": SIZED, "Timestamp": NOON, "Value": float(i)} for i in range(50)]
    cloudwatch.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)
    assert ask(cloudwatch, "p50") == [24.5]
    assert ask(cloudwatch, "p99") == [pytest.approx(48.51)]


def test_a_statistic_set_has_sums_but_no_percentile(cloudwatch: Any) -> None:
    put(cloudwatch, StatisticValues={"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 4})
    assert (ask(cloudwatch, "Average"), ask(cloudwatch, "p95")) == ([2.5], [])


def test_a_namespace_does_not_leak_into_another(cloudwatch: Any) -> None:
    put(cloudwatch, Value=1.0)
    put(cloudwatch, namespace="Other", Value=1e6)
    assert ask(cloudwatch, "Sum") == [1.0]


def test_dimensions_match_whole_and_in_any_order(cloudwatch: Any) -> None:
    put(cloudwatch, Value=1.0)
    put(cloudwatch, Dimensions=[SIZED[0]], Value=5.0)
    assert ask(cloudwatch, "Sum", Dimensions=SIZED[::-1]) == [1.0]
    assert ask(cloudwatch, "Sum", Dimensions=[SIZED[0]]) == [5.0]
    assert ask(cloudwatch, "Sum", Dimensions=[]) == []


def test_points_are_stamped_with_the_start_of_their_minute(cloudwatch: Any) -> None:
    put(cloudwatch, at=NOON + timedelta(seconds=59), Value=1.0)
    put(cloudwatch, at=NOON + timedelta(seconds=60), Value=2.0)
    answer = cloudwatch.get_metric_statistics(
        Namespace="AWS/ApplicationELB",
        MetricName="Latency",
        Dimensions=SIZED,
        StartTime=NOON + timedelta(seconds=30),
        EndTime=NOON + timedelta(minutes=2),
        Period=60,
        Statistics=["Sum"],
        ExtendedStatistics=["p90"],
    )
    points = {p["Timestamp"]: (p["Sum"], p["ExtendedStatistics"]["p90"]) for p in answer["Datapoints"]}
    assert points == {NOON: (1.0, 1.0), NOON + timedelta(minutes=1): (2.0, 2.0)}


def test_a_minute_without_data_has_no_point(cloudwatch: Any) -> None:
    assert ask(cloudwatch, "Sum") == []


def test_ratios_are_computed_by_metric_math(cloudwatch: Any) -> None:
    put(cloudwatch, MetricName="Errors", Value=3.0)
    put(cloudwatch, MetricName="Requests", Value=60.0)
    queries = [
        {"Id": name.lower(), "ReturnData": False, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}}
        for name in ("Errors", "Requests")
        for metric in [{"Namespace": "AWS/ApplicationELB", "MetricName": name, "Dimensions": SIZED}]
    ]
    queries.append({"Id": "rate", "Expression": "100 * FILL(errors, 0) / requests"})
    window = {"StartTime": NOON, "EndTime": NOON + timedelta(minutes=1)}
    (result,) = cloudwatch.get_metric_data(MetricDataQueries=queries, **window)["MetricDataResults"]
    assert (result["Id"], result["Values"], result["Timestamps"]) == ("rate", [5.0], [NOON])


@pytest.mark.parametrize(("stat", "period"), [("p101x", 60), ("Median", 60), ("Sum", 45)])
def test_an_unknown_statistic_or_period_is_refused(cloudwatch: Any, stat: str, period: int) -> None:
    cloudwatch.meta.events.unregister("provide-client-params.*", unique_id="strict-calls")
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        ask(cloudwatch, stat, period)


def test_math_beyond_the_stand_in_is_refused_by_name(cloudwatch: Any) -> None:
    search = {"Id": "s", "Expression": "SEARCH('{AWS/ECS}', 'Average')"}
    with pytest.raises(ClientError, match="SEARCH"):
        cloudwatch.get_metric_data(MetricDataQueries=[search], StartTime=NOON, EndTime=NOON + timedelta(minutes=1))


def test_a_datum_large_enough_to_be_compressed_arrives(cloudwatch: Any) -> None:
    data = [
        {"MetricName": "Latency", "Dimensions": SIZED, "Timestamp": NOON, "Values": [i + 0.123456 for i in range(150)]}
        for _ in range(20)
    ]
    cloudwatch.put_metric_data(Namespace="AWS/ApplicationELB", MetricData=data)
    assert ask(cloudwatch, "SampleCount") == [3000]


def test_metrics_are_listed_once_each(cloudwatch: Any) -> None:
    put(cloudwatch, Value=1.0)
    put(cloudwatch, Value=2.0)
    put(cloudwatch, namespace="Other", Value=2.0)
    assert len(cloudwatch.list_metrics()["Metrics"]) == 2
    (only,) = cloudwatch.list_metrics(Namespace="Other", Dimensions=[SIZED[1]])["Metrics"]
    assert only["Dimensions"] == SIZED


def test_accounts_keep_their_own_metrics(cloudwatch: Any, open_client: Callable[..., Any]) -> None:
    put(cloudwatch, Value=1.0)
    assert ask(open_client("cloudwatch", account="333333333333"), "Sum") == []


def test_data_older_than_three_hours_goes(aws: AwsStandIn) -> None:
    store, key = SeriesStore(), ("N", "M", ())
    store.add(key, distribution(0.0, [(1.0, 1.0)]))
    store.add(key, distribution(KEPT_SECONDS + 1, [(2.0, 1.0)]))
    assert [sample.total for sample in store.between(key, 0, 1e9)] == [2.0]
    store.prune(1e9)
    assert store.known() == []
    metrics.prune()


pairs = st.lists(st.tuples(st.floats(0, 1e6), st.integers(1, 50)), min_size=1, max_size=20)


@given(pairs, st.floats(0, 100))
def test_a_percentile_lies_between_the_extremes(weights: list[tuple[float, int]], percent: float) -> None:
    ordered = sorted((value, float(count)) for value, count in weights)
    found = percentile(ordered, percent)
    assert found is not None
    assert ordered[0][0] - 1e-6 <= found <= ordered[-1][0] + 1e-6


@given(pairs, st.floats(0, 1e6))
def test_a_trimmed_count_and_its_complement_are_the_whole(weights: list[tuple[float, int]], at: float) -> None:
    samples = [distribution(0.0, [(value, float(count)) for value, count in weights])]
    bound = f"{at:.3f}"
    parts = (statistic(f"TC(:{bound})", samples) or 0) + (statistic(f"TC({bound}:)", samples) or 0)
    assert parts == statistic("SampleCount", samples)
