"""The control room shows the whole world, carries out orders, and shows what looks like HTML as text."""

import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from deployments.sandbox.asking import approver_views
from deployments.sandbox.behaviour import BEHAVIOURS
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.control_room import application
from deployments.sandbox.control_room.application import STATIC, create_app
from deployments.sandbox.control_room.shape import (
    ApproverView,
    AwsCallsView,
    Deployed,
    DeploymentView,
    EnvironmentView,
    MetView,
    RevisionView,
    ServiceView,
    WaitingView,
    WorldState,
)
from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import VendorState
from rules.production_policies import Person

RULES = Path(__file__).parents[2] / "rules"
NOW = "2026-01-05T09:00:00+00:00"
MET: MetView = {"requests": 700, "failed": 7, "slow": 3, "bad": 9}
HTML = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def revision(version: str, weight: float = 1.0, role: Any = "primary") -> RevisionView:
    return {
        "revision": f"gateway:{len(version)}",
        "version": version,
        "digest": "sha256:" + "a" * 64,
        "weight": weight,
        "desired": 2,
        "running": 2,
        "healthy": 2,
        "health": "healthy",
        "behaviour": "good",
        "role": role,
    }


def service(name: str, *revisions: RevisionView) -> ServiceView:
    return {
        "id": name,
        "name": f"BATbern-dev-{name}",
        "wave": 1,
        "load_balanced": False,
        "health": "healthy",
        "deployed_at": NOW,
        "revisions": list(revisions),
        "deployment": None,
    }


def held() -> DeploymentView:
    """A canary that waits for a word."""
    return {
        "id": "d1",
        "status": "IN_PROGRESS",
        "stage": "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "strategy": "LINEAR",
        "weights": [10.0, 50.0, 100.0],
        "pause": {
            "hook": "h1",
            "stage": "PRE_PRODUCTION_TRAFFIC_SHIFT",
            "expires_at": "2026-01-05T09:04:30+00:00",
            "goes_back": True,
        },
        "reason": "",
        "started_at": NOW,
        "finished_at": None,
    }


def environment(name: str, *services: ServiceView) -> EnvironmentView:
    return {
        "name": name,
        "role": name,
        "account": "1" * 12,
        "url": "javascript:alert(1)",
        "services": list(services),
        "traffic": [{"at": NOW, "requests": 7, "errors": 1, "p95_ms": 20.0}] * 12,
        "visitors": {"per_second": 10.0, "met": MET, "by_version": {"3f2a1bc": MET}},
        "parameters": [
            {"name": f"/batbern/{name}/note", "type": "String", "value": HTML, "version": 1},
            {"name": f"/batbern/{name}/password", "type": "SecureString", "value": "hunter2", "version": 1},
        ],
        "alarms": [{"name": f"{name}-errors", "state": "OK", "reason": ""}],
    }


def waits(awaited: list[str], until: str | None) -> WaitingView:
    """A promotion that waits, for people or for its time."""
    return {
        "run_id": f"{until} {HTML}",
        "environment": "production",
        "version": "3f2a1bc",
        "plan": "a" * 64,
        "awaited": awaited,
        "approved": [HTML],
        "until": until,
        "deadline": "2026-01-08T09:00:00+00:00",
        "url": "javascript:alert(1)",
    }


