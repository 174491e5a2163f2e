"""The numbers of a canary from CloudWatch: those of the load balancer, or the application's own, finer ones.

Requests slower than a limit are a trimmed count of the latency (`TC(0.5:)`), which adds up over minutes and hosts, as
a percentile does not. CloudWatch documents its lower bound as exclusive, so "slower than" means just that.
"""

from __future__ import annotations  # the clients' types are stubs, not there at run time

import math
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pandas as pd

from blocks.cloudwatch_naming import Dimensions, LoadBalancerNames, Naming, OwnNames
from blocks.cloudwatch_reading import CloudWatchReader, Points, Series
from rules.catalogue import MetricSource, MetricsPolicy
from rules.errors import InvalidInput
from rules.rollouts import Arm
from rules.telemetry import NEW, OLD, POINT_COLUMNS, Measure, tidy
from rules.telemetry_checks import source_of
from rules.telemetry_gates import LOOK_BACK_MINUTES, Seen, check_seen, unknown_version
from rules.vocabulary import Finding, Service

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

MINUTE = 60
FEWEST_FOR_P95 = 20
"""Requests. Of fewer the 95th percentile is the slowest one."""
STATISTICS: Mapping[Measure, str] = {Measure.REQUESTS: "Sum", Measure.ERRORS: "Sum", Measure.TIMED: "SampleCount"}


class CloudWatchMetrics:
    """Metrics of one account and region."""

    def __init__(
        self,
        cloudwatch: CloudWatchClient,
        elbv2: ElasticLoadBalancingv2Client,
        policy: MetricsPolicy,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self.source, self._period = source_of(policy), policy.resolution_seconds
        self._reader = CloudWatchReader(cloudwatch, pause)
        by_balancer = policy.source is MetricSource.LOAD_BALANCER
        self._naming: Naming = LoadBalancerNames(elbv2) if by_balancer else OwnNames(cloudwatch, policy)

    def counts(  # noqa: PLR0917 - who, when and which limits: none of it has a default
        self,
        service: Service,
        environment: str,
        arms: Mapping[str, Arm],
        started: datetime,
        since: datetime,
        until: datetime,
        slow_ms: float,
        reference_ms: float,
    ) -> pd.DataFrame:
        """As `blocks.metrics.Metrics.counts`: one call of GetMetricData for both versions."""
        statistics = self._statistics(slow_ms, reference_ms)
        places = {arm: self._naming.dimensions(service, environment, arms[arm]) for arm in (OLD, NEW) if arm in arms}
        asked = [(arm, measure) for arm in places for measure in statistics]
        series = [self._series(places[arm], measure, statistics[measure]) for arm, measure in asked]
        read = self._read(series, since, until, f"counting the requests of {service.id} in {environment}")
        rows = [
            (arm, str(measure), at, value)
            for (arm, measure), points in zip(asked, read, strict=True)
            for at, value in points.items()
        ]
        return tidy(pd.DataFrame(rows, columns=list(POINT_COLUMNS)), service.id, self.source, started, until)

    def reference_ms(
        self, service: Service, environment: str, arm: Arm, until: datetime, minutes: float
    ) -> float | None:
        """As `blocks.metrics.Metrics.reference_ms`: the 95th percentile as one point over the whole time."""
        period = max(1, math.ceil(minutes)) * MINUTE
        place = self._naming.dimensions(service, environment, arm)
        series = [self._series(place, Measure.TIMED, it, period) for it in ("p95", "SampleCount")]
        since, doing = until - timedelta(seconds=period), f"asking for the 95th percentile of {service.id}"
        p95, count = self._reader.read(series, since, until, MINUTE, f"{doing} in {environment}")
        # The minute that runs may come as a point of its own, and the mean of two percentiles would be none.
        fullest = max(count, key=lambda at: count[at], default=None)
        if fullest is None or fullest not in p95 or count[fullest] < FEWEST_FOR_P95:
            return None
        return p95[fullest] * 1000 / self._naming.per_second

    def preflight(
        self, services: Sequence[Service], environment: str, arms: Mapping[str, Mapping[str, Arm]], now: datetime
    ) -> tuple[Finding, ...]:
        """As `blocks.metrics.Metrics.preflight`: one call of GetMetricData for all services."""
        places = {it.id: self._place(it, environment, arms.get(it.id, {}).get(OLD)) for it in services}
        sound = {name: place for name, place in places.items() if not isinstance(place, str)}
        series = [self._series(place, measure, it) for place in sound.values() for measure, it in STATISTICS.items()]
        since, doing = now - timedelta(minutes=LOOK_BACK_MINUTES), f"looking for metrics of {environment}"
        read = iter(self._read(series, since, now, doing) if series else ())
        seen = {name: self._seen(place, *(next(read) for _ in STATISTICS)) for name, place in sound.items()}
        troubled = {name: Seen("", obstacle=place) for name, place in places.items() if isinstance(place, str)}
        return tuple(check_seen(it.id, (seen | troubled)[it.id], self.source) for it in services)

    def _place(self, service: Service, environment: str, arm: Arm | None) -> Dimensions | str:
        """Where the metrics of a version stand, or why there are none."""
        if arm is None:
            return unknown_version(service.id, environment).obstacle
        try:
            return self._naming.dimensions(service, environment, arm)
        except InvalidInput as error:
            return str(error)

    def _seen(self, place: Dimensions, requests: Points, errors: Points, timed: Points) -> Seen:
        return Seen(
            ", ".join(self._naming.metrics[it] for it in STATISTICS) + f" of {self._naming.namespace}, {_told(place)}",
            ticks=sum(value > 0 for value in requests.values()),
            requests=round(sum(requests.values())),
            errors=round(sum(errors.values())),
            timed=round(sum(timed.values())),
            errors_known=bool(errors) or self._naming.errors_known(place),
        )

    def _statistics(self, slow_ms: float, reference_ms: float) -> dict[Measure, str]:
        limits = {Measure.SLOW: slow_ms, Measure.SLOW_REF: reference_ms}
        return {**STATISTICS, **{it: self._above(limit) for it, limit in limits.items() if math.isfinite(limit)}}

    def _above(self, milliseconds: float) -> str:
        """The trimmed count of what is slower; CloudWatch reads no exponents, and ten decimals."""
        return f"TC({milliseconds * self._naming.per_second / 1000:.10f}".rstrip("0").rstrip(".") + ":)"

    def _series(self, place: Dimensions, measure: Measure, statistic: str, period: int = 0) -> Series:
        naming = self._naming
        return Series(naming.namespace, naming.metrics[measure], statistic, place, period or self._period)

    def _read(self, series: Sequence[Series], since: datetime, until: datetime, doing: str) -> tuple[Points, ...]:
        return self._reader.read(series, since, until, self._period, doing)


def _told(place: Dimensions) -> str:
    return ", ".join(f"{name}={value}" for name, value in place)
