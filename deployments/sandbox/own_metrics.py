"""The metrics that the services count themselves, in CloudWatch within a second or two, one number a second.

A namespace of the application's own, its dimensions tell service, environment and task definition apart: what a
catalogue's `[metrics]` table with `source = "cloudwatch"` describes. Errors are published when they are 0, too.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deployments.sandbox.aws.ecs_state import Revision, ServiceState
from deployments.sandbox.behaviour import behaviour_of
from deployments.sandbox.services.counting import Counted, Counting
from deployments.sandbox.services.meter import Datum
from deployments.sandbox.services.traffic import Hit

log = logging.getLogger(__name__)

NAMESPACE = "BATbern/Requests"
PAUSE_SECONDS = 1.0
MOST_DATA = 1000
"""In one call of PutMetricData."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where an environment's metrics are kept."""

    account: str
    region: str


@dataclass(frozen=True, slots=True)
class Version:
    """What a service revision runs."""

    task_definition: str
    """`family:revision`."""
    silent: bool
    """Its metrics never arrive."""


class Versions:
    """What the service revisions of the world run. A revision never changes, so each is looked for once."""

    def __init__(self, services: Callable[[], Iterable[ServiceState]], manifests: Callable[[str], str]) -> None:
        """`manifests` gives the image manifest of a digest; KeyError when there is none."""
        self._services, self._manifests = services, manifests
        self._known: dict[str, Version] = {}

    def __call__(self, revision: str) -> Version | None:
        """By the revision's ARN; None when nothing is known of it."""
        if revision not in self._known:
            home = next((it for it in self._services() if revision in it.revisions), None)
            if home is None:
                return None
            self._known[revision] = self._read(home.cluster, home.revisions[revision])
        return self._known[revision]

    def _read(self, cluster: str, revision: Revision) -> Version:
        name = revision.task_definition.rpartition("/")[2]
        try:
            manifest = self._manifests(revision.images[0].digest)
        except (KeyError, IndexError):
            return Version(name, silent=False)
        return Version(name, silent=behaviour_of(manifest, cluster.rpartition("-")[2]).silent)


class OwnMetrics:
    """A thread between `start` and `stop`."""

    def __init__(
        self,
        counting: Counting,
        lock: AbstractContextManager[Any],
        places: Mapping[str, Place],
        version_of: Callable[[str], Version | None],
    ) -> None:
        """`lock` is the stand-in's; `places` are by environment name; `version_of` is asked with a revision's ARN."""
        self._counting, self._lock, self._places, self._version_of = counting, lock, places, version_of
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_publishing, name="own metrics", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._thread.join(10)

    def publish(self) -> None:
        """Store every second that is over and was not stored before."""
        found: dict[str, list[Datum]] = {}
        for counted in self._counting.take():
            version = self._version_of(counted.revision)
            if version is not None and not version.silent:
                found.setdefault(counted.environment, []).extend(data(counted, version.task_definition))
        for environment, stored in found.items():
            with self._lock:
                put(self._places[environment], stored)

    def _keep_publishing(self) -> None:
        while not self._closing.wait(PAUSE_SECONDS):
            try:
                self.publish()
            except Exception:
                # A second without metrics is what the product must be able to stand, not the end of the world.
                log.exception("Metrics could not be stored")


def data(counted: Counted, task_definition: str) -> Iterator[Datum]:
    """Requests, errors and the time of every request, of one second."""
    names = {"Service": counted.service, "Environment": counted.environment, "TaskDefinition": task_definition}
    about = {
        "Dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
        "Timestamp": datetime.fromtimestamp(counted.second, UTC),
        "StorageResolution": 1,
    }
    failed = sum(hit.failed for hit in counted.hits)
    yield {**about, "MetricName": "Requests", "Value": float(len(counted.hits)), "Unit": "Count"}
    yield {**about, "MetricName": "Errors", "Value": float(failed), "Unit": "Count"}
    yield {**about, "MetricName": "Latency", **_times(counted.hits), "Unit": "Seconds"}


def _times(hits: Iterable[Hit]) -> Datum:
    by_millisecond = Counter(round(hit.seconds, 3) for hit in hits)
    return {"Values": list(by_millisecond), "Counts": [float(count) for count in by_millisecond.values()]}


def put(place: Place, found: list[Datum]) -> None:
    """Straight into the stand-in's backend, as the load balancer's metrics. Its lock is the caller's affair."""
    from moto.cloudwatch.models import cloudwatch_backends

    backend = cloudwatch_backends[place.account][place.region]
    for first in range(0, len(found), MOST_DATA):
        backend.put_metric_data(NAMESPACE, found[first : first + MOST_DATA])
