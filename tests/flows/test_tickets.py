"""A ticket is looked at, made once, told each thing once, and moved; dying, lost answers and outages change nothing."""

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from ticket_world import APPROVED, HOTFIX, RELEASE, RUN, SHA, WAITING, World

from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import Declined, InvalidInput, Outage
from rules.production_policies import Emergency, TicketPolicy, Waivable
from rules.records import RUN_ENDINGS, EventKind
from rules.vocabulary import Finding, Verdict
from tasks.tickets import (
    check_change_ticket,
    link_ticket,
    tell_ending,
    tell_link,
    tell_ticket,
    tell_under_way,
    tell_untold,
    ticket_under_way,
)

EXCUSED = Emergency("Nobody can log in.", "INC-9", (Waivable.CHANGE_TICKET,))
PLAN: Any = type("Planned", (), {"hash": "plan4711"})()
UI = "http://prefect.example"


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture(autouse=True, scope="module")
def ui() -> Any:
    from prefect.settings import PREFECT_UI_URL, temporary_settings

    with temporary_settings({PREFECT_UI_URL: UI}):
        yield


def look(world: World, **asked: Any) -> Finding:
    [finding] = check_change_ticket.fn(world.promotion(**asked), RELEASE)
    return finding


def look_for_none(world: World) -> Finding:
    return look(world, ticket="")


def down(world: World, operation: str = "*", kind: FaultKind = FaultKind.ERROR, times: int | None = None) -> None:
    world.site.faults.add(Fault("jira", kind=kind, operation=operation, times=times, seconds=0))


def keep(world: World) -> tuple[str, ...]:
    return tell_untold(world.application, world.book.now, lambda _: True)


def made(world: World) -> list[str]:
    return [key for key, it in world.site.state.tickets.tickets.items() if SHA in it.fields["summary"]]


# --- the gate ----------------------------------------------------------------------------------------------


def test_an_approved_ticket_lets_the_change_be_made(world: World) -> None:
    world.start()
    assert look(world).verdict is Verdict.PASSED
    assert world.site.line.writes() == []


def test_a_ticket_that_is_not_approved_is_refused_with_its_status(world: World) -> None:
    finding = look(world, ticket=WAITING)
    assert (finding.verdict, finding.measured, finding.allowed) == (
        Verdict.FAILED,
        "Awaiting approval",
        "Approved or Implementing",
    )


@pytest.mark.parametrize("key", ["CHG-9999", "SEC-1"])
def test_a_ticket_that_nobody_sees_is_refused(world: World, key: str) -> None:
    assert look(world, ticket=key).measured == "not found"


def test_what_is_no_key_is_refused_before_anybody_is_asked(world: World) -> None:
    with pytest.raises(InvalidInput, match="change_ticket"):
        look(world, ticket="CHG-1/../myself")
    assert world.site.line.asked == []


def test_without_a_project_no_door_is_opened() -> None:
    world = World(TicketPolicy())
    finding = look(world)
    assert (finding.verdict, finding.blocks) == (Verdict.INCONCLUSIVE, False)
    assert world.site.line.asked == []


def test_jira_down_is_an_outage_and_no_approval(world: World) -> None:
    down(world)
    with pytest.raises(Outage):
        look(world)
    with pytest.raises(Outage):
        look(world, emergency=HOTFIX)


def test_an_emergency_that_leaves_this_gate_out_goes_on_without_jira_and_says_so(world: World) -> None:
    down(world)
    finding = look(world, emergency=EXCUSED)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "could not be looked at" in finding.sentence


def test_a_token_that_is_not_let_in_is_declined(world: World) -> None:
    world.application.tickets = world.site.door_of("a wrong token")
    with pytest.raises(Declined) as refusal:
        look(world)
    assert "a wrong token" not in str(refusal.value)


# --- made once ---------------------------------------------------------------------------------------------


