"""Reading CloudWatch whole or not at all: pages, parts that lack, messages."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from blocks.cloudwatch_reading import ATTEMPTS, CloudWatchReader, Series
from rules.errors import Declined, Outage

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SERIES = Series("N", "M", "Sum", (("Service", "events"),), 60)

Page = dict[str, Any]


class Scripted:
    """Answers one list of pages after the other, the last one for ever."""

    def __init__(self, *answers: list[Page]) -> None:
        self.answers, self.asked = list(answers), list[dict[str, Any]]()

    def get_paginator(self, _: str) -> "Scripted":
        return self

    def paginate(self, **ask: Any) -> list[Page]:
        self.asked.append(ask)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def page(*values: float, first: int = 0, status: str = "Complete", name: str = "q0", **more: Any) -> Page:
    times = [NOON + timedelta(minutes=first + at) for at in range(len(values))]
    result = {"Id": name, "Timestamps": times, "Values": list(values), "StatusCode": status}
    return {"MetricDataResults": [result], **more}


def read(client: Any, series: int = 1) -> tuple[list[dict[float, float]], list[float]]:
    pauses: list[float] = []
    reader = CloudWatchReader(client, pauses.append, chance=lambda: 1.0)
    found = reader.read([SERIES] * series, NOON, NOON + timedelta(minutes=9), 60, "counting")
    return [{(at - NOON.timestamp()) / 60: value for at, value in points.items()} for points in found], pauses


def test_pages_are_one_answer() -> None:
    client = Scripted([page(1, 2, status="PartialData"), page(3, first=2)])
    assert read(client) == ([{0: 1, 1: 2, 2: 3}], [])


@pytest.mark.parametrize("status", ["PartialData", "InternalError"])
def test_a_part_that_lacks_is_asked_for_again(status: str) -> None:
    client = Scripted([page(1, status=status)], [page(1, status=status)], [page(1, 2)])
    assert read(client) == ([{0: 1, 1: 2}], [1.0, 2.0])


def test_a_part_that_goes_on_lacking_is_an_outage() -> None:
    client = Scripted([page(1, status="InternalError")])
    with pytest.raises(Outage, match="some of 1 series came with InternalError"):
        read(client)
    assert len(client.asked) == ATTEMPTS


def test_a_series_without_an_answer_is_an_outage() -> None:
    with pytest.raises(Outage, match="no answer"):
        read(Scripted([page(1)]), series=2)


def test_a_message_about_the_whole_is_an_outage() -> None:
    client = Scripted([page(1, Messages=[{"Code": "MaxMetricsExceeded", "Value": "too many"}])])
    with pytest.raises(Outage, match="MaxMetricsExceeded too many"):
        read(client)


def test_what_is_forbidden_is_not_asked_for_again() -> None:
    client = Scripted([page(status="Forbidden")])
    with pytest.raises(Declined):
        read(client)
    assert len(client.asked) == 1


def test_more_series_than_one_call_takes_are_asked_in_parts() -> None:
    client = Scripted(
        [{"MetricDataResults": [page(number, name=f"q{number}")["MetricDataResults"][0] for number in range(500)]}]
    )
    found, _ = read(client, series=750)
    assert [points[0] for points in found] == [*range(500), *range(250)]
    assert [len(ask["MetricDataQueries"]) for ask in client.asked] == [500, 250]


def test_every_look_divides_time_in_the_same_way() -> None:
    client = Scripted([page()])
    reader = CloudWatchReader(client)  # type: ignore[arg-type]  # a fake
    for seconds in (0, 1, 59):
        since = NOON + timedelta(seconds=seconds)
        reader.read([SERIES], since, since + timedelta(seconds=1), 60, "counting")
    spans = {(ask["StartTime"], ask["EndTime"]) for ask in client.asked}
    assert spans == {(NOON, NOON + timedelta(minutes=1))}


def test_errors_of_the_service_are_outages(open_client: Callable[..., Any]) -> None:
    client = open_client("cloudwatch")
    client.meta.events.register("before-send.cloudwatch.GetMetricData", _unavailable)
    with pytest.raises(Outage, match="counting"):
        read(client)


def _unavailable(**_: Any) -> Any:
    from botocore.awsrequest import AWSResponse

    class Raw:
        def stream(self, **_: Any) -> Any:
            yield b"<html>Service Unavailable</html>"

    return AWSResponse("https://monitoring.test", 503, {}, Raw())
