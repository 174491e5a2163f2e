"""The door to the change tickets against the stateful stand-in: whatever is lost or refused, nothing is there twice."""

import json
from base64 import b64encode

import httpx
import pytest
from ticket_world import APPROVED, POLICY, SHA, WAITING, Died, Site

from blocks.ticket_calls import PROPERTY, TicketCalls
from blocks.wire import Wire
from deployments.sandbox.faults import Fault, FaultKind
from rules.change_tickets import Ticket
from rules.errors import Declined, InvalidInput, Outage
from rules.ticket_comments import Document, Draft, Setting, document, draft, label, marker

SIGN = marker("run-1", "completed")
SAID = document(["It serves."], SIGN)
LOST = [FaultKind.RESET, FaultKind.TIMEOUT, FaultKind.GARBAGE]


@pytest.fixture
def site() -> Site:
    return Site()


def wanted(version: str = SHA) -> Draft:
    setting = Setting("batbern", {}, "http://prefect/runs/flow-run/1")
    return draft(setting, "production", version, {"requested_by": "Urs Frei", "source": "staging"}, POLICY)


def lose(site: Site, operation: str, kind: FaultKind = FaultKind.RESET, times: int | None = 1) -> None:
    site.faults.add(Fault("jira", kind=kind, operation=operation, times=times, seconds=0))


# --- looking -----------------------------------------------------------------------------------------------


def test_a_ticket_is_found_with_its_status_and_where_people_look_at_it(site: Site) -> None:
    url = "http://sandbox/jira/browse/CHG-102"
    summary = "Release of speaker self-service to production"
    assert site.door.find(APPROVED) == Ticket("CHG-102", summary, "Approved", "indeterminate", url)


@pytest.mark.parametrize("key", ["CHG-9999", "SEC-1"])
def test_what_is_not_there_and_what_may_not_be_seen_are_the_same_nothing(site: Site, key: str) -> None:
    assert site.door.find(key) is None


@pytest.mark.parametrize("key", ["CHG-1/../../myself", "CHG-1?x=", "", "chg-1", "CHG-1\n", "CHG-" + "9" * 99])
def test_what_is_no_key_is_never_asked_for(site: Site, key: str) -> None:
    for ask in (
        lambda: site.door.find(key),
        lambda: site.door.comment(key, SAID, SIGN),
        lambda: site.door.link(key, "1", "http://x", "x"),
        lambda: site.door.move(key, "Done"),
    ):
        with pytest.raises(InvalidInput):
            ask()
    assert site.line.asked == []


def test_a_wrong_token_is_declined_and_never_no_ticket(site: Site) -> None:
    with pytest.raises(Declined, match="401"):
        site.door_of("wrong-token").find(APPROVED)


def test_a_refusal_to_let_in_that_looks_like_no_ticket_is_declined(site: Site) -> None:
    headers = {"X-Seraph-LoginReason": "AUTHENTICATED_FAILED"}
    site.line.answers.append(("GET", httpx.Response(404, json={"errorMessages": []}, headers=headers)))
    with pytest.raises(Declined):
        site.door.find(APPROVED)


def test_a_site_that_is_down_is_an_outage(site: Site) -> None:
    lose(site, "get_issue", FaultKind.ERROR, times=None)
    with pytest.raises(Outage, match="looking at CHG-102"):
        site.door.find(APPROVED)


def test_a_rate_limit_is_waited_for_as_long_as_it_says(site: Site) -> None:
    headers = {"Retry-After": "7", "RateLimit-Reason": "jira-burst-based"}
    site.line.answers.append(("GET", httpx.Response(429, json={}, headers=headers)))
    assert site.door.find(APPROVED) is not None
    assert site.clock.monotonic() == pytest.approx(7.5)


def test_a_rate_limit_that_lasts_is_an_outage_that_says_for_how_long(site: Site) -> None:
    site.line.answers.append(("GET", httpx.Response(429, json={}, headers={"Retry-After": "3600"})))
    with pytest.raises(Outage) as outage:
        site.door.find(APPROVED)
    assert outage.value.retry_after == 3600


