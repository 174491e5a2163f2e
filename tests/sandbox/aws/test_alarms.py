"""Contract of deployments/sandbox/aws/patches/alarms.py: alarms look at their data. One AWS minute lasts one second."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock


class Watch:
    """An alarm on errors in `Shop`, and the minutes that pass."""

    def __init__(self, aws: AwsStandIn, clock: ManualClock, cloudwatch: Any) -> None:
        self.aws, self.clock, self.cloudwatch = aws, clock, cloudwatch
        self.clock.advance(1 - self.clock.now().timestamp() % 1)

    def alarm(self, **different: Any) -> None:
        usual = {
            "AlarmName": "errors",
            "Namespace": "Shop",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 2,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        self.cloudwatch.put_metric_alarm(**{k: v for k, v in (usual | different).items() if v is not None})

    def minute(self, **values: float | None) -> str:
        """A minute in which these metrics were measured; the alarm's state after it."""
        for name, value in values.items():
            if value is not None:
                datum = {"MetricName": name, "Value": value, "Timestamp": self.clock.now()}
                self.cloudwatch.put_metric_data(Namespace="Shop", MetricData=[datum])
        self.clock.advance(1.0)
        self.aws.tick()
        return self.state

    @property
    def state(self) -> str:
        (alarm,) = self.cloudwatch.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]
        return str(alarm["StateValue"])


@pytest.fixture
def watch(aws: AwsStandIn, world_clock: ManualClock, open_client: Callable[..., Any]) -> Watch:
    return Watch(aws, world_clock, open_client("cloudwatch"))


def test_a_new_alarm_has_insufficient_data(watch: Watch) -> None:
    watch.alarm()
    assert (watch.state, watch.minute()) == ("INSUFFICIENT_DATA", "INSUFFICIENT_DATA")


def test_an_alarm_rings_after_all_its_periods_and_calms_down(watch: Watch) -> None:
    watch.alarm()
    states = [watch.minute(Errors=errors) for errors in (1, 9, 9, 1, 1)]
    assert states == ["OK", "OK", "ALARM", "OK", "OK"]


def test_one_bad_period_of_two_is_enough_when_asked(watch: Watch) -> None:
    watch.alarm(DatapointsToAlarm=1)
    assert [watch.minute(Errors=errors) for errors in (1, 9, 1, 1)] == ["OK", "ALARM", "ALARM", "OK"]


@pytest.mark.parametrize(
    ("treatment", "state"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "ALARM")],
)
def test_silence_is_treated_as_the_alarm_says(watch: Watch, treatment: str, state: str) -> None:
    watch.alarm(TreatMissingData=treatment)
    assert [watch.minute(Errors=9), watch.minute(Errors=9)][-1] == "ALARM"
    assert [watch.minute() for _ in range(5)][-1] == state


def test_a_percentile_can_ring(watch: Watch) -> None:
    watch.alarm(Statistic=None, ExtendedStatistic="p95", EvaluationPeriods=1)
    assert (watch.minute(Errors=4), watch.minute(Errors=6)) == ("OK", "ALARM")


def test_a_ratio_can_ring(watch: Watch) -> None:
    queries: list[dict[str, Any]] = [
        {
            "Id": name.lower(),
            "ReturnData": False,
            "MetricStat": {"Metric": {"Namespace": "Shop", "MetricName": name}, "Period": 60, "Stat": "Sum"},
        }
        for name in ("Errors", "Requests")
    ]
    queries.insert(0, {"Id": "rate", "Expression": "100 * errors / requests", "ReturnData": True})
    plain = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    watch.alarm(Metrics=queries, EvaluationPeriods=1, **plain)
    assert (watch.minute(Errors=1, Requests=100), watch.minute(Errors=9, Requests=100)) == ("OK", "ALARM")


def test_a_state_set_by_hand_lasts_until_the_next_look(watch: Watch) -> None:
    watch.alarm()
    watch.minute(Errors=1)
    watch.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="A drill.")
    watch.aws.tick()
    assert (watch.state, watch.minute(Errors=1)) == ("ALARM", "OK")


def test_changes_of_state_are_remembered(watch: Watch) -> None:
    watch.alarm(EvaluationPeriods=1)
    watch.minute(Errors=9)
    watch.minute(Errors=1)
    items = watch.cloudwatch.describe_alarm_history(AlarmName="errors", HistoryItemType="StateUpdate")
    assert [item["HistorySummary"] for item in items["AlarmHistoryItems"]] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]


def test_an_alarm_that_cannot_be_computed_is_refused(watch: Watch) -> None:
    plain = dict.fromkeys(("Namespace", "MetricName", "Statistic", "Period"))
    with pytest.raises(ClientError, match="SEARCH"):
        watch.alarm(Metrics=[{"Id": "s", "Expression": "SEARCH('x', 'Sum')"}], **plain)
    assert watch.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_an_alarm_that_is_changed_keeps_its_state(watch: Watch) -> None:
    watch.alarm(EvaluationPeriods=1)
    watch.minute(Errors=9)
    watch.alarm(EvaluationPeriods=3)
    assert watch.state == "ALARM"
