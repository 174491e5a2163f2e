"""Migrations rehearsed on a real PostgreSQL: rows for every kind of rule, and what fails only with data is found."""

import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from blocks.rehearsal_rows import fill_all
from blocks.rehearsal_statements import broken, statements_of
from blocks.rehearsal_tables import read_tables
from blocks.rehearsals import Piece, RehearsalLimits, RehearsedScript, numbered, rehearse
from blocks.scratch_databases import ScratchServer, places, statements
from deployments.sandbox.database import Database, programs
from rules.errors import InvalidInput, Outage
from rules.rehearsals import Rehearsal, judge
from rules.vocabulary import Finding, Verdict

TABLE = "create table public.customers (id bigint primary key, email text not null, phone text);"
SHOP = (Path(__file__).parent.parent / "data" / "rehearsals" / "shop.sql").read_text()
NO_UPDATES = """
    create function no() returns trigger language plpgsql as $$ begin raise 'no; never'; end $$;
    create trigger no before update on bookings for each row execute function no();
"""
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
        wanted = [RehearsedScript(f"V{number}__it.sql", text) for number, text in enumerate(scripts, start=2)]
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


class Shop:
    """The schema with every kind of rule, filled once; each script is taken back."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection
        self.statements = statements_of(connection, fill_all(connection, read_tables(connection), 20))
        connection.commit()

    def broken_by(self, script: str) -> list[str]:
        """The statements that no longer work. Raises what PostgreSQL raises at the script."""
        with self.connection.transaction(force_rollback=True):
            self.connection.execute(script.encode())
            return [it.statement for it in broken(self.connection, self.statements)]


@pytest.fixture(scope="module")
def shop(running: Database) -> Iterator[Shop]:
    running.create("shop")
    with psycopg.connect(running.url("shop")) as connection:
        connection.execute(SHOP.encode())
        yield Shop(connection)


# --- rows for every kind of rule -------------------------------------------------------------------------------


def test_every_table_of_a_schema_with_every_kind_of_rule_gets_rows(bench: Bench) -> None:
    rehearsal = bench.rehearsal(SHOP, "select 1")
    assert rehearsal.unfilled == {}
    assert rehearsal.broken == ()
    assert rehearsal.tables == 15
    assert rehearsal.rows > 200
    assert rehearsal.statements > 200
    assert judge(rehearsal, ["V2__it.sql"]).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "script",
    [
        "alter table orders drop constraint orders_status_check, add check (status in ('paid', 'sent'))",
        "alter table orders drop constraint orders_status_check, add check (status in ('new', 'sent'))",
        "alter table orders alter column sent set not null",
        "alter table customers add check (mood <> 'it''s complicated')",
        "alter table customers add unique (email)",
        "alter table customers alter column favourite_order set not null",
        "alter table customers add check (cardinality(tags) > 0)",
        "alter table order_lines add unique (order_id, article)",
        "alter table stock.articles add check (\"Name\" <> '')",
        "alter table stock.articles alter column price type numeric(3, 3)",
        "alter domain positive add check (value < 1000000)",
        "alter table tenants alter column parent_id set not null",
        "create unique index on history_of_orders (said)",
        "alter table history_of_orders add primary key (order_id)",
    ],
)
def test_a_rule_that_gets_narrower_fails_on_generated_rows(shop: Shop, script: str) -> None:
    with pytest.raises((psycopg.errors.IntegrityError, psycopg.errors.DataError)):
        shop.broken_by(script)


@pytest.mark.parametrize(
    ("script", "statement"),
    [
        ("alter table orders add check (status <> 'new') not valid", "INSERT into public.orders"),
        ("alter table bookings alter column room type text", "SELECT from public.bookings"),
        ("alter table customers alter column mood drop default", "INSERT into public.customers"),
        ("create table audits (o uuid references details); insert into audits select order_id from details",
         "DELETE from public.details"),
        (NO_UPDATES, "UPDATE public.bookings"),
        ("alter table singleton add name text not null default ''; alter table singleton alter name drop default",
         "INSERT into public.singleton"),
        ("drop view open_orders", "SELECT from public.open_orders"),
        ("alter sequence events_id_seq rename to numbers", "NEXTVAL of public.events_id_seq"),
        ("alter table history_of_orders rename said to told", "UPDATE public.history_of_orders (said)"),
        ("alter table events detach partition events_2024", "INSERT into public.events"),
    ],
)  # fmt: skip
def test_what_the_running_version_writes_is_refused_after_the_scripts(shop: Shop, script: str, statement: str) -> None:
    assert [it for it in shop.broken_by(script) if it.startswith(statement)]


@pytest.mark.parametrize(
    "script",
    [
        "alter table orders drop constraint orders_status_check, add check (status in ('new', 'paid', 'sent', 'lost'))",
        "alter table customers alter column email type varchar(80)",
        "alter type mood add value 'tired'",
        "create index on orders (customer_id, placed); analyze orders",
        "create table notes (id integer primary key, order_id uuid references orders)",
        "do $$ begin update orders set amount = amount + 1 where amount < 10; end $$",
    ],
)
def test_what_the_running_version_can_live_with_passes(shop: Shop, script: str) -> None:
    assert shop.broken_by(script) == []


def test_a_table_that_cannot_be_filled_is_named_and_no_pass(bench: Bench) -> None:
    schema = TABLE + "create table never (a integer not null check (a > 1 and a < 1)); create table other (a integer);"
    finding = bench.finding(schema, "alter table customers add column note text")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.sentence.startswith("public.never has no rows, so nothing is known of it: no generated row is taken")


def test_a_script_beside_transactions_runs_statement_by_statement(bench: Bench, server: ScratchServer) -> None:
    text = "create index concurrently on customers (phone);\ncreate unique index concurrently on customers (phone);"
    script = RehearsedScript("V2__it.sql", text, in_transaction=False)
    rehearsal = rehearse(server, bench.target(TABLE), [script], RehearsalLimits())
    assert rehearsal.failed is not None
    assert rehearsal.failed.failure is not None
    assert (rehearsal.failed.failure.line, rehearsal.failed.failure.sqlstate) == (2, "23505")


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


def test_databases_that_dead_runs_left_are_dropped_and_others_stay(bench: Bench, server: ScratchServer) -> None:
    old, young, other = (f"rehearsal_{it}_0123456789abcdef" for it in ("202401010000", "209901010000", "20240101"))
    bench.running.create(old, young, other)
    with server.database(bench.target(TABLE)):
        assert set(bench.databases()) & {old, young, other} == {young, other}
    with psycopg.connect(bench.running.url(), autocommit=True) as connection:
        for name in (young, other):
            connection.execute(sql.SQL("drop database {}").format(sql.Identifier(name)))


def test_the_target_s_own_server_is_refused(bench: Bench, server: ScratchServer) -> None:
    strict = server.model_copy(update={"same_server_is_fine": False})
    with pytest.raises(InvalidInput, match="the target's own server"):
        rehearse(strict, bench.target(TABLE), [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    assert bench.databases() == []


def test_one_server_under_two_names_is_refused(bench: Bench, server: ScratchServer) -> None:
    elsewhere = bench.target(TABLE).get_secret_value() + "&port=5432&application_name=x"
    strict = server.model_copy(update={"same_server_is_fine": False})
    target = SecretStr(elsewhere.replace("host=", "host=%2Fnowhere,"))
    with pytest.raises(InvalidInput, match="the target's own server"):
        strict.copy_schema(target, bench.target(""))


@pytest.mark.parametrize(
    ("target", "scratch", "is_same"),
    [
        ("postgresql://a:b@db.example.org/x", "postgresql://c@DB.example.org:5432/postgres", True),
        ("postgresql://a:b@db.example.org/x", "postgresql://a:b@db.example.org:5433/x", False),
        ("host=localhost dbname=x", "postgresql://u@127.0.0.1/y", True),
        ("postgresql:///x", "postgresql://localhost/y", True),
        ("postgresql://a@one,two/x", "postgresql://a@two/y", True),
    ],
)
def test_a_server_is_known_by_host_and_port(target: str, scratch: str, is_same: bool) -> None:
    assert bool(places(SecretStr(target)) & places(SecretStr(scratch))) is is_same


def test_where_pg_dump_is_missing_nothing_was_rehearsed(bench: Bench, server: ScratchServer) -> None:
    without = server.model_copy(update={"pg_dump": "pg_dump_that_is_not_there"})
    rehearsal = rehearse(without, bench.target(TABLE), [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    finding = judge(rehearsal, ["V2__it.sql"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.sentence.startswith("Nothing was rehearsed: The program pg_dump_that_is_not_there is not on this")
    assert bench.databases() == []


def test_a_target_that_cannot_be_reached_is_no_pass_and_its_password_is_not_told(
    bench: Bench, server: ScratchServer
) -> None:
    target = SecretStr("postgresql://app:hunter2secret@127.0.0.1:1/app")
    rehearsal = rehearse(server, target, [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    finding = judge(rehearsal, ["V2__it.sql"])
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "Nothing was rehearsed: The target could not be read" in finding.sentence
    assert "hunter2secret" not in finding.sentence


def test_a_scratch_server_that_does_not_answer_is_an_outage(bench: Bench) -> None:
    dead = ScratchServer(url=SecretStr("postgresql://u:hunter2secret@127.0.0.1:1/postgres"))
    with pytest.raises(Outage, match="The scratch server did not answer") as raised:
        rehearse(dead, bench.target(TABLE), [RehearsedScript("V2__it.sql", "select 1")], RehearsalLimits())
    assert "hunter2secret" not in str(raised.value)


def test_what_scripts_grant_to_roles_of_the_target_works(bench: Bench, server: ScratchServer) -> None:
    schema = TABLE + "create role shop_reader; alter table customers enable row level security;"
    schema += "create policy own on customers to shop_reader using (phone is not null);"
    finding = bench.finding(schema, "grant select on customers to shop_reader")
    assert finding.verdict is Verdict.PASSED, finding.sentence


def test_psql_s_own_commands_are_left_out_of_a_dump() -> None:
    assert statements("\\restrict abc\n\nselect 1;\n-- it\n\\unrestrict abc\n") == ("select 1",)


def test_statements_are_numbered_by_the_line_they_begin_in() -> None:
    script = "-- one\nselect 1; -- after\n\n/* two\nlines */ select 'a;b';\nselect 1"
    assert numbered(script) == [Piece("select 1", 2), Piece("select 'a;b'", 5), Piece("select 1", 6)]