@pytest.mark.parametrize("body", [{}, {"key": "CHG-102"}, {"key": "../x", "fields": {}}, {"key": 5, "fields": []}])
def test_an_answer_that_is_no_ticket_is_an_outage_and_no_approval(site: Site, body: dict[str, object]) -> None:
    site.line.answers.append(("GET", httpx.Response(200, json=body)))
    with pytest.raises(Outage, match="a ticket with key and status was expected"):
        site.door.find(APPROVED)


def test_no_secret_is_in_what_is_said_of_a_refusal(site: Site) -> None:
    token = "token-that-nobody-may-see"
    basic = b64encode(f"{site.state.credentials.ticket_user}:{token}".encode()).decode()
    site.line.answers.append(("GET", httpx.Response(403, text=f"Not with {token} nor {basic}")))
    door = site.door_of(token)
    with pytest.raises(Declined) as refusal:
        door.find(APPROVED)
    said = f"{refusal.value!r} {refusal.value} {door!r} {door}"
    assert token not in said
    assert basic not in said
    assert "***" in str(refusal.value)


# --- making ------------------------------------------------------------------------------------------------


def made(site: Site) -> list[str]:
    name = label("batbern", "production", SHA)
    return [key for key, it in site.state.tickets.tickets.items() if name in it.fields["labels"]]


def test_a_ticket_is_made_as_drafted(site: Site) -> None:
    ticket = site.door.create(wanted())
    fields = site.stored(ticket.key).fields
    assert (fields["issuetype"], fields["project"]) == ({"name": "Change"}, {"key": "CHG"})
    assert ticket.status == "To Do"
    assert ticket.is_open
    assert SHA in ticket.summary


def test_a_ticket_that_was_made_before_is_found_again_by_its_label(site: Site) -> None:
    first = site.door.create(wanted())
    site.clock.advance(5)
    assert site.door.create(wanted()) == first
    assert site.door.created_before("CHG", wanted().label) == first
    assert made(site) == [first.key]


def test_a_ticket_for_another_version_or_one_that_is_closed_is_not_taken_for_this(site: Site) -> None:
    first = site.door.create(wanted())
    site.stored(first.key).fields["status"] = {"id": "10005", "name": "Declined", "statusCategory": {"key": "done"}}
    site.clock.advance(5)
    assert site.door.create(wanted()).key != first.key
    assert site.door.create(wanted("b" * 40)).key not in made(site)


@pytest.mark.parametrize("kind", LOST)
def test_a_ticket_whose_making_was_not_answered_is_looked_for_and_not_made_twice(site: Site, kind: FaultKind) -> None:
    lose(site, "create_issue", kind)
    ticket = site.door.create(wanted())
    assert made(site) == [ticket.key]


def test_a_ticket_that_was_not_made_is_an_outage_and_made_at_the_next_try(site: Site) -> None:
    lose(site, "create_issue", FaultKind.ERROR)
    with pytest.raises(Outage):
        site.door.create(wanted())
    ticket = site.door.create(wanted())
    assert made(site) == [ticket.key]


def test_a_project_that_is_not_there_is_declined(site: Site) -> None:
    other = Draft("OPS", "Change", "x", document(["x"]), "x")
    with pytest.raises(Declined, match="valid project is required"):
        site.door.create(other)


# --- linking and commenting --------------------------------------------------------------------------------


def test_a_link_is_there_once_however_often_it_is_made(site: Site) -> None:
    lose(site, "put_link")
    for title in ("First", "Second"):
        site.door.link(APPROVED, "promotion-flows:run:1", "http://prefect/1", title)
    (link,) = site.stored().links
    assert link["object"] == {"url": "http://prefect/1", "title": "Second"}
    assert link["relationship"] == "promoted by"


def test_a_comment_is_written_once(site: Site) -> None:
    assert [site.door.comment(APPROVED, SAID, SIGN) for _ in range(3)] == [True, False, False]
    assert site.comments() == [f"It serves.\n{SIGN}"]
    assert site.stored().properties == {PROPERTY: {"told": [SIGN]}}


@pytest.mark.parametrize("kind", LOST)
def test_a_comment_whose_answer_was_lost_is_looked_for_and_not_written_twice(site: Site, kind: FaultKind) -> None:
    lose(site, "add_comment", kind)
    assert site.door.comment(APPROVED, SAID, SIGN)
    assert len(site.comments()) == 1