@dataclass
class FakeWorld:
    """A world that remembers its orders."""

    faults: Faults = field(default_factory=Faults)
    vendors: VendorState = field(default_factory=lambda: VendorState(ManualClock()))
    orders: list[tuple[object, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.vendors.seed()
        self.vendors.chat.post("C0RELEASES", {"text": f"{HTML} *bold* <javascript:alert(1)|click>"}, HTML)

    def state(self) -> WorldState:
        new, old = revision("3f2a1bc", 0.25, "new"), revision("99c0ffee", 0.75, "old")
        return {
            "application": "batbern",
            "now": NOW,
            "minute_seconds": 1.0,
            "prefect_url": "http://127.0.0.1:4200",
            "environments": [
                environment("dev", service("gateway", revision("3f2a1bc"))),
                environment(
                    "staging", {**service("gateway", old, new), "deployment": held()}, service(HTML, revision(HTML))
                ),
            ],
            "activity": [{"at": NOW, "environment": "dev", "sentence": HTML, "tone": "info"}],
            "waiting": [waits(["Anna Meier"], None), waits([], "2026-01-06T09:00:00+00:00")],
        }

    def approvers(self) -> list[ApproverView]:
        return approver_views({"anna-meier": Person("anna-meier", "Anna Meier")})

    def let_pass(self, environment: str, age_minutes: float) -> None:
        self.orders.append((environment, age_minutes))

    def aws_calls(self, since: int) -> AwsCallsView:
        return {"calls": [], "last": since, "lost": 0}

    def deploy(self, environment: str, behaviour: str, age_minutes: float) -> Deployed:
        if environment not in {"dev", "staging"}:
            raise ValueError(f"environment is {environment!r}; allowed is one of dev, staging.")
        self.orders.append((environment, behaviour, age_minutes))
        return {"version": "3f2a1bc", "digests": {"gateway": "sha256:" + "a" * 64}}

    def put_parameter(self, environment: str, name: str, value: str, kind: str) -> None:
        self.orders.append((environment, name, value, kind))

    def delete_parameter(self, environment: str, name: str) -> None:
        self.orders.append((environment, name))

    def set_visitors(self, environment: str, per_second: float) -> None:
        self.orders.append((environment, per_second))


@pytest.fixture
def world() -> FakeWorld:
    return FakeWorld()


@pytest.fixture
def room(world: FakeWorld) -> Iterator[httpx.Client]:
    with httpx.Client(transport=InProcess(create_app(world)), base_url="http://127.0.0.1") as client:
        yield client


def test_the_state_holds_the_world_the_vendors_and_the_faults(room: httpx.Client) -> None:
    room.post("/api/faults", json={"target": "aws", "kind": "throttle", "times": 3})
    state = room.get("/api/state").json()
    assert [e["name"] for e in state["environments"]] == ["dev", "staging"]
    assert set(state["vendors"]) == {"flags", "tickets", "chat", "pager"}
    assert state["faults"] == [{"target": "aws", "operation": "*", "kind": "throttle", "times": 3, "seconds": None}]


def test_a_secret_is_masked_even_if_the_world_forgets(room: httpx.Client, world: FakeWorld) -> None:
    text = room.get("/api/state").text
    assert "hunter2" not in text
    assert all(secret not in text for secret in (world.vendors.credentials.pager_key, "sandbox-chat-token"))


def test_a_release_is_placed_and_named(room: httpx.Client, world: FakeWorld) -> None:
    answer = room.post("/api/releases", json={"environment": "dev", "behaviour": "bad", "age_minutes": 30})
    assert answer.json()["version"] == "3f2a1bc"
    assert world.orders == [("dev", "bad", 30)]


def test_parameters_are_written_and_removed(room: httpx.Client, world: FakeWorld) -> None:
    room.post("/api/parameters", json={"environment": "dev", "name": "a", "value": "1", "type": "SecureString"})
    room.request("DELETE", "/api/parameters", json={"environment": "dev", "name": "a"})
    assert world.orders == [("dev", "a", "1", "SecureString"), ("dev", "a")]


def test_faults_are_repaired_together_or_one_by_one(room: httpx.Client, world: FakeWorld) -> None:
    for target in ("aws", "jira", "slack"):
        room.post("/api/faults", json={"target": target, "kind": "error"})
    room.delete("/api/faults?target=jira")
    assert [fault.target for fault in world.faults.active] == ["aws", "slack"]
    room.delete("/api/faults")
    assert world.faults.active == ()


def test_a_flag_request_is_approved_by_somebody_else(room: httpx.Client, world: FakeWorld) -> None:
    room.post("/api/flags/approvals", json={"environment": "staging", "required": True})
    flags = world.vendors.flags
    assert flags.needs_approval("staging", flags.flags["partner-voting"])
    wish = {"description": "release", "instructions": [{"kind": "turnFlagOn"}]}
    request = flags.ask_approval(flags.flags["partner-voting"], "staging", wish, "promotion-bot")
    assert room.post("/api/flags/approve", json={"id": request["_id"]}).status_code == 200
    assert room.get("/api/state").json()["vendors"]["flags"]["approvals"][0]["review"] == "approved"


def test_a_ticket_is_moved(room: httpx.Client, world: FakeWorld) -> None:
    assert room.post("/api/tickets/move", json={"key": "CHG-103", "transition": "21"}).status_code == 200
    assert world.vendors.tickets.find("CHG-103").fields["status"]["name"] == "Approved"


def test_a_ticket_is_made_in_the_status_that_is_asked_for(room: httpx.Client, world: FakeWorld) -> None:
    key = room.post("/api/tickets", json={"summary": "Release", "status": "Awaiting approval"}).json()["key"]
    fields = world.vendors.tickets.find(key).fields
    assert (key, fields["status"]["name"], fields["summary"]) == ("CHG-104", "Awaiting approval", "Release")


def test_time_passes_in_an_environment(room: httpx.Client, world: FakeWorld) -> None:
    assert room.post("/api/ages", json={"environment": "staging", "age_minutes": 180}).status_code == 200
    assert world.orders == [("staging", 180)]


def test_who_plays_is_told_the_approvers_codes(room: httpx.Client) -> None:
    [anna] = room.get("/api/approvers").json()["approvers"]
    assert (anna["id"], anna["name"]) == ("anna-meier", "Anna Meier")
    assert re.fullmatch(r"\d{6}", anna["code"])
    assert 0 < anna["seconds"] <= 30


def test_more_visitors_are_asked_for(room: httpx.Client, world: FakeWorld) -> None:
    assert room.post("/api/visitors", json={"environment": "staging", "per_second": 50}).status_code == 200
    assert world.orders == [("staging", 50)]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param("releases", {"environment": "moon", "behaviour": "good"}, id="unknown environment"),
        pytest.param("releases", {"environment": "dev", "behaviour": "odd"}, id="unknown behaviour"),
        pytest.param("releases", {"environment": "dev", "behaviour": "good", "age_minutes": -1}, id="negative age"),
        pytest.param("releases", ["dev"], id="not an object"),
        pytest.param("faults", {"target": "aws", "kind": "explode"}, id="unknown kind of fault"),
        pytest.param("faults", {"target": "aws", "kind": "slow", "times": 0}, id="no times"),
        pytest.param("flags/approve", {"id": "unknown"}, id="unknown request"),
        pytest.param("flags/approvals", {"environment": "moon", "required": True}, id="flags of nowhere"),
        pytest.param("visitors", {"environment": "dev", "per_second": 5000}, id="a flood"),
        pytest.param("ages", {"environment": "dev", "age_minutes": -1}, id="time does not go back"),
        pytest.param("tickets", {"summary": "Release", "status": "Forgotten"}, id="unknown status"),
        pytest.param("tickets/move", {"key": "CHG-103", "transition": "41"}, id="not in the workflow"),
    ],
)
def test_an_order_that_cannot_be_carried_out_says_why(room: httpx.Client, path: str, body: Any) -> None:
    answer = room.post(f"/api/{path}", json=body)
    assert answer.status_code == 400
    assert len(answer.json()["error"]) > 10


