"""Migrations rehearsed on a real PostgreSQL: what fails only with data, what no longer works after it."""

from collections.abc import Iterator

import psycopg
import pytest
from rehearsal_world import TABLE, Bench, running_bench

from blocks.databases import schema_at
from blocks.rehearsal_rows import fill_all
from blocks.rehearsal_samples import Sample
from blocks.rehearsal_tables import read_tables
from blocks.rehearsals import Piece, RehearsalLimits, RehearsedScript, numbered, rehearse
from blocks.scratch_databases import reading
from rules.errors import Outage
from rules.rehearsals import judge
from rules.schema_changes import Kind, Service
from rules.vocabulary import Verdict


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with running_bench() as bench:
        yield bench


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


def test_what_a_script_sets_in_its_session_is_not_for_the_others(bench: Bench) -> None:
    finding = bench.finding(
        TABLE, "set search_path to pg_catalog; set role pg_monitor;", "alter table customers add a int"
    )
    assert finding.verdict is Verdict.PASSED, finding.sentence


def test_a_rule_that_is_judged_at_the_end_of_the_transaction_fails_the_script(bench: Bench) -> None:
    script = """
        create table notes (id integer, customer bigint references customers deferrable initially deferred);
        insert into notes values (1, -99);
    """
    finding = bench.finding(TABLE, script)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence.startswith("V2__it.sql fails on data: insert or update on table")


def test_a_session_that_is_cut_is_an_outage_and_no_fault_of_the_script(bench: Bench) -> None:
    script = [RehearsedScript("V2__it.sql", "select pg_terminate_backend(pg_backend_pid())")]
    with pytest.raises(Outage, match="The scratch server did not answer while rehearsing"):
        rehearse(bench.server, bench.target(TABLE), script, RehearsalLimits())
    assert bench.databases() == []


def test_a_script_that_takes_too_long_fails(bench: Bench) -> None:
    script = [RehearsedScript("V2__it.sql", "select pg_sleep(20)")]
    rehearsal = rehearse(bench.server, bench.target(""), script, RehearsalLimits(seconds=0.2))
    assert "canceling statement due to statement timeout" in judge(rehearsal, ["V2__it.sql"]).sentence


def test_what_is_no_sql_is_a_script_that_fails(bench: Bench) -> None:
    assert bench.finding(TABLE, "alter tabel customers").sentence.startswith("V2__it.sql fails: it is not SQL")


def test_a_table_that_cannot_be_filled_is_named_and_no_pass(bench: Bench) -> None:
    schema = TABLE + "create table never (a integer not null check (a > 1 and a < 1)); create table other (a integer);"
    finding = bench.finding(schema, "alter table customers add column note text")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert finding.sentence.startswith("public.never has no rows, so nothing is known of it: no generated row is taken")


def test_a_script_beside_transactions_runs_statement_by_statement(bench: Bench) -> None:
    text = "create index concurrently on customers (phone);\ncreate unique index concurrently on customers (phone);"
    script = RehearsedScript("V2__it.sql", text, in_transaction=False)
    rehearsal = rehearse(bench.server, bench.target(TABLE), [script], RehearsalLimits())
    assert rehearsal.failed is not None
    assert rehearsal.failed.failure is not None
    assert (rehearsal.failed.failure.line, rehearsal.failed.failure.sqlstate) == (2, "23505")


# --- a masked sample -----------------------------------------------------------------------------------------


PEOPLE = """
    create table people (id bigint generated always as identity primary key, name text not null, mail text unique,
                         kind text check (kind in ('guest', 'host')), born date, chief bigint references people);
    create table pets (person bigint not null references people, name varchar(10) not null, size integer);
    insert into people (name, mail, kind, born, chief) values
        ('Anna Muster', 'anna@example.org', 'guest', '1990-02-03', null), ('Urs Frei', null, 'host', '1980-01-01', 1);
    insert into pets values (1, 'Bello', 7), (2, 'Rex', 9);
"""


def test_a_sample_keeps_what_is_counted_and_nothing_that_is_read(bench: Bench) -> None:
    target, scratch = bench.target(PEOPLE), bench.target(PEOPLE.partition("insert")[0])
    with reading(target) as there, psycopg.connect(scratch.get_secret_value()) as here:
        assert Sample(there, here, b"0123456789abcdef", 10).copy(read_tables(here)) == 4
        people = here.execute("select id, name, mail, kind, born::text, chief from people order by id").fetchall()
        pets = here.execute("select person, name, size from pets order by person").fetchall()
        [filled, _] = fill_all(here, read_tables(here), 5)
    assert [(it[0], it[3], it[4], it[5]) for it in people] == [
        (1, "guest", "1990-02-03", None),
        (2, "host", "1980-01-01", 1),
    ]
    assert [(it[0], len(it[1]), it[2]) for it in pets] == [(1, 5, 7), (2, 3, 9)]
    assert not {"Anna", "Muster", "Urs", "anna", "Bello", "Rex"} & set(
        " ".join(f"{it}" for it in people + pets).split()
    )
    assert filled.rows >= 5


def test_a_table_that_only_a_sample_can_fill_is_rehearsed_with_it(bench: Bench) -> None:
    schema = """
        create function is_good(text) returns boolean immutable language sql as $$ select md5($1) like '0c%' $$;
        create table codes (code integer not null check (is_good(code::text)));
        insert into codes select it from generate_series(1000000, 1001000) it where is_good(it::text);
    """
    script = [RehearsedScript("V2__it.sql", "alter table codes add note text")]
    target = bench.target(schema)
    plain, sampled = (rehearse(bench.server, target, script, RehearsalLimits(sample=sample)) for sample in (0, 3))
    assert list(plain.unfilled) == ["public.codes"]
    assert (sampled.rows, sampled.unfilled) == (3, {})


def test_what_fails_only_on_what_people_wrote_is_found_on_the_sample(bench: Bench) -> None:
    script = RehearsedScript("V2__it.sql", "alter table pets add check (size <> 9)")
    plain = rehearse(bench.server, bench.target(PEOPLE), [script], RehearsalLimits())
    sampled = rehearse(bench.server, bench.target(PEOPLE), [script], RehearsalLimits(sample=10))
    assert plain.failed is None
    assert sampled.failed is not None
    assert sampled.failed.failure is not None
    assert sampled.failed.failure.sqlstate == "23514"


def test_what_the_scripts_change_in_the_schema_is_told(bench: Bench) -> None:
    script = [RehearsedScript("V2__it.sql", "alter table customers add column note text")]
    rehearsal = rehearse(bench.server, bench.target(TABLE), script, RehearsalLimits(), schema_at)
    assert [(it.kind, it.object) for it in rehearsal.changes] == [(Kind.COLUMN, "public.customers.note")]
    assert rehearsal.changes[0].serves_old_code.service is Service.SAFE


def test_statements_are_numbered_by_the_line_they_begin_in() -> None:
    script = "-- one\nselect 1; -- after\n\n/* two\nlines */ select 'a;b';\nselect 1"
    assert numbered(script) == [Piece("select 1", 2), Piece("select 'a;b'", 5), Piece("select 1", 6)]