def test_a_comment_that_was_not_taken_is_tried_once_more(site: Site) -> None:
    lose(site, "add_comment", FaultKind.ERROR)
    assert site.door.comment(APPROVED, SAID, SIGN)
    lose(site, "add_comment", FaultKind.ERROR, times=2)
    with pytest.raises(Outage):
        site.door.comment(APPROVED, SAID, marker("run-2", "completed"))
    assert len(site.comments()) == 1


@pytest.mark.parametrize("after", [False, True])
def test_a_process_that_dies_between_any_two_calls_leaves_one_comment(after: bool) -> None:
    for number in range(4):
        site = Site()
        site.line.kill_before, site.line.kill_after = (None, number) if after else (number, None)
        with pytest.raises(Died):
            site.door.comment(APPROVED, SAID, SIGN)
        site.line.live()
        site.door.comment(APPROVED, SAID, SIGN)
        assert len(site.comments()) == 1, number
        assert site.stored().properties == {PROPERTY: {"told": [SIGN]}}, number
    assert len(site.line.asked) > 4  # there was no fifth call to die at


def test_a_marker_is_found_behind_hundreds_of_comments(site: Site) -> None:
    site.door.comment(APPROVED, SAID, SIGN)
    for _ in range(250):
        site.state.tickets.comment(site.stored(), document(["Chatter."]), "Somebody")
    site.stored().properties.clear()
    assert not site.door.comment(APPROVED, SAID, SIGN)
    assert len(site.comments()) == 251


@pytest.mark.parametrize(
    "body",
    [
        None,
        "text",
        {"content": 5},
        {"content": [5, {"type": "paragraph"}, {"type": "paragraph", "content": 5}]},
        document([f"It says {SIGN} here."]),
        document([{"Asked for by": SIGN}]),
    ],
)
def test_what_only_looks_like_a_marker_silences_nothing(site: Site, body: Document) -> None:
    site.state.tickets.comment(site.stored(), body, "Somebody")
    assert site.door.comment(APPROVED, SAID, SIGN)


@pytest.mark.parametrize("value", [None, 5, "x", [SIGN], {"told": SIGN}, {"told": None}])
def test_a_property_that_others_have_spoilt_is_none(site: Site, value: object) -> None:
    site.stored().properties[PROPERTY] = value
    assert site.door.comment(APPROVED, SAID, SIGN)
    assert site.stored().properties[PROPERTY] == {"told": [SIGN]}


def test_a_property_stays_short_enough_to_be_taken(site: Site) -> None:
    site.stored().properties[PROPERTY] = {
        "told": [marker(f"0{number:035}", "put_back_failed") for number in range(300)]
    }
    assert site.door.comment(APPROVED, SAID, SIGN)
    told = site.stored().properties[PROPERTY]["told"]
    assert told[-1] == SIGN
    assert len(json.dumps(told)) < 32_768


def test_comments_that_are_no_comments_are_an_outage(site: Site) -> None:
    site.line.answers.append(("GET /jira/rest/api/3/issue/CHG-102/comment", httpx.Response(200, json={"comments": 1})))
    with pytest.raises(Outage, match="comments and their number"):
        site.door.comment(APPROVED, SAID, SIGN)


def test_a_comment_on_a_ticket_that_is_gone_is_declined(site: Site) -> None:
    with pytest.raises(Declined, match="404"):
        site.door.comment("CHG-9999", SAID, SIGN)


EMPTY = {"type": "text", "text": ""}


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "paragraph", "content": [EMPTY]}],
        [{"type": "text", "text": "not in a paragraph"}],
        [{"type": "table", "content": []}],
        [{"type": "mention", "attrs": {"id": "all"}}],
        [{"type": "paragraph", "content": [{"type": "text", "text": "x" * 32_767}]}],
    ],
)
def test_a_document_that_jira_would_refuse_is_refused_here_too(site: Site, content: list[Document]) -> None:
    with pytest.raises(Declined, match="400"):
        site.door.comment(APPROVED, {"type": "doc", "version": 1, "content": content}, SIGN)
    assert site.comments() == []


def test_writes_that_come_too_fast_for_one_ticket_are_waited_for(site: Site) -> None:
    for number in range(25):
        sign = marker(f"another-{number}", "completed")
        site.door.comment(APPROVED, document(["It serves."], sign), sign)
    assert len(site.comments()) == 25