def test_other_pages_in_the_browser_cannot_give_orders(room: httpx.Client, world: FakeWorld) -> None:
    body = '{"target": "aws", "kind": "error"}'
    assert room.post("/api/faults", content=body, headers={"Content-Type": "text/plain"}).status_code == 415
    assert room.get("/api/state", headers={"Host": "evil.example"}).status_code == 400
    assert world.faults.active == ()


def test_every_behaviour_of_a_release_has_its_button() -> None:
    desk = (STATIC / "desk.js").read_text()
    assert [name for name in BEHAVIOURS if f'["{name}", ' not in desk] == []


def test_every_sign_in_the_products_messages_is_drawn() -> None:
    chat = (STATIC / "chat_text.js").read_text()
    sources = [file.read_text() for file in RULES.glob("*messages.py")]
    signs = {sign for source in sources for sign in re.findall(r'":([a-z_]+):"', source)}
    assert {"hatching_chick", "ballot_box_with_check", "white_check_mark"} <= signs
    assert [sign for sign in sorted(signs) if f"{sign}: [" not in chat] == []


def test_the_page_needs_nothing_from_elsewhere(room: httpx.Client) -> None:
    page = room.get("/")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    sources = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert sources
    assert all(room.get(f"/{source}").status_code == 200 for source in sources)
    for file in STATIC.iterdir():
        found = set(re.findall(r"https?://[\w.]+", file.read_text())) - {"http://www.w3.org"}
        assert not found, file.name
        assert "innerHTML" not in file.read_text()


@pytest.mark.skipif(not shutil.which("chromium"), reason="no chromium on this machine")
def test_what_looks_like_html_is_shown_as_text(world: FakeWorld, tmp_path: Path) -> None:
    with _served(world) as url:
        text = _browse(url, tmp_path)
    assert "<title>batbern · control room</title>" in text
    assert "25%" in text
    assert "back in 4m 30s" in text
    assert "awaited: Anna Meier" in text
    assert "3 days left" in text
    assert "approved; it waits for its time" in text
    assert "linear, 10 %, 50 %, 100 %" in text
    assert "&lt;img src=x onerror" in text
    assert "<img" not in text
    assert 'href="javascript' not in text


class _served:  # noqa: N801 - reads as a verb in `with`
    def __init__(self, world: application.World) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = uvicorn.Server(uvicorn.Config(create_app(world), log_level="critical", ws="none"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> str:
        self._thread.start()
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}/"

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()


def _browse(url: str, profile: Path) -> str:
    """The page as a real browser holds it after some seconds."""
    quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", *quiet, f"--user-data-dir={profile}"]
    command += ["--virtual-time-budget=4000", "--dump-dom", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
