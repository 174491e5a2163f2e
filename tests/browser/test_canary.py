"""A canary as a release manager meets it: its chart in the browser, and the question that a person answers there."""

import pytest
from playwright.sync_api import Page, expect
from promotion_screens import RUN_SECONDS, Sandbox, Screen, visible

from deployments.sandbox.canary_stories import ENTRANCE, KNOWN_REQUESTS, MANY

CHART = f"batbern-staging-canary-{ENTRANCE}"

pytestmark = pytest.mark.timeout(400)  # the first of all waits for a whole sandbox, and a canary is watched


def test_a_silent_canary_is_answered_in_the_dialog_and_put_back(screen: Screen, sandbox: Sandbox) -> None:
    old = sandbox.known_in_staging("canary-good", MANY, KNOWN_REQUESTS)
    placed = sandbox.in_dev("canary-silent", 180)
    screen.open_form("roll-out")
    fill(screen.page, placed.version)
    screen.shoot("canary-form")
    screen.submit()
    screen.shows_end("Paused")
    run = screen.page.url

    screen.open_artifact(CHART)
    drawn(screen.page)
    visible(screen.page, f"gateway {placed.version[:7]} is held at 10 % in staging: a person decides")
    screen.shoot("canary-chart")

    screen.page.goto(run)
    answer(screen, "abort", "Nobody can see how it does.")
    screen.shows_end("PutBack")
    screen.shoot("canary-put-back")
    assert sandbox.serving("staging") == {old.version}

    screen.open_artifact("batbern-staging-summary")
    visible(screen.page, "failed and was put back")
    visible(screen.page, "Nobody can see how it does.")


def fill(page: Page, version: str) -> None:
    """The form: one service, by canary."""
    fields = page.get_by_role("textbox")
    fields.nth(3).fill(version)
    page.get_by_text("as the catalogue says").click()
    page.get_by_role("option", name="canary", exact=True).click()
    page.get_by_role("button", name="Add item").click()
    fields.nth(4).fill(ENTRANCE)


def answer(screen: Screen, decision: str, comment: str) -> None:
    """The run's menu → Resume → the form below the page."""
    page = screen.page
    expect(page.get_by_text("Paused", exact=True).first).to_be_visible(timeout=RUN_SECONDS * 1000)
    page.locator("button[aria-haspopup=menu]").last.click()
    page.get_by_role("menuitem", name="Resume").click()
    dialog = page.get_by_role("dialog")
    visible(page, "Silence is not health")
    screen.shoot("canary-question")
    dialog.get_by_role("button", name="Select Decision").click()
    page.get_by_role("option", name=decision).click()
    dialog.get_by_role("textbox").fill(comment)
    screen.shoot("canary-answer")
    dialog.get_by_role("button", name="Resume").click()
    expect(dialog).to_be_hidden()


def drawn(page: Page) -> None:
    """The chart is a picture that the browser could read."""
    chart = page.get_by_role("img", name=f"Evidence, rates and requests of {ENTRANCE}")
    expect(chart).to_be_visible()
    assert chart.evaluate("picture => picture.complete && picture.naturalWidth") > 0
