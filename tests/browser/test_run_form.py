"""A promotion as a release manager meets it: started in the Prefect UI's Run form, followed and read in a browser."""

import pytest
from playwright.sync_api import Page, expect
from promotion_screens import Sandbox, Screen, shoot, visible

HTML = """<img id=owned src=x onerror="document.title='owned'"><b id=owned>bold</b> | *[l](javascript:alert(1))*"""
TTL = "redis/cache-ttl"
"""A parameter that the shipped catalogue copies."""

pytestmark = pytest.mark.timeout(300)  # the first test waits for a whole sandbox, each for a promotion


def test_the_form_says_what_each_parameter_means(screen: Screen) -> None:
    screen.open_form()
    screen.shoot("form")
    visible(screen.page, "version (Optional)")
    visible(screen.page, "Leave it empty to promote whatever runs in the source environment.")
    visible(screen.page, "Check every gate and show the plan, and change nothing.")
    assert screen.page.get_by_role("textbox").filter(has_text="batbern").count() == 1
    assert not screen.dry_run.is_checked()


def test_a_good_release_started_in_the_form_is_completed(screen: Screen, sandbox: Sandbox) -> None:
    placed = sandbox.in_dev("good", 180)
    screen.open_form()
    screen.submit()
    screen.shows_end("Completed")
    screen.shoot("good-run")
    assert sandbox.serving("staging") == {placed.version}

    screen.open_artifact("batbern-staging-summary")
    screen.shoot("good-summary")
    visible(screen.page, f"batbern {placed.version} dev → staging succeeded")
    visible(screen.page, f"All 6 services of staging run {placed.version}.")
    visible(screen.page, "Excused, not passed")


def test_an_unstable_release_ends_in_a_state_named_refused_with_all_findings(screen: Screen, sandbox: Sandbox) -> None:
    before = sandbox.serving("staging")
    placed = sandbox.in_dev("good", 30)
    screen.open_form()
    screen.submit()
    screen.shows_end("Refused")
    screen.shoot("refused-run")
    run = screen.page.url

    screen.open_artifact("batbern-staging-gates")
    screen.shoot("refused-findings")
    visible(screen.page, "stability/event-management")
    visible(screen.page, "event-management was deployed to dev 30 minutes ago")

    screen.page.goto(run)
    screen.open_artifact("batbern-staging-summary")
    screen.shoot("refused-summary")
    visible(screen.page, f"batbern {placed.version} dev → staging was refused; nothing was changed")
    assert sandbox.serving("staging") == before


def test_the_link_that_people_are_sent_opens_the_run(screen: Screen, sandbox: Sandbox) -> None:
    messages = sandbox.room.state()["vendors"]["chat"]["messages"]
    [element] = next(it for it in messages[-1]["blocks"] if it["type"] == "context")["elements"]
    screen.page.goto(element["text"].strip("<>").partition("|")[0])
    visible(screen.page, "batbern-to-staging")
    screen.shoot("link")


def test_a_dry_run_shows_html_in_a_parameter_as_it_is_and_changes_nothing(screen: Screen, sandbox: Sandbox) -> None:
    before = sandbox.serving("staging")
    sandbox.in_dev("good", 180)
    sandbox.room.put_parameter("dev", TTL, HTML)
    screen.open_form()
    screen.dry_run.click()
    expect(screen.dry_run).to_be_checked()
    screen.submit()
    screen.shows_end("Completed")

    run = screen.page.url
    screen.open_artifact("batbern-staging-summary")
    visible(screen.page, "could be promoted (dry run)")

    screen.page.goto(run)
    screen.open_artifact("batbern-staging-plan")
    screen.shoot("html-plan")
    visible(screen.page, "<img id=owned")
    harmless(screen.page)
    assert sandbox.serving("staging") == before


def test_html_in_the_control_room_is_shown_and_does_nothing(page: Page, sandbox: Sandbox) -> None:
    sandbox.room.put_parameter("dev", TTL, HTML)
    page.goto(sandbox.room.url)
    page.get_by_role("tab", name="parameters").click()
    visible(page, "<img id=owned")
    shoot(page, "html-room")
    harmless(page)


def test_the_control_room_shows_which_version_serves_where(page: Page, sandbox: Sandbox) -> None:
    page.goto(sandbox.room.url)
    for name in ("dev", "staging", "production"):
        panel = page.locator("article.environment").filter(has=page.get_by_role("heading", name=name, exact=True))
        [version] = sandbox.serving(name)
        assert panel.get_by_text(version[:7]).count() > 6, f"{name} does not show {version} for all services"
    shoot(page, "room")


def harmless(page: Page) -> None:
    assert page.locator("#owned").count() == 0
    assert page.locator("a[href^='javascript:']").count() == 0
    assert page.title() != "owned"
