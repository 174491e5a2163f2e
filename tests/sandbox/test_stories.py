import json
from collections.abc import Callable
from io import StringIO
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from deployments.sandbox.__main__ import main, parsed, settings_of
from deployments.sandbox.arranging import settled
from deployments.sandbox.narration import APPROVED, Look, Narrator, TicketLook, changes, look, step_name
from deployments.sandbox.room import ControlRoom, Serving, serving, serving_version
from deployments.sandbox.runs import Prefect, RunState, Step, Unregistered
from deployments.sandbox.stories import STORIES
from deployments.sandbox.telling import Teller, as_expected

OLD, NEW = "aaaaaaa", "bbbbbbb"
COMPLETED = RunState("COMPLETED", "Completed", "")
REFUSED = RunState("FAILED", "Refused", "not stable yet")


def revision(version: str, weight: float = 1.0, health: str = "healthy") -> dict[str, Any]:
    return {"version": version, "weight": weight, "health": health}


def world(dev: str, staging: str, approvals: list[dict[str, str]] | None = None) -> dict[str, Any]:
    environments = [
        {"name": name, "services": [{"id": "gateway", "revisions": [revision(version)]}]}
        for name, version in (("dev", dev), ("staging", staging))
    ]
    vendors = {"chat": {"messages": []}, "pager": {"incidents": []}, "flags": {"approvals": approvals or []}}
    return {"environments": environments, "vendors": vendors, "now": "2026-01-05T09:00:00+00:00"}


class FakeRoom:
    """The control room's wire. A release placed in dev is what runs there from then on."""

    def __init__(self, approvals: list[dict[str, str]] | None = None) -> None:
        self.dev, self.staging, self.approvals = OLD, OLD, approvals
        self.orders: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(200, json=world(self.dev, self.staging, self.approvals))
        order = json.loads(request.content)
        self.orders.append((request.method, request.url.path, order))
        if request.url.path == "/api/releases":
            self.dev = NEW
        return httpx.Response(200, json={"version": NEW, "digests": {}})

    def door(self) -> ControlRoom:
        return ControlRoom("http://room", httpx.MockTransport(self))


