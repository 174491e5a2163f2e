"""AC15: "Approval Workflows: Multi-stage approval for production".

The story's tests, and where they are shown here:
    15.1 should_requireTwoApprovals_when_productionPromotion     a team lead, then operations; and nobody else counts
    15.2 should_notifyApprovers_when_approvalPending             the release channel, with the link to the run
What is admitted and what not is decided in rules/approvals.py, whose table of attacks is in tests/rules.
"""

import threading
from contextvars import copy_context
from datetime import UTC, datetime, timedelta

import pytest
from production_world import LEADS, OPERATORS, Production, ProductionRun, ProductionWalk
from promotion_world import TTL

from rules.approvals import Reason
from rules.records import EventKind


def admitted(run: ProductionRun) -> list[str]:
    return [it.event.details["person"] for it in run.story() if it.event.kind is EventKind.APPROVAL_GIVEN]


def refused(run: ProductionRun) -> list[str]:
    return [it.event.details["reason"] for it in run.story() if it.event.kind is EventKind.APPROVAL_NOT_ADMITTED]


def test_a_team_lead_then_operations_approve_and_the_ledger_says_what(production_walk: ProductionWalk) -> None:
    given = [it.event for it in production_walk.story if it.event.kind is EventKind.APPROVAL_GIVEN]
    assert [(it.details["person"], it.details["stage"]) for it in given] == [
        (LEADS[0], "team lead"),
        (OPERATORS[0], "operations"),
    ]
    assert {event.plan_hash for event in given} == {production_walk.plan}
    assert {event.details["comment"] for event in given} == {"I have read it."}


def test_approvers_read_the_plan_above_the_form(production_walk: ProductionWalk) -> None:
    assert production_walk.plan in production_walk.page
    for word in ("release.manager", "CHG", "gateway", "batbern-production"):
        assert word in production_walk.page, word


def test_the_channel_hears_who_is_awaited_who_approved_and_how_it_ended(production_walk: ProductionWalk) -> None:
    said = "\n".join(production_walk.chat)
    assert "Lead-1" in said
    assert "Operator-0" in said
    assert "succeeded" in production_walk.chat[-1]


def test_whoever_may_not_approve_is_told_why_and_the_run_goes_on_waiting(production: Production) -> None:
    production.in_staging("good")
    run = production.waiting(requested_by=LEADS[1])
    attacks = {
        "nobody.at.all": ({"code": "986420"}, Reason.UNKNOWN),
        LEADS[1]: ({}, Reason.REQUESTER),
        LEADS[2]: ({"code": "000000"}, Reason.WRONG_CODE),
        LEADS[3]: ({"plan": "0123456789abcdef"}, Reason.OTHER_PLAN),
        OPERATORS[1]: ({}, Reason.NOT_AWAITED),
    }
    for person, (said, _) in attacks.items():
        assert run.answer(person, **said)
        assert run.go().name == "Suspended"
    assert refused(run) == [str(reason) for _, reason in attacks.values()]
    assert admitted(run) == []
    assert "986420" not in "\n".join(message["text"] for message in production.promotions.chat())


def test_one_person_counts_once_and_a_code_works_once(production: Production) -> None:
    production.in_staging("good")
    run = production.waiting()
    code = production.authenticators.code(LEADS[2])
    for _ in range(2):
        assert run.answer(LEADS[2], code=code)
        assert run.go().name == "Suspended"
    assert run.answer(LEADS[2])
    assert run.go().name == "Suspended"
    assert admitted(run) == [LEADS[2]]
    assert refused(run) == [str(Reason.REUSED_CODE), str(Reason.TWICE)]


def test_one_rejection_ends_it(production: Production) -> None:
    before = production.serving("production")
    production.in_staging("good")
    run = production.waiting()
    assert run.answer(OPERATORS[2], "reject", comment="Not on my watch.")
    state = run.go()
    assert state.name == "Rejected"
    assert "Operator-2" in str(state.message)
    assert production.serving("production") == before


def test_two_answers_at_the_same_moment_are_both_counted_once_each(production: Production) -> None:
    with production.catalogue_saying(
        {'name = "team lead", group = "team-leads", count = 1': 'name = "team lead", group = "team-leads", count = 2'}
    ):
        production.in_staging("good")
        run = production.waiting(strategy="blue_green")
        people = (LEADS[4], LEADS[5])
        taken: list[str] = []

        def answer(person: str) -> None:
            """As `deployments.approve` does: whoever comes second tries again when the run asks anew."""
            if run.answer_at_once(person):
                taken.append(person)

        threads = [threading.Thread(target=copy_context().run, args=(answer, person)) for person in people]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(taken) == 1
        assert run.go().name == "Suspended"
        [late] = set(people) - set(taken)
        assert run.answer(late)
        assert run.go().name == "Suspended"
        assert sorted(admitted(run)) == sorted(people)


