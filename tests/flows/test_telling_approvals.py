"""Each thing is told once, whoever looks; a chat out of reach fails nothing, and hears it at the next pass."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from blocks.chat import Posted
from blocks.doors import Application
from rules.errors import Outage
from rules.messages import ChatMessage
from rules.production_policies import (
    ApprovalPolicy,
    EmergencyPolicy,
    Person,
    Weekday,
    Window,
    WindowPolicy,
)
from rules.records import Event, EventKind, Record, chain
from rules.summaries import CHAT, already_told, page_is_open, summarise, told_about
from rules.vocabulary import Finding, Verdict
from rules.waiting import WaitingRun
from rules.why_not import WHO_MAY
from tasks.artifacts import findings_rows
from tasks.telling_approvals import policy_of, remind, tell_approvals, tell_news, zone_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUN = "run-1"
HOTFIX = {"reason": "Nobody can log in.", "incident": "INC-9", "waives": ["window"]}
REJECTS = (EventKind.APPROVAL_GIVEN, {"key": "approval-1", "person": "anna", "decision": "reject"})
WINDOWS = WindowPolicy((Window((Weekday.MONDAY,), "09:00", "16:00", "Europe/Zurich"),))


class Book:
    """A ledger in memory."""

    def __init__(self) -> None:
        self.all: list[Record] = []
        self.broken = False

    def append(self, event: Event) -> Record:
        if self.broken:
            raise Outage("The ledger", "appending", "no route")
        self.all.append(chain(self.all[-1] if self.all else None, event, NOW))
        return self.all[-1]

    def records(self, run_id: str | None = None) -> list[Record]:
        return [it for it in self.all if run_id in {None, it.event.run_id}]


class Channel:
    """A chat that keeps what it hears, and refuses for as long as it is told to."""

    def __init__(self) -> None:
        self.heard: list[tuple[ChatMessage, Posted | None, bool]] = []
        self.trouble: Callable[[], Exception] | None = None

    def post(self, message: ChatMessage, *, thread: Posted | None = None, urgent: bool = False) -> Posted:
        if self.trouble:
            raise self.trouble()
        self.heard.append((message, thread, urgent))
        return Posted("C1", f"{len(self.heard)}.0")

    @property
    def texts(self) -> list[str]:
        return [message.text for message, _, _ in self.heard]


class World:
    """An application of which only what is told of approvals matters."""

    def __init__(self, **started: Any) -> None:
        self.book, self.chat = Book(), Channel()
        anna = Person("anna", "Anna Meier")
        self.catalogue: Any = SimpleNamespace(
            people={"anna": anna}, approvals=ApprovalPolicy(), emergency=EmergencyPolicy(), windows=WINDOWS
        )
        facade = SimpleNamespace(name="batbern", ledger=self.book, chat=self.chat, catalogue=self.catalogue)
        self.application = cast("Application", facade)
        self.write(EventKind.STARTED, source="staging", requested_by="Urs Frei", **started)

    def write(self, kind: EventKind, **details: Any) -> None:
        self.book.append(Event(RUN, "4711", "production", kind, f"{kind} said.", details))

    def ask(self, number: int = 1) -> None:
        deadline = NOW + timedelta(hours=72)
        self.write(EventKind.APPROVAL_ASKED, key=f"approval-{number}", stage="s", deadline=deadline, awaited=["anna"])

    def refuse(self, number: int) -> None:
        self.write(
            EventKind.APPROVAL_NOT_ADMITTED, key=f"approval-{number}", person="", claimed="x", reason="unknown person"
        )

    def tell(self) -> None:
        tell_approvals(self.application, RUN)


@pytest.fixture
def world() -> World:
    return World()


def test_each_thing_is_told_once_however_often_the_run_begins_again(world: World) -> None:
    world.ask()
    for _ in range(3):
        world.tell()
    world.refuse(1)
    for _ in range(3):
        world.tell()
    assert len(world.chat.heard) == 2
    assert list(told_about(world.book.records(RUN), "chat: approvals")) == ["asked", "not admitted approval-1"]


def test_a_run_tells_its_own_news(world: World) -> None:
    world.ask()
    tell_news(cast("Any", SimpleNamespace(application=world.application, run_id=RUN)))
    tell_approvals(world.application, "another run")
    assert len(world.chat.heard) == 1


def test_what_disturbs_nobody_else_is_told_below_the_question_also_by_a_later_process(world: World) -> None:
    world.ask()
    world.tell()
    world.refuse(1)
    world.tell()
    assert [thread for _, thread, _ in world.chat.heard] == [None, Posted("C1", "1.0")]


def test_an_emergency_is_told_rather_twice_than_never() -> None:
    world = World(emergency=HOTFIX)
    world.ask()
    world.tell()
    assert [urgent for *_, urgent in world.chat.heard] == [True]


@pytest.mark.parametrize("trouble", [lambda: Outage("Slack", "posting", "no route"), lambda: KeyError("ts")])
def test_a_chat_out_of_reach_fails_nothing_and_hears_it_at_the_next_pass(
    world: World, trouble: Callable[[], Exception], caplog: pytest.LogCaptureFixture
) -> None:
    world.ask()
    world.chat.trouble = trouble
    world.tell()
    assert world.chat.heard == []
    assert told_about(world.book.records(RUN), "chat: approvals") == {}
    assert "the news of run run-1 were not told" in caplog.text
    world.chat.trouble = None
    world.tell()
    assert len(world.chat.heard) == 1


def test_a_ledger_out_of_reach_does_not_keep_people_from_being_told(world: World) -> None:
    world.ask()
    world.book.broken = True
    world.tell()
    assert len(world.chat.heard) == 1


def test_a_run_that_was_told_of_while_it_waited_is_still_told_of_at_its_end(world: World) -> None:
    world.ask()
    world.tell()
    records = world.book.records(RUN)
    assert not already_told(records, CHAT)
    assert not page_is_open(records, "production")


def test_the_end_is_not_told_here(world: World) -> None:
    world.ask()
    world.write(EventKind.CANCELLED)
    world.tell()
    assert world.chat.heard == []


def test_a_reminder_says_whether_it_got_through(world: World) -> None:
    world.ask()
    run = WaitingRun(RUN, "production", "4711", "3f2a1bc", NOW, NOW + timedelta(hours=72), ("anna",))
    assert remind(world.application, run)
    assert "Still awaited: Anna Meier" in world.chat.texts[0]
    world.chat.trouble = lambda: Outage("Slack", "posting", "no route")
    assert not remind(world.application, run)


def test_an_emergency_is_judged_by_its_own_policy(world: World) -> None:
    urgent = World(emergency=HOTFIX)
    assert policy_of(world.catalogue, world.book.all) == world.catalogue.approvals
    assert policy_of(urgent.catalogue, urgent.book.all) == urgent.catalogue.emergency.approvals


def test_people_are_told_the_time_of_the_first_window_and_else_utc(world: World) -> None:
    assert zone_of(world.catalogue) == ZoneInfo("Europe/Zurich")
    world.catalogue.windows = WindowPolicy()
    assert zone_of(world.catalogue) is UTC


def test_a_rejection_is_told_at_the_end_in_the_words_of_who_rejected_it(world: World) -> None:
    world.write(REJECTS[0], **REJECTS[1])
    world.write(EventKind.REJECTED)
    told = summarise(world.book.records(RUN), "promote-to-production", "batbern", "")
    assert told
    assert told.sentence == "approval_given said."


def test_a_rejection_by_the_clock_is_told_in_the_words_of_the_end(world: World) -> None:
    world.write(EventKind.REJECTED)
    told = summarise(world.book.records(RUN), "promote-to-production", "batbern", "")
    assert told
    assert told.sentence == "rejected said."


CLOSED = Finding("window", Verdict.FAILED, "It is Sunday.", could_be_met="Monday")
UP = Finding("health", Verdict.PASSED, "All is UP.")


def test_a_table_of_gates_tells_when_one_could_be_met_and_for_production_who_may_waive_it() -> None:
    closed, up = findings_rows([UP, CLOSED], EmergencyPolicy())
    assert (closed["could be met"], closed[WHO_MAY]) == ("Monday", "an emergency, approved by 2 people")
    assert (up["could be met"], up[WHO_MAY]) == ("", "")


def test_a_table_of_gates_without_such_words_has_no_such_columns() -> None:
    [row] = findings_rows([UP])
    assert set(row) == {"verdict", "gate", "finding", "measured", "allowed", "excused because"}
