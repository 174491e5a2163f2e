"""CloudWatch metrics on our own series: namespaces kept apart, percentiles, ranges, Values with Counts, metric math.

Times follow GetMetricData: the start is rounded down to the minute (to the period when that is shorter), the end is
excluded, and each point is stamped with the start of its period.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from deployments.sandbox.aws.patches.formulas import Points, UnknownFormulaError, evaluate
from deployments.sandbox.aws.patches.seams import Current, refusal, replace
from deployments.sandbox.aws.patches.series import (
    PLAIN,
    Dimensions,
    Key,
    Sample,
    SeriesStore,
    buckets,
    check,
    distribution,
    statistic,
)

PRUNE_SECONDS = 60.0
SHORT_PERIODS = frozenset({1, 5, 10, 20, 30})


def install() -> None:
    from moto.cloudwatch.models import CloudWatchBackend
    from moto.cloudwatch.responses import CloudWatchResponse

    replace(CloudWatchBackend, "put_metric_data", put_metric_data)
    replace(CloudWatchBackend, "get_metric_data", get_metric_data)
    replace(CloudWatchBackend, "get_all_metrics", get_all_metrics)
    replace(CloudWatchResponse, "get_metric_statistics", get_metric_statistics)


def store_of(backend: Any) -> SeriesStore:
    """The series of one account and region; they go when moto forgets the backend's state."""
    store: SeriesStore = backend.__dict__.setdefault("_series_store", SeriesStore())
    return store


class _Pruned:
    at = 0.0


def prune_when_due() -> None:
    """Once a minute at most."""
    now = Current.clock.monotonic()
    if abs(now - _Pruned.at) >= PRUNE_SECONDS:
        _Pruned.at = now
        prune()


def prune() -> None:
    from moto.cloudwatch.models import cloudwatch_backends

    now = Current.clock.now().timestamp()
    for account in list(cloudwatch_backends.values()):
        for backend in list(account.values()):
            store_of(backend).prune(now)


def put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    for place, datum in enumerate(metric_data, start=1):
        self._validate_parameters_put_metric_data(datum, place)
    for datum in metric_data:
        key = (namespace, datum["MetricName"], dimensions_of(datum.get("Dimensions")))
        store_of(self).add(key, _sample(datum))


def get_metric_data(
    self: Any,
    queries: list[dict[str, Any]],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampAscending",
) -> list[dict[str, Any]]:
    start, end = _epoch(start_time), _epoch(end_time)
    if start >= end:
        raise refusal("ValidationError", "The parameter EndTime must be greater than StartTime.")
    asked = {q["Id"]: q["MetricStat"] for q in queries if "MetricStat" in q}
    series: dict[str, Points] = {name: _stat_points(self, stat, start, end) for name, stat in asked.items()}
    for query in queries:
        if "Expression" in query:
            series[query["Id"]] = compute(query["Expression"], series)
    descending = scan_by == "TimestampDescending"
    return [_result(q, series[q["Id"]], descending) for q in queries if q.get("ReturnData", True)]


def get_metric_statistics(self: Any) -> Any:
    """The operation itself: moto's leaves out ExtendedStatistics."""
    from moto.core.responses import ActionResult

    ask = self._get_params()
    plain, extended = ask.get("Statistics") or [], ask.get("ExtendedStatistics") or []
    if not plain and not extended:
        raise refusal("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics")
    start, end = _epoch(ask["StartTime"]), _epoch(ask["EndTime"])
    if start >= end:
        raise refusal("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    key = (ask["Namespace"], ask["MetricName"], dimensions_of(ask.get("Dimensions")))
    grouped = grouped_samples(self.cloudwatch_backend, key, start, end, ask)
    points = [_datapoint(at, samples, plain, extended) for at, samples in grouped.items()]
    return ActionResult({"Label": ask["MetricName"], "Datapoints": points})


def get_all_metrics(self: Any) -> list[Any]:
    """One datum per series: what ListMetrics lists, without the metrics that moto makes up for other services."""
    from moto.cloudwatch.models import MetricDatum

    return [
        MetricDatum(namespace, name, 0.0, [{"Name": n, "Value": v} for n, v in dimensions], None)
        for namespace, name, dimensions in store_of(self).known()
    ]


def dimensions_of(given: Sequence[Mapping[str, str]] | None) -> Dimensions:
    return tuple(sorted((item["Name"], item["Value"]) for item in given or ()))


def grouped_samples(
    backend: Any, key: Key, start: float, end: float, ask: Mapping[str, Any]
) -> dict[float, list[Sample]]:
    """Samples by the start of their period; start rounded down as the API does. `ask` holds Period and Unit."""
    period, unit = int(ask["Period"]), ask.get("Unit")
    if period not in SHORT_PERIODS and (period < 60 or period % 60):
        raise refusal("InvalidParameterValue", f"Period {period} is not 1, 5, 10, 20, 30 or n * 60.")
    first = start - start % min(period, 60)
    samples = store_of(backend).between(key, first, end)
    return dict(buckets([s for s in samples if unit in {None, s.unit}], first, period))


def checked(stat: str) -> str:
    try:
        check(stat)
    except ValueError as error:
        raise refusal("InvalidParameterValue", f"The value {stat} for parameter Stat is not supported.") from error
    return stat


def compute(expression: str, series: Mapping[str, Points]) -> Points:
    try:
        return evaluate(expression, series)
    except UnknownFormulaError as error:
        raise refusal("ValidationError", f"Expression: {error}.") from error


def _stat_points(backend: Any, ask: Mapping[str, Any], start: float, end: float) -> Points:
    metric, stat = ask["Metric"], checked(ask["Stat"])
    key = (metric["Namespace"], metric["MetricName"], dimensions_of(metric.get("Dimensions")))
    grouped = grouped_samples(backend, key, start, end, ask)
    return {at: value for at, samples in grouped.items() if (value := statistic(stat, samples)) is not None}


def _result(query: Mapping[str, Any], points: Points, descending: bool) -> dict[str, Any]:
    times = sorted(points, reverse=descending)
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or _label(query),
        "Timestamps": [datetime.fromtimestamp(at, UTC) for at in times],
        "Values": [points[at] for at in times],
        "StatusCode": "Complete",
    }


def _label(query: Mapping[str, Any]) -> str:
    if "MetricStat" not in query:
        return str(query["Id"])
    return f"{query['MetricStat']['Metric']['MetricName']} {query['MetricStat']['Stat']}"


def _datapoint(at: float, samples: list[Sample], plain: list[str], extended: list[str]) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": datetime.fromtimestamp(at, UTC), "Unit": samples[0].unit or "None"}
    point |= {name: statistic(name, samples) for name in plain if name in PLAIN}
    further = {name: value for name in extended if (value := statistic(checked(name), samples)) is not None}
    return point | ({"ExtendedStatistics": further} if further else {})


def _sample(datum: Mapping[str, Any]) -> Sample:
    given = datum.get("Timestamp")
    at = _epoch(given) if given else Current.clock.now().timestamp()
    unit = datum.get("Unit")
    if datum.get("Values"):
        counts = datum.get("Counts") or [1.0] * len(datum["Values"])
        return distribution(at, zip(map(float, datum["Values"]), map(float, counts), strict=True), unit)
    if whole := datum.get("StatisticValues"):
        count, total, low, high = (float(whole[k]) for k in ("SampleCount", "Sum", "Minimum", "Maximum"))
        return Sample(at, (), count, total, low, high, unit)
    return distribution(at, [(float(datum.get("Value", 0)), 1.0)], unit)


def _epoch(moment: datetime) -> float:
    """Moto hands over naive UTC."""
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
