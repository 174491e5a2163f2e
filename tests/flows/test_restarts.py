"""While a promotion waits for people, worker and server are killed, twice: nothing is lost, nothing is done twice."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, TypeVar

import pytest

from deployments.sandbox.approvers import Authenticators
from deployments.sandbox.arranging import settled
from deployments.sandbox.room import ControlRoom, serving, ticket_of
from deployments.sandbox.runs import Question, RunState
from deployments.sandbox.settings import Ports, Settings
from deployments.sandbox.supervisor import Supervisor
from rules.records import Event, EventKind

LEAD, OPERATOR = "anna-meier", "sofia-rossi"
SECONDS = 150.0
Fact = TypeVar("Fact")

pytestmark = pytest.mark.timeout(600)  # a whole sandbox is started, and its server twice more


@dataclass
class Waiting:
    """A promotion to production that waits, and whoever kills and answers."""

    supervisor: Supervisor
    room: ControlRoom
    run_id: str
    version: str
    ticket: str
    authenticators: Authenticators

    def question(self) -> Question:
        return until(lambda: self.supervisor.prefect.question(self.run_id), "it asks nobody")

    def answer(self, person: str) -> str:
        """Approves what is asked. The question's key."""
        question = self.question()
        said = {"approver": person, "decision": "approve", "plan": question.plan, "comment": f"I am {person}."}
        assert self.supervisor.prefect.resume(self.run_id, {**said, "code": self.authenticators.code(person)})
        return question.key

    def next_question(self, former: str) -> Question:
        def other() -> Question | None:
            now = self.supervisor.prefect.question(self.run_id)
            return now if now is not None and now.key != former else None

        return until(other, "it does not ask the next one")

    def end(self) -> RunState:
        def final() -> RunState | None:
            state = self.supervisor.prefect.state(self.run_id)
            return state if state.final else None

        return until(final, "it does not end")

    def power_cut(self) -> None:
        """Server and worker end without a word. The server first: then nobody can begin what was just answered."""
        self.supervisor.kill_server()
        self.supervisor.kill_worker()

    def power_is_back(self) -> None:
        self.supervisor.start_server()
        self.supervisor.start_worker()

    def events(self, *kinds: EventKind) -> list[Event]:
        return [it.event for it in self.supervisor.records(self.run_id) if it.event.kind in kinds]


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Waiting]:
    state = tmp_path_factory.mktemp("restarts") / "state"
    supervisor = Supervisor(Settings(state, Ports(ui=0, control_room=0), minute_seconds=1.0))
    with supervisor.running(fresh=True), closing(ControlRoom(supervisor.world["control_room_url"])) as room:
        room.require_flag_approvals("production", required=False)
        version = room.release("staging", "good", 180).version
        until(lambda: settled(room.state(), "staging", version), f"{version} does not settle")
        ticket = room.create_ticket("Release to production", "Approved")
        asked = {"application": "batbern", "requested_by": "release.manager", "change_ticket": ticket}
        run_id = supervisor.prefect.start("promote-to-production/batbern", {**asked, "strategy": "blue_green"})
        yield Waiting(supervisor, room, run_id, version, ticket, Authenticators())


def until(fact: Callable[[], Fact | None], else_say: str) -> Fact:
    deadline = time.monotonic() + SECONDS
    while not (answer := fact()):
        assert time.monotonic() < deadline, else_say
        time.sleep(0.1)
    return answer


@dataclass(frozen=True)
class Survived:
    """What came of two power cuts: one while it waited, one when it had just been answered."""

    asked: Question
    asked_again: Question
    """What it asked when the first one was over."""
    second: Question
    end: RunState


@pytest.fixture(scope="module")
def survived(waiting: Waiting) -> Survived:
    asked = waiting.question()
    waiting.power_cut()
    waiting.power_is_back()
    asked_again = waiting.question()
    first = waiting.answer(LEAD)
    waiting.power_cut()
    waiting.power_is_back()
    second = waiting.next_question(first)
    waiting.answer(OPERATOR)
    return Survived(asked, asked_again, second, waiting.end())


def test_the_question_and_its_form_outlive_the_server(survived: Survived) -> None:
    assert survived.asked_again == survived.asked
    assert survived.second.plan == survived.asked.plan


def test_it_completes(waiting: Waiting, survived: Survived) -> None:
    assert survived.end.name == "Completed", survived.end.message
    assert set(serving(waiting.room.state())["production"].values()) == {waiting.version}


@pytest.mark.usefixtures("survived")
def test_each_answer_is_counted_once(waiting: Waiting) -> None:
    given = waiting.events(EventKind.APPROVAL_GIVEN, EventKind.APPROVAL_NOT_ADMITTED)
    assert [(it.details["person"], it.details["key"]) for it in given] == [
        (LEAD, "approval-1"),
        (OPERATOR, "approval-2"),
    ]


@pytest.mark.usefixtures("survived")
def test_the_ledger_has_each_step_once(waiting: Waiting) -> None:
    once = (EventKind.STARTED, EventKind.APPROVED, EventKind.SNAPSHOT_INTENT, EventKind.COMPLETED)
    assert Counter(it.kind for it in waiting.events(*once)) == dict.fromkeys(once, 1)
    services = {it["id"] for it in waiting.room.state()["environments"][-1]["services"]}
    intents = Counter(it.details["service"] for it in waiting.events(EventKind.ROLLOUT_INTENT))
    assert intents == dict.fromkeys(services, 1)
    keys = [it.details["key"] for it in waiting.events(EventKind.APPROVAL_ASKED)]
    assert keys == ["approval-1", "approval-2"]


@pytest.mark.usefixtures("survived")
def test_the_ticket_is_linked_once_and_hears_each_thing_once(waiting: Waiting) -> None:
    told = Counter(it.details["about"] for it in waiting.events(EventKind.TICKET_TOLD))
    assert told["link"] == 1
    assert set(told.values()) == {1}
    ticket: Mapping[str, Any] = ticket_of(waiting.room.state(), waiting.ticket)
    assert len(ticket["links"]) == 1
    assert ticket["status"] == "Done"


@pytest.mark.usefixtures("survived")
def test_the_channel_hears_each_thing_once(waiting: Waiting) -> None:
    told = Counter((it.details["channel"], it.details.get("about")) for it in waiting.events(EventKind.NOTIFIED))
    assert set(told.values()) == {1}, told
    said = Counter(message["text"] for message in waiting.room.state()["vendors"]["chat"]["messages"])
    assert set(said.values()) == {1}, said
    assert any("succeeded" in text for text in said)
