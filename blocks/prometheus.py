"""The numbers of a canary from Prometheus, or whatever speaks its query API (Thanos, Mimir, Amazon's own).

Counters are read as they are and subtracted here, process by process; see `rules.telemetry_counters` for why.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Self

import pandas as pd
from httpx import codes
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.wire import Patience, Wire, Wiring
from rules.catalogue import MetricSource, MetricsPolicy
from rules.errors import InvalidInput, Outage
from rules.rollouts import Arm
from rules.telemetry import NEW, OLD, POINT_COLUMNS, Measure, Source, tidy
from rules.telemetry_checks import source_of
from rules.telemetry_counters import Reading, increases
from rules.telemetry_gates import LOOK_BACK_MINUTES, Seen, check_seen, unknown_version
from rules.vocabulary import Finding, Service

SYSTEM = "Prometheus"
PATIENCE = Patience(attempts=4, timeout_seconds=10, total_seconds=30)
PLACEHOLDER = re.compile(r"\{(service|environment|task_definition|seconds|minutes)\}")
"""Other braces are PromQL's own."""
HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,299}")
"""What may be put into a query: nothing that ends a text, a selector or an expression, or is a pattern's sign."""
SOME_SECONDS = 0.5
"""To see whether slow requests are counted at all, where the histogram's borders are not known."""

Row = tuple[str, str, float, float]


