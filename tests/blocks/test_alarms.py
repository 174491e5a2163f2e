"""The door to the alarms over the wire, and against answers that leave one out."""

from collections.abc import Callable
from typing import Any

import pytest

from blocks.alarms import Alarms
from rules.alarms import AlarmValue


@pytest.fixture
def cloudwatch(open_client: Callable[..., Any]) -> Any:
    return open_client("cloudwatch")


def put(cloudwatch: Any, name: str, value: str = "") -> None:
    cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace="N", MetricName="M", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    if value:
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=value, StateReason="because")


def test_alarms_are_found_by_their_names(cloudwatch: Any) -> None:
    put(cloudwatch, "loud", "ALARM")
    put(cloudwatch, "quiet", "OK")
    put(cloudwatch, "blind")
    put(cloudwatch, "other", "ALARM")
    states = Alarms(cloudwatch).states(["loud", "quiet", "blind", "absent"])
    assert {name: state.value for name, state in states.items()} == {
        "loud": AlarmValue.ALARM,
        "quiet": AlarmValue.OK,
        "blind": AlarmValue.INSUFFICIENT_DATA,
    }
    assert states["loud"].reason == "because"
    assert states["loud"].since is not None


def test_more_alarms_than_one_call_takes_are_all_found(cloudwatch: Any) -> None:
    names = [f"alarm-{number}" for number in range(150)]
    for name in names:
        put(cloudwatch, name)
    assert sorted(Alarms(cloudwatch).states(names)) == sorted(names)


class Forgetful:
    """Leaves the last alarm out of its first answer, as a throttled DescribeAlarms can."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def get_paginator(self, _: str) -> "Forgetful":
        return self

    def paginate(self, **ask: Any) -> list[dict[str, Any]]:
        names = ask["AlarmNames"]
        self.asked.append(names)
        told = names[:-1] if len(self.asked) == 1 else names
        return [{"MetricAlarms": [{"AlarmName": name, "StateValue": "OK"} for name in told]}]


def test_an_alarm_that_is_left_out_is_asked_for_again() -> None:
    client: Any = Forgetful()
    assert sorted(Alarms(client).states(["a", "b"])) == ["a", "b"]
    assert client.asked == [["a", "b"], ["b"]]


class Composite:
    """CloudWatch leaves composite alarms out where they are not asked for."""

    def get_paginator(self, _: str) -> "Composite":
        return self

    def paginate(self, **ask: Any) -> list[dict[str, Any]]:
        told = [{"AlarmName": name, "StateValue": "ALARM"} for name in ask["AlarmNames"]]
        return [{"MetricAlarms": [], "CompositeAlarms": told if "CompositeAlarm" in ask["AlarmTypes"] else []}]


def test_composite_alarms_are_alarms() -> None:
    client: Any = Composite()
    assert Alarms(client).states(["all"])["all"].value is AlarmValue.ALARM


def test_no_names_are_no_question() -> None:
    client: Any = Forgetful()
    assert Alarms(client).states([]) == {}
    assert client.asked == []
