"""Reading CloudWatch: many series in one GetMetricData call, whole or not at all."""

from __future__ import annotations  # the clients' types are stubs, not there at run time

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import TYPE_CHECKING

from blocks.aws_errors import translated
from rules.errors import Declined, Outage

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_cloudwatch.type_defs import (
        DimensionTypeDef,
        MessageDataTypeDef,
        MetricDataQueryTypeDef,
        MetricDataResultTypeDef,
        MetricStatTypeDef,
        MetricTypeDef,
    )

SYSTEM = "CloudWatch"
MOST_QUERIES = 500
"""In one call."""
ATTEMPTS = 4
FIRST_PAUSE = 0.5
"""Seconds; doubled each time, and jittered."""

Points = Mapping[float, float]
"""Value by the beginning of its period (epoch s)."""


@dataclass(frozen=True, slots=True)
class Series:
    """One statistic of one metric."""

    namespace: str
    metric: str
    statistic: str
    """`Sum`, `SampleCount`, `p95`, or a trimmed count: `TC(0.5:)` is how many values are above 0.5 (0.5 is not)."""
    dimensions: tuple[tuple[str, str], ...]
    period: int
    """Seconds."""

    def query(self, name: str) -> MetricDataQueryTypeDef:
        dimensions: list[DimensionTypeDef] = [{"Name": key, "Value": value} for key, value in self.dimensions]
        metric: MetricTypeDef = {"Namespace": self.namespace, "MetricName": self.metric, "Dimensions": dimensions}
        stat: MetricStatTypeDef = {"Metric": metric, "Period": self.period, "Stat": self.statistic}
        return {"Id": name, "MetricStat": stat}


class Incomplete(Exception):
    """CloudWatch answered, but not everything; asked again it usually does."""


class CloudWatchReader:
    """Series by GetMetricData. What lacks a part is asked for again, then it is an Outage: never too small a count."""

    def __init__(
        self,
        client: CloudWatchClient,
        pause: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._client, self._pause, self._chance = client, pause, chance

    def read(
        self, series: Sequence[Series], since: datetime, until: datetime, grid: int, doing: str
    ) -> tuple[Points, ...]:
        """The points of each series in its order. `doing` completes "did not answer while …".

        The time is widened to whole multiples of `grid` (s) since the epoch: CloudWatch counts its periods from the
        start that it is given, and every look must divide time in the same way.
        """
        start = since.timestamp() // grid * grid
        end = max(start + grid, ceil(until.timestamp() / grid) * grid)
        parts = [series[at : at + MOST_QUERIES] for at in range(0, len(series), MOST_QUERIES)]
        return tuple(points for part in parts for points in self._persist(part, start, end, doing))

    def _persist(self, series: Sequence[Series], start: float, end: float, doing: str) -> list[Points]:
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(self._chance() * FIRST_PAUSE * 2**attempt)
            try:
                with translated(SYSTEM, doing):
                    return self._ask(series, start, end, doing)
            except Incomplete as incomplete:
                told = str(incomplete)
        raise Outage(SYSTEM, doing, f"{told} ({ATTEMPTS} attempts).")

    def _ask(self, series: Sequence[Series], start: float, end: float, doing: str) -> list[Points]:
        names = [f"q{at}" for at in range(len(series))]
        points: dict[str, dict[float, float]] = defaultdict(dict)
        states: dict[str, str] = {}
        pages = self._client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=[one.query(name) for one, name in zip(series, names, strict=True)],
            StartTime=datetime.fromtimestamp(start, UTC),
            EndTime=datetime.fromtimestamp(end, UTC),
            ScanBy="TimestampAscending",
        )
        for page in pages:
            _refuse_messages(page.get("Messages", ()))
            for result in page["MetricDataResults"]:
                states[result["Id"]] = result.get("StatusCode", "Complete")
                points[result["Id"]].update(_points(result))
        _require_whole(names, states, doing)
        return [points[name] for name in names]


def _points(result: MetricDataResultTypeDef) -> dict[float, float]:
    times = [at.timestamp() for at in result.get("Timestamps", ())]
    values = result.get("Values", ())
    if len(times) != len(values):
        raise Incomplete(f"{len(times)} times with {len(values)} values")
    return dict(zip(times, values, strict=True))


def _refuse_messages(messages: Iterable[MessageDataTypeDef]) -> None:
    """A message about the whole call says that something was left out."""
    if told := "; ".join(f"{it.get('Code', '')} {it.get('Value', '')}".strip() for it in messages):
        raise Incomplete(told)


def _require_whole(names: Sequence[str], states: Mapping[str, str], doing: str) -> None:
    """The state of a series is that of its last page; before, PartialData only means that more pages follow."""
    if "Forbidden" in states.values():
        raise Declined(SYSTEM, doing, 0, "Forbidden")
    lacking = sorted({states.get(name, "no answer") for name in names} - {"Complete"})
    if lacking:
        raise Incomplete(f"some of {len(names)} series came with {', '.join(lacking)}")