def test_a_changed_plan_voids_what_was_approved(production: Production) -> None:
    promotions = production.promotions
    production.in_staging("good")
    run = production.waiting()
    first = run.plan
    assert run.approve(LEADS[6]).name == "Suspended"
    former = promotions.parameters("staging")[TTL][0]
    promotions.room.put_parameter("staging", TTL, str(int(former) + 1))
    try:
        assert run.answer(OPERATORS[3], plan=first)
        assert run.go().name == "Suspended"
        assert run.plan != first
        [void] = [it.event for it in run.story() if it.event.kind is EventKind.APPROVALS_VOID]
        assert (void.details["was"], void.details["people"]) == (first, [LEADS[6]])
        assert refused(run) == [str(Reason.OTHER_PLAN)]
        awaited = [it.event for it in run.story() if it.event.kind is EventKind.APPROVAL_ASKED][-1]
        assert awaited.details["stage"] == "team lead"
    finally:
        promotions.room.put_parameter("staging", TTL, former)


def test_nobody_answers_before_the_deadline_and_that_is_a_rejection(production: Production) -> None:
    production.in_staging("good")
    with production.catalogue_saying(
        {"deadline_hours = 72\nreminder_hours = 8": "deadline_hours = 0.0002\nreminder_hours = 0.0001"}
    ):
        run = production.waiting()
        [asked] = [it.event for it in run.story() if it.event.kind is EventKind.APPROVAL_ASKED]
        deadline = datetime.fromisoformat(asked.details["deadline"])
        assert deadline - datetime.now(UTC) < timedelta(seconds=1)
        until(deadline)
        assert "the deadline for approvals is over" in production.keep()
        state = run.go()
    assert state.name == "Rejected"
    assert "Nobody approved in time" in str(state.message)


def test_an_answer_after_the_deadline_does_not_count(production: Production) -> None:
    production.in_staging("good")
    with production.catalogue_saying(
        {"deadline_hours = 72\nreminder_hours = 8": "deadline_hours = 0.0002\nreminder_hours = 0.0001"}
    ):
        run = production.waiting()
        [asked] = [it.event for it in run.story() if it.event.kind is EventKind.APPROVAL_ASKED]
        until(datetime.fromisoformat(asked.details["deadline"]))
        assert run.answer(LEADS[7])
        assert run.go().name == "Rejected"
    assert refused(run) == [str(Reason.TOO_LATE)]


def test_a_newer_plan_takes_the_place_of_an_older_one_that_waits(production: Production) -> None:
    production.in_staging("good")
    older = production.waiting()
    production.in_staging("good")
    newer = production.waiting()
    assert older.state.name == "Resuming"  # woken, to end by itself
    state = older.go()
    assert state.name == "Superseded"
    assert str(newer.id) in str(state.message)
    assert newer.state.name == "Suspended"


def test_the_same_plan_is_not_asked_about_twice(production: Production) -> None:
    production.in_staging("good")
    ticket = production.approved_ticket()
    first = production.waiting(change_ticket=ticket)
    second = production.request(change_ticket=ticket)
    assert second.go().name == "Refused"
    [finding] = second.unmet()
    assert (finding["gate"], finding["measured"]) == ("waiting runs", str(first.id))
    assert first.state.name == "Suspended"


def test_to_see_the_plan_again_needs_no_code_and_decides_nothing(production: Production) -> None:
    production.in_staging("good")
    run = production.waiting()
    assert run.answer("anybody", "show the plan again")
    assert run.go().name == "Suspended"
    assert (admitted(run), refused(run)) == ([], [])


def test_a_form_without_a_person_is_not_taken_by_the_server(production: Production) -> None:
    production.in_staging("good")
    run = production.waiting()
    assert not run.resume({"decision": "approve"})
    assert not run.resume({})
    assert not run.resume({"approver": LEADS[0], "decision": "yes"})
    assert run.state.name == "Suspended"


def test_who_is_awaited_is_reminded(production: Production) -> None:
    production.in_staging("good")
    with production.catalogue_saying({"reminder_hours = 8": "reminder_hours = 0.0001"}):
        run = production.waiting()
        said = len(production.promotions.chat())
        assert "Reminded" in production.keep()
    assert EventKind.REMINDED in run.kinds()
    [message] = production.promotions.chat()[said:]
    assert "still waits for approval" in message["text"]


def until(moment: datetime) -> None:
    """At most a second: deadlines here are short."""
    left = (moment - datetime.now(UTC)).total_seconds()
    threading.Event().wait(max(0.0, left) + 0.05)


pytestmark = pytest.mark.timeout(400)  # the first of all waits for a whole walk
