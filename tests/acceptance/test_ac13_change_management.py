"""AC13: "Change Management: JIRA integration for change tracking".

The story's tests, and where they are shown here:
    13.1 should_createJiraTicket_when_promotionInitiated     made once, and to be approved by people before it counts
    13.2 should_linkDeploymentToChange_when_deploying        linked, commented and moved on, each once
"""

from typing import Any

import pytest
from production_world import LEADS, OPERATORS, Production, ProductionWalk

from rules.records import EventKind

pytestmark = pytest.mark.timeout(400)  # the first of all waits for a whole walk


def ticket(production: Production, key: str) -> dict[str, Any]:
    tickets: list[dict[str, Any]] = production.promotions.room.state()["vendors"]["tickets"]
    return next(it for it in tickets if it["key"] == key)


def test_the_ticket_is_linked_to_the_run_and_moved_on_at_the_end(production_walk: ProductionWalk) -> None:
    assert production_walk.ticket["status"] == "Done"
    assert [link for link in production_walk.ticket["links"] if str(production_walk.run.id) in link["url"]]


def test_the_ticket_says_what_was_deployed_with_which_plan_by_whose_approval(production_walk: ProductionWalk) -> None:
    said = "\n".join(comment["text"] for comment in production_walk.ticket["comments"])
    for word in (production_walk.new, production_walk.plan, "Lead-0", "Operator-0"):
        assert word in said, word


def test_the_run_that_began_again_three_times_told_the_ticket_everything_once(production_walk: ProductionWalk) -> None:
    comments = [comment["text"] for comment in production_walk.ticket["comments"]]
    assert len(comments) == len(set(comments))
    told = [it.event.details["about"] for it in production_walk.story if it.event.kind is EventKind.TICKET_TOLD]
    assert len(told) == len(set(told))


def test_without_a_ticket_one_is_made_once_and_must_be_approved(production: Production) -> None:
    placed = production.in_staging("good")
    keys = set()
    for _ in range(2):
        run = production.request(change_ticket="")
        assert run.go().name == "Refused"
        [finding] = run.unmet()
        assert finding["gate"] == "change ticket"
        made = [
            it for it in production.promotions.room.state()["vendors"]["tickets"] if placed.version in it["summary"]
        ]
        keys |= {it["key"] for it in made}
        assert len(made) == 1
        assert made[0]["key"] in finding["could_be_met"]
    assert len(keys) == 1


def test_a_ticket_that_is_not_approved_is_refused_with_its_status(production: Production) -> None:
    production.in_staging("good")
    run = production.request(change_ticket="CHG-103")
    assert run.go().name == "Refused"
    [finding] = run.unmet()
    assert (finding["gate"], finding["measured"]) == ("change ticket", "Awaiting approval")
    assert "Approved" in finding["allowed"]


def test_a_ticket_that_is_not_there_is_refused(production: Production) -> None:
    production.in_staging("good")
    run = production.request(change_ticket="CHG-99999")
    assert run.go().name == "Refused"
    assert [finding["gate"] for finding in run.unmet()] == ["change ticket"]


def test_what_is_no_key_is_refused_before_anything_is_asked(production: Production) -> None:
    run = production.request(change_ticket="CHG-1/../../secret")
    state = run.go()
    assert state.name == "Refused"
    assert "change_ticket" in str(state.message)


def test_jira_down_is_no_approval_and_a_finished_deployment_is_told_later(production: Production) -> None:
    """Down from before the change until after its end: production has the release, and the ticket learns it later."""
    placed = production.in_staging("good")
    key = production.approved_ticket("Jira goes down")
    run = production.waiting(change_ticket=key, strategy="blue_green")
    assert run.approve(LEADS[3]).name == "Suspended"
    assert run.answer(OPERATORS[4])
    production.promotions.room.add_fault("jira", "error", operation="transition")
    production.promotions.room.add_fault("jira", "error", operation="add_comment")
    assert run.go().name == "Completed", run.state.message
    assert production.serving("production") == {placed.version}
    assert ticket(production, key)["status"] == "Approved"
    production.promotions.room.clear_faults()
    assert key in production.keep()
    told = ticket(production, key)
    assert told["status"] == "Done"
    comments = [it["text"] for it in told["comments"] if placed.version in it["text"]]
    assert len(comments) == len(set(comments))
    production.keep()
    assert ticket(production, key) == told


def test_jira_down_at_the_gates_is_an_outage_and_nothing_is_changed(production: Production) -> None:
    before = production.serving("production")
    production.in_staging("good")
    production.promotions.room.add_fault("jira", "error", operation="get_issue")
    run = production.request()
    state = run.go()
    assert state.name == "Failed"
    assert "Jira" in str(state.message)
    assert production.serving("production") == before