# --- moving ------------------------------------------------------------------------------------------------


def test_a_ticket_moves_by_the_name_of_the_status(site: Site) -> None:
    assert site.door.move(APPROVED, " implementing ").there
    assert site.status() == "Implementing"


def test_a_ticket_that_is_there_already_is_left_alone(site: Site) -> None:
    assert site.door.move(APPROVED, "Approved").there
    assert site.line.writes() == []


def test_a_status_that_is_two_steps_away_is_reached_over_the_one_between(site: Site) -> None:
    assert site.door.move(APPROVED, "Done", via="Implementing").there
    assert site.status() == "Done"


@pytest.mark.parametrize(("status", "via"), [("Done", ""), ("Done", "Approved"), ("Nowhere", "Implementing")])
def test_a_status_without_a_way_there_is_said_and_no_crash(site: Site, status: str, via: str) -> None:
    moved = site.door.move(WAITING, status, via)
    assert not moved.there
    assert "Awaiting approval" in moved.why_not or "Approved" in moved.why_not
    assert f"not to {status}" in moved.why_not


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TIMEOUT, FaultKind.ERROR, FaultKind.THROTTLE])
def test_a_move_whose_answer_was_lost_is_looked_at_and_not_done_twice(site: Site, kind: FaultKind) -> None:
    lose(site, "transition", kind)
    assert site.door.move(APPROVED, "Implementing").there
    assert site.status() == "Implementing"


def test_a_move_that_is_lost_again_and_again_is_an_outage(site: Site) -> None:
    lose(site, "transition", FaultKind.ERROR, times=None)
    with pytest.raises(Outage):
        site.door.move(APPROVED, "Implementing")


def test_somebody_else_at_the_same_moment_is_waited_for(site: Site) -> None:
    site.line.answers.append(("POST", httpx.Response(409, json={"errorMessages": ["busy"]})))
    assert site.door.move(APPROVED, "Implementing").there


def test_somebody_else_who_does_not_let_go_is_an_outage(site: Site) -> None:
    site.line.answers += [("POST", httpx.Response(409, json={})) for _ in range(2)]
    with pytest.raises(Outage, match="somebody else"):
        site.door.move(APPROVED, "Implementing")


def test_somebody_else_who_did_it_meanwhile_is_as_good(site: Site) -> None:
    moved = httpx.Response(400, json={"errorMessages": ["not possible from there"]})

    def meanwhile(seconds: float) -> None:
        site.clock.advance(seconds)
        site.stored().fields["status"] = {"id": "10003", "name": "Implementing", "statusCategory": {"key": "new"}}

    site.line.answers.append(("POST", moved))
    wiring = site.wiring.__class__(site.line, site.clock.monotonic, site.clock.now, meanwhile, lambda: 0.5)
    assert site.door.wired(wiring).move(APPROVED, "Implementing").there


def test_a_move_that_the_workflow_does_not_take_is_said_in_its_words(site: Site) -> None:
    said = {"errorMessages": ["Resolution is required."]}
    site.line.answers += [("POST", httpx.Response(400, json=said)) for _ in range(2)]
    moved = site.door.move(APPROVED, "Implementing")
    assert not moved.there
    assert "Resolution is required." in moved.why_not


def test_a_move_that_is_forbidden_is_declined(site: Site) -> None:
    site.line.answers += [("POST", httpx.Response(403, json={"errorMessages": ["no"]})) for _ in range(2)]
    with pytest.raises(Declined, match="403"):
        site.door.move(APPROVED, "Implementing")


def test_a_ticket_that_is_gone_is_not_moved(site: Site) -> None:
    with pytest.raises(Declined, match="not there any more"):
        site.door.move("CHG-9999", "Done")


def test_a_transition_that_is_not_open_to_us_is_none(site: Site) -> None:
    offered = {"transitions": [{"id": "31", "name": "Start", "to": {"name": "Implementing"}, "isAvailable": False}, 5]}
    site.line.answers.append(("transitions", httpx.Response(200, json=offered)))
    with Wire("Jira", "http://sandbox/jira", wiring=site.wiring) as wire:
        assert TicketCalls(wire, "http://sandbox")._moves(APPROVED) == ()
