"""The numbers of a canary from Prometheus, its query API faked on the wire."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from blocks.metrics import Metrics
from blocks.prometheus import PrometheusMetrics, filled
from blocks.wire import Wiring
from rules.catalogue import MetricSource, MetricsPolicy
from rules.errors import Declined, InvalidInput, Outage
from rules.rollouts import Arm
from rules.vocabulary import Service, Verdict

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SERVICE = Service("events", "events", "batbern/events", "app", "/health")
OLD, NEW = "events:41", "events:42"
ARMS = {arm: Arm(f"arn:aws:ecs:eu:2:task-definition/{name}") for arm, name in (("old", OLD), ("new", NEW))}
VERSION = 'version="{task_definition}"'
POLICY = MetricsPolicy(
    MetricSource.PROMETHEUS,
    resolution_seconds=15,
    delay_seconds=15,
    requests_query='requests{app="{service}-{environment}", version="{task_definition}"}',
    errors_query="errors{" + VERSION + "}",
    slow_query="time_count{" + VERSION + "} - ignoring(le) time_bucket{" + VERSION + ', le="{seconds}"}',
    reference_query="histogram_quantile(0.95, sum by (le) (rate(time_bucket{" + VERSION + "}[{minutes}m])))",
    buckets_seconds=(0.1, 0.25, 0.5, 1, 2),
)

Counter = Mapping[float, float]
"""What one process's counter shows at each reading, by seconds since noon."""


class FakePrometheus:
    """Answers the queries that it was taught; everything else with no series."""

    def __init__(self) -> None:
        self.series: dict[str, list[Counter]] = {}
        self.numbers: dict[str, list[str]] = {}
        self.more: dict[str, Any] = {}
        self.asked: list[httpx.Request] = []
        self.status = 200

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        query = request.url.params
        if request.url.path.endswith("/query"):
            result = [{"metric": {}, "value": [0, one]} for one in self.numbers.get(query["query"], ())]
            return self._answer("vector", result)
        first, last = (float(query[it]) - NOON.timestamp() for it in ("start", "end"))
        found = [_matrix(one, first, last) for one in self.series.get(query["query"], ())]
        return self._answer("matrix", [one for one in found if one["values"]])

    def _answer(self, kind: str, result: list[Any]) -> httpx.Response:
        body = {"status": "success", "data": {"resultType": kind, "result": result}, **self.more}
        return httpx.Response(self.status, json=body)

    def teach(self, version: str, requests: list[Counter], errors: list[Counter], **slow: list[Counter]) -> None:
        """`slow` by the border with an underscore: `over_0_5`."""
        self.series[f'requests{{app="events-staging", version="{version}"}}'] = requests
        self.series[f'errors{{version="{version}"}}'] = errors
        for name, series in slow.items():
            border = name.removeprefix("over_").replace("_", ".")
            names = {"task_definition": version, "seconds": border}
            self.series[filled(POLICY.slow_query, names)] = series


def _matrix(counter: Counter, first: float, last: float) -> dict[str, Any]:
    values = [[at + NOON.timestamp(), str(shown)] for at, shown in counter.items() if first <= at <= last]
    return {"metric": {}, "values": values}


@pytest.fixture
def fake() -> FakePrometheus:
    return FakePrometheus()


@pytest.fixture
def metrics(fake: FakePrometheus) -> PrometheusMetrics:
    wiring = Wiring(httpx.MockTransport(fake), sleep=lambda _: None)
    door = PrometheusMetrics(url="https://prometheus.test", token=SecretStr("s3cret-token"))
    return door.wired(wiring).asking(POLICY)


def counts(metrics: Metrics, reference_ms: float = 250) -> list[tuple[Any, ...]]:
    until = NOON + timedelta(seconds=75)
    window = (NOON, NOON - timedelta(seconds=30), until)
    found = metrics.counts(SERVICE, "staging", ARMS, *window, slow_ms=500, reference_ms=reference_ms)
    return list(found.drop(columns="service").itertuples(index=False, name=None))


def steady(per_step: float, first: int = -30, last: int = 75, before: float = 0) -> Counter:
    return {at: before + per_step * (at - first) / 15 for at in range(first, last + 1, 15)}


