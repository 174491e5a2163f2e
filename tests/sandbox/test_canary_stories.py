"""The stories of canaries, told in a world whose wire is fake: who is asked what, and what is told in the end."""

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from deployments.sandbox.meeting import between
from deployments.sandbox.narration import Narrator
from deployments.sandbox.room import ControlRoom, Serving
from deployments.sandbox.runs import Prefect, RunState, Unregistered
from deployments.sandbox.stories import STORIES
from deployments.sandbox.story import Story
from deployments.sandbox.telling import Outcome, Teller, as_expected
from rules.records import Record

OLDEST, OLD, NEW = "0000000", "aaaaaaa", "bbbbbbb"
NOW = "2026-01-05T09:00:00+00:00"
LATER = "2026-01-05T09:00:30+00:00"
PUT_BACK = RunState("FAILED", "PutBack", "worse")
COMPLETED = RunState("COMPLETED", "Completed", "")
PAUSED = RunState("PAUSED", "Paused", "")
RUNNING = RunState("RUNNING", "Running", "")


def met(requests: int, failed: int = 0, slow: int = 0) -> dict[str, int]:
    return {"requests": requests, "failed": failed, "slow": slow, "bad": failed + slow}


def revision(version: str, weight: float, role: str) -> dict[str, Any]:
    return {"version": version, "weight": weight, "health": "healthy", "role": role}


