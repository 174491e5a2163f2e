"""Migrations rehearsed on a real PostgreSQL: rows for every kind of rule, and what fails only with data is found."""

import subprocess
import time
from collections.abc import Iterator
from itertools import count

import psycopg
import pytest
from pydantic import SecretStr

from blocks.rehearsals import RehearsalLimits, RehearsedScript, numbered, rehearse
from blocks.scratch_databases import ScratchServer
from deployments.sandbox.database import Database, programs
from rules.rehearsals import Rehearsal, judge
from rules.vocabulary import Finding, Verdict

TABLE = "create table public.customers (id bigint primary key, email text not null, phone text);"
NUMBERS = count(1)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("pg"), {})
    database.prepare()
    with subprocess.Popen(database.command(), env={}, stderr=subprocess.DEVNULL) as process:
        try:
            until = time.monotonic() + 30
            while not database.answers() and time.monotonic() < until:
                pass
            yield database
        finally:
            process.send_signal(database.ends_by)
            process.wait(30)
            database.tidy()


@pytest.fixture
def server(running: Database) -> ScratchServer:
    url = SecretStr(running.url())
    return ScratchServer(url=url, pg_dump=str(programs() / "pg_dump"), same_server_is_fine=True)


class Bench:
    """A target with a schema, and what a rehearsal of scripts on it finds."""

    def __init__(self, running: Database, server: ScratchServer) -> None:
        self.running, self.server = running, server

    def target(self, schema: str) -> SecretStr:
        name = f"target_{next(NUMBERS)}"
        self.running.create(name)
        with psycopg.connect(self.running.url(name)) as connection:
            connection.execute(schema.encode())
        return SecretStr(self.running.url(name))

    def rehearsal(self, schema: str, *scripts: str, rows: int = 20) -> Rehearsal:
        wanted = [RehearsedScript(f"V{number}__it.sql", sql) for number, sql in enumerate(scripts, start=2)]
        return rehearse(self.server, self.target(schema), wanted, RehearsalLimits(rows=rows))

    def finding(self, schema: str, *scripts: str) -> Finding:
        return judge(self.rehearsal(schema, *scripts), [f"V{number}__it.sql" for number in range(2, 2 + len(scripts))])

    def databases(self) -> list[str]:
        with psycopg.connect(self.running.url()) as connection:
            found = connection.execute("select datname from pg_database where datname like 'rehearsal%'").fetchall()
        return [name for (name,) in found]


@pytest.fixture
def bench(running: Database, server: ScratchServer) -> Bench:
    return Bench(running, server)


# --- what fails only with data -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "sqlstate"),
    [
        ("alter table customers alter column phone set not null", "23502"),
        ("alter table customers add constraint one unique (phone)", "23505"),
        ("create unique index on customers (lower(email))", "23505"),
        ("alter table customers add check (length(phone) > 3)", "23514"),
        ("alter table customers alter column phone type bigint using phone::bigint", "22P02"),
        ("alter table customers alter column email type varchar(20)", "22001"),
        ("alter table customers alter column id type int", "22003"),
        ("alter table customers add column age int not null", "23502"),
    ],
)
def test_what_fails_only_with_data_is_found(bench: Bench, script: str, sqlstate: str) -> None:
    finding = bench.finding(TABLE, f"select 1;\n\n{script};")
    assert finding.verdict is Verdict.FAILED, finding.sentence
    assert finding.sentence.startswith("V2__it.sql fails on data, at line 3: ")
    assert f"(SQLSTATE {sqlstate})" in finding.sentence


def test_a_null_before_not_null_is_told_in_one_sentence(bench: Bench) -> None:
    finding = bench.finding(TABLE, "alter table customers alter column phone set not null;")
    assert finding.sentence == (
        'V2__it.sql fails on data, at line 1: column "phone" of relation "customers" contains null values '
        "(SQLSTATE 23502)."
    )


# --- what the running version can no longer do ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "statement"),
    [
        ("alter table customers drop column phone", "SELECT from public.customers (id, email, phone)"),
        ("alter table customers rename column phone to mobile", "UPDATE public.customers (phone)"),
        ("alter table customers rename to clients", "DELETE from public.customers"),
        ("alter table customers add column age int not null default 1; alter table customers alter age drop default",
         "INSERT into public.customers (id, email, phone)"),
        ("update customers set phone = ''; alter table customers alter phone set not null",
         "INSERT into public.customers (id, email)"),
    ],
)  # fmt: skip
def test_a_statement_that_no_longer_works_is_named(bench: Bench, script: str, statement: str) -> None:
    rehearsal = bench.rehearsal(TABLE, script)
    assert rehearsal.failed is None
    assert statement in [it.statement for it in rehearsal.broken]
    assert judge(rehearsal, ["V2__it.sql"]).verdict is Verdict.FAILED


# --- what is fine --------------------------------------------------------------------------------------------


def test_a_nullable_column_and_an_index_pass(bench: Bench) -> None:
    finding = bench.finding(TABLE, "alter table customers add column note text;", "create index on customers (note);")
    assert finding.verdict is Verdict.PASSED, finding.sentence
    assert finding.sentence.startswith("2 scripts on 1 table with 20 rows in ")
    assert finding.sentence.endswith(" statements of the running version still work.")


def test_nulls_that_a_script_fills_first_do_not_fail_it(bench: Bench) -> None:
    script = "update customers set phone = '' where phone is null; alter table customers alter phone set default '';"
    assert bench.finding(TABLE, script).verdict is Verdict.PASSED


# --- the scratch database ------------------------------------------------------------------------------------


def test_the_scratch_database_is_gone_afterwards_also_after_an_error(bench: Bench, server: ScratchServer) -> None:
    bench.finding(TABLE, "select 1")
    target = bench.target(TABLE)
    during: list[str] = []

    def dies() -> None:
        with server.database(target) as scratch, psycopg.connect(scratch.get_secret_value()):
            during.extend(bench.databases())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        dies()
    assert len(during) == 1
    assert bench.databases() == []


def test_statements_are_numbered_by_the_line_they_begin_in() -> None:
    script = "-- one\nselect 1; -- after\n\n/* two\nlines */ select 'a;b';\nselect 1"
    assert numbered(script) == [(2, "select 1"), (5, "select 'a;b'"), (6, "select 1")]
