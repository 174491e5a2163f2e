"""AC10: "Canary Releases: Gradual rollout with monitoring": 10 → 50 → 100 %, judged, and back by itself when worse.

The story's tests, and where they are shown here:
    10.1 should_deployToCanary_when_canaryReleaseEnabled     a good release's shares of the traffic, look by look
    10.2 should_monitorCanaryMetrics_when_canaryActive       a release with 5 % errors, and one that nobody can see
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextvars import copy_context
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from promotion_world import Look, Promotions, watched

from rules.canary_memory import Happening
from rules.records import EventKind, Record

if TYPE_CHECKING:
    from prefect import State

PER_SECOND = 100
PATIENCE = 120.0


@dataclass(frozen=True)
class Canary:
    """One roll-out of the gateway alone, as it was seen."""

    old: str
    new: str
    state: "State[Any]"
    story: list[Record]
    looks: list[Look]
    tallies: dict[str, dict[str, int]]
    """What visitors met of each version: ok, failed, slow."""

    def happened(self) -> list[tuple[str, int | None]]:
        """What was written down of the canary, in order: what happened, and at which step."""
        observed = [it.event.details for it in self.story if it.event.kind is EventKind.ROLLOUT_OBSERVED]
        return [(details["happened"], details.get("step")) for details in observed]

    def weights(self) -> list[float]:
        """The new version's shares of the gateway's traffic, percent, in the order in which they were seen."""
        seen = [round(100 * it.revisions[self.new][0]) for it in self.looks if self.new in it.revisions]
        return [weight for at, weight in enumerate(seen) if at == 0 or seen[at - 1] != weight]


@pytest.fixture
def visitors(promotions: Promotions) -> Iterator[None]:
    promotions.room.set_visitors("staging", PER_SECOND)
    yield
    promotions.room.set_visitors("staging", 5)


def canary(promotions: Promotions, behaviour: str, person: Callable[[Promotions], None] | None = None) -> Canary:
    """Rolls the gateway of a release of that behaviour out by canary, with a person beside it where one is needed."""
    room = promotions.room
    room.clear_faults()
    old = room.release("staging", "canary-good", 180)
    new = promotions.in_dev(behaviour)
    promotions.until_known("staging", old.version)
    beside = threading.Thread(target=copy_context().run, args=(person, promotions)) if person else None
    if beside:
        beside.start()
    with watched(room.url) as looks:
        state = promotions.roll_out(new.version, strategy="canary", services=["gateway"])
    if beside:
        beside.join()
    gateway = [it for it in looks if it.service == "gateway"]
    return Canary(old.version, new.version, state, promotions.story(state), gateway, promotions.met("staging"))


def say(decision: str) -> Callable[[Promotions], None]:
    """A person who answers the first run of roll-out that waits for one."""

    def person(promotions: Promotions) -> None:
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.filters import FlowRunFilter

        waiting = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PAUSED"]}}})
        deadline = time.monotonic() + PATIENCE
        with get_client(sync_client=True) as client:
            while not (runs := client.read_flow_runs(flow_run_filter=waiting)):
                assert time.monotonic() < deadline, "no run waits for a person"
                time.sleep(0.3)
            client.resume_flow_run(UUID(str(runs[0].id)), run_input={"decision": decision, "comment": "a test"})

    return person


@pytest.mark.usefixtures("visitors")
def test_a_good_release_gets_ten_then_fifty_then_all_of_the_traffic(promotions: Promotions) -> None:
    good = canary(promotions, "canary-good")
    assert good.state.is_completed(), good.state.message
    assert good.weights() == sorted(good.weights())
    assert {10, 50, 100} <= set(good.weights())
    assert good.happened() == [
        (Happening.STARTED, None),
        (Happening.REACHED, 10),
        (Happening.CLEARED, 10),
        (Happening.REACHED, 50),
        (Happening.CLEARED, 50),
    ]
    assert promotions.serving_of("staging", "gateway") == good.new


@pytest.mark.usefixtures("visitors")
def test_five_percent_errors_come_back_before_half_of_the_visitors_meet_them(promotions: Promotions) -> None:
    bad = canary(promotions, "canary-errors")
    assert bad.state.name == "PutBack"
    assert max(bad.weights()) <= 10
    assert "failed" in str(bad.state.message)
    assert promotions.serving_of("staging", "gateway") == bad.old
    assert (Happening.ABORTED, None) in bad.happened()
    assert 0 < bad.tallies[bad.new]["failed"] < 100


@pytest.mark.usefixtures("visitors")
def test_a_canary_that_nobody_can_see_is_held_and_somebody_is_paged(promotions: Promotions) -> None:
    silent = canary(promotions, "canary-silent", say("abort"))
    assert silent.state.name == "PutBack"
    assert max(silent.weights()) <= 10
    assert (Happening.ASKED, 10) in silent.happened()
    assert "a person said abort" in str(silent.state.message)
    incidents = promotions.room.state()["vendors"]["pager"]["incidents"]
    assert any("gateway" in incident["summary"] for incident in incidents)
