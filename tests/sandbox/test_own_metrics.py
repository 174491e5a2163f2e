"""The metrics that services count themselves: by second, service and task definition; a silent version has none."""

from collections.abc import Callable
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.behaviour import Behaviour, image_manifest
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.own_metrics import NAMESPACE, OwnMetrics, Place, Version, Versions, data
from deployments.sandbox.services.counting import Counted, Counting
from deployments.sandbox.services.traffic import Hit

STAGING = "222222222222"
REVISION = "arn:aws:ecs:eu-central-1:222222222222:service-revision/batbern-staging/gateway/1"


class Watch:
    """A clock that a test sets."""

    def __init__(self, at: float) -> None:
        self.at = at

    def __call__(self) -> float:
        return self.at


@given(st.lists(st.tuples(st.integers(0, 20), st.sampled_from(["a", "b"])), max_size=60))
def test_every_request_is_taken_once_and_never_before_its_second_is_over(steps: list[tuple[int, str]]) -> None:
    watch = Watch(1000.0)
    counting = Counting(watch)
    taken: list[Counted] = []
    for tenths, revision in steps:
        watch.at += tenths / 10
        counting.record("staging", "gateway", Hit(revision, 200, 0.1))
        for counted in counting.take():
            assert counted.second < int(watch.at)
            taken.append(counted)
    watch.at += 1
    taken += counting.take()
    assert sum(len(counted.hits) for counted in taken) == len(steps)
    assert len({(counted.second, counted.revision) for counted in taken}) == len(taken)


def test_requests_errors_and_times_of_one_second_are_told_with_their_version() -> None:
    hits = [Hit("r", 200, 0.1004), Hit("r", 200, 0.1), Hit("r", 500, 0.7)]
    requests, errors, latency = data(Counted("staging", "gateway", "r", 1000, hits), "batbern-staging-gateway:7")
    assert (requests["Value"], errors["Value"]) == (3.0, 1.0)
    assert (latency["Values"], latency["Counts"], latency["Unit"]) == ([0.1, 0.7], [2.0, 1.0], "Seconds")
    names = {it["Name"]: it["Value"] for it in latency["Dimensions"]}
    assert names == {
        "Service": "gateway",
        "Environment": "staging",
        "TaskDefinition": "batbern-staging-gateway:7",
    }
    assert latency["Timestamp"] == datetime.fromtimestamp(1000, UTC)
    assert latency["StorageResolution"] == 1


def test_a_second_without_errors_says_so() -> None:
    _, errors, _ = data(Counted("staging", "gateway", "r", 1000, [Hit("r", 200, 0.1)]), "td:1")
    assert errors["Value"] == 0.0


class Published:
    """What the stand-in's CloudWatch gives back of what was counted."""

    def __init__(self, aws: AwsStandIn, client: Any, now: float) -> None:
        self.watch, self._client, self._now = Watch(now), client, now
        self.counting = Counting(self.watch)
        self.versions: dict[str, Version] = {
            "good": Version("td:1", silent=False),
            "mute": Version("td:2", silent=True),
        }
        places = {"staging": Place(STAGING, "eu-central-1")}
        self.metrics = OwnMetrics(self.counting, aws.lock, places, self.versions.get)

    def visit(self, revision: str, *seconds: float) -> None:
        for it in seconds:
            self.counting.record("staging", "gateway", Hit(revision, 200, it))

    def points(self, definition: str, metric: str, statistic: str) -> list[float]:
        dimensions = {"Service": "gateway", "Environment": "staging", "TaskDefinition": definition}
        answer = self._client.get_metric_statistics(
            Namespace=NAMESPACE,
            MetricName=metric,
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            StartTime=datetime.fromtimestamp(self._now - 60, UTC),
            EndTime=datetime.fromtimestamp(self._now + 60, UTC),
            Period=5,
            **({"ExtendedStatistics": [statistic]} if "(" in statistic else {"Statistics": [statistic]}),
        )
        points = sorted(answer["Datapoints"], key=lambda point: point["Timestamp"])
        return [point.get(statistic, point.get("ExtendedStatistics", {}).get(statistic)) for point in points]


@pytest.fixture
def published(aws: AwsStandIn, world_clock: ManualClock, open_client: Callable[..., Any]) -> Published:
    return Published(aws, open_client("cloudwatch", account=STAGING), world_clock.now().timestamp() // 5 * 5)


def test_what_was_counted_can_be_asked_in_ticks_of_five_seconds(published: Published) -> None:
    published.visit("good", 0.1, 0.2, 0.7)
    published.watch.at += 1
    published.visit("good", 0.9)
    published.watch.at += 5
    published.visit("good", 0.1)
    published.watch.at += 1
    published.metrics.publish()
    assert published.points("td:1", "Requests", "Sum") == [4.0, 1.0]
    assert published.points("td:1", "Errors", "Sum") == [0.0, 0.0]
    assert published.points("td:1", "Latency", "TC(0.5:)") == [2.0, 0.0]


def test_a_silent_version_serves_and_is_not_heard_of(published: Published) -> None:
    published.visit("mute", 0.1)
    published.visit("", 0.1)
    published.visit("unknown", 0.1)
    published.watch.at += 1
    published.metrics.publish()
    assert published.points("td:2", "Requests", "Sum") == []


def test_a_revision_is_known_by_its_task_definition_and_its_image() -> None:
    manifest = image_manifest("batbern/gateway", "3f2a1bc0" * 5, {"*": Behaviour(silent=True), "dev": Behaviour()})
    revision = SimpleNamespace(
        task_definition="arn:x:task-definition/td:7", images=[SimpleNamespace(digest="sha256:1")]
    )
    asked: list[str] = []

    def services(cluster: str) -> list[Any]:
        asked.append(cluster)
        return [SimpleNamespace(cluster=cluster, revisions={REVISION: revision})]

    manifests = {"sha256:1": manifest}
    versions = Versions(lambda: services("batbern-staging"), manifests.__getitem__)
    assert versions("nothing") is None
    assert versions(REVISION) == versions(REVISION) == Version("td:7", silent=True)
    assert len(asked) == 2
    assert Versions(lambda: services("batbern-dev"), manifests.__getitem__)(REVISION) == Version("td:7", silent=False)
    assert Versions(lambda: services("batbern-dev"), {}.__getitem__)(REVISION) == Version("td:7", silent=False)
