"""Metric alarms that look at their data, and remember what they did.

A period of 60 s lasts one AWS minute of the clock. As CloudWatch does, an alarm looks a little further back than its
evaluation periods for points that are there, before it treats the rest as missing.
"""

import operator
from collections.abc import Callable, Mapping
from typing import Any

from deployments.sandbox.aws.patches.formulas import Points, evaluate
from deployments.sandbox.aws.patches.metrics import checked, compute, store_of
from deployments.sandbox.aws.patches.seams import Current, original, replace
from deployments.sandbox.aws.patches.series import Key, buckets, statistic

LOOK_FURTHER = 2
BREACHES: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanThreshold": operator.gt,
    "GreaterThanOrEqualToThreshold": operator.ge,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


def install() -> None:
    from moto.cloudwatch.models import Alarm, CloudWatchBackend
    from moto.cloudwatch.responses import CloudWatchResponse

    replace(CloudWatchBackend, "put_metric_alarm", put_metric_alarm)
    replace(CloudWatchBackend, "set_alarm_state", set_alarm_state)
    replace(CloudWatchResponse, "describe_alarm_history", describe_alarm_history)
    replace(Alarm, "update_state", update_state)


def put_metric_alarm(self: Any, *args: Any, **kwargs: Any) -> Any:
    """A new alarm starts with INSUFFICIENT_DATA; one that is changed keeps its state."""
    name = kwargs["name"]
    _can_be_computed(kwargs)
    before = self.alarms.get(name)
    alarm = original(type(self), "put_metric_alarm")(self, *args, **kwargs)
    alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"
    alarm.history = before.history if before else []
    return alarm


def _can_be_computed(asked: Mapping[str, Any]) -> None:
    """Refuse now what an evaluation could not compute later."""
    queries = asked.get("metric_data_queries") or []
    plain = [asked.get("statistic") or asked.get("extended_statistic")] if asked.get("metric_name") else []
    for stat in [*plain, *(query.metric_stat.stat for query in queries if query.metric_stat)]:
        checked(stat or "")
    series: dict[str, Points] = {query.id: {0.0: 1.0} for query in queries if query.metric_stat}
    for query in queries:
        if query.metric_stat is None:
            series[query.id] = compute(query.expression, series)


def set_alarm_state(self: Any, alarm_name: str, *args: Any, **kwargs: Any) -> None:
    """A state set by hand stands until the next evaluation, one period later."""
    original(type(self), "set_alarm_state")(self, alarm_name, *args, **kwargs)
    self.alarms[alarm_name].next_look = Current.clock.monotonic() + _lasts(self.alarms[alarm_name])


def update_state(self: Any, reason: str, reason_data: str, state_value: str) -> None:
    now = Current.clock.now()
    if state_value != self.state_value:
        summary = f"Alarm updated from {self.state_value} to {state_value}"
        self.history.append(
            {
                "AlarmName": self.name,
                "AlarmType": "MetricAlarm",
                "Timestamp": now,
                "HistoryItemType": "StateUpdate",
                "HistorySummary": summary,
                "HistoryData": reason_data or "{}",
            }
        )
        self.state_transitioned_timestamp = now
    self.state_reason, self.state_reason_data, self.state_value = reason, reason_data, state_value
    self.state_updated_timestamp = now


def describe_alarm_history(self: Any) -> Any:
    from moto.core.responses import ActionResult

    name = self._get_param("AlarmName")
    kind = self._get_param("HistoryItemType") or "StateUpdate"
    alarms = [a for a in self.cloudwatch_backend.alarms.values() if name in {None, a.name}]
    items = [item for alarm in alarms for item in alarm.history if item["HistoryItemType"] == kind]
    newest_first = sorted(items, key=lambda item: item["Timestamp"], reverse=True)
    if self._get_param("ScanBy") == "TimestampAscending":
        newest_first.reverse()
    return ActionResult({"AlarmHistoryItems": newest_first[: self._get_param("MaxRecords") or 100]})


def look() -> None:
    """Evaluate every metric alarm whose period has passed."""
    from moto.cloudwatch.models import cloudwatch_backends

    now = Current.clock.monotonic()
    for account in list(cloudwatch_backends.values()):
        for backend in list(account.values()):
            for alarm in list(backend.alarms.values()):
                _look_when_due(backend, alarm, now)


def _look_when_due(backend: Any, alarm: Any, now: float) -> None:
    if alarm.rule is not None or now < getattr(alarm, "next_look", now):
        return
    alarm.next_look = now + _lasts(alarm)
    points = _points(backend, alarm)
    state, reason = _judge(alarm, [points[at] for at in sorted(points, reverse=True)])
    if state != alarm.state_value:
        alarm.update_state(reason, "{}", state)


def _judge(alarm: Any, newest_first: list[float]) -> tuple[str, str]:
    """State and reason by the newest points; those that lack are treated as the alarm says."""
    needed = alarm.datapoints_to_alarm or alarm.evaluation_periods
    values = newest_first[: alarm.evaluation_periods]
    breaches = BREACHES[alarm.comparison_operator]
    bad = [value for value in values if breaches(value, alarm.threshold)]
    lacking = alarm.evaluation_periods - len(values)
    treatment = alarm.treat_missing_data or "missing"
    if lacking and len(bad) < needed and (treatment == "ignore" or (treatment == "missing" and values == bad != [])):
        return alarm.state_value, alarm.state_reason
    if treatment == "missing" and not values:
        return "INSUFFICIENT_DATA", f"Insufficient Data: {lacking} datapoints were unknown."
    count = len(bad) + (lacking if treatment == "breaching" else 0)
    state = "ALARM" if count >= needed else "OK"
    return state, f"Threshold Crossed: {count} of {needed} datapoints {bad} breached {alarm.threshold}."


def _points(backend: Any, alarm: Any) -> Points:
    if not alarm.metric_data_queries:
        stat = alarm.statistic or alarm.extended_statistic
        key = _key(alarm.namespace, alarm.metric_name, alarm.dimensions)
        return _stat_points(backend, key, stat, alarm)
    series: dict[str, Points] = {}
    answer: Points = {}
    for query in sorted(alarm.metric_data_queries, key=lambda query: query.metric_stat is None):
        series[query.id] = _query_points(backend, alarm, query, series)
        if query.return_data in {None, True, "true"}:
            answer = series[query.id]
    return answer


def _query_points(backend: Any, alarm: Any, query: Any, series: Mapping[str, Points]) -> Points:
    if query.metric_stat is None:
        return evaluate(query.expression, series)
    metric = query.metric_stat.metric
    key = _key(metric.namespace, metric.metric_name, metric.dimensions)
    return _stat_points(backend, key, query.metric_stat.stat, alarm)


def _stat_points(backend: Any, key: Key, stat: str, alarm: Any) -> Points:
    """Over whole periods that have ended: the running one is not judged."""
    lasts = _lasts(alarm)
    now = Current.clock.now().timestamp()
    end = now - now % lasts
    start = end - lasts * (alarm.evaluation_periods + LOOK_FURTHER)
    grouped = buckets(store_of(backend).between(key, start, end), start, lasts)
    return {at: value for at, samples in grouped if (value := statistic(stat, samples)) is not None}


def _key(namespace: str, name: str, dimensions: list[Any]) -> Key:
    return namespace, name, tuple(sorted((d.name, d.value) for d in dimensions))


def _lasts(alarm: Any) -> float:
    """Real seconds of one period of the alarm."""
    periods = [query.metric_stat.period for query in alarm.metric_data_queries if query.metric_stat]
    return Current.clock.seconds(int(alarm.period or max(map(int, periods), default=60)) / 60)