def test_without_a_ticket_one_is_made_for_people_to_approve(world: World) -> None:
    world.start(ticket="")
    finding = look(world, ticket="")
    [key] = made(world)
    assert finding.verdict is Verdict.FAILED
    assert f"{key} was created; have it approved, then run again with it" in finding.could_be_met
    fields = world.site.stored(key).fields
    assert fields["status"]["name"] == "To Do"
    said = str(fields["description"])
    assert "Urs Frei" in said
    assert f"{UI}/runs/flow-run/{RUN}" in said


def test_a_ticket_is_made_once_for_a_version_whoever_asks_and_however_often(world: World) -> None:
    for run in (RUN, RUN, "0199-run-2"):
        world.start(ticket="", run=run)
        look(world, ticket="", run=run)
    [key] = made(world)
    kept = [it.event.run_id for it in world.book.records() if it.event.kind is EventKind.TICKET_CREATED]
    assert kept == [RUN, "0199-run-2"]
    world.site.state.move_ticket(key, "11")
    world.site.state.move_ticket(key, "21")
    finding = look(world, ticket="", run="0199-run-2")
    assert finding.verdict is Verdict.FAILED  # approvers must read in the plan by which ticket it goes
    assert "is Approved" in finding.sentence
    assert look(world, ticket=key).verdict is Verdict.PASSED


def test_a_ticket_that_was_declined_or_done_is_not_taken_again(world: World) -> None:
    world.start(ticket="")
    look(world, ticket="")
    [first] = made(world)
    for move in ("11", "22"):
        world.site.state.move_ticket(first, move)
    world.site.clock.advance(5)
    world.start(ticket="", run="0199-run-2")
    look(world, ticket="", run="0199-run-2")
    assert len(made(world)) == 2


def test_a_dry_run_makes_nothing_and_says_what_it_would_make(world: World) -> None:
    world.start(ticket="", dry_run=True)
    finding = look(world, ticket="", dry_run=True)
    assert (finding.verdict, made(world)) == (Verdict.FAILED, [])
    assert f"one would be created in project CHG for {SHA}" in finding.sentence
    assert [it.event.kind for it in world.book.records()] == [EventKind.STARTED]


def test_a_dry_run_names_the_ticket_that_is_there(world: World) -> None:
    world.start(ticket="")
    look(world, ticket="")
    finding = look(world, ticket="", dry_run=True, run="0199-dry")
    assert made(world)[0] in finding.could_be_met
    assert list(world.book.records("0199-dry")) == []


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TIMEOUT, FaultKind.GARBAGE])
def test_a_ticket_whose_making_was_not_answered_is_not_made_twice(world: World, kind: FaultKind) -> None:
    down(world, "create_issue", kind, times=1)
    world.start(ticket="")
    look(world, ticket="")
    assert len(made(world)) == 1


@pytest.mark.parametrize("kill", ["before", "after"])
def test_a_process_that_dies_while_it_has_a_ticket_made_leaves_one(kill: str) -> None:
    number = 0
    survived = False
    while not survived:
        world = World()
        world.start(ticket="")
        setattr(world.site.line, f"kill_{kill}", number)
        survived = world.surviving(look_for_none, world)
        world.site.clock.advance(5)  # until the search has caught up
        look(world, ticket="")
        assert len(made(world)) == 1, number
        number += 1
    assert number == 4


def test_a_process_that_dies_before_it_notes_its_ticket_finds_it_by_its_label(world: World) -> None:
    world.start(ticket="")
    world.book.kill_before = EventKind.TICKET_CREATED
    assert not world.surviving(lambda: look(world, ticket=""))
    world.site.clock.advance(5)
    look(world, ticket="")
    assert len(made(world)) == 1


# --- told once ---------------------------------------------------------------------------------------------


def test_a_run_is_linked_once_however_often_it_begins_again(world: World) -> None:
    world.run_until()
    for _ in range(3):
        link_ticket.fn(world.promotion(), PLAN)
    [link] = world.site.stored().links
    assert link["object"] == {
        "url": f"{UI}/runs/flow-run/{RUN}",
        "title": f"Promotion of batbern {SHA} to production",
    }
    [comment] = world.site.comments()
    assert comment.endswith(f"[run {RUN} · link]")
    assert world.book.told() == ["link"]


