"""What the release channel hears while a promotion waits: from the ledger, each thing under one key, within limits."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.approval_messages import News, Setting, approval_news, changed_names, reminder
from rules.approval_words import Reason
from rules.messages import ChatMessage
from rules.production_policies import ApprovalPolicy, Person
from rules.records import RUN_ENDINGS, Event, EventKind, Record
from rules.vocabulary import Finding, Verdict
from rules.waiting import WaitingRun

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUN, URL = "run-1", "https://prefect.test/runs/flow-run/1"
ANNA, SOFIA = Person("anna-meier", "Anna Meier"), Person("sofia-rossi", "Sofia Rossi")
PEOPLE = {it.id: it for it in (ANNA, SOFIA)}
SETTING = Setting("batbern", PEOPLE, ApprovalPolicy(attempts=3), URL, ZoneInfo("Europe/Zurich"))
DEADLINE = (NOON + timedelta(hours=72)).isoformat()
HOTFIX = {"reason": "Nobody can log in.", "incident": "INC-9", "waives": ["window", "freeze"]}

Told = tuple[EventKind, dict[str, Any]]
PLAN: Told = (EventKind.PLAN, {"version": "3f2a1bc", "changes": [], "digests": {}, "catalogue": "c"})


def started(**more: Any) -> Told:
    common = {"source": "staging", "requested": "", "requested_by": "Urs Frei", "ticket": "CHG-102"}
    return EventKind.STARTED, common | more


def asked(key: int = 1, *awaited: str) -> Told:
    details = {"key": f"approval-{key}", "stage": "team lead", "deadline": DEADLINE, "awaited": list(awaited)}
    return EventKind.APPROVAL_ASKED, details


def given_(key: int = 1, decision: str = "approve") -> Told:
    return EventKind.APPROVAL_GIVEN, {"key": f"approval-{key}", "person": ANNA.id, "decision": decision}


def refused(key: int, reason: Reason, person: str = ANNA.id, minute: float = 0, claimed: str = "anna") -> Told:
    at = (NOON + timedelta(minutes=minute)).isoformat()
    details = {"key": f"approval-{key}", "person": person, "claimed": claimed, "reason": reason, "at": at}
    return EventKind.APPROVAL_NOT_ADMITTED, details | {"decision": "approve", "step": None}


def log(*events: Told, run: str = RUN, first: int = 1) -> list[Record]:
    return [
        Record(at, NOON + timedelta(seconds=at), Event(run, "4711", "production", kind, f"{kind} said.", it), "", "")
        for at, (kind, it) in enumerate(events, first)
    ]


def news(*events: Told, setting: Setting = SETTING, **more: Any) -> dict[str, News]:
    found = approval_news(log(started(**more), PLAN, *events), RUN, setting)
    assert len({it.about for it in found}) == len(found)
    return {it.about: it for it in found}


def told(message: ChatMessage) -> str:
    return json.dumps(message.blocks, ensure_ascii=False)


ASKED = asked(1, ANNA.id, SOFIA.id)
WRONG = [refused(key, Reason.WRONG_CODE) for key in (1, 2, 3)]


def test_a_question_tells_who_is_awaited_for_what_until_when_and_where() -> None:
    [question] = news(ASKED).values()
    text = told(question.message)
    for words in (
        "batbern 3f2a1bc staging → production waits for approval",
        "Awaited: Anna Meier or Sofia Rossi, until Thursday 26 November 2026, 13:00 CET (12:00 UTC).",
        "*Asked for by*\\nUrs Frei",
        "*Change ticket*\\nCHG-102",
        "*Plan*\\n4711",
        "python -m deployments.approve run-1",
        f"<{URL}|Answer in the run>",
    ):
        assert words in text
    assert (question.about, question.aside, question.urgent) == ("asked", False, False)


def test_before_anybody_is_asked_there_is_nothing_to_tell() -> None:
    assert news() == {}
    assert approval_news([], RUN, SETTING) == ()


def test_a_question_that_was_not_heard_is_told_as_it_is_now() -> None:
    text = told(news(ASKED, given_(1), asked(2, SOFIA.id))["asked"].message)
    assert "Awaited: Sofia Rossi," in text


def test_somebody_whom_the_catalogue_has_no_more_is_told_by_id() -> None:
    assert "Awaited: old-hand," in told(news(asked(1, "old-hand"))["asked"].message)


def test_an_approval_is_told_with_what_is_still_missing() -> None:
    text = told(news(ASKED, given_(1), asked(2, SOFIA.id))["counted approval-1"].message)
    assert "Anna Meier approved batbern 3f2a1bc" in text
    assert "approval_given said." in text
    assert "approval_asked said." in text


def test_the_last_approval_is_told_with_the_decision() -> None:
    text = told(news(ASKED, given_(1), (EventKind.APPROVED, {"by": [ANNA.id]}))["counted approval-1"].message)
    assert "approved said." in text


def test_an_approval_is_not_told_before_it_is_known_what_is_missing() -> None:
    assert "counted approval-1" not in news(ASKED, given_(1))


def test_an_answer_that_does_not_count_is_told_aside_with_who_claimed_what_and_why() -> None:
    one = news(ASKED, refused(1, Reason.OTHER_PLAN, claimed="<!channel>anna"))["not admitted approval-1"]
    text = told(one.message)
    assert "approval_not_admitted said." in text
    assert "*Claimed to be*\\n&lt;!channel&gt;anna" in text
    assert "*Why not*\\nanother plan" in text
    assert one.aside


def test_as_many_wrong_codes_as_lock_out_are_told_loudly_and_once() -> None:
    found = news(ASKED, *WRONG, refused(4, Reason.LOCKED_OUT, minute=1), refused(5, Reason.LOCKED_OUT, minute=2))
    loud = [it for it in found.values() if it.about.startswith("locked out")]
    assert [(it.urgent, it.aside) for it in loud] == [(True, False)]
    text = told(loud[0].message)
    assert "TOO MANY WRONG CODES for Anna Meier" in text
    assert "No answer of Anna Meier counts until Monday 23 November 2026, 14:00 CET (13:00 UTC)." in text
    assert "not admitted approval-5" in found


def test_fewer_wrong_codes_or_those_of_nobody_lock_nobody_out() -> None:
    for refusals in (WRONG[:2], [refused(key, Reason.UNKNOWN, person="") for key in range(1, 6)]):
        assert not [it for it in news(ASKED, *refusals) if it.startswith("locked out")]


def test_wrong_codes_that_were_tried_in_another_run_count() -> None:
    elsewhere = log(*WRONG[:2], run="run-0")
    here = log(started(), PLAN, ASKED, WRONG[2], first=10)
    assert [it.about for it in approval_news(elsewhere + here, RUN, SETTING) if it.urgent] == [
        "locked out anna-meier 2026-11-23T13:00:00+00:00"
    ]


def test_a_changed_plan_tells_whose_approval_is_void_what_changed_and_who_is_awaited() -> None:
    records = log(started())
    rows = [{"what": "parameter: change", "name": "ttl", "now": "1", "then": then} for then in ("60", "90")]
    for at, (plan, row) in enumerate((("old", rows[0]), ("new", rows[1])), 2):
        details = {"version": "3f2a1bc", "changes": [row], "digests": {}, "catalogue": "c"}
        records.append(Record(at, NOON, Event(RUN, plan, "production", EventKind.PLAN, "", details), "", ""))
    void = (EventKind.APPROVALS_VOID, {"was": "old", "now": "new", "people": [ANNA.id]})
    records += log(void, asked(2, ANNA.id, SOFIA.id), first=5)
    text = told({it.about: it for it in approval_news(records, RUN, SETTING)}["void 5"].message)
    assert "THE PLAN HAS CHANGED: batbern 3f2a1bc" in text
    assert "The approval of Anna Meier is void." in text
    assert "What changed: ttl." in text
    assert "Awaited now: Anna Meier or Sofia Rossi." in text


def two_plans(old: dict[str, Any], new: dict[str, Any]) -> list[Record]:
    return [
        Record(at, NOON, Event(RUN, plan, "production", EventKind.PLAN, "", details), "", "")
        for at, (plan, details) in enumerate((("old", old), ("new", new)), 1)
    ]


@pytest.mark.parametrize(
    ("old", "new", "names"),
    [
        ({"version": "a"}, {"version": "b"}, ("version",)),
        ({"catalogue": "a"}, {"catalogue": "b"}, ("catalogue",)),
        ({"digests": {"gateway": "a"}}, {"digests": {"gateway": "b"}}, ("gateway",)),
        ({"changes": [{"name": "ttl", "now": "1", "then": "2"}]}, {"changes": []}, ("ttl",)),
        ({}, {}, ("the ticket, the time or how traffic moves",)),
    ],
)
def test_what_differs_between_two_plans_is_told_by_name(
    old: dict[str, Any], new: dict[str, Any], names: tuple[str, ...]
) -> None:
    assert changed_names(two_plans(old, new), "old", "new") == names


def test_what_is_there_now_is_no_difference_between_plans() -> None:
    old, new = ({"changes": [{"name": "ttl", "now": now, "then": "2"}]} for now in ("1", "0"))
    assert "ttl" not in changed_names(two_plans(old, new), "old", "new")


def test_of_plans_that_are_not_in_the_ledger_nothing_is_claimed() -> None:
    assert changed_names([], "old", "new") == ()


WAITS: Told = (EventKind.WAITING, {"until": "2026-11-24T08:00:00+00:00", "why": "The next window opens then."})


def test_an_approved_promotion_that_waits_tells_until_when_and_why() -> None:
    [message] = [it.message for about, it in news(ASKED, WAITS).items() if about.startswith("waits")]
    text = told(message)
    assert "is approved and waits for its time" in text
    assert "It begins Tuesday 24 November 2026, 09:00 CET (08:00 UTC)." in text
    assert "The next window opens then." in text


def test_a_time_for_which_it_waits_no_more_is_no_news() -> None:
    for later in ((EventKind.LOCK_TAKEN, {}), (EventKind.WAITING, {**WAITS[1], "until": "2026-11-25T08:00:00+00:00"})):
        assert "waits 4711 2026-11-24T08:00:00+00:00" not in news(ASKED, WAITS, later)


def test_an_emergency_is_asked_loudly_with_its_reason_its_incident_and_what_it_leaves_out() -> None:
    excused = Finding("window", Verdict.FAILED, "It is Sunday.", waived="Emergency INC-9: Nobody can log in.")
    one = news((EventKind.FINDINGS, {"findings": [excused]}), ASKED, emergency=HOTFIX)["asked"]
    text = told(one.message)
    assert one.urgent
    for words in (
        ":rotating_light: EMERGENCY: batbern",
        "Nobody can log in. (incident INC-9)",
        "May leave out: window, freeze. Not met and left out: window.",
    ):
        assert words in text


def test_what_begins_under_an_emergency_is_told_loudly_and_nothing_else_is() -> None:
    begun = [ASKED, (EventKind.APPROVED, {"by": [ANNA.id, SOFIA.id]}), (EventKind.LOCK_TAKEN, {})]
    one = news(*begun, emergency=HOTFIX)["emergency began"]
    assert one.urgent
    assert "Approved by Anna Meier and Sofia Rossi. production is being changed now." in told(one.message)
    assert "emergency began" not in news(*begun)


def test_a_reminder_names_who_is_still_awaited_and_until_when() -> None:
    run = WaitingRun(RUN, "production", "4711", "3f2a1bc", NOON, datetime.fromisoformat(DEADLINE), (SOFIA.id,))
    text = told(reminder(run, log(started(), PLAN, ASKED), SETTING))
    assert "still waits for approval" in text
    assert "Still awaited: Sofia Rossi, until Thursday 26 November 2026, 13:00 CET (12:00 UTC)." in text


@pytest.mark.parametrize("kind", sorted(RUN_ENDINGS))
def test_once_a_run_has_ended_how_it_waited_is_no_news(kind: EventKind) -> None:
    assert news(ASKED, given_(1), asked(2, SOFIA.id), (kind, {})) == {}


def test_a_rejection_is_told_with_the_end_and_not_here() -> None:
    assert set(news(ASKED, given_(1, "reject"))) == {"asked"}


@pytest.mark.parametrize("typed", ["123456", "123 456", "anna 123456"])
def test_a_code_that_was_typed_into_the_wrong_field_is_not_told(typed: str) -> None:
    one = news(ASKED, refused(1, Reason.UNKNOWN, person="", claimed=typed))["not admitted approval-1"]
    assert not re.search(r"123 ?456", told(one.message) + one.message.text)


def test_a_text_of_which_nothing_can_be_seen_is_no_part_of_a_message() -> None:
    unseen = "\u0ace\u200b"
    until = "2026-11-24T08:00:00+00:00"
    [message] = [it.message for it in news((EventKind.WAITING, {"until": until, "why": unseen})).values()]
    assert all(texts(message.blocks))
    assert unseen not in told(message)


any_text = st.builds(lambda text, times: text * times, st.text(max_size=12), st.sampled_from([0, 1, 600]))
moments = st.builds(
    lambda kind, text, reason, person, minute: (
        kind,
        {
            "key": text, "stage": text, "awaited": [person, text], "person": person, "decision": "approve",
            "claimed": text, "reason": reason, "was": text, "now": text, "people": [text], "why": text,
            "version": text, "changes": [{"what": text, "name": text, "then": text}], "by": [text],
            "deadline": DEADLINE, "until": DEADLINE, "at": (NOON + timedelta(minutes=minute)).isoformat(),
        },
    ),
    st.sampled_from([
        EventKind.APPROVAL_ASKED, EventKind.APPROVAL_GIVEN, EventKind.APPROVAL_NOT_ADMITTED, EventKind.APPROVALS_VOID,
        EventKind.WAITING, EventKind.APPROVED, EventKind.PLAN, EventKind.LOCK_TAKEN,
    ]),
    any_text,
    st.sampled_from(Reason),
    st.sampled_from([ANNA.id, SOFIA.id, "", "somebody"]),
    st.integers(0, 120),
)  # fmt: skip


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in texts(inner)]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list | tuple) else []


@given(st.lists(moments, max_size=12), any_text, st.booleans(), st.sampled_from(["", URL, "nonsense"]))
def test_every_message_keeps_to_slacks_limits(story: list[Told], text: str, urgent: bool, url: str) -> None:
    emergency = {"emergency": {"reason": text, "incident": text, "waives": [text]}} if urgent else {}
    records = log(started(requested_by=text, ticket=text, **emergency), *story)
    for one in approval_news(records, RUN, Setting(text, PEOPLE, ApprovalPolicy(attempts=2), url)):
        assert 1 <= len(one.message.text) <= 300
        assert len(one.message.blocks) <= 50
        assert sum(map(len, texts(one.message.blocks))) < 12_000
        for block in one.message.blocks:
            limit = {"header": 150, "section": 3000, "context": 3000}[block["type"]]
            assert all(1 <= len(each) <= limit for each in texts(block))
            assert len(block.get("fields", [0])) in range(1, 11)
            assert block["type"] == "header" or "<!" not in "".join(texts(block))


@given(st.lists(moments, max_size=12))
def test_what_was_told_once_keeps_its_key_whatever_comes_after(story: list[Told]) -> None:
    known = log(started(), *story)
    whole = [it.about for it in approval_news(known, RUN, SETTING)]
    for length in range(len(known)):
        before = [it.about for it in approval_news(known[:length], RUN, SETTING)]
        assert {it for it in before if not it.startswith("waits")} <= set(whole)
