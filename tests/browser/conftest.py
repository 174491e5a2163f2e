"""A whole sandbox and a real browser on it: `make browser`. Not part of `make test`, which needs no browser."""

import contextlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from promotion_screens import Sandbox, Screen

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # the UI asks for addresses outside; nobody answers
]
PATIENCE_MS = 20_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--browser", action="store_true", help="the tests in a real browser (needs chromium)")


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    return None if config.getoption("--browser", default=False) else True


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if program is None:
        pytest.fail(
            f"No browser: none of {', '.join(CHROMIUMS)} is on the PATH. "
            "Install chromium (Debian: apt-get install chromium), or leave `make browser` to a machine that has it."
        )
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=program, args=SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def sandbox(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Sandbox]":  # no browser, no wait
    from promotion_screens import Sandbox

    from deployments.sandbox.room import ControlRoom
    from deployments.sandbox.settings import Ports, Settings
    from deployments.sandbox.supervisor import Supervisor

    state = tmp_path_factory.mktemp("browser") / "state"
    supervisor = Supervisor(Settings(state, Ports(ui=0, control_room=0), minute_seconds=1.0))
    with (
        supervisor.running(fresh=True),
        contextlib.closing(ControlRoom(supervisor.world["control_room_url"])) as room,
    ):
        yield Sandbox(supervisor.settings.prefect_url, room)


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    context = browser.new_context(viewport={"width": 1400, "height": 1000}, color_scheme="dark")
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def screen(page: "Page", sandbox: "Sandbox") -> "Screen":
    from promotion_screens import Screen

    return Screen(page, sandbox.prefect_url)
