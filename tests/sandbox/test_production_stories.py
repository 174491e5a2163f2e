"""The stories of production, told in a world whose wire is fake: who answers which question, and what is looked at."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from typing import Any

import httpx
import pytest
from rich.console import Console

from deployments.sandbox.approvers import Authenticators, code_at
from deployments.sandbox.keeping import KEEPER
from deployments.sandbox.narration import Narrator
from deployments.sandbox.production_stories import ELSEWHERE, LEAD, OPERATOR, PRODUCTION_STORIES, TO_PRODUCTION, TTL
from deployments.sandbox.room import ControlRoom
from deployments.sandbox.runs import Prefect, Unregistered
from deployments.sandbox.settings import Settings
from deployments.sandbox.stories import STORIES
from deployments.sandbox.story import Story, no_more
from deployments.sandbox.telling import Outcome, Teller
from rules.records import Event, Record, chain

OLD, NEW, NEWEST = "aaaaaaa", "bbbbbbb", "ccccccc"
NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
SUSPENDED = ("PAUSED", "Suspended")
COMPLETED = ("COMPLETED", "Completed")
REFUSED = ("FAILED", "Refused")
SUPERSEDED = ("FAILED", "Superseded")
PLAN = "plan-1"
USUAL = Settings().catalogue.read_text()


def _number(path: str) -> int:
    """Of the run that a path of the Prefect server is about."""
    return int(path.split("run-")[1].split("/", maxsplit=1)[0])


class Stage:
    """The wire of the control room and of the Prefect server, the ledger and the catalogue's file.

    A run suspends, is answered and suspends again; `script` says what each of its looks finds, by number of the run.
    """

    def __init__(self, *scripts: list[tuple[str, str]]) -> None:
        self.scripts = [list(script) for script in scripts]
        self.serving = {"dev": OLD, "staging": OLD, "production": OLD}
        self.behaviours: list[tuple[str, str]] = []
        self.orders: list[tuple[str, Any]] = []
        self.tickets: list[dict[str, Any]] = []
        self.faults: list[dict[str, str]] = []
        self.flag_requests: list[dict[str, str]] = []
        self.versions = [NEW, NEWEST]
        self.started: list[tuple[str, dict[str, Any]]] = []
        self.answers: list[dict[str, str]] = []
        self.conflicts = 0
        self.questions = 1
        self.deploying = False
        self.arrives: Callable[[str], None] = lambda _version: None
        self.ledger: list[Event] = []
        self.text = "usual"
        self.seen_texts: list[str] = []

    # --- the control room

    def room(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if request.method == "GET":
            return httpx.Response(200, json=self.state())
        order = json.loads(request.content) if request.content else None
        self.orders.append((path, order))
        if path == "/api/releases":
            return httpx.Response(200, json={"version": self._placed(order), "digests": {}})
        if path == "/api/tickets":
            return httpx.Response(200, json={"key": self._ticket(order["status"])})
        if path == "/api/faults":
            self.faults = [order] if request.method == "POST" else []
        return httpx.Response(200, json={})

    def _placed(self, order: dict[str, Any]) -> str:
        version = self.versions.pop(0)
        self.serving[order["environment"]] = version
        self.behaviours.append((order["environment"], order["behaviour"]))
        return version

    def _ticket(self, status: str) -> str:
        key = f"CHG-{104 + len(self.tickets)}"
        self.tickets.append({"key": key, "status": status, "comments": [], "links": [{"title": "the run"}]})
        return key

    def state(self) -> dict[str, Any]:
        vendors = {
            "chat": {"messages": []},
            "pager": {"incidents": []},
            "flags": {"approvals": self.flag_requests},
            "tickets": self.tickets,
        }
        environments = [self._environment(name) for name in ("dev", "staging", "production")]
        return {
            "environments": environments,
            "vendors": vendors,
            "now": NOON.isoformat(),
            "faults": self.faults,
        }

    def _environment(self, name: str) -> dict[str, Any]:
        revision = {"version": self.serving[name], "weight": 1.0, "health": "healthy", "role": "primary"}
        finished = None if name == "production" and self.deploying else NOON.isoformat()
        deployment = {"status": "", "reason": "", "finished_at": finished}
        met = {"requests": 0, "failed": 0, "slow": 0, "bad": 0}
        return {
            "name": name,
            "services": [{"id": "gateway", "revisions": [revision], "deployment": deployment}],
            "visitors": {"per_second": 10.0, "met": met, "by_version": {}},
        }

    # --- the Prefect server

    def server(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith("/resume"):
            return self._resumed(_number(path), json.loads(request.content)["run_input"])
        return httpx.Response(200, json=self._said(request, path))

    def _said(self, request: httpx.Request, path: str) -> Any:
        if path.startswith("/api/deployments/name/"):
            return {"id": path.removeprefix("/api/deployments/name/").replace("/", ":")}
        if path.endswith("/create_flow_run"):
            return {"id": self._started(request)}
        if "/input/" in path:
            return {"properties": {"plan": {"default": PLAN}}}
        if request.method == "GET":
            return {"state": self._now(_number(path))}
        return []

    def _started(self, request: httpx.Request) -> str:
        deployment = request.url.path.split("/")[3].replace(":", "/")
        self.started.append((deployment, json.loads(request.content)["parameters"]))
        self.seen_texts.append(self.text)
        if deployment == KEEPER:
            self.scripts.insert(len(self.started) - 1, [COMPLETED])
        return f"run-{len(self.started)}"

    def _now(self, number: int) -> dict[str, Any]:
        script, (deployment, parameters) = self.scripts[number - 1], self.started[number - 1]
        kind, name = script[0]
        if (kind, name) != SUSPENDED and len(script) > 1:
            script.pop(0)
        if name == "Completed" and deployment != KEEPER:
            self.arrives(parameters["version"] or self.serving["staging"])
        keys = {"schema": "s", "response": f"answer-{self.questions}", "description": "d"}
        details = {"run_input_keyset": keys if kind == "PAUSED" else None}
        return {"type": kind, "name": name, "message": "", "state_details": details}

    def _resumed(self, number: int, said: dict[str, str]) -> httpx.Response:
        if self.conflicts:
            self.conflicts -= 1
            return httpx.Response(409, json={})
        self.answers.append(said)
        self.questions += 1
        self.scripts[number - 1].pop(0)
        return httpx.Response(201, json={"status": "ACCEPT"})

    # --- processes and files

    def kill_worker(self) -> int:
        return 0

    def start_worker(self) -> None:
        pass

    def ledger_says(self, _run_id: str) -> str:
        return ""

    def records(self, run_id: str) -> list[Record]:
        records: list[Record] = []
        for event in self.ledger:
            records.append(chain(records[-1] if records else None, replace(event, run_id=run_id), NOON))
        return records

    @contextmanager
    def other_catalogue(self, edit: Callable[[str], str]) -> Iterator[None]:
        assert edit(USUAL) != USUAL
        self.text = "another"
        yield
        self.text = "usual"

    def tell(self, story: Story, seconds: float = 5) -> Outcome:
        room = ControlRoom("http://room", httpx.MockTransport(self.room))
        prefect = Prefect("http://prefect/api", httpx.MockTransport(self.server))
        self.paper = StringIO()
        narrator = Narrator(Console(file=self.paper, width=300))
        apps = Authenticators(now=NOON.timestamp)
        teller = Teller(room, prefect, narrator, lambda: None, self, authenticators=apps, poll_seconds=0.02)
        return teller.tell(replace(story, extra_seconds=0), seconds)


def arriving(stage: Stage) -> Stage:
    def arrives(version: str) -> None:
        stage.serving["production"] = version
        for ticket in stage.tickets:
            ticket["status"] = "Done"

    stage.arrives = arrives
    return stage


def plain(name: str, **other: Any) -> Story:
    """A story that is judged by its end alone."""
    return replace(STORIES[name], proof=no_more, **other)


# ------------------------------------------------------------------------------------------------------- what is asked


def test_every_story_of_production_promotes_from_staging_to_production_with_a_ticket_of_its_own() -> None:
    for story in PRODUCTION_STORIES:
        assert (story.deployment, story.source, story.target) == (TO_PRODUCTION, "staging", "production")
        assert story.ticket
        assert story.proof is not no_more, f"{story.name} cannot fail"


def test_a_story_that_goes_on_has_two_approvers_and_one_that_is_refused_has_none() -> None:
    people = {story.name: {says.person for says in story.approvers} for story in PRODUCTION_STORIES}
    for story in PRODUCTION_STORIES:
        wanted = {"Completed": 2, "Rejected": len(people[story.name]), "Refused": 0}[story.ends]
        assert len(people[story.name]) == wanted, story.name


def test_what_staging_runs_is_what_is_asked_for() -> None:
    stage = arriving(Stage([SUSPENDED, SUSPENDED, COMPLETED]))
    stage.serving["staging"] = NEW
    outcome = stage.tell(plain("production"))
    assert stage.behaviours == []
    assert ("/api/ages", {"environment": "staging", "age_minutes": 180}) in stage.orders
    [(deployment, parameters)] = stage.started
    assert deployment == TO_PRODUCTION
    assert (parameters["version"], parameters["change_ticket"]) == (NEW, "CHG-104")
    assert parameters["strategy"] == "as the catalogue says"
    assert (outcome.as_expected, outcome.version, outcome.ticket) == (True, NEW, "CHG-104: Done")


def test_a_new_release_is_placed_where_production_has_already_what_staging_runs() -> None:
    stage = arriving(Stage([SUSPENDED, SUSPENDED, COMPLETED]))
    assert stage.tell(plain("production")).as_expected
    assert stage.behaviours == [("staging", "good")]


def test_the_wrong_version_is_asked_for() -> None:
    stage = Stage([REFUSED])
    stage.tell(plain("wrong-version"))
    assert stage.started[0][1]["version"] == ELSEWHERE


def test_a_story_with_another_catalogue_leaves_the_usual_one_behind() -> None:
    stage = Stage([REFUSED])
    stage.tell(plain("outside-window"))
    assert (stage.seen_texts, stage.text) == (["another"], "usual")


def test_a_story_with_another_catalogue_needs_one() -> None:
    stage = Stage([REFUSED])
    room = ControlRoom("http://room", httpx.MockTransport(stage.room))
    prefect = Prefect("http://prefect/api", httpx.MockTransport(stage.server))
    with pytest.raises(ValueError, match="outside-window needs"):
        Teller(room, prefect, Narrator(Console(file=StringIO())), lambda: None).tell(STORIES["outside-window"], 1)


# ------------------------------------------------------------------------------------------------------- the approvers


def test_each_approver_answers_one_question_with_a_code_of_his_own() -> None:
    stage = arriving(Stage([SUSPENDED, SUSPENDED, COMPLETED]))
    outcome = stage.tell(plain("production"))
    assert [it["approver"] for it in stage.answers] == [LEAD, OPERATOR]
    step = int(NOON.timestamp()) // 30
    valid = {person: [code_at(person, it) for it in (step - 1, step, step + 1)] for person in (LEAD, OPERATOR)}
    assert all(it["code"] in valid[it["approver"]] and it["plan"] == PLAN for it in stage.answers)
    assert outcome.decisions is not None
    assert [it["approver"] for it in outcome.decisions] == [LEAD, OPERATOR]
    assert all(it["code"] not in stage.paper.getvalue() for it in stage.answers)
    assert all("code" not in it for it in outcome.decisions)


def test_a_question_is_answered_once_however_long_the_run_still_looks_suspended() -> None:
    stage = Stage([SUSPENDED, SUSPENDED, REFUSED])
    stage.questions, asked = 1, stage._resumed

    def stays(number: int, said: dict[str, str]) -> httpx.Response:
        answer = asked(number, said)
        stage.questions = 1  # the server shows the old question a while longer
        return answer

    stage._resumed = stays  # type: ignore[method-assign]  # the fake's
    stage.tell(plain("production"), 0.3)
    assert len(stage.answers) == 1


def test_an_approver_who_comes_while_the_run_is_at_work_answers_again() -> None:
    stage = arriving(Stage([SUSPENDED, SUSPENDED, COMPLETED]))
    stage.conflicts = 1
    assert stage.tell(plain("production")).as_expected
    assert [it["approver"] for it in stage.answers] == [LEAD, OPERATOR]


def test_a_run_that_asks_one_approver_only_is_not_as_told() -> None:
    outcome = arriving(Stage([SUSPENDED, COMPLETED])).tell(plain("production"))
    assert (outcome.as_expected, outcome.not_as_told) == (False, "Not every approver was asked.")


def test_an_answer_that_the_form_does_not_take_is_said_without_its_code() -> None:
    stage = Stage([SUSPENDED])
    refused = httpx.Response(200, json={"status": "REJECT", "details": {"reason": "no"}})
    stage._resumed = lambda _number, _said: refused  # type: ignore[method-assign]  # the fake's
    with pytest.raises(Unregistered, match="anna-meier") as refusal:
        stage.tell(plain("production"))
    assert "code" not in str(refusal.value)


def test_staging_is_edited_after_the_first_approval() -> None:
    stage = arriving(Stage([SUSPENDED] * 4 + [COMPLETED]))
    stage.tell(plain("plan-changed"))
    edits = [order for path, order in stage.orders if path == "/api/parameters"]
    assert [(it["environment"], it["name"]) for it in edits] == [("staging", TTL)]
    assert [it["approver"] for it in stage.answers] == [LEAD, OPERATOR, LEAD, OPERATOR]
    codes = [it["code"] for it in stage.answers]
    assert len(set(codes)) == len(codes)


def test_flags_are_approved_in_the_target_only() -> None:
    stage = Stage([REFUSED])
    stage.flag_requests = [
        {"id": "1", "environment": "production", "review": "pending"},
        {"id": "2", "environment": "staging", "review": "pending"},
        {"id": "3", "environment": "production", "review": "approved"},
    ]
    STORIES["production"].meanwhile(ControlRoom("http://room", httpx.MockTransport(stage.room)))
    assert stage.orders == [("/api/flags/approve", {"id": "1"})]


# ----------------------------------------------------------------------------------- keeper, newer runs, a broken Jira


def test_the_keeper_is_started_while_nobody_answers() -> None:
    stage = Stage([SUSPENDED, SUSPENDED, ("FAILED", "Rejected")])
    look = stage._now

    def wakes(number: int) -> dict[str, Any]:
        if KEEPER in [name for name, _ in stage.started]:
            stage.scripts[0] = [("FAILED", "Rejected")]
        return look(number)

    stage._now = wakes  # type: ignore[method-assign]  # the fake's
    outcome = stage.tell(plain("deadline"))
    assert (outcome.state, outcome.as_expected, stage.answers) == ("Rejected", True, [])
    assert [name for name, _ in stage.started][:2] == [TO_PRODUCTION, KEEPER]


def test_the_newer_release_is_asked_for_while_the_older_run_waits() -> None:
    stage = arriving(Stage([SUSPENDED], [SUSPENDED, SUSPENDED, COMPLETED]))
    asked = stage._started

    def supersedes(request: httpx.Request) -> str:
        run_id = asked(request)
        if len(stage.started) > 1:
            stage.scripts[0] = [SUPERSEDED]
        return run_id

    stage._started = supersedes  # type: ignore[method-assign]  # the fake's
    outcome = stage.tell(plain("superseded"))
    assert stage.behaviours == [("staging", "good"), ("staging", "good")]
    assert [(it["version"], it["change_ticket"]) for _, it in stage.started] == [("", "CHG-104"), ("", "CHG-105")]
    assert outcome.superseded is not None
    assert (outcome.flow_run_id, outcome.superseded.flow_run_id) == ("run-2", "run-1")
    assert (outcome.version, outcome.as_expected) == (NEWEST, True)


def test_an_older_run_that_does_not_end_superseded_is_not_as_told() -> None:
    outcome = arriving(Stage([SUSPENDED, REFUSED], [SUSPENDED, SUSPENDED, COMPLETED])).tell(plain("superseded"), 1)
    assert (outcome.as_expected, outcome.not_as_told) == (False, "The older run ended Suspended.")


def test_jira_fails_when_traffic_moves_and_works_again_when_the_run_is_over() -> None:
    stage = Stage([REFUSED])
    room = ControlRoom("http://room", httpx.MockTransport(stage.room))
    STORIES["jira-down"].meanwhile(room)
    assert stage.faults == []
    stage.deploying = True
    STORIES["jira-down"].meanwhile(room)
    STORIES["jira-down"].meanwhile(room)
    assert [order for path, order in stage.orders if path == "/api/faults"] == [
        {"target": "jira", "kind": "error"} | {"operation": "*"}
    ]
    STORIES["jira-down"].afterwards(room)
    assert stage.faults == []


def test_a_ticket_that_knew_of_the_end_at_once_is_not_as_told() -> None:
    stage = arriving(Stage([SUSPENDED, SUSPENDED, COMPLETED]))
    outcome = stage.tell(STORIES["jira-down"])
    assert not outcome.as_expected
    assert "The change ticket was Done already when the run ended." in str(outcome.not_as_told)
