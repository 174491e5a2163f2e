"""AC9: "Blue-Green Deployments: Zero-downtime production deployments", by Amazon ECS's own controller.

The story's tests, and where they are shown here:
    9.1 should_useBlueGreenDeployment_when_productionRelease    the deployments that ECS was asked for
    9.2 should_maintainOldVersion_when_blueGreenInProgress      what a watcher saw, look by look, and the visitors met
"""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from promotion_world import Promotions

from deployments.sandbox.room import ControlRoom

LOOK_SECONDS = 0.15


@dataclass(frozen=True)
class Look:
    """One service at one moment: (weight, healthy tasks) by version, and the stage of its deployment."""

    service: str
    revisions: dict[str, tuple[float, int]]
    stage: str

    @property
    def weights(self) -> float:
        return sum(weight for weight, _ in self.revisions.values())


@contextmanager
def watched(promotions: Promotions, environment: str) -> Iterator[list[Look]]:
    """Looks at an environment again and again, from another thread, while the block runs."""
    looks: list[Look] = []
    leave = threading.Event()

    def watch() -> None:
        with closing(ControlRoom(promotions.room.url)) as room:
            while not leave.wait(LOOK_SECONDS):
                looks.extend(look(service) for service in services(room.state(), environment))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield looks
    finally:
        leave.set()
        watcher.join()


def services(state: dict[str, Any], environment: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = next(it["services"] for it in state["environments"] if it["name"] == environment)
    return found


def look(service: dict[str, Any]) -> Look:
    revisions = {it["version"]: (it["weight"], it["healthy"]) for it in service["revisions"]}
    return Look(service["id"], revisions, (service["deployment"] or {}).get("stage", ""))


def test_a_good_release_costs_no_visitor_a_request_and_the_old_version_stays_through_the_bake(
    promotions: Promotions,
) -> None:
    promotions.in_dev("good")
    assert promotions.to_staging().is_completed()
    [old] = promotions.serving("staging")
    new = promotions.in_dev("good").version
    since = datetime.now(UTC).isoformat()
    with watched(promotions, "staging") as looks:
        assert promotions.to_staging().is_completed()
    assert promotions.serving("staging") == {new}
    met = promotions.visitors_met("staging", since)
    assert sum(sample["requests"] for sample in met) > 20
    assert sum(sample["errors"] for sample in met) == 0
    assert all(abs(it.weights - 1) < 1e-6 for it in looks)
    serving = [it for it in looks if it.revisions.get(new, (0.0, 0))[0] > 0]
    assert serving
    assert all(it.revisions[new][1] > 0 for it in serving), "traffic on a revision with no healthy task"
    baking = [it for it in looks if it.stage == "BAKE_TIME"]
    assert {it.service for it in baking} == set(promotions.application.catalogue.services)
    assert all(it.revisions[new][0] == 1.0 and it.revisions[old][1] > 0 for it in baking), "no way back while baking"


def test_while_the_new_version_cannot_start_the_old_one_serves_everybody(promotions: Promotions) -> None:
    promotions.in_dev("good")
    assert promotions.to_staging().is_completed()
    [old] = promotions.serving("staging")
    promotions.in_dev("crash")
    since = datetime.now(UTC).isoformat()
    with watched(promotions, "staging") as looks:
        state = promotions.to_staging()
    assert state.name == "PutBack", state.message
    assert all(it.revisions[old][0] == 1.0 for it in looks)
    assert sum(sample["errors"] for sample in promotions.visitors_met("staging", since)) == 0


def test_after_a_bad_release_visitors_are_back_on_the_old_version(promotions: Promotions) -> None:
    promotions.in_dev("good")
    assert promotions.to_staging().is_completed()
    before = promotions.serving("staging")
    promotions.in_dev("bad")
    assert promotions.to_staging().name == "PutBack"
    assert promotions.serving("staging") == before
    since = datetime.now(UTC).isoformat()
    time.sleep(2)  # visitors of the real world, on its real clock
    met = promotions.visitors_met("staging", since)
    assert sum(sample["requests"] for sample in met) > 0
    assert sum(sample["errors"] for sample in met) == 0