class PrometheusMetrics(Block):
    """Where Prometheus answers. What is asked stands in the catalogue: `asking` brings it here."""

    _block_type_name = "Prometheus metrics"
    _block_type_slug = "prometheus-metrics"

    url: str = Field(description="Address before /api/v1, for example https://prometheus.example.org.")
    token: SecretStr | None = Field(default=None, description="Bearer token, where one is needed.")
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)
    _policy: MetricsPolicy = PrivateAttr(default_factory=lambda: MetricsPolicy(MetricSource.PROMETHEUS))

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def asking(self, policy: MetricsPolicy) -> Self:
        """Return this door, with the catalogue's queries."""
        self._policy = policy
        return self

    @property
    def source(self) -> Source:
        return source_of(self._policy)

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
        """As `blocks.metrics.Metrics.counts`: one range query for each number of each version."""
        limits = {Measure.SLOW: slow_ms / 1000, Measure.SLOW_REF: reference_ms / 1000}
        with self._open() as wire:
            asking = _Asking(wire, self._policy, service.id, environment, since=since, until=until)
            rows = [row for arm in (OLD, NEW) if arm in arms for row in asking.rows(arm, arms[arm], limits)]
        return tidy(pd.DataFrame(rows, columns=list(POINT_COLUMNS)), service.id, self.source, started, until)

    def reference_ms(
        self, service: Service, environment: str, arm: Arm, until: datetime, minutes: float
    ) -> float | None:
        """As `blocks.metrics.Metrics.reference_ms`, raised to the histogram's next border: only there can be counted.

        Above the last border there is none.
        """
        names = {**_names(service.id, environment, arm), "minutes": f"{math.ceil(minutes)}"}
        query = filled(self._policy.reference_query, names)
        doing = f"asking for the 95th percentile of {service.id}"
        with self._open() as wire:
            data = _data(wire, "query", {"query": query, "time": _number(until.timestamp())}, doing)
        seconds = _one_number(data, doing)
        if seconds is None:
            return None
        borders = self._policy.buckets_seconds or (seconds,)
        return next((border * 1000 for border in borders if border >= seconds), None)

    def preflight(
        self, services: Sequence[Service], environment: str, arms: Mapping[str, Mapping[str, Arm]], now: datetime
    ) -> tuple[Finding, ...]:
        """As `blocks.metrics.Metrics.preflight`."""
        since = now - timedelta(minutes=LOOK_BACK_MINUTES)
        seen: dict[str, Seen] = {}
        with self._open() as wire:
            for it in services:
                asking = _Asking(wire, self._policy, it.id, environment, since=since, until=now)
                seen[it.id] = asking.seen(arms.get(it.id, {}).get(OLD))
        return tuple(check_seen(name, one, self.source) for name, one in seen.items())

    def _open(self) -> Wire:
        token = self.token.get_secret_value().strip() if self.token else ""
        headers = {"Accept": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        return Wire(SYSTEM, self.url, headers=headers, secrets=[self.token], patience=PATIENCE, wiring=self._wiring)


class _Asking:
    """The queries about one service, within one time."""

    def __init__(
        self, wire: Wire, policy: MetricsPolicy, service: str, environment: str, *, since: datetime, until: datetime
    ) -> None:
        self._wire, self._policy, self._service, self._environment = wire, policy, service, environment
        self._step = policy.resolution_seconds
        # Whole steps since the epoch: every look must divide time in the same way.
        self._first, self._last = (it.timestamp() // self._step * self._step for it in (since, until))

    def rows(self, arm: str, version: Arm, seconds: Mapping[Measure, float]) -> Iterator[Row]:
        """Points for `rules.telemetry.tidy`. A tick's requests have times when the count of slow ones was readable."""
        names = _names(self._service, self._environment, version)
        requests, errors = (self._ask(it, names) for it in (self._policy.requests_query, self._policy.errors_query))
        yield from self._points(arm, Measure.REQUESTS, requests)
        yield from self._points(arm, Measure.ERRORS, errors)
        for measure, limit in seconds.items():
            if math.isfinite(limit):
                slow = self._ask(self._policy.slow_query, {**names, "seconds": _number(limit)})
                yield from self._points(arm, measure, slow)
                if measure is Measure.SLOW:
                    readable = {at - self._step for series in slow for at, _ in series}
                    told = self._points(arm, Measure.TIMED, requests)
                    yield from (row for row in told if row[2] in readable)

    def seen(self, version: Arm | None) -> Seen:
        if version is None:
            return unknown_version(self._service, self._environment)
        border = next(iter(self._policy.buckets_seconds), SOME_SECONDS)
        rows = list(self.rows(OLD, version, {Measure.SLOW: border}))
        total = {it: sum(value for _, measure, _, value in rows if measure == it) for it in Measure}
        ticks = sum(measure == Measure.REQUESTS and value > 0 for _, measure, _, value in rows)
        return Seen(
            filled(self._policy.requests_query, _names(self._service, self._environment, version)),
            ticks,
            requests=round(total[Measure.REQUESTS]),
            errors=round(total[Measure.ERRORS]),
            timed=round(total[Measure.TIMED]),
            errors_known=any(measure == Measure.ERRORS for _, measure, _, _ in rows),
        )

    def _points(self, arm: str, measure: Measure, series: Sequence[Sequence[Reading]]) -> Iterator[Row]:
        for at, value in increases(series, self._first, self._step).items():
            yield arm, str(measure), at, value

    def _ask(self, template: str, names: Mapping[str, str]) -> list[list[Reading]]:
        query = {
            "query": filled(template, names),
            "start": _number(self._first),
            "end": _number(self._last),
            "step": _number(self._step),
        }
        doing = f"counting the requests of {self._service} in {self._environment}"
        data = _data(self._wire, "query_range", query, doing)
        try:
            return [_readings(one["values"]) for one in data["result"]]
        except (KeyError, TypeError, ValueError) as error:
            raise Outage(SYSTEM, doing, f"the answer is no matrix of numbers ({error!r})") from None


def filled(template: str, names: Mapping[str, str]) -> str:
    """The query with its names. Raises InvalidInput for a name that would be more than a name there."""
    for key, value in names.items():
        if not HARMLESS.fullmatch(value):
            raise InvalidInput(f"the {key} for a PromQL query", value, "letters, digits and _ . : -")
    return PLACEHOLDER.sub(lambda found: names.get(found[1], found[0]), template)


def _names(service: str, environment: str, arm: Arm) -> dict[str, str]:
    version = arm.task_definition.rpartition("/")[2]
    return {"service": service, "environment": environment, "task_definition": version}


def _number(value: float) -> str:
    """Without an exponent, and without a fraction where there is none, as a histogram's borders are written."""
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _data(wire: Wire, kind: str, query: Mapping[str, str], doing: str) -> dict[str, Any]:
    """What was found, whole: Thanos answers in part with a warning, and a part is too small a count."""
    answer = wire.ask("GET", f"/api/v1/{kind}", doing=doing, query={**query, "partial_response": "false"})
    body = answer.require(codes.OK).mapping()
    if body.get("warnings"):
        raise Outage(SYSTEM, doing, f"it warns of its answer: {answer.excerpt}")
    if body.get("status") != "success" or not isinstance(body.get("data"), dict):
        raise Outage(SYSTEM, doing, f"{answer.status} without data: {answer.excerpt}")
    data: dict[str, Any] = body["data"]
    return data


def _readings(values: Sequence[Any]) -> list[Reading]:
    found = [(float(at), float(value)) for at, value in values]
    return [(at, value) for at, value in found if math.isfinite(value)]


def _one_number(data: Mapping[str, Any], doing: str) -> float | None:
    """Of a scalar, or a vector of one. None where there is none; several cannot be joined: percentiles do not add."""
    result = data.get("result")
    if data.get("resultType") == "scalar":
        result = [{"value": result}]
    try:
        values = [float(one["value"][1]) for one in result or ()]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Outage(SYSTEM, doing, f"the answer is no number ({error!r})") from None
    if len(values) > 1:
        raise InvalidInput("metrics.reference_query", f"{len(values)} series", "one number", "Sum the buckets by le.")
    return values[0] if values and math.isfinite(values[0]) else None