def prefect(state: RunState, at_end: Callable[[], None] = lambda: None) -> Prefect:
    """A Prefect server whose runs are over at once."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/create_flow_run"):
            at_end()
            return httpx.Response(201, json={"id": "run-1"})
        if "/flow_runs/" in request.url.path:
            body = {"type": state.kind, "name": state.name, "message": state.message}
            return httpx.Response(200, json={"state": body})
        return httpx.Response(200, json=[] if request.url.path.endswith("filter") else {"id": "deployment-1"})

    return Prefect("http://prefect/api", httpx.MockTransport(answer))


def teller(room: FakeRoom, server: Prefect, check: Callable[[], None] = lambda: None) -> tuple[Teller, StringIO]:
    paper = StringIO()
    return Teller(room.door(), server, Narrator(Console(file=paper, width=300)), check, poll_seconds=0.02), paper


# ------------------------------------------------------------------------------------------------------ expectation


def test_the_stories_of_the_specification_are_there() -> None:
    assert set(STORIES) == {
        *("good", "bad", "slow", "crash", "unstable", "unhealthy"),
        *("config-unsafe", "flag-approval"),
        *("production", "unapproved-ticket", "outside-window", "emergency", "rejected", "deadline", "plan-changed"),
        *("regression-fails", "regression-empty", "slow-under-load", "k6-missing", "vulnerable", "scan-empty"),
        *("secret-found", "schema-breaks", "migration-unsafe", "migration-fails-on-data", "waived"),
        *("superseded", "stale-evidence", "wrong-version", "jira-down"),
        *(f"canary-{name}" for name in ("good", "errors", "slow", "dead", "leak", "silent", "thin", "worker-killed")),
    }


@pytest.mark.parametrize(
    ("story", "state", "staging", "expected"),
    [
        ("good", COMPLETED, NEW, True),
        pytest.param("good", COMPLETED, OLD, False, id="completed, and the world says otherwise"),
        ("good", REFUSED, OLD, False),
        ("unstable", REFUSED, OLD, True),
        pytest.param("unstable", REFUSED, NEW, False, id="refused, and something moved"),
        ("bad", RunState("FAILED", "PutBack", ""), OLD, True),
        ("bad", RunState("FAILED", "PutBack", ""), f"{OLD} 50%, {NEW} 50%", False),
        ("bad", COMPLETED, NEW, False),
    ],
)
def test_an_end_is_judged_by_the_state_and_by_what_serves(
    story: str, state: RunState, staging: str, expected: bool
) -> None:
    before: Serving = {"staging": {"gateway": OLD, "event-management": OLD}}
    after: Serving = {"staging": {"gateway": staging, "event-management": staging}}
    assert as_expected(STORIES[story], state, NEW, before, after) is expected


def test_one_service_left_behind_is_not_an_arrival() -> None:
    before: Serving = {"staging": {"gateway": OLD, "event-management": OLD}}
    after: Serving = {"staging": {"gateway": OLD, "event-management": NEW}}
    assert not as_expected(STORIES["good"], COMPLETED, NEW, before, after)


@given(
    st.lists(st.tuples(st.sampled_from([OLD, NEW]), st.floats(min_value=0, max_value=1, allow_nan=False)), max_size=4)
)
def test_a_version_is_said_to_serve_only_when_no_other_gets_traffic(shares: list[tuple[str, float]]) -> None:
    said = serving_version([revision(version, weight) for version, weight in shares])
    carrying = {version for version, weight in shares if weight > 0}
    assert (said in {OLD, NEW}) == (len(carrying) == 1)
    assert (said == "nothing") == (not carrying)


def test_a_release_has_settled_when_no_task_of_it_is_starting() -> None:
    state = world(NEW, OLD)
    assert settled(state, "dev", NEW)
    assert not settled(state, "dev", OLD)
    state["environments"][0]["services"][0]["revisions"][0]["health"] = "starting"
    assert not settled(state, "dev", NEW)


# ---------------------------------------------------------------------------------------------------------- telling


def test_a_good_story_is_told_with_what_really_serves() -> None:
    room = FakeRoom()

    def arrives() -> None:
        room.staging = NEW

    told, paper = teller(room, prefect(COMPLETED, arrives))
    outcome = told.tell(STORIES["good"], 5)
    assert outcome.as_expected
    assert outcome.serving == {"dev": {"gateway": NEW}, "staging": {"gateway": NEW}}
    assert list(outcome.as_json())[:5] == ["story", "flow_run_id", "state", "version", "serving"]
    assert "staging: aaaaaaa → bbbbbbb" in paper.getvalue()


def test_a_story_leaves_the_world_as_it_found_it_even_when_its_promotion_cannot_begin() -> None:
    room = FakeRoom()
    nowhere = Prefect("http://prefect/api", httpx.MockTransport(lambda _: httpx.Response(404)))
    with pytest.raises(Unregistered, match="has no deployment 'promote-to-staging/batbern'"):
        teller(room, nowhere)[0].tell(STORIES["config-unsafe"], 5)
    methods = [method for method, path, _ in room.orders if path == "/api/parameters"]
    assert methods == ["POST", "DELETE"]


def test_the_approver_who_is_not_there_approves_only_what_waits_in_the_target() -> None:
    requests = [
        {"id": "1", "environment": "staging", "review": "pending"},
        {"id": "2", "environment": "production", "review": "pending"},
        {"id": "3", "environment": "staging", "review": "approved"},
    ]
    room = FakeRoom(requests)
    STORIES["flag-approval"].meanwhile(room.door())
    assert room.orders == [("POST", "/api/flags/approve", {"id": "1"})]


def test_a_run_that_does_not_end_is_given_up_and_not_as_expected() -> None:
    told, _ = teller(FakeRoom(), prefect(RunState("RUNNING", "Running", "")))
    outcome = told.tell(STORIES["good"], 0)
    assert (outcome.state, outcome.as_expected) == ("Running", False)


def test_runs_that_a_stopped_sandbox_leaves_behind_are_said_to_have_crashed() -> None:
    said: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("filter"):
            return httpx.Response(200, json=[{"id": "run-1"}])
        said.append((request.url.path, json.loads(request.content)["state"]["type"]))
        return httpx.Response(201, json={})

    Prefect("http://prefect/api", httpx.MockTransport(answer)).crash_unfinished("stopped")
    assert said == [("/api/flow_runs/run-1/set_state", "CRASHED")]


# -------------------------------------------------------------------------------------------------------- narration


def step(number: int, kind: str, message: str = "") -> Step:
    return Step(str(number), f"smoke test-{number:03d}", RunState(kind, kind.title(), message), None)


def test_a_step_is_told_once_when_it_is_over() -> None:
    going = Look(steps=[step(1, "RUNNING")])
    over = Look(steps=[step(1, "COMPLETED"), step(2, "FAILED", "no answer [x]")])
    assert list(changes(Look(), going)) == []
    first, second = changes(going, over)
    assert "✓" in first
    assert "✗" in second
    assert "no answer \\[x]" in second
    assert list(changes(over, over)) == []


def test_services_that_move_together_are_told_in_one_line() -> None:
    before = Look(traffic={("staging", "a"): OLD, ("staging", "b"): OLD, ("dev", "a"): NEW})
    after = Look(traffic={("staging", "a"): NEW, ("staging", "b"): NEW, ("dev", "a"): NEW})
    (line,) = changes(before, after)
    assert f"staging: {OLD} → [bold]{NEW}[/]" in line
    assert "a, b" in line


def test_only_new_messages_are_told() -> None:
    assert list(changes(Look(chat=["one"]), Look(chat=["one", "two"]))) == ["[magenta]Slack[/]      two"]


def test_a_look_holds_the_first_line_of_a_message() -> None:
    state = world(OLD, OLD)
    state["vendors"]["chat"]["messages"] = [{"text": "put back\nstaging serves what it served"}]
    assert look(COMPLETED, (), state).chat == ["put back"]


def test_a_ticket_is_told_by_its_status_and_by_what_is_said_on_it() -> None:
    before = Look(tickets={"CHG-1": TicketLook("Approved", ["one"])})
    after = Look(tickets={"CHG-1": TicketLook("Done", ["one", "it serves"]), "CHG-2": TicketLook("To Do")})
    status, comment, new = changes(before, after)
    assert "CHG-1: Approved → [bold]Done[/]" in status
    assert "CHG-1: it serves" in comment
    assert "CHG-2 is new" in new
    assert list(changes(after, after)) == []


def test_a_run_that_begins_again_tells_its_gates_once_and_everything_after_the_approval() -> None:
    paper = StringIO()
    narrator = Narrator(Console(file=paper, width=300))
    suspended = RunState("PAUSED", "Suspended", "")
    gates = [step(1, "COMPLETED")]
    narrator.observe(Look(suspended, gates))
    narrator.observe(Look(suspended, [*gates, step(2, "COMPLETED")]))
    assert paper.getvalue().count("smoke test") == 1
    narrator.observe(Look(suspended, [*gates, step(2, "COMPLETED"), step(3, "FAILED", "no answer")]))
    assert paper.getvalue().count("smoke test") == 2
    approved = Step("4", APPROVED, COMPLETED, None)
    narrator.observe(Look(suspended, [*gates, approved, step(5, "COMPLETED")]))
    assert paper.getvalue().count("smoke test") == 3


@pytest.mark.parametrize(
    ("given_name", "told"), [("check_health-1a2", "check health"), ("roll out gateway", "roll out gateway")]
)
def test_a_steps_name_is_told_in_words(given_name: str, told: str) -> None:
    assert step_name(given_name) == told


# ------------------------------------------------------------------------------------------------------ the command


def test_the_demo_walks_to_production_and_takes_a_bad_release_back_unattended_and_fast() -> None:
    options = parsed(["--demo"])
    assert options.story == ["good", "production", "bad"]
    assert (options.unattended, settings_of(options).minute_seconds) == (True, 1.0)


def test_stories_are_told_in_the_order_given() -> None:
    assert parsed(["--story", "bad", "--story", "good"]).story == ["bad", "good"]


def test_every_port_can_be_chosen() -> None:
    names = ("ui", "control-room", "aws", "vendors", "dev", "staging", "production")
    arguments = [word for number, name in enumerate(names, 7000) for word in (f"--{name}-port", str(number))]
    ports = settings_of(parsed(arguments)).ports
    assert (ports.ui, ports.control_room, ports.production) == (7000, 7001, 7006)


@pytest.mark.parametrize(
    "arguments", [["--story", "unknown"], ["--minute", "0"], ["--ui-port", "70000"], ["--unattended"]]
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        main(arguments)
    assert refusal.value.code == 2
    assert capsys.readouterr().err


def test_the_world_is_read_by_environment_and_service() -> None:
    assert serving(world(NEW, OLD)) == {"dev": {"gateway": NEW}, "staging": {"gateway": OLD}}