def test_a_ticket_moves_to_where_changes_are_under_way_and_on_to_where_they_are_done(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN)
    ticket_under_way.fn(world.promotion(), PLAN)
    assert world.site.status() == "Implementing"
    world.write(EventKind.COMPLETED)
    tell_ticket(world.application, RUN)
    assert world.site.status() == "Done"
    assert world.book.told() == ["under_way", "link", "completed"]
    told = [it.event for it in world.book.records(RUN) if it.event.kind is EventKind.TICKET_TOLD]
    assert {event.details["ticket"] for event in told} == {APPROVED}
    assert {event.plan_hash for event in told} == {"plan4711"}


def test_a_ticket_is_commented_before_it_is_closed_because_what_is_closed_may_take_no_comments(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    tell_ticket(world.application, RUN)
    writes = [it.rpartition("/")[2] for it in world.site.line.writes()]
    assert max(at for at, it in enumerate(writes) if it == "comment") < writes.index("transitions")


def test_the_last_comment_says_what_was_deployed_with_which_plan_by_whose_approval(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    tell_ticket(world.application, RUN)
    said = world.site.comments()[-1]
    for word in (f"batbern {SHA} serves in production", "plan4711", "Anna Meier, Reto Keller", "Urs Frei", UI):
        assert word in said, word


@pytest.mark.parametrize("kind", sorted(RUN_ENDINGS))
def test_every_ending_is_told_once(kind: EventKind) -> None:
    world = World()
    world.run_until(kind)
    for _ in range(3):
        tell_ticket(world.application, RUN)
        keep(world)
    assert world.book.told() == ["link", kind.value]
    assert [text.splitlines()[-1] for text in world.site.comments()] == [
        f"[run {RUN} · link]",
        f"[run {RUN} · {kind.value.replace('_', ' ')}]",
    ]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (EventKind.COMPLETED, "Done"),
        (EventKind.PUT_BACK, "Approved"),
        (EventKind.PUT_BACK_FAILED, "Approved"),
        (EventKind.FAILED, "Approved"),
        (EventKind.CANCELLED, "Approved"),
    ],
)
def test_a_ticket_ends_where_the_policy_says(kind: EventKind, status: str) -> None:
    world = World()
    world.run_until(EventKind.LOCK_TAKEN)
    tell_under_way(world.application, RUN)
    assert world.site.status() == "Implementing"
    world.write(kind)
    tell_ticket(world.application, RUN)
    assert world.site.status() == status


def test_a_policy_without_statuses_moves_nothing() -> None:
    world = World(TicketPolicy(project="CHG", deployed=""))
    world.run_until(EventKind.LOCK_TAKEN)
    assert tell_under_way(world.application, RUN) == ""
    world.write(EventKind.COMPLETED)
    assert keep(world)
    assert world.site.status() == "Approved"


def test_a_status_that_the_workflow_does_not_lead_to_is_told_on_the_ticket_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(TicketPolicy(project="CHG", deployed="Deployed"))
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    with caplog.at_level(logging.WARNING):
        [told] = keep(world)
    assert "could not be moved to Deployed" in told
    assert "was not moved to Deployed" in caplog.text
    assert "Please move it by hand." in world.site.comments()[-1]
    assert keep(world) == ()
    assert world.site.status() == "Approved"
    assert len(world.site.comments()) == 3


