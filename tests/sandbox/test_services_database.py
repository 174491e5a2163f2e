"""The services' data on a real PostgreSQL: one database and owner for each environment."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from blocks.catalogue import load_catalogue
from deployments.sandbox.database import Database
from deployments.sandbox.databases import prepared_databases
from deployments.sandbox.services.content import DatabaseStore, Row

CATALOGUE = load_catalogue(Path(__file__).parents[2] / "deployments" / "catalogue.toml")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    database = Database(tmp_path_factory.mktemp("pg"), os.environ)
    database.prepare()
    with subprocess.Popen(database.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        yield database.url()
        process.send_signal(signal.SIGINT)
        process.wait(20)
    database.tidy()


@pytest.fixture(scope="module")
def urls(server: str) -> dict[str, str]:
    """Asked for while the server may still be starting, as the world does."""
    return prepared_databases(server, CATALOGUE)


def rows(url: str, table: str) -> list[Row]:
    async def ask() -> list[Row]:
        store = DatabaseStore(url)
        try:
            return await store.rows(table)
        finally:
            await store.close()

    return asyncio.run(ask())


def test_each_environment_has_a_database_of_its_own(urls: dict[str, str]) -> None:
    assert set(urls) == {"dev", "staging", "production"}
    with psycopg.connect(urls["staging"], autocommit=True) as connection:
        assert connection.execute("SELECT current_database(), current_user").fetchone() == ("batbern_staging",) * 2
        connection.execute("DELETE FROM partners")
    assert rows(urls["staging"], "partners") == []
    assert len(rows(urls["production"], "partners")) == 2


def test_a_second_start_finds_everything_there(server: str, urls: dict[str, str]) -> None:
    assert prepared_databases(server, CATALOGUE) == urls


def test_a_service_reads_its_rows_from_the_database(urls: dict[str, str]) -> None:
    assert [row["id"] for row in rows(urls["dev"], "events")] == [56, 57, 58]


def test_a_database_that_does_not_answer_is_an_outage_that_names_no_secret(urls: dict[str, str]) -> None:
    with pytest.raises(OSError, match="The database did not answer") as outage:
        rows(urls["dev"].replace("/batbern_dev?", "/gone?"), "events")
    assert "postgresql://" not in str(outage.value)


def test_without_a_server_there_are_no_databases() -> None:
    assert prepared_databases(None, CATALOGUE) == {}
