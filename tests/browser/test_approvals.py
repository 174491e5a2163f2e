"""Production as its people meet it: asked for in the Run form, read and approved in the Resume form, and told of."""

import pytest
from playwright.sync_api import Locator, Page, expect
from promotion_screens import Sandbox, Screen, visible

from deployments.sandbox.approvers import Authenticators

PRODUCTION = "promote-to-production"
LEAD, OPERATOR = "anna-meier", "sofia-rossi"
REQUESTER = "release.manager"
WRONG_CODE = "000000"

pytestmark = pytest.mark.timeout(500)  # the first test waits for a whole sandbox, and goes all the way to production


@pytest.fixture(autouse=True)
def no_flag_approvals(sandbox: Sandbox) -> None:
    """Who approves flags is another story."""
    sandbox.room.require_flag_approvals("production", required=False)


def test_two_people_approve_in_the_browser_and_production_serves_it(screen: Screen, sandbox: Sandbox) -> None:
    placed = sandbox.serving_in("staging", "good", 180)
    ticket = sandbox.room.create_ticket("Release to production", "Approved")
    ask(screen, ticket)
    authenticators, run = Authenticators(), screen.page.url

    dialog = screen.reads()
    screen.shoot("approval-asked")
    reads(dialog, placed.version, ticket, "awaited is 1 of team-leads (team lead): Anna Meier or Reto Keller")
    can_be_scrolled_through(dialog)
    screen.answers(LEAD, WRONG_CODE, "In a hurry.")

    dialog = screen.reads()
    screen.shoot("approval-wrong-code")
    reads(dialog, "What is new", "That is not the code of Anna Meier.", "Nobody has approved yet")
    screen.answers(LEAD, authenticators.code(LEAD), "I have read it.")

    dialog = screen.reads()
    screen.shoot("approval-by-operations")
    reads(dialog, "Anna Meier approved (team lead): I have read it.", "awaited is 1 of operations")
    screen.page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    screen.open_artifact("batbern-production-approval")
    screen.shoot("approval-page")
    reads(screen.page.locator("body"), placed.version, ticket, "What cannot be taken back")

    screen.page.goto(run)
    screen.reads()
    screen.answers(OPERATOR, authenticators.code(OPERATOR), "Nothing else is going on.")
    screen.shows_end("Completed")
    screen.shoot("production-run")
    assert sandbox.serving("production") == {placed.version}

    screen.page.goto(run)
    screen.open_artifact("batbern-production-history")
    screen.shoot("production-history")
    row = screen.page.get_by_role("row").filter(has_text=placed.version)
    for words in ("staging", "succeeded", REQUESTER, f"{LEAD}, {OPERATOR}", ticket):
        expect(row).to_contain_text(words)


def test_a_dry_run_tells_every_gate_when_it_could_be_met_and_who_may_leave_it_out(
    screen: Screen, sandbox: Sandbox
) -> None:
    before = sandbox.serving("production")
    sandbox.serving_in("staging", "good", 30)
    ticket = sandbox.room.create_ticket("Too early", "Awaiting approval")
    ask(screen, ticket, dry_run=True)
    screen.shows_end("Refused")
    screen.open_artifact("batbern-production-why-not")
    screen.shoot("why-not")
    visible(screen.page, "findings stand in the way")
    columns = screen.page.get_by_role("table").first.get_by_role("columnheader").all_inner_texts()
    assert columns == ["gate", "state", "why", "could be met", "who may waive it"]
    assert screen.page.get_by_role("table").first.get_by_role("row").count() == 1 + 6 + 1, "head, services, ticket"
    row = row_of(screen.page, "stability/gateway")
    for words in ("not met", "30 minutes ago", "if nothing changes until then", "an emergency, approved by 2 people"):
        expect(row).to_contain_text(words)
    expect(row_of(screen.page, "change ticket")).to_contain_text(f"Have {ticket} approved")
    visible(screen.page, f"/browse/{ticket}")
    no_wider_than_the_screen(screen.page)
    assert sandbox.serving("production") == before


def test_an_emergency_is_filled_in_in_the_form_and_leaves_out_what_it_names(screen: Screen, sandbox: Sandbox) -> None:
    sandbox.serving_in("staging", "good", 30)
    screen.open_form(PRODUCTION)
    screen.field("requested_by").fill(REQUESTER)
    screen.page.get_by_role("tab", name="Emergency", exact=True).click()
    screen.field("Reason").fill("Nobody can register.")
    screen.field("Incident").fill("INC-4711")
    screen.page.get_by_role("button", name="Select Waivable").click()
    for gate in ("stability", "change ticket"):
        screen.page.get_by_role("option", name=gate, exact=True).click()
    screen.page.keyboard.press("Escape")
    visible(screen.page, "The gates that it leaves out.")
    screen.field("dry_run").click()
    screen.shoot("emergency-form")
    screen.submit()
    screen.shows_end("Completed")
    screen.open_artifact("batbern-production-why-not")
    screen.shoot("emergency-why-not")
    visible(screen.page, "Nothing stands in the way")
    for gate in ("stability/gateway", "change ticket"):
        expect(row_of(screen.page, gate)).to_contain_text("Excused because: Emergency INC-4711: Nobody can register.")


def ask(screen: Screen, ticket: str, *, dry_run: bool = False) -> None:
    """The Run form, filled in and submitted."""
    screen.open_form(PRODUCTION)
    screen.field("requested_by").fill(REQUESTER)
    screen.field("change_ticket").fill(ticket)
    screen.choose("strategy", "blue_green")
    if dry_run:
        screen.field("dry_run").click()
    screen.shoot("production-dry-form" if dry_run else "production-form")
    screen.submit()


def row_of(page: Page, gate: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("cell", name=gate, exact=True))


def reads(place: Locator, *words: str) -> None:
    for one in words:
        expect(place).to_contain_text(one)


def can_be_scrolled_through(dialog: Locator) -> None:
    """The form stands below the text, and nothing of the text is wider than the dialog."""
    approver = dialog.get_by_label("Approver")
    approver.scroll_into_view_if_needed()
    expect(approver).to_be_in_viewport()
    text = dialog.locator(".prose")
    assert text.evaluate("it => it.scrollWidth <= it.clientWidth + 1"), "the text is wider than the dialog"


def no_wider_than_the_screen(page: Page) -> None:
    for table in page.locator(".prose table").all():
        assert table.evaluate("it => it.scrollWidth <= it.closest('.prose').clientWidth + 1"), "it is too wide"