def test_counters_are_counted_by_version_and_step(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    fake.teach(OLD, [steady(100, before=1e6)], [steady(1, before=700)], over_0_5=[steady(2)], over_0_25=[steady(5)])
    new = steady(10, first=0, last=60)
    fake.teach(NEW, [new], [{45: 3}], over_0_5=[dict.fromkeys(new, 0)], over_0_25=[dict.fromkeys(new, 1)])
    assert counts(metrics) == [
        ("new", 0.0, 10, 0, 0, 0),
        ("new", 15.0, 10, 0, 0, 0),
        ("new", 30.0, 10, 3, 0, 0),
        ("new", 45.0, 10, 0, 0, 0),
        *(("old", float(t), 100, 1, 2, 5) for t in (-30, -15, 0, 15, 30, 45, 60)),
    ]


def test_a_process_that_is_started_anew_loses_nothing(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    requests = {0: 0, 15: 10, 30: 4, 45: 14}
    fake.teach(NEW, [requests], [], over_0_5=[dict.fromkeys(requests, 0)])
    assert [(t, n) for _, t, n, *_ in counts(metrics)] == [(0.0, 10), (15.0, 4), (30.0, 10)]


def test_requests_whose_times_cannot_be_read_do_not_count(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    fake.teach(NEW, [steady(10, first=0)], [])
    assert counts(metrics) == []


def test_a_partial_answer_is_an_outage(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    fake.more = {"warnings": ["a store did not answer"]}
    with pytest.raises(Outage, match="a store did not answer"):
        counts(metrics)
    assert fake.asked[0].url.params["partial_response"] == "false"


@pytest.mark.parametrize("body", [{"data": {}}, {"status": "error"}, {"data": {"result": [{"values": [["x"]]}]}}])
def test_nonsense_is_an_outage(metrics: PrometheusMetrics, fake: FakePrometheus, body: dict[str, Any]) -> None:
    fake.more = body
    with pytest.raises(Outage):
        counts(metrics)


def test_a_query_that_is_refused_is_not_repeated(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    fake.status, fake.more = 400, {"error": "parse error in s3cret-token"}
    with pytest.raises(Declined) as caught:
        counts(metrics)
    assert len(fake.asked) == 1
    assert "s3cret" not in str(caught.value)


def test_the_token_is_sent_and_not_shown(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    counts(metrics)
    assert fake.asked[0].headers["authorization"] == "Bearer s3cret-token"
    assert "s3cret" not in repr(metrics)


@pytest.mark.parametrize("name", ['x"} or vector(1)', "a|b", "", "a\nb", "x}", "é"])
def test_only_harmless_names_go_into_a_query(metrics: PrometheusMetrics, fake: FakePrometheus, name: str) -> None:
    with pytest.raises(InvalidInput, match="environment for a PromQL query"):
        metrics.reference_ms(SERVICE, name, ARMS["old"], NOON, 30)
    assert fake.asked == []


REFERENCE = 'histogram_quantile(0.95, sum by (le) (rate(time_bucket{version="events:41"}[30m])))'


@pytest.mark.parametrize(
    ("answer", "milliseconds"),
    [(["0.21"], 250), (["0.25"], 250), (["NaN"], None), ([], None), (["7"], None)],
)
def test_the_reference_is_the_next_border_of_the_histogram(
    metrics: PrometheusMetrics, fake: FakePrometheus, answer: list[str], milliseconds: float | None
) -> None:
    fake.numbers[REFERENCE] = answer
    assert metrics.reference_ms(SERVICE, "staging", ARMS["old"], NOON, 29.5) == milliseconds


def test_percentiles_of_several_series_are_not_joined(metrics: PrometheusMetrics, fake: FakePrometheus) -> None:
    fake.numbers[REFERENCE] = ["0.2", "0.3"]
    with pytest.raises(InvalidInput, match="Sum the buckets by le"):
        metrics.reference_ms(SERVICE, "staging", ARMS["old"], NOON, 30)


Preflight = Callable[[], tuple[Verdict, str]]


@pytest.fixture
def preflight(metrics: PrometheusMetrics) -> Preflight:
    def look() -> tuple[Verdict, str]:
        (finding,) = metrics.preflight([SERVICE], "staging", {"events": ARMS}, NOON + timedelta(seconds=75))
        return finding.verdict, finding.sentence

    return look


def test_what_can_be_judged_is_seen_before(preflight: Preflight, fake: FakePrometheus) -> None:
    assert preflight()[0] is Verdict.INCONCLUSIVE
    fake.teach(OLD, [steady(100)], [])
    assert "none of their times" in preflight()[1]
    fake.teach(OLD, [steady(100)], [], over_0_1=[steady(0)])
    assert "Publish zeros" in preflight()[1]
    fake.teach(OLD, [steady(100)], [steady(0)], over_0_1=[steady(0)])
    assert preflight()[0] is Verdict.PASSED


def test_an_unknown_version_is_told(metrics: PrometheusMetrics) -> None:
    (finding,) = metrics.preflight([SERVICE], "staging", {}, NOON)
    assert finding.verdict is Verdict.FAILED