class FakeWorld:
    """The control room's wire and the Prefect server's; the states of a run come one after the other."""

    def __init__(self, *states: RunState) -> None:
        self.states, self.orders = list(states), list[tuple[str, Any]]()
        self.started: list[dict[str, Any]] = []
        self.answers: list[Any] = []
        self.accepts = "ACCEPT"
        self.gateway, self.share = {"dev": OLDEST, "staging": OLDEST}, 0.0
        self.first_share = 0.0
        self.finished_at: str | None = None
        self.by_version: dict[str, dict[str, int]] = {}
        self.incidents: list[dict[str, str]] = []
        self.versions = [OLD, NEW]

    # --- the control room

    def room(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=self.state())
        order = json.loads(request.content)
        self.orders.append((request.url.path, order))
        if request.url.path != "/api/releases":
            return httpx.Response(200, json={})
        version = self.versions.pop(0)
        self.gateway[order["environment"]] = version
        self.by_version[version] = met(5000, slow=30)
        return httpx.Response(200, json={"version": version, "digests": {}})

    def state(self) -> dict[str, Any]:
        vendors = {"chat": {"messages": []}, "pager": {"incidents": self.incidents}, "flags": {"approvals": []}}
        environments = [self._environment(name) for name in ("dev", "staging")]
        return {"environments": environments, "vendors": vendors, "now": NOW}

    def _environment(self, name: str) -> dict[str, Any]:
        revisions = [revision(self.gateway[name], 1.0, "primary")]
        if name == "staging" and self.share:
            revisions = [revision(OLD, 1 - self.share, "old"), revision(NEW, self.share, "new")]
        deployment = {"status": "ROLLBACK_SUCCESSFUL", "reason": "timed out", "finished_at": self.finished_at}
        whole = met(0)
        for one in self.by_version.values():
            whole = {key: whole[key] + one[key] for key in whole}
        return {
            "name": name,
            "services": [{"id": "gateway", "revisions": revisions, "deployment": deployment}],
            "visitors": {"per_second": 10.0, "met": whole, "by_version": dict(self.by_version)},
        }

    # --- the Prefect server

    def server(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/create_flow_run"):
            self.started.append(json.loads(request.content)["parameters"])
            self.share = 0.0 if self.started[-1].get("dry_run") else self.first_share
            return httpx.Response(201, json={"id": f"run-{len(self.started)}"})
        if path.endswith("/resume"):
            self.answers.append(json.loads(request.content)["run_input"])
            return httpx.Response(201, json={"status": self.accepts, "details": {"reason": "why"}})
        if path.endswith("/set_state"):
            return httpx.Response(201, json={})
        if "/flow_runs/run-" in path:
            state = self.states[0] if len(self.states) == 1 else self.states.pop(0)
            return httpx.Response(200, json={"state": {"type": state.kind, "name": state.name, "message": ""}})
        return httpx.Response(200, json=[] if path.endswith("filter") else {"id": "deployment-1"})

    def tell(self, story: Story, seconds: float = 5, machinery: Any = None) -> Outcome:
        room = ControlRoom("http://room", httpx.MockTransport(self.room))
        prefect = Prefect("http://prefect/api", httpx.MockTransport(self.server))
        paper = Narrator(Console(file=StringIO(), width=300))
        teller = Teller(room, prefect, paper, lambda: None, machinery, poll_seconds=0.02)
        return teller.tell(replace(story, extra_seconds=0), seconds)


# ------------------------------------------------------------------------------------------------------ expectation


@pytest.mark.parametrize(
    ("story", "state", "gateway", "backend", "expected"),
    [
        ("canary-good", COMPLETED, NEW, OLD, True),
        pytest.param("canary-good", COMPLETED, NEW, NEW, False, id="a service moved that was not to be rolled out"),
        ("canary-good", COMPLETED, OLD, OLD, False),
        ("canary-dead", PUT_BACK, OLD, OLD, True),
        ("canary-dead", PUT_BACK, NEW, OLD, False),
        pytest.param("canary-worker-killed", COMPLETED, OLD, OLD, True, id="the dry run after it changes nothing"),
        ("canary-worker-killed", COMPLETED, NEW, OLD, False),
    ],
)
def test_only_the_gateway_moves(story: str, state: RunState, gateway: str, backend: str, expected: bool) -> None:
    before: Serving = {"staging": {"gateway": OLD, "event-management": OLD}}
    after: Serving = {"staging": {"gateway": gateway, "event-management": backend}}
    assert as_expected(STORIES[story], state, NEW, before, after) is expected


# ---------------------------------------------------------------------------------------------------------- telling


def test_a_canary_is_rolled_out_where_an_old_version_has_a_past_and_many_visitors() -> None:
    world = FakeWorld(PUT_BACK)
    outcome = world.tell(STORIES["canary-errors"])
    placed = [(order["environment"], order["behaviour"]) for path, order in world.orders if path == "/api/releases"]
    assert placed == [("staging", "canary-good"), ("dev", "canary-errors")]
    assert world.started == [
        {
            "application": "batbern",
            "environment": "staging",
            "version": NEW,
            "strategy": "canary",
            "services": ["gateway"],
        }
    ]
    visitors = [order["per_second"] for path, order in world.orders if path == "/api/visitors"]
    assert visitors == [50.0, 10.0]
    assert (outcome.as_expected, outcome.serving["staging"]) == (True, {"gateway": OLD})


def test_a_thin_canary_has_few_visitors_once_the_old_version_is_known() -> None:
    world = FakeWorld(PAUSED, PAUSED, COMPLETED)
    world.tell(STORIES["canary-thin"])
    visitors = [order["per_second"] for path, order in world.orders if path == "/api/visitors"]
    assert visitors == [50.0, 1.0, 10.0]
    assert [answer["decision"] for answer in world.answers] == ["promote", "promote"]


def test_a_person_says_abort_only_when_somebody_was_paged() -> None:
    world = FakeWorld(PAUSED, PAUSED, PUT_BACK)
    earlier = {"created_at": "2026-01-05T08:00:00+00:00", "status": "triggered", "summary": "of another story"}
    world.incidents = [earlier]
    outcome = world.tell(STORIES["canary-silent"])
    assert (world.answers, outcome.decisions, outcome.as_expected) == ([], [], False)
    world = FakeWorld(PAUSED, PUT_BACK)
    world.incidents = [earlier, {"created_at": LATER, "status": "triggered", "summary": "gateway is silent"}]
    outcome = world.tell(STORIES["canary-silent"])
    assert [it["decision"] for it in world.answers] == ["abort"]
    assert outcome.as_expected


def test_a_run_that_asks_where_nobody_should_be_asked_is_not_answered() -> None:
    world = FakeWorld(PAUSED, COMPLETED)
    outcome = world.tell(STORIES["canary-good"])
    assert world.answers == []
    assert "decisions" not in outcome.as_json()


def test_an_answer_that_comes_too_late_is_none() -> None:
    world = FakeWorld(PAUSED, COMPLETED)
    world.accepts = "ABORT"
    assert world.tell(STORIES["canary-thin"]).decisions == []


def test_an_answer_that_the_form_does_not_take_is_said() -> None:
    world = FakeWorld(PAUSED)
    world.accepts = "REJECT"
    with pytest.raises(Unregistered, match=r"does not take.*promote"):
        world.tell(STORIES["canary-thin"])


# --------------------------------------------------------------------------------------------------------- visitors


def state_with(**versions: Mapping[str, int]) -> dict[str, Any]:
    world = FakeWorld()
    world.by_version = {name: dict(counts) for name, counts in versions.items()}
    return world.state()


def test_what_visitors_met_is_told_from_the_beginning_of_the_run() -> None:
    before = state_with(old=met(1000, failed=2, slow=6))
    after = state_with(old=met(1900, failed=2, slow=12), new=met(100, failed=50))
    told = between(before, after, "staging")
    assert (told.requests, told.failed, told.slow, told.share_of_bad) == (1000, 50, 6, 0.056)
    assert told.by_version == {"old": met(900, slow=6), "new": met(100, failed=50)}


def test_nobody_came_is_no_share() -> None:
    state = state_with(old=met(10))
    assert between(state, state, "staging").share_of_bad == 0.0
    assert between(state, state, "staging").by_version == {}


# ------------------------------------------------------------------------------------------------------- the killed


class FakeMachinery:
    """Processes that can be killed; Amazon ECS takes the traffic back at once."""

    def __init__(self, world: FakeWorld, sentence: str, comes_back: bool = True) -> None:
        self._world, self._sentence, self._comes_back = world, sentence, comes_back
        self.done: list[str] = []

    def kill_worker(self) -> int:
        self.done.append("killed")
        if self._comes_back:
            self._world.share, self._world.finished_at = 0.0, NOW
            self._world.states = [COMPLETED]
        return 3

    def start_worker(self) -> None:
        self.done.append("started")

    def ledger_says(self, run_id: str) -> str:
        return self._sentence if run_id == "run-1" else ""

    def records(self, _run_id: str) -> list[Record]:
        return []

    def other_catalogue(self, _edit: Callable[[str], str]) -> AbstractContextManager[None]:
        return nullcontext()


def killed(sentence: str, comes_back: bool = True) -> tuple[FakeWorld, FakeMachinery, Outcome]:
    world = FakeWorld(RUNNING)
    machinery = FakeMachinery(world, sentence, comes_back)
    world.first_share = 0.1
    world.versions = [NEW]
    story = replace(STORIES["canary-worker-killed"], before="", visitors=0)
    world.gateway["staging"] = OLD
    return world, machinery, world.tell(story, 0.5, machinery)


def test_a_killed_worker_is_replaced_and_the_next_run_is_a_dry_one() -> None:
    world, machinery, outcome = killed("Amazon ECS took gateway back")
    assert machinery.done == ["killed", "started"]
    assert [it.get("dry_run", False) for it in world.started] == [False, True]
    assert outcome.killed is not None
    assert (outcome.killed.weight, outcome.killed.processes) == (10.0, 3)
    assert outcome.killed.aws == "ROLLBACK_SUCCESSFUL: timed out"
    assert outcome.killed.ledger == "Amazon ECS took gateway back"
    assert outcome.flow_run_id == "run-1"
    assert outcome.as_expected


def test_a_ledger_that_does_not_say_why_is_not_as_expected() -> None:
    assert not killed("")[2].as_expected


def test_traffic_that_never_comes_back_is_not_as_expected() -> None:
    outcome = killed("it says something", comes_back=False)[2]
    assert outcome.killed is not None
    assert outcome.killed.back_seconds is None
    assert not outcome.as_expected


def test_a_story_that_kills_needs_something_to_kill() -> None:
    with pytest.raises(ValueError, match="canary-worker-killed needs a worker"):
        FakeWorld(RUNNING).tell(STORIES["canary-worker-killed"])


def test_the_times_of_incidents_are_compared_as_times() -> None:
    decide = STORIES["canary-silent"].decide
    assert decide is not None
    incident = {"created_at": "2026-01-05T10:00:00+01:00", "status": "triggered", "summary": "s"}
    state = {"vendors": {"pager": {"incidents": [incident]}}}
    assert decide(state, datetime(2026, 1, 5, 9, tzinfo=UTC)) is not None
    assert decide(state, datetime(2026, 1, 5, 9, 1, tzinfo=UTC)) is None
