"""Applying migrations, on a real PostgreSQL. Nobody sleeps: pauses are written down, or used to free what is held."""

import os
import select
import socket
import subprocess
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from time import monotonic

import psycopg
import pytest
from psycopg import Connection

from blocks.migration_failures import MigrationFailed
from blocks.migration_table import HistoryTable, java_hash
from blocks.migrations import Limits, MigrationRunner, Ran
from blocks.wire import Wiring
from deployments.sandbox.database import Database
from rules.errors import Declined, InvalidInput, Outage, Refused

NUMBERS = count()
FLYWAYS_ROW = (
    "insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by,"
    " execution_time, success) values (%s, %s, %s, %s, %s, %s, 'flyway', 12, %s)"
)


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    sql: str
    in_transaction: bool | None = None
    replaces_placeholders: bool = True

    @property
    def version(self) -> str | None:
        return self.name[1:].split("__", maxsplit=1)[0].replace("_", ".") or None

    @property
    def description(self) -> str:
        return self.name.split("__", maxsplit=1)[1].removesuffix(".sql").replace("_", " ")

    @property
    def checksum(self) -> int:
        return zlib.crc32(self.sql.encode()) - (1 << 31)


@dataclass(slots=True)
class Address:
    """A database, and the sessions that were opened to it."""

    url: str
    pids: list[int] = field(default_factory=list)

    @contextmanager
    def connected(self, *, read_only: bool) -> Iterator[Connection]:
        try:
            connection = psycopg.connect(self.url, autocommit=True, application_name="promotion")
        except psycopg.OperationalError as error:
            raise Outage("PostgreSQL", "connecting", type(error).__name__) from None
        with connection:
            connection.read_only = read_only
            self.pids.append(connection.info.backend_pid)
            yield connection

    def ask(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []

    def tables(self) -> list[str]:
        query = "select relname from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1"
        return [str(name) for (name,) in self.ask(query) if name != "flyway_schema_history"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    server = Database(tmp_path_factory.mktemp("postgres"), dict(os.environ))
    server.prepare()
    process = subprocess.Popen(server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = monotonic() + 30
        while not server.answers():
            assert monotonic() < until, "PostgreSQL did not start"
        yield server
    finally:
        process.send_signal(server.ends_by)
        process.wait(30)
        server.tidy()


@pytest.fixture
def address(server: Database) -> Address:
    """A database of its own for each test."""
    name = f"migrations_{next(NUMBERS)}"
    Address(server.url()).ask(f"create database {name}")
    return Address(server.url(name))


def still() -> Wiring:
    """A wiring whose pauses take no time, but count on its clock."""
    clock = [0.0]

    def sleep(seconds: float) -> None:
        clock[0] += seconds

    return Wiring(monotonic=lambda: clock[0], sleep=sleep, chance=lambda: 0.5)


def runner(address: Address, sleep: Callable[[float], None] | None = None, **limits: float) -> MigrationRunner:
    wiring = Wiring(sleep=sleep, chance=lambda: 0.5) if sleep else still()
    return MigrationRunner(address, limits=Limits(**limits), wiring=wiring)  # type: ignore[arg-type]  # tries is a whole number


FIRST = Script("V1__people.sql", "create table people (id int primary key, name text);")
SECOND = Script(
    "V2__pets.sql", "create table pets (id int, owner int references people);\ninsert into pets values (1);"
)


# ------------------------------------------------------------------------------------------------------------ applying


def test_an_empty_database_has_no_history_and_asking_makes_none(address: Address) -> None:
    assert runner(address).history() == ()
    assert address.ask("select to_regclass('flyway_schema_history')") == [(None,)]


def test_scripts_are_applied_once_and_leave_flyways_rows(address: Address) -> None:
    ran = runner(address).apply_all([FIRST, SECOND])
    assert [(it.now, it.row.installed_rank, it.row.version, it.row.type, it.row.script) for it in ran] == [
        (True, 1, "1", "SQL", "V1__people.sql"),
        (True, 2, "2", "SQL", "V2__pets.sql"),
    ]
    assert ran[0].row.checksum == FIRST.checksum
    assert ran[0].row.description == "people"
    assert runner(address).history() == tuple(it.row for it in ran)
    assert address.tables() == ["people", "pets"]


def test_the_second_time_nothing_is_done_and_it_says_so(address: Address) -> None:
    runner(address).apply_all([FIRST, SECOND])
    again = runner(address).apply_all([FIRST, SECOND])
    assert [it.now for it in again] == [False, False]
    assert again[0].sentence.startswith("V1__people.sql was not run: V1__people.sql was on 20")
    assert len(runner(address).history()) == 2


def test_the_table_has_flyways_shape(address: Address) -> None:
    runner(address).apply(FIRST)
    query = (
        "select column_name, data_type, character_maximum_length, is_nullable from information_schema.columns"
        " where table_name = 'flyway_schema_history' order by ordinal_position"
    )
    assert address.ask(query) == [
        ("installed_rank", "integer", None, "NO"),
        ("version", "character varying", 50, "YES"),
        ("description", "character varying", 200, "NO"),
        ("type", "character varying", 20, "NO"),
        ("script", "character varying", 1000, "NO"),
        ("checksum", "integer", None, "YES"),
        ("installed_by", "character varying", 100, "NO"),
        ("installed_on", "timestamp without time zone", None, "NO"),
        ("execution_time", "integer", None, "NO"),
        ("success", "boolean", None, "NO"),
    ]
    indexes = address.ask("select indexname from pg_indexes where tablename = 'flyway_schema_history' order by 1")
    assert indexes == [("flyway_schema_history_pk",), ("flyway_schema_history_s_idx",)]


def test_a_failing_third_script_leaves_two_and_tells_its_line(address: Address) -> None:
    third = Script("V3__bad.sql", "create table half (id int);\n-- then\n\ninsert into\n  nowhere values (1);")
    with pytest.raises(MigrationFailed, match="rolled back") as caught:
        runner(address).apply_all([FIRST, SECOND, third])
    assert (caught.value.script, caught.value.line, caught.value.sqlstate) == ("V3__bad.sql", 5, "42P01")
    assert 'relation "nowhere" does not exist' in str(caught.value)
    assert [row.version for row in runner(address).history()] == ["1", "2"]
    assert address.tables() == ["people", "pets"]


def test_values_of_rows_and_of_placeholders_are_in_no_message(address: Address) -> None:
    runner(address).apply(
        Script("V1__rows.sql", "create table rows (id text); insert into rows values ('4711-secret');")
    )
    bad = [
        Script("V2__a.sql", "alter table rows alter id type int using id::int;"),
        Script("V2__b.sql", "insert into rows values ('4711-secret'); create unique index on rows (id);"),
        Script("V2__c.sql", "select '${word}' from ${word};"),
    ]
    for script in bad:
        with pytest.raises(MigrationFailed) as caught:
            MigrationRunner(address, placeholders={"word": "xyzzy"}, wiring=still()).apply(script)
        assert "4711" not in str(caught.value)
        assert "xyzzy" not in str(caught.value)


def test_a_deferred_constraint_that_fails_at_the_commit_is_told_as_that(address: Address) -> None:
    sql = "create table t (a int unique deferrable initially deferred); insert into t values (1), (1);"
    with pytest.raises(MigrationFailed, match="failed at its end, the commit") as caught:
        runner(address).apply(Script("V1__t.sql", sql))
    assert (caught.value.sqlstate, caught.value.line) == ("23505", 0)
    assert address.tables() == []


def test_a_script_that_changes_role_and_path_does_not_change_where_its_row_goes(address: Address) -> None:
    address.ask("create role weak_role") if not address.ask(
        "select from pg_roles where rolname = 'weak_role'"
    ) else None
    sql = "create table a (); set search_path = pg_catalog; create role weak; set role weak;"
    row = runner(address).apply(Script("V1__roles.sql", sql)).row
    assert (row.installed_by, row.success) == ("postgres", True)


def test_another_schema_and_table_are_made_with_flyways_marker(address: Address) -> None:
    table = HistoryTable("orders", "history_of_orders")
    MigrationRunner(address, table=table, wiring=still()).apply(FIRST)
    rows = MigrationRunner(address, table=table, wiring=still()).history()
    assert [(row.installed_rank, row.type, row.script, row.version) for row in rows] == [
        (0, "SCHEMA", '"orders"', None),
        (1, "SQL", "V1__people.sql", "1"),
    ]
    assert address.ask("select to_regclass('orders.people')::text") == [("orders.people",)]


def test_a_repeatable_script_runs_again_when_it_changed(address: Address) -> None:
    view = Script("R__view.sql", "create or replace view v as select 1 as one;")
    assert [runner(address).apply(view).now for _ in range(2)] == [True, False]
    assert runner(address).apply(Script("R__view.sql", "create or replace view v as select 2 as one;")).now
    assert address.ask("select one from v") == [(2,)]
    assert [row.version for row in runner(address).history()] == [None, None]


# --------------------------------------------------------------------------------------------- the history of a Flyway


@pytest.fixture
def flyways(address: Address) -> Address:
    """A database that Flyway baselined at 1, and applied version 2 to."""
    address.ask("create table old (id int)")
    runner(address).baseline("1")
    address.ask(FLYWAYS_ROW, 2, "2", "pets", "SQL", "V2__pets.sql", SECOND.checksum, True)
    return address


def test_flyways_rows_are_honoured(flyways: Address) -> None:
    below, known, new = runner(flyways).apply_all([FIRST, SECOND, Script("V2.1__new.sql", "create table new ();")])
    assert (below.now, below.row.type) == (False, "BASELINE")
    assert (known.now, known.row.installed_by) == (False, "flyway")
    assert (new.now, new.row.installed_rank) == (True, 3)


def test_an_edited_script_is_refused_before_anything_is_applied(flyways: Address) -> None:
    edited = Script("V2__pets.sql", "create table cats ();")
    with pytest.raises(Refused, match="must never be edited"):
        runner(flyways).apply_all([Script("V3__new.sql", "create table new ();"), edited])
    assert flyways.tables() == ["old"]


def test_a_version_below_the_highest_applied_is_refused_unless_allowed(flyways: Address) -> None:
    late = Script("V1.5__late.sql", "create table late ();")
    with pytest.raises(Refused, match="comes before version 2, which is applied"):
        runner(flyways).apply(late)
    assert MigrationRunner(flyways, out_of_order=True, wiring=still()).apply(late).now


def test_nothing_is_applied_on_top_of_a_failed_row(flyways: Address) -> None:
    flyways.ask(FLYWAYS_ROW, 3, "3", "broken", "SQL", "V3__broken.sql", 1, False)
    with pytest.raises(Refused, match=r"V3__broken.sql failed half-way before \(rank 3\)"):
        runner(flyways).apply(Script("V4__new.sql", "create table new ();"))
    assert flyways.tables() == ["old"]


def test_tables_without_a_history_are_refused_until_somebody_baselines(address: Address) -> None:
    address.ask("create table old (id int)")
    with pytest.raises(Refused, match=r"is in use, but flyway_schema_history is not there.*baseline"):
        runner(address).apply(FIRST)
    assert address.tables() == ["old"]
    based = runner(address).baseline("1")
    assert (based.now, based.row.type, based.row.script, based.row.checksum) == (
        True,
        "BASELINE",
        "<< Flyway Baseline >>",
        None,
    )
    assert not runner(address).baseline("5").now


# ---------------------------------------------------------------------------------------------------------------- undo


UNDO = Script("U2__pets.sql", "drop table pets;")


def test_undo_takes_back_the_last_and_it_can_be_applied_again(address: Address) -> None:
    runner(address).apply_all([FIRST, SECOND])
    undone = runner(address).undo(UNDO)
    assert (undone.now, undone.row.type, undone.row.version, undone.row.installed_rank) == (True, "UNDO_SQL", "2", 3)
    assert address.tables() == ["people"]
    assert not runner(address).undo(UNDO).now
    assert [it.now for it in runner(address).apply_all([FIRST, SECOND])] == [False, True]
    assert [row.type for row in runner(address).history()] == ["SQL", "SQL", "UNDO_SQL", "SQL"]


def test_undo_goes_backwards_only(address: Address) -> None:
    runner(address).apply_all([FIRST, SECOND])
    with pytest.raises(Refused, match="undo 2 first"):
        runner(address).undo(Script("U1__people.sql", "drop table people;"))
    with pytest.raises(Refused, match="never applied"):
        runner(address).undo(Script("U9__none.sql", "select 1;"))


def test_an_undo_that_fails_leaves_the_version_applied(address: Address) -> None:
    runner(address).apply_all([FIRST, SECOND])
    with pytest.raises(MigrationFailed, match="rolled back"):
        runner(address).undo(Script("U2__pets.sql", "drop table pets; drop table nowhere;"))
    assert address.tables() == ["people", "pets"]
    assert [row.type for row in runner(address).history()] == ["SQL", "SQL"]


def test_scripts_that_undo_are_not_applied_nor_the_other_way_round(address: Address) -> None:
    with pytest.raises(InvalidInput, match=r"a migration to be applied is 'U2__pets.sql'"):
        runner(address).apply(UNDO)
    with pytest.raises(InvalidInput, match="a migration to undo with"):
        runner(address).undo(SECOND)


def test_a_baseline_script_is_for_databases_that_have_nothing(address: Address) -> None:
    whole = Script("B2__whole.sql", "create table people (); create table pets ();")
    ran = runner(address).apply_all([whole, FIRST, SECOND, Script("V3__new.sql", "create table new ();")])
    assert [(it.now, it.row.type, it.row.version) for it in ran] == [
        (True, "SQL_BASELINE", "2"),
        (False, "SQL_BASELINE", "2"),
        (False, "SQL_BASELINE", "2"),
        (True, "SQL", "3"),
    ]
    assert not runner(address).apply(Script("B4__whole.sql", "create table people ();")).now


def test_a_baseline_is_not_undone(flyways: Address) -> None:
    runner(flyways).apply(SECOND)
    flyways.ask(FLYWAYS_ROW, 3, "2", "pets", "UNDO_SQL", "U2__pets.sql", 1, True)
    with pytest.raises(Refused, match="is a baseline"):
        runner(flyways).undo(Script("U1__old.sql", "drop table old;"))


# -------------------------------------------------------------------------------------------------- without transaction


def test_an_index_is_built_concurrently_without_being_told(address: Address) -> None:
    runner(address).apply(FIRST)
    ran = runner(address).apply(Script("V2__index.sql", "create index concurrently by_name on people (name);"))
    assert (ran.now, ran.row.success) == (True, True)
    assert address.ask("select indisvalid from pg_index where indexrelid = 'by_name'::regclass") == [(True,)]


def test_a_failure_without_transaction_stays_in_the_history_and_tells_what_is_done(address: Address) -> None:
    sql = "create table a ();\ncreate table b ();\ninsert into nowhere values (1);\ncreate table c ();"
    script = Script("V1__parts.sql", sql, in_transaction=False)
    with pytest.raises(MigrationFailed) as caught:
        runner(address).apply(script)
    said = str(caught.value)
    assert caught.value.line == 3
    assert "The 2 before it are done and stay (lines 1, 2); 1 after it were not begun." in said
    assert "rank 1) stays with success = false" in said
    assert [(row.version, row.success) for row in runner(address).history()] == [("1", False)]
    assert address.tables() == ["a", "b"]
    with pytest.raises(Refused, match="failed half-way before"):
        runner(address).apply(script)


def test_a_unique_index_that_cannot_be_built_is_named_as_left_over(address: Address) -> None:
    runner(address).apply(Script("V1__t.sql", "create table t (a int); insert into t values (1), (1);"))
    with pytest.raises(MigrationFailed, match="invalid index"):
        runner(address).apply(Script("V2__u.sql", "create unique index concurrently u on t (a);"))
    assert address.ask("select indisvalid from pg_index where indexrelid = 'u'::regclass") == [(False,)]


def test_a_script_that_forgets_its_commit_failed(address: Address) -> None:
    with pytest.raises(MigrationFailed, match="does not end it"):
        runner(address).apply(Script("V1__open.sql", "begin; create table a ();", in_transaction=False))
    assert address.tables() == []
    assert [row.success for row in runner(address).history()] == [False]


# --------------------------------------------------------------------------------------------------- others in the way


def test_a_table_that_others_hold_is_waited_for_and_tried_again(address: Address) -> None:
    runner(address).apply(FIRST)
    with psycopg.connect(address.url) as other:
        other.execute("lock table people in access exclusive mode")
        pauses: list[float] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            other.rollback()

        script = Script("V2__wider.sql", "alter table people add age int;")
        assert runner(address, sleep, lock_timeout=0.01).apply(script).now
    assert pauses == [2.0]


def test_a_table_that_others_keep_fails_after_bounded_tries(address: Address) -> None:
    runner(address).apply(FIRST)
    with psycopg.connect(address.url) as other:
        other.execute("lock table people in access exclusive mode")
        with pytest.raises(MigrationFailed, match=r"Tried 3 times. Others held a lock") as caught:
            runner(address, lock_timeout=0.01, tries=3).apply(
                Script("V2__wider.sql", "alter table people add age int;")
            )
    assert (caught.value.sqlstate, caught.value.line) == ("55P03", 1)


def test_a_statement_that_takes_too_long_is_ended(address: Address) -> None:
    with pytest.raises(MigrationFailed, match="statement timeout") as caught:
        runner(address, statement_timeout=0.01).apply(Script("V1__slow.sql", "select 1;\nselect pg_sleep(60);"))
    assert (caught.value.sqlstate, caught.value.line) == ("57014", 2)


def test_another_migration_is_waited_for_and_then_named(address: Address) -> None:
    with psycopg.connect(address.url, application_name="Flyway by orders") as flyway:
        flyway.execute("select pg_try_advisory_xact_lock(%s)", (HistoryTable().lock_key,))
        named = f"process {flyway.info.backend_pid} holds it: user postgres.*Flyway by orders.*idle in transaction"
        with pytest.raises(Outage, match=named):
            runner(address, lock_wait=10).apply(FIRST)
        assert address.tables() == []
        assert runner(address, lambda _: flyway.rollback()).apply(FIRST).now


def void(_: object) -> None:
    pass


def test_two_runs_at_once_apply_once(address: Address) -> None:
    ran: list[Ran] = []
    turn = threading.Event()

    def go() -> None:
        waiting = runner(address, lambda _: void(turn.wait(0.01)))
        ran.extend(waiting.apply_all([FIRST, SECOND]))

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted((it.script, it.now) for it in ran) == [
        *[("V1__people.sql", False)] * 3,
        ("V1__people.sql", True),
        *[("V2__pets.sql", False)] * 3,
        ("V2__pets.sql", True),
    ]
    assert [row.installed_rank for row in runner(address).history()] == [1, 2]


# ----------------------------------------------------------------------------------------------------- lost connections


def test_a_killed_session_rolls_back(address: Address) -> None:
    script = Script("V1__killed.sql", "create table a ();\nselect pg_sleep(60);")
    caught: list[BaseException] = []

    def go() -> None:
        try:
            runner(address).apply(script)
        except Outage as error:
            caught.append(error)

    thread = threading.Thread(target=go)
    thread.start()
    kill = (
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where query = 'select pg_sleep(60)' and datname = current_database()"
    )
    until = monotonic() + 20
    while not address.ask(kill):
        assert monotonic() < until
    thread.join(20)
    assert "line 2: terminating connection due to administrator command" in str(caught[0])
    assert "rolls all of it back" in str(caught[0])
    assert address.tables() == []
    assert runner(address).history() == ()


def test_a_session_that_dies_at_the_commit_is_looked_after_and_was_rolled_back(address: Address) -> None:
    sql = """create table a (id int);
create function die() returns trigger language plpgsql as
$$ begin perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(5); return new; end $$;
create constraint trigger late after insert on a deferrable initially deferred for each row execute function die();
insert into a values (1);"""
    with pytest.raises(Outage, match="nothing of it is in the database"):
        runner(address).apply(Script("V1__dies.sql", sql))
    assert len(address.pids) == 2
    assert address.tables() == []


def test_a_session_that_dies_between_two_statements_without_transaction_leaves_its_row(address: Address) -> None:
    sql = "create table a ();\nselect pg_terminate_backend(pg_backend_pid());\ncreate table b ();"
    with pytest.raises(MigrationFailed, match=r"The 1 before it are done and stay \(lines 1\)") as caught:
        runner(address).apply(Script("V1__dies.sql", sql, in_transaction=False))
    assert (caught.value.line, caught.value.sqlstate) == (2, "57P01")
    assert address.tables() == ["a"]
    assert [row.success for row in runner(address).history()] == [False]


class DeafAtCommit:
    """A wire to the server that is cut when the server has committed and before we hear of it."""

    def __init__(self, folder: Path, server: Path) -> None:
        self.folder, self._server = folder, server
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(folder / ".s.PGSQL.5432"))
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._thread.join(20)
        self._listening.close()

    def _serve(self) -> None:
        client, _ = self._listening.accept()
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(str(self._server / ".s.PGSQL.5432"))
            while True:
                ready, _, _ = select.select([client, server], [], [], 20)
                for side, other in ((client, server), (server, client)):
                    if side in ready:
                        heard = side.recv(65536)
                        other.sendall(heard)
                        if b"commit" in heard:
                            server.recv(65536)
                            return


@dataclass(slots=True)
class CutOnce:
    """A database whose first session is over a wire that is cut at the commit; the others are good."""

    address: Address
    bad_url: str
    good: bool = False

    @contextmanager
    def connected(self, *, read_only: bool) -> Iterator[Connection]:
        through = self.address if self.good else Address(self.bad_url)
        self.good = True
        with through.connected(read_only=read_only) as connection:
            yield connection


def test_a_commit_whose_answer_was_lost_is_looked_up_and_told_as_done(server: Database, address: Address) -> None:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        wire = DeafAtCommit(Path(folder), server.socket_folder)
        database = CutOnce(address, address.url.split("?")[0] + f"?host={folder}&sslmode=disable&gssencmode=disable")
        ran = MigrationRunner(database, wiring=still()).apply(FIRST)
        wire.close()
    assert (ran.now, ran.row.version) == (True, "1")
    assert runner(address).history() == (ran.row,)
    assert address.tables() == ["people"]


def test_a_commit_that_nobody_can_look_up_is_told_as_not_known(server: Database, address: Address) -> None:
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        wire = DeafAtCommit(Path(folder), server.socket_folder)
        gone = Address(address.url.split("?")[0] + "?host=/nowhere")
        database = CutOnce(gone, address.url.split("?")[0] + f"?host={folder}&sslmode=disable&gssencmode=disable")
        with pytest.raises(Outage, match=r"NOT KNOWN whether V1__people.sql is applied.*next run looks"):
            MigrationRunner(database, wiring=still()).apply(FIRST)
        wire.close()


def test_a_database_that_does_not_let_us_write_declines(address: Address) -> None:
    address.ask("create role onlooker login")
    onlooker = Address(address.url.replace("postgres@", "onlooker@"))
    with pytest.raises(Declined, match=r"applying V1__people.sql.*permission denied for schema public"):
        runner(onlooker).apply(FIRST)
    assert runner(onlooker).history() == ()


def test_the_lock_is_flyways_own() -> None:
    assert HistoryTable().lock_key - java_hash('"public"."flyway_schema_history"') == 0x46_6C_79_77_61_79
    assert java_hash("hello") == 99162322
    assert java_hash("polygenelubricants") == -(2**31)
