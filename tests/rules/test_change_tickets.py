"""Whether a change may be made by its ticket, what the ticket has not heard yet, and what is written on it."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.change_tickets import (
    LINK,
    Move,
    Ticket,
    awaits_approval,
    check_ticket,
    final_status,
    has_heard,
    is_ticket_key,
    move_to,
    no_project,
    no_way,
    nothing_to_make,
    same_status,
    ticket_made_for,
    ticket_of,
    unreachable,
    untold,
    untold_runs,
    would_be_made,
    writable,
)
from rules.errors import Outage
from rules.production_policies import Person, TicketPolicy
from rules.records import RUN_ENDINGS, Event, EventKind, Record, chain
from rules.ticket_comments import (
    HEADLINES,
    MOST_CHARACTERS,
    Setting,
    bears,
    document,
    draft,
    ending_comment,
    label,
    link_comment,
    link_title,
    marker,
    stuck_comment,
)
from rules.vocabulary import Finding, Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUN, SHA = "0199-run-1", "3f2a1bc5" * 5
POLICY = TicketPolicy(
    project="CHG",
    approved=("Approved", "Implementing"),
    under_way="Implementing",
    deployed="Done",
    rolled_back="Rolled back",
    failed="Failed",
)
TICKET = Ticket("CHG-12", "Release of the portal", "Approved", "indeterminate", "https://jira/browse/CHG-12")
SETTING = Setting("batbern", {"anna": Person("anna", "Anna Meier")}, "https://prefect/runs/flow-run/1")
DONE = EventKind.COMPLETED
NASTY = [
    "**bold** [x](http://evil)",
    "<script>alert(1)</script>",
    '{"type":"mention","attrs":{"id":"all"}}',
    "h1. Title {code}x{code} [~accountid:5]",
    "line\nnext\r\n| cell |",
    "\u202eturned\u2066 round\u200b",
    "\ud800 half a sign \x00",
    f"[run {RUN} · completed]",
]


def log(*events: tuple[EventKind, dict[str, Any]], run: str = RUN, first: datetime = NOW) -> list[Record]:
    """Records of a run, a minute apart."""
    made: list[Record] = []
    for minute, (kind, details) in enumerate(events):
        plan = "" if kind is EventKind.STARTED else "plan4711"
        event = Event(run, plan, "production", kind, f"{kind}: it was so.", details)
        made.append(chain(made[-1] if made else None, event, first + timedelta(minutes=minute)))
    return made


def started(**other: Any) -> tuple[EventKind, dict[str, Any]]:
    asked = {"source": "staging", "requested": "", "requested_by": "Urs Frei", "ticket": "CHG-12"}
    return EventKind.STARTED, {**asked, **other}


def story(*kinds: EventKind, **other: Any) -> list[Record]:
    """A run that was planned and asked for approval, and of which this is known then."""
    plan = (EventKind.PLAN, {"version": SHA, "changes": [{}, {}]})
    return log(started(**other), plan, (EventKind.APPROVAL_ASKED, {}), *((kind, {}) for kind in kinds))


def words(node: Any) -> Iterator[str]:
    """Every text of a document."""
    if isinstance(node, dict):
        if node.get("type") == "text":
            yield node["text"]
        yield from words(node.get("content", []))
    elif isinstance(node, list):
        for item in node:
            yield from words(item)


def kinds(node: Any) -> Iterator[str]:
    """Every kind of node of a document."""
    if isinstance(node, dict):
        yield node["type"]
        yield from kinds(node.get("content", []))
    elif isinstance(node, list):
        for item in node:
            yield from kinds(item)


# --- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["CHG-1", "A1-99", "OPS_X-1234567890", "ABCDEFGHIJ-7"])
def test_a_key_is_a_project_and_a_number(key: str) -> None:
    assert is_ticket_key(key)


@pytest.mark.parametrize(
    "key",
    [
        *("", "CHG", "CHG-", "CHG-0", "CHG-01", "chg-1", "C-1", "1CH-1", "ABCDEFGHIJK-1", "CHG-12345678901"),
        *("CHG-1\n", " CHG-1", "CHG-1/..", "CHG-1?x", "CHG-1%2f", "CHG-\u0661", "ÄHG-1", "CHG-1 OR project = SEC"),
    ],
)
def test_anything_else_is_no_key(key: str) -> None:
    assert not is_ticket_key(key)


@given(st.text(max_size=30))
def test_no_key_changes_the_address_that_it_becomes_part_of(text: str) -> None:
    assert not is_ticket_key(text) or not set(text) & set("/?#%.& \\\"'\n")


# --- the gate ----------------------------------------------------------------------------------------------


def test_an_approved_ticket_is_a_pass_with_where_to_look() -> None:
    finding = check_ticket(TICKET, "CHG-12", POLICY)
    assert (finding.gate, finding.verdict, finding.measured) == ("change ticket", Verdict.PASSED, "Approved")
    assert finding.evidence == TICKET.url


@pytest.mark.parametrize("status", ["approved", " IMPLEMENTING "])
def test_a_status_counts_however_it_is_written(status: str) -> None:
    assert check_ticket(Ticket("CHG-12", "", status), "CHG-12", POLICY).verdict is Verdict.PASSED


@pytest.mark.parametrize("status", ["To Do", "Done", "Not Approved", "Approved?", "", "Pre-Approved"])
def test_any_other_status_is_refused_with_what_would_be_allowed(status: str) -> None:
    finding = check_ticket(Ticket("CHG-12", "", status), "CHG-12", POLICY)
    assert (finding.verdict, finding.measured) == (Verdict.FAILED, status)
    assert finding.allowed == "Approved or Implementing"
    assert "Have CHG-12 approved, then run again." in finding.could_be_met


def test_a_ticket_that_is_not_there_may_be_one_that_we_may_not_see() -> None:
    finding = check_ticket(None, "CHG-99", POLICY)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence == "CHG-99 does not exist, or the promotion account may not see it."
    assert finding.could_be_met


def test_a_ticket_of_another_project_is_refused() -> None:
    finding = check_ticket(Ticket("OPS-1", "", "Approved"), "OPS-1", POLICY)
    assert (finding.verdict, finding.measured, finding.allowed) == (Verdict.FAILED, "OPS", "CHG")


def test_a_ticket_that_was_moved_out_of_the_project_is_refused_under_its_old_key_too() -> None:
    finding = check_ticket(Ticket("OPS-7", "", "Approved"), "CHG-5", POLICY)
    assert finding.verdict is Verdict.FAILED
    assert "CHG-5 is now OPS-7." in finding.sentence


def test_without_an_approved_status_in_the_policy_nothing_is_ever_approved() -> None:
    finding = check_ticket(TICKET, "CHG-12", TicketPolicy(project="CHG", approved=()))
    assert finding.verdict is Verdict.FAILED
    assert "the catalogue names none" in finding.allowed


def test_without_a_project_the_gate_says_so_and_is_no_pass() -> None:
    finding = check_ticket(TICKET, "CHG-12", TicketPolicy())
    assert finding == no_project()
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert not finding.blocks
    assert finding.waived == "The catalogue names no project of change tickets."


@pytest.mark.parametrize(
    "finding",
    [
        awaits_approval(TICKET, POLICY, made_now=True),
        awaits_approval(TICKET, POLICY, made_now=False),
        would_be_made(POLICY, SHA),
        nothing_to_make(POLICY),
    ],
)
def test_without_a_named_ticket_nothing_passes_not_even_by_one_that_is_approved(finding: Finding) -> None:
    assert (finding.gate, finding.verdict) == ("change ticket", Verdict.FAILED)
    assert finding.could_be_met


def test_whoever_has_a_ticket_made_is_told_what_to_do_with_it() -> None:
    finding = awaits_approval(TICKET, POLICY, made_now=True)
    assert "CHG-12 was created; have it approved, then run again with it" in finding.could_be_met
    assert TICKET.url in finding.could_be_met


def test_a_ticket_system_that_is_down_is_no_pass_even_where_the_gate_may_be_left_out() -> None:
    finding = unreachable(Outage("Jira", "looking at CHG-12", "no route"), POLICY)
    assert (finding.gate, finding.verdict, finding.waived) == ("change ticket", Verdict.INCONCLUSIVE, "")
    assert "no route" in finding.sentence


# --- moving ------------------------------------------------------------------------------------------------


def test_a_transition_is_chosen_by_where_it_leads_and_not_by_its_name() -> None:
    moves = (Move("1", "Done", "Review"), Move("2", "Complete", "DONE"), Move("3", "Finish", "Done"))
    assert move_to(moves, "done") == moves[1]
    assert move_to(moves, "Complete") is None
    assert move_to((), "Done") is None


def test_why_there_is_no_way_says_where_there_is_one() -> None:
    moved = no_way(TICKET, "Done", (Move("1", "Start", "Implementing"), Move("2", "x", "Implementing")))
    assert not moved.there
    assert moved.why_not == "CHG-12 is Approved, from where the workflow leads to Implementing, not to Done."
    assert "leads to nowhere" in no_way(TICKET, "Done", ()).why_not


def test_statuses_are_compared_as_people_do() -> None:
    assert same_status(" In Progress", "in progress ")
    assert not same_status("In Progress", "In  Progress?")


# --- what the records say ----------------------------------------------------------------------------------


def test_a_run_goes_by_the_ticket_that_was_named_or_made_for_it() -> None:
    assert ticket_of(log(started())) == "CHG-12"
    assert ticket_of(log(started(ticket=""))) == ""
    assert ticket_of(log(started(ticket=""), (EventKind.TICKET_CREATED, {"ticket": "CHG-9"}))) == "CHG-9"
    assert ticket_of([]) == ""


def test_a_ticket_is_found_again_by_its_version_and_environment_the_newest_first() -> None:
    made = [{"ticket": key, "version": SHA} for key in ("CHG-1", "CHG-2", "CHG-1", "no key")]
    other = {"ticket": "CHG-3", "version": "b" * 40}
    records = log(*((EventKind.TICKET_CREATED, details) for details in (*made, other)))
    assert ticket_made_for(records, "production", SHA) == ("CHG-1", "CHG-2")
    assert ticket_made_for(records, "staging", SHA) == ()


@pytest.mark.parametrize(("key", "ours"), [("CHG-1", True), ("SEC-1", False), ("CHG-1/..", False), ("", False)])
def test_nobody_gets_us_to_write_on_tickets_of_other_projects(key: str, *, ours: bool) -> None:
    assert writable(key, POLICY) is ours
    assert not writable(key, TicketPolicy())
    assert bool(untold(story(DONE, ticket=key), POLICY)) is ours


def test_a_ticket_hears_of_the_run_and_its_ending_each_once() -> None:
    told = log(started(), (EventKind.TICKET_TOLD, {"about": LINK}), (EventKind.APPROVAL_ASKED, {}), (DONE, {}))
    assert untold(story(DONE), POLICY) == (LINK, "completed")
    assert untold(told, POLICY) == ("completed",)
    assert has_heard(told, LINK)
    assert untold([*told, *log((EventKind.TICKET_TOLD, {"about": "completed"}))], POLICY) == ()


@pytest.mark.parametrize("kind", sorted(RUN_ENDINGS))
def test_every_ending_is_told(kind: EventKind) -> None:
    assert untold(story(kind), POLICY) == (LINK, kind.value)


@pytest.mark.parametrize(
    "records",
    [
        pytest.param(story(EventKind.LOCK_TAKEN), id="not ended"),
        pytest.param(log(started(), (EventKind.REFUSED, {})), id="refused at its gates"),
        pytest.param(log(started(), (EventKind.FAILED, {})), id="failed at its gates"),
        pytest.param(story(DONE, dry_run=True), id="a rehearsal"),
        pytest.param(story(DONE, ticket=""), id="without a ticket"),
        pytest.param([], id="nothing"),
    ],
)
def test_a_ticket_hears_nothing_of_what_has_not_come_to_anything(records: list[Record]) -> None:
    assert untold(records, POLICY) == ()


def test_what_was_not_told_is_found_for_a_month() -> None:
    records = [*log(started(), (EventKind.LOCK_TAKEN, {}), (DONE, {})), *story(EventKind.PUT_BACK)]
    assert untold_runs(records, POLICY, NOW + timedelta(days=29)) == (RUN,)
    assert untold_runs(records, POLICY, NOW + timedelta(days=31)) == ()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (EventKind.COMPLETED, "Done"),
        (EventKind.PUT_BACK, "Rolled back"),
        (EventKind.PUT_BACK_FAILED, "Failed"),
        (EventKind.FAILED, "Failed"),
        (EventKind.CANCELLED, "Failed"),
        (EventKind.REFUSED, ""),
        (EventKind.REJECTED, ""),
        (EventKind.SUPERSEDED, ""),
    ],
)
def test_a_ticket_moves_by_how_the_change_ended(kind: EventKind, status: str) -> None:
    assert final_status(story(EventKind.LOCK_TAKEN, kind), POLICY) == status


@pytest.mark.parametrize("kind", [EventKind.FAILED, EventKind.CANCELLED])
def test_a_run_that_ended_before_it_changed_anything_leaves_the_ticket_as_good_as_before(kind: EventKind) -> None:
    assert final_status(story(kind), POLICY) == ""


def test_a_run_that_has_not_ended_moves_nothing() -> None:
    assert final_status(story(EventKind.LOCK_TAKEN), POLICY) == ""


# --- what is written ---------------------------------------------------------------------------------------


def test_a_comment_about_the_ending_says_what_by_whom_and_how_long() -> None:
    records = [*story(), *log((EventKind.APPROVED, {"by": ["anna", "reto"]}), (EventKind.LOCK_TAKEN, {}))]
    records += log((DONE, {"version": SHA}), first=NOW + timedelta(minutes=90))
    sign = marker(RUN, "completed")
    said = list(words(ending_comment(SETTING, records, "promote-to-production", sign)))
    assert said[0] == f"Deployed: batbern {SHA} serves in production."
    assert said[1] == "completed: it was so."
    rows = dict(zip(said[2:-1:2], said[3:-1:2], strict=True))
    assert rows == {
        "Version": SHA,
        "From": "staging",
        "To": "production",
        "Plan": "plan4711",
        "Changes": "2",
        "Asked for by": "Urs Frei",
        "Approved by": "Anna Meier, reto",
        "Took": "1 h 30 min, 1 h 29 min of it for the change itself",
        "Run": "https://prefect/runs/flow-run/1",
    }
    assert said[-1] == f"[run {RUN} · completed]"


@pytest.mark.parametrize("kind", sorted(RUN_ENDINGS))
def test_every_ending_has_its_headline_and_its_marker(kind: EventKind) -> None:
    sign = marker(RUN, kind.value)
    comment = ending_comment(SETTING, story(kind), "promote-to-production", sign)
    opening = next(words(comment))
    assert any(opening.startswith(headline[:8]) for headline in HEADLINES.values())
    assert bears(comment, sign)
    assert not any(bears(comment, marker(RUN, other)) for other in RUN_ENDINGS - {kind})


def test_an_emergency_stands_in_the_comment_with_what_it_leaves_out() -> None:
    emergency = {"reason": "Nobody can log in.", "incident": "INC-9", "waives": ["window", "freeze"]}
    said = list(words(link_comment(SETTING, story(emergency=emergency), "x")))
    assert "Nobody can log in. (incident INC-9; leaves out window, freeze)" in said


def test_a_run_that_has_not_ended_has_no_ending_to_tell() -> None:
    with pytest.raises(ValueError, match="no ending"):
        ending_comment(SETTING, story(), "promote-to-production", "x")


def test_a_ticket_that_is_stuck_says_so_and_asks_people() -> None:
    moved = no_way(TICKET, "Done", ())
    said = list(words(stuck_comment(moved, "Done", "[x]")))
    assert said[0].startswith("This ticket could not be moved to Done: CHG-12 is Approved")
    assert said[1:] == ["Please move it by hand.", "[x]"]


def test_a_link_is_named_by_what_it_is_about() -> None:
    assert link_title(SETTING, story()) == f"Promotion of batbern {SHA} to production"


def test_a_draft_has_one_line_of_summary_and_a_label_that_is_always_the_same() -> None:
    asked = {"source": "staging", "requested_by": "Urs\nFrei " + "x" * 500}
    made = draft(Setting("bat\nbern " * 60, {}, ""), "production", SHA, asked, POLICY)
    assert len(made.summary) <= 255
    assert made.summary.isprintable()
    assert (made.project, made.issue_type) == ("CHG", "Change")
    assert draft(SETTING, "production", SHA, {}, POLICY).summary == f"Release of batbern {SHA} to production"
    assert label("batbern", "production", SHA) == f"promotion-flows.batbern.production.{SHA}"


@given(st.text(), st.text(), st.text())
def test_a_label_is_one_word_that_a_query_takes_as_it_is(application: str, target: str, version: str) -> None:
    made = label(application, target, version)
    assert len(made) <= 255
    assert not set(made) & set(" \t\n\"'\\,()")


@pytest.mark.parametrize("text", NASTY)
def test_what_looks_like_markup_stays_text(text: str) -> None:
    records = story(DONE, requested_by=text, emergency={"reason": text, "incident": text, "waives": [text]})
    for made in (
        ending_comment(SETTING, records, "promote-to-production", "[x]"),
        link_comment(SETTING, records, "[x]"),
        draft(SETTING, "production", text, {"requested_by": text}, POLICY).description,
    ):
        assert set(kinds(made)) <= {"doc", "paragraph", "text", "table", "tableRow", "tableHeader", "tableCell"}
        assert "marks" not in json.dumps(made)
        assert all(word.isprintable() for word in words(made))
        json.dumps(made, ensure_ascii=False).encode()


def test_a_name_like_a_marker_silences_nobody() -> None:
    sign = marker(RUN, "completed")
    assert not bears(link_comment(SETTING, story(requested_by=sign), marker(RUN, "link")), sign)


@given(
    st.lists(st.one_of(st.text(), st.dictionaries(st.text(), st.text(), max_size=30)), max_size=8),
    st.sampled_from([1, 3_000]),
)
def test_every_document_is_taken_whatever_is_said(parts: list[Any], times: int) -> None:
    longer = [part * times if isinstance(part, str) else part for part in parts]
    made = document(longer, "[run x · completed]")
    assert len(json.dumps(made)) <= MOST_CHARACTERS
    assert all(words(made))
    assert all(text.strip() for text in words(made))
    assert bears(made, "[run x · completed]")
    assert all(node["content"] for node in made["content"])


def test_what_is_too_long_for_any_comment_says_where_the_rest_is() -> None:
    parts = [{f"{number}": "😀" * 500 for number in range(20)} for _ in range(10)]
    assert list(words(document(parts, "[x]"))) == ["The rest was too long for a comment; it stands in the run.", "[x]"]


def test_a_marker_names_the_whole_run_because_those_of_one_minute_begin_alike() -> None:
    assert marker("0199a2b4-7c1e", "put_back_failed") == "[run 0199a2b4-7c1e · put back failed]"
