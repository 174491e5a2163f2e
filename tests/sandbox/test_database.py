import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deployments.sandbox.database import (
    AS_MAPPED_USER,
    AS_NOBODY,
    ORDINARY,
    Database,
    DatabaseUnavailable,
    has_name,
    identity,
)
from deployments.sandbox.processes import Child, environment, start, wait_until


def started(database: Database, folder: Path, variables: dict[str, str]) -> Child:
    database.prepare()
    child = start("PostgreSQL", database.command(), variables, folder, ends_by=Database.ends_by)
    wait_until(database.answers, "PostgreSQL", 30, child.raise_if_dead)
    return child


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pg")


@pytest.fixture(scope="module")
def variables(folder: Path) -> dict[str, str]:
    return environment(folder / "home", str(folder))


@pytest.fixture(scope="module")
def database(folder: Path, variables: dict[str, str]) -> Iterator[Database]:
    database = Database(folder / "postgresql", variables)
    child = started(database, folder, variables)
    yield database
    child.ask_to_end()
    child.end_within(10)
    database.tidy()


def test_the_url_is_one_that_psycopg_takes(database: Database) -> None:
    with psycopg.connect(database.url()) as connection:
        assert connection.execute("select current_user").fetchone() == ("postgres",)


def test_databases_are_created_once(database: Database) -> None:
    database.create("prefect", "services")
    database.create("prefect")
    with psycopg.connect(database.url("services")) as connection:
        assert connection.execute("select current_database()").fetchone() == ("services",)


def test_only_its_user_may_enter_the_folder(database: Database) -> None:
    assert database.folder.stat().st_mode & 0o077 == 0


def test_no_port_is_open(database: Database) -> None:
    with psycopg.connect(database.url()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)


def test_it_answers_again_after_it_was_killed(tmp_path: Path) -> None:
    variables = environment(tmp_path / "home", str(tmp_path))
    database = Database(tmp_path / "postgresql", variables)
    first = started(database, tmp_path, variables)
    database.create("kept")
    first.process.send_signal(signal.SIGQUIT)
    first.process.wait()
    (database.data / "postmaster.pid").write_text(f"{os.getpid()}\n")  # the number now belongs to another process
    second = started(database, tmp_path, variables)
    with psycopg.connect(database.url("kept")) as connection:
        assert connection.execute("select 1").fetchone() == (1,)
    second.ask_to_end()
    second.end_within(10)


def test_a_data_folder_that_a_server_works_in_is_refused(database: Database, variables: dict[str, str]) -> None:
    with pytest.raises(DatabaseUnavailable, match=r"Process \d+ is a PostgreSQL server"):
        Database(database.folder, variables).prepare()


def test_a_path_too_long_for_a_socket_gets_a_short_one(tmp_path: Path) -> None:
    database = Database(tmp_path / ("d" * 120) / "postgresql", {})
    with socket.socket(socket.AF_UNIX) as probe:
        probe.bind(str(database.socket_folder / ".s.PGSQL.5432"))
    database.tidy()
    assert not database.socket_folder.exists()


def test_root_and_a_user_without_a_name_are_given_another_user() -> None:
    assert has_name(0)
    assert not has_name(4_000_000_000)
    assert (identity() is ORDINARY) == (os.geteuid() != 0 and has_name(os.geteuid()))
    assert identity() in {ORDINARY, AS_NOBODY, AS_MAPPED_USER}
