"""One Prefect server for all tests, as the sandbox runs it.

The whole server, because the ephemeral one of Prefect's own test harness schedules nothing. On PostgreSQL, because
on SQLite it refuses one of two that write at once, and its clients then wait two seconds before they try again.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from deployments.sandbox.processes import Child

PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="session")
def process_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Of the session's processes. None that has it outlives the session, even one that is killed."""
    from deployments.sandbox.processes import Guardian, environment

    home = tmp_path_factory.mktemp("home")
    variables = environment(home, mark=str(home))
    guardian = Guardian(str(home), variables)
    yield variables
    guardian.dismiss()


@pytest.fixture(scope="session")
def postgresql(process_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A database of the Prefect server's, as SQLAlchemy wants its address."""
    from deployments.sandbox.database import Database
    from deployments.sandbox.processes import start, wait_until

    folder = tmp_path_factory.mktemp("postgresql")
    database = Database(folder / "server", process_environment)
    database.prepare()
    child = start("PostgreSQL", database.command(), process_environment, folder, ends_by=Database.ends_by)
    with ended(child):
        wait_until(database.answers, "PostgreSQL", PATIENCE_SECONDS, child.raise_if_dead)
        database.create("prefect")
        yield database.async_url("prefect")
    database.tidy()


@pytest.fixture(scope="session")
def prefect_server(
    process_environment: dict[str, str], postgresql: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Every Prefect client of this process, and of those that it starts, speaks to this server."""
    from prefect.settings import PREFECT_API_URL, PREFECT_HOME, temporary_settings

    from deployments.sandbox.ports import free_port
    from deployments.sandbox.processes import start, wait_until
    from deployments.sandbox.runs import Prefect

    home, port = tmp_path_factory.mktemp("prefect"), free_port()
    child = start("Prefect server", command(port), process_environment | variables(home, postgresql), home)
    api = f"http://127.0.0.1:{port}/api"
    with ended(child), closing(Prefect(api)) as server:
        wait_until(server.answers, "Prefect server", PATIENCE_SECONDS, child.raise_if_dead)
        with temporary_settings({PREFECT_API_URL: api, PREFECT_HOME: home}):
            yield
            drain()


def command(port: int) -> list[str]:
    return [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port), "--no-ui"]


def variables(home: Path, database: str) -> dict[str, str]:
    return {
        "PREFECT_HOME": str(home),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
    }


def drain() -> None:
    """What was logged is sent while there is somebody to take it."""
    from prefect.events.worker import EventsWorker
    from prefect.logging.handlers import APILogWorker

    APILogWorker.drain_all(timeout=30)
    EventsWorker.drain_all(timeout=30)


@contextmanager
def ended(child: "Child") -> Iterator[None]:
    try:
        yield
    finally:
        child.ask_to_end()
        child.end_within(10)
