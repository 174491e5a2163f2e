"""One PostgreSQL server for a whole test session; databases on it come and go."""

import subprocess
import time
from collections.abc import Callable, Iterator
from itertools import count

import psycopg
import pytest
from psycopg import sql

from deployments.sandbox.database import Database

NUMBERS = count(1)
FreshDatabase = Callable[..., str]


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The superuser's URL."""
    database = Database(tmp_path_factory.mktemp("postgres"), {})
    database.prepare()
    with subprocess.Popen(database.command(), env={}, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while not database.answers() and time.monotonic() < until:
                pass
            yield database.url()
        finally:
            process.send_signal(database.ends_by)
            process.wait(30)
            database.tidy()


@pytest.fixture
def fresh_database(postgres: str) -> Iterator[FreshDatabase]:
    """`fresh_database("create table …")`: the URL of a new database with this schema, dropped after the test."""
    made: list[str] = []

    def fresh(schema: str = "") -> str:
        name = f"fresh_{next(NUMBERS)}"
        with psycopg.connect(postgres, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        made.append(name)
        url = psycopg.conninfo.make_conninfo(postgres, dbname=name)
        with psycopg.connect(url) as connection:
            connection.execute(schema.encode() or b"select 1")
        return url

    yield fresh
    with psycopg.connect(postgres, autocommit=True) as connection:
        for name in made:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))
