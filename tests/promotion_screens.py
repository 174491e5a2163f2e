"""The product as a release manager meets it: a sandbox to arrange, and screens to read and to click on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from deployments.sandbox.arranging import answered, settled
from deployments.sandbox.room import ControlRoom, Placed, serving

SCREENSHOTS = Path(__file__).parents[1] / ".state" / "screenshots"
RUN_SECONDS = 180.0


@dataclass(frozen=True)
class Sandbox:
    """Where it can be looked at, and how its world is arranged."""

    prefect_url: str
    room: ControlRoom

    def in_dev(self, behaviour: str, age_minutes: float) -> Placed:
        """A new release that serves in dev, as if deployed so long ago."""
        return self.serving_in("dev", behaviour, age_minutes)

    def serving_in(self, environment: str, behaviour: str, age_minutes: float) -> Placed:
        placed = self.room.release(environment, behaviour, age_minutes)
        wait(lambda: settled(self.room.state(), environment, placed.version), f"{placed.version} does not settle")
        return placed

    def known_in_staging(self, behaviour: str, visitors: float, requests: int) -> Placed:
        """An old version in staging with so many visitors a second, and a past that a canary is compared with."""
        self.room.set_visitors("staging", visitors)
        old = self.serving_in("staging", behaviour, 180)
        wait(lambda: answered(self.room.state(), "staging", old.version) >= requests, f"few ask {old.version}", 90)
        return old

    def serving(self, environment: str) -> set[str]:
        return set(serving(self.room.state())[environment].values())


@dataclass
class Screen:
    """The Prefect UI, as a release manager uses it."""

    page: Page
    url: str

    def open_form(self, flow: str = "promote-to-staging") -> None:
        """Deployments → the flow's batbern → Run → Custom run."""
        self.page.goto(self.url)
        self.page.get_by_role("link", name="Deployments").click()
        row = self.page.get_by_role("row").filter(has_text=flow)
        row.get_by_role("link", name="batbern").click()
        self.page.get_by_role("button", name="Run", exact=True).click()
        self.page.get_by_role("menuitem", name="Custom run").click()
        self.page.get_by_text("dry_run (Optional)").wait_for()  # the parameters come last, above other switches

    @property
    def dry_run(self) -> Locator:
        return self.page.get_by_role("switch").first

    def field(self, name: str) -> Locator:
        """A field of the form by its parameter's name."""
        return self.page.get_by_label(name).first

    def choose(self, what: str, option: str) -> None:
        """In a list that opens below its button, where the page or the dialog has one."""
        self.page.get_by_role("button", name=f"Select {what}").click()
        self.page.get_by_role("option", name=option, exact=True).click()

    def submit(self) -> None:
        self.page.get_by_role("button", name="Submit").click()
        self.page.get_by_role("button", name="View run").click()
        self.page.get_by_role("tab", name="Artifacts").wait_for()

    def shows_end(self, name: str) -> None:
        """Waits for the name of the run's last state."""
        # The header of the run's page; a task's state has the same words further down.
        badge = self.page.get_by_text(name, exact=True).first
        expect(badge).to_be_visible(timeout=RUN_SECONDS * 1000)

    def reads(self) -> Locator:
        """The run's menu → Resume: the dialog, with what is asked above its form."""
        self.shows_end("Suspended")
        self.page.locator("button[aria-haspopup=menu]").last.click()
        self.page.get_by_role("menuitem", name="Resume").click()
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_role("button", name="Select Decision").wait_for()
        return dialog

    def answers(self, approver: str, code: str, comment: str) -> None:
        """The form of the open dialog: filled in, with yes, and sent; then the run goes on."""
        dialog = self.page.get_by_role("dialog")
        dialog.get_by_label("Approver").fill(approver)
        self.choose("Decision", "approve")
        dialog.get_by_label("Code").fill(code)
        dialog.get_by_label("Comment").fill(comment)
        self.shoot(f"approval-by-{approver}")
        dialog.get_by_role("button", name="Resume").click()
        expect(dialog).to_be_hidden()
        expect(self.page.get_by_text("Suspended", exact=True).first).to_be_hidden()

    def open_artifact(self, key: str) -> None:
        """Run → Artifacts → the artifact's history → the latest."""
        self.page.get_by_role("tab", name="Artifacts").click()
        self.page.get_by_role("link", name=key).first.click()
        self.page.locator("a[href*='/artifacts/artifact/']").first.click()
        self.page.get_by_role("tab", name="Raw").wait_for()

    def shoot(self, name: str) -> None:
        shoot(self.page, name)


def wait(fact: Callable[[], bool], else_say: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, else_say
        time.sleep(0.2)


def shoot(page: Page, name: str) -> None:
    """For people to look at; the folder is not kept in git."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)


def visible(page: Page, text: str) -> None:
    """Waits until the text stands on the page."""
    expect(page.get_by_text(text).first).to_be_visible()