def test_a_ticket_that_somebody_moved_on_already_is_left_there(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    for move in ("31", "41"):
        world.site.state.move_ticket(APPROVED, move)
    tell_ticket(world.application, RUN)
    assert world.site.status() == "Done"
    assert not any("transitions" in it for it in world.site.line.writes())


def test_a_run_refused_at_its_gates_disturbs_no_ticket(world: World) -> None:
    world.start()
    world.write(EventKind.REFUSED)
    tell_ticket(world.application, RUN)
    assert keep(world) == ()
    assert world.site.line.asked == []


def test_a_dry_run_tells_nothing(world: World) -> None:
    world.run_until(EventKind.COMPLETED, dry_run=True)
    link_ticket.fn(world.promotion(), PLAN)
    ticket_under_way.fn(world.promotion(), PLAN)
    assert keep(world) == ()
    assert world.site.line.asked == []


def test_a_promotion_without_tickets_opens_no_door() -> None:
    world = World(TicketPolicy())
    del world.application.tickets
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    for tell in (tell_link, tell_under_way, tell_ending):
        assert tell(world.application, RUN) == ""
    assert keep(world) == ()
    tell_ticket(world.application, "a run that nobody knows")


def test_a_ticket_of_another_project_is_not_written_on_even_in_an_emergency(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED, ticket="SEC-1", emergency={"reason": "x"})
    assert keep(world) == ()
    assert world.site.line.asked == []


def test_an_emergency_goes_by_the_ticket_that_was_made_for_it(world: World) -> None:
    world.start(ticket="", emergency={"reason": "Nobody can log in.", "incident": "INC-9", "waives": ["change ticket"]})
    look(world, ticket="", emergency=EXCUSED)
    [key] = made(world)
    for kind in (EventKind.APPROVAL_ASKED, EventKind.LOCK_TAKEN, EventKind.COMPLETED):
        world.write(kind)
    tell_ticket(world.application, RUN)
    assert "Nobody can log in. (incident INC-9" in world.site.comments(key)[-2]
    assert "Please move it by hand." in world.site.comments(key)[-1]
    assert "could not be moved to Done" in str(list(world.book.records(RUN))[-1].event.sentence)


# --- out of reach ------------------------------------------------------------------------------------------


def test_jira_down_neither_fails_a_promotion_nor_leaves_it_unrecorded(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.run_until(EventKind.LOCK_TAKEN)
    down(world)
    link_ticket.fn(world.promotion(), PLAN)
    ticket_under_way.fn(world.promotion(), PLAN)
    world.write(EventKind.COMPLETED)
    tell_ticket(world.application, RUN)
    assert world.book.told() == []
    assert f"the change ticket of run {RUN} was not told: Outage" in caplog.text
    assert keep(world) == ()
    world.site.faults.clear()
    [told] = keep(world)
    assert APPROVED in told
    assert world.site.status() == "Done"  # over Implementing, which it had missed
    assert world.book.told() == ["link", "completed"]
    assert keep(world) == ()


@pytest.mark.parametrize("error", [KeyError("x"), Outage("The ledger", "appending", "no space")])
def test_nothing_that_goes_wrong_in_telling_reaches_the_runs_ending(world: World, error: Exception) -> None:
    world.run_until(EventKind.COMPLETED)
    world.book.trouble = error
    tell_ticket(world.application, RUN)
    assert keep(world) == ()
    world.book.trouble = None
    assert len(keep(world)) == 1
    assert len(world.site.comments()) == 2


def test_one_ticket_out_of_reach_does_not_keep_the_others_from_hearing(world: World) -> None:
    world.run_until(EventKind.REJECTED, ticket="CHG-9999")
    world.run_until(EventKind.COMPLETED, run="0199-run-2")
    [told] = keep(world)
    assert "0199-run-2" in told


def test_a_run_that_is_at_its_end_just_now_tells_its_ticket_itself(world: World) -> None:
    world.run_until(EventKind.COMPLETED)
    assert tell_untold(world.application, world.book.now, lambda run_id: run_id != RUN) == ()
    assert world.site.line.asked == []


@pytest.mark.parametrize("ended", [False, True])
def test_what_is_told_late_does_not_move_a_ticket_by_which_a_later_run_goes(ended: bool) -> None:
    world = World()
    world.run_until(EventKind.LOCK_TAKEN, EventKind.PUT_BACK)
    world.run_until(EventKind.LOCK_TAKEN, run="0199-run-2")
    tell_under_way(world.application, "0199-run-2")
    if ended:
        world.write(EventKind.COMPLETED, "0199-run-2")
        tell_ending(world.application, "0199-run-2")
    before = world.site.status()
    [told] = keep(world)
    assert world.site.status() == before == ("Done" if ended else "Implementing")
    assert "stays where run 0199-run-2 has it" in told
    assert not any("by hand" in text for text in world.site.comments())
    assert "Rolled back" in world.site.comments()[-1]


def test_the_next_run_may_be_quicker_to_take_the_lock_than_the_ending_is_to_be_recorded(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN, EventKind.LOCK_RELEASED)
    world.run_until(EventKind.LOCK_TAKEN, run="0199-run-2")
    tell_under_way(world.application, "0199-run-2")
    world.write(EventKind.PUT_BACK)
    tell_ticket(world.application, RUN)
    assert world.site.status() == "Implementing"
    world.write(EventKind.COMPLETED, "0199-run-2")
    tell_ticket(world.application, "0199-run-2")
    assert world.site.status() == "Done"


def test_a_run_by_another_ticket_or_one_that_changed_nothing_does_not_keep_a_ticket_from_moving(world: World) -> None:
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    world.run_until(EventKind.REJECTED, run="0199-run-2")
    world.run_until(EventKind.LOCK_TAKEN, run="0199-run-3", ticket=WAITING)
    keep(world)
    assert world.site.status() == "Done"


def test_what_could_not_be_told_for_a_month_is_let_go(world: World) -> None:
    world.run_until(EventKind.COMPLETED)
    world.book.now += timedelta(days=31)
    assert keep(world) == ()


# --- killed ------------------------------------------------------------------------------------------------


def whole_story(world: World) -> None:
    """All that a promotion tells its ticket, from what the ledger says, as each new process begins it again."""
    for act in (tell_link, tell_under_way, tell_ending):
        act(world.application, RUN)


def check_told_once(world: World, number: int) -> None:
    ticket = world.site.stored()
    assert len(ticket.links) == 1, number
    assert [text.splitlines()[-1] for text in world.site.comments()] == [
        f"[run {RUN} · link]",
        f"[run {RUN} · completed]",
    ], number
    assert list(ticket.properties) == ["promotion-flows"], number
    assert ticket.properties["promotion-flows"]["told"] == [f"[run {RUN} · link]", f"[run {RUN} · completed]"], number
    assert world.site.status() == "Done", number
    assert len(world.book.told()) == len(set(world.book.told())), number


@pytest.mark.parametrize("kill", ["before", "after"])
def test_a_process_that_dies_at_any_request_leaves_everything_there_once(kill: str) -> None:
    number, survived = 0, False
    while not survived:
        world = World()
        world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
        setattr(world.site.line, f"kill_{kill}", number)
        survived = world.surviving(whole_story, world)
        whole_story(world)
        check_told_once(world, number)
        number += 1
    assert number > 14


@pytest.mark.parametrize("act", [tell_link, tell_under_way, tell_ending])
def test_a_process_that_dies_before_it_notes_what_it_told_tells_nothing_twice(act: Callable[[Any, str], str]) -> None:
    world = World()
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    world.book.kill_before = EventKind.TICKET_TOLD
    assert not world.surviving(lambda: act(world.application, RUN))
    whole_story(world)
    check_told_once(world, 0)


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TIMEOUT, FaultKind.ERROR, FaultKind.THROTTLE])
@pytest.mark.parametrize(
    "operation",
    ["get_issue", "put_link", "list_comments", "add_comment", "get_property", "put_property", "transition"],
)
def test_a_lost_answer_leaves_everything_there_once(operation: str, kind: FaultKind) -> None:
    world = World()
    world.run_until(EventKind.LOCK_TAKEN, EventKind.COMPLETED)
    down(world, operation, kind, times=1)
    whole_story(world)
    check_told_once(world, 0)
