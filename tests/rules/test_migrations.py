"""A migration is safe, for a person to look at, or unsafe, for the version that still runs."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.migrations import Safety, judge, review, review_all
from rules.vocabulary import Verdict

SAFE, REVIEW, UNSAFE = Safety.SAFE, Safety.REVIEW, Safety.UNSAFE
TABLE = "create table events (id int primary key, title text, state text check (state in ('open', 'full')));"


@dataclass(frozen=True, slots=True)
class Script:
    name: str
    sql: str
    in_transaction: bool | None = None


@pytest.mark.parametrize(
    ("sql", "verdict"),
    [
        ("create table more (id int)", SAFE),
        ("alter table events add column note text", SAFE),
        ("alter table events add column seats int not null default 0", SAFE),
        ("alter table events add column at timestamptz default now()", SAFE),
        ("alter table events add column key uuid default gen_random_uuid()", REVIEW),
        ("alter table events add column number serial", REVIEW),
        ("alter table events add column twice int generated always as (id * 2) stored", REVIEW),
        ("alter table events add column seats int not null", UNSAFE),
        (
            "alter table events add column a int; update events set a = 1; alter table events alter a set not null",
            UNSAFE,
        ),
        ("alter table events alter column title set not null", UNSAFE),
        ("alter table events alter column title drop not null", SAFE),
        ("alter table events alter column title set default 'x'", SAFE),
        ("alter table events alter column title drop default", REVIEW),
        ("alter table events alter column id type bigint", UNSAFE),
        ("alter table events alter column title type text", REVIEW),
        ("alter table events drop column title", UNSAFE),
        ("alter table events drop column if exists title cascade", UNSAFE),
        ("alter table events add column n int; alter table events drop column n", SAFE),
        ("drop table events", UNSAFE),
        ("drop table if exists events cascade", UNSAFE),
        ("drop table events; create table events (id int)", UNSAFE),
        ("alter table events drop column title; alter table events add column title text", UNSAFE),
        ("drop view seen; create view seen as select 1", UNSAFE),
        ("create view seen as select 1", SAFE),
        ("create or replace view seen as select 1", REVIEW),
        ("alter table events rename column title to name", UNSAFE),
        ("alter table events rename to meetings", UNSAFE),
        ("alter index i rename to j", REVIEW),
        ("create table more (a int); alter table more rename column a to b", SAFE),
        ("alter table events add constraint c check (id > 0)", UNSAFE),
        ("alter table events add constraint c check (id > 0) not valid", UNSAFE),
        ("alter table events add column s text; alter table events add constraint c check (s in ('a'))", SAFE),
        ("alter table events add constraint u unique (title)", UNSAFE),
        ("alter table events add foreign key (id) references people", REVIEW),
        ("alter table events validate constraint c", SAFE),
        ("create index on events (title)", REVIEW),
        ("create index concurrently on events (title)", SAFE),
        ("create unique index on events (title)", UNSAFE),
        ("create table more (a int); create unique index on more (a)", SAFE),
        ("drop index i", REVIEW),
        ("alter type mood add value 'so so'", SAFE),
        ("alter type mood rename value 'a' to 'b'", UNSAFE),
        ("drop type mood", UNSAFE),
        ("update events set title = 'x'", REVIEW),
        ("alter table events add column n int; update events set n = 1 where n is null", SAFE),
        ("delete from events", UNSAFE),
        ("truncate events", UNSAFE),
        ("insert into events values (1)", SAFE),
        ("insert into events values (1) on conflict (id) do update set title = 'x'", REVIEW),
        ("revoke select on events from joe", UNSAFE),
        ("grant select on events to joe", SAFE),
        ("create function f() returns int language sql as 'select 1'", SAFE),
        ("create or replace function f() returns int language sql as 'select 1'", REVIEW),
        ("drop function f", UNSAFE),
        ("do $$ begin execute 'drop table events'; end $$", REVIEW),
        ("call tidy()", REVIEW),
        ("select setval('s', 1)", REVIEW),
        ("begin; alter table events add column n int; commit", REVIEW),
        ("set lock_timeout = '5s'", SAFE),
        ("set search_path = other", REVIEW),
        ("comment on table events is 'x'", SAFE),
        ("vacuum events", REVIEW),
        ("copy events from stdin;\n1\n\\.", REVIEW),
        ("\\i other.sql", REVIEW),
        ("alter table ${table} add column n int", REVIEW),
        ("not sql at all", REVIEW),
        ("create function f() returns int language plpgsql as 'begin execute ''drop table events''; end'", REVIEW),
        ("create function f() returns trigger language plpgsql as 'begin return new; end'", SAFE),
        ("create function f() returns int language plperl as 'x'", REVIEW),
        ("with gone as (delete from events returning 1) select 1", REVIEW),
        ("with gone as (delete from events returning 1) insert into events values (1)", REVIEW),
        ("select 1\0; drop table events", REVIEW),
        ("alter table events add column z int not null default null", UNSAFE),
        ("create table p (a date) partition by range (a); alter table p attach partition events default", REVIEW),
        ("create function g() returns int language sql as 'select 1'; drop function g(int)", UNSAFE),
        ("select 1" + " + 1" * 20_000, REVIEW),
        ("", REVIEW),
        ("-- only a comment", REVIEW),
        ("select 'drop table events'; -- drop table events", SAFE),
    ],
)
def test_each_statement_is_judged_for_the_version_that_runs(sql: str, verdict: Safety) -> None:
    found = review(sql, name="V2__it.sql", before=[TABLE])
    assert found.verdict is verdict, found.reasons


@pytest.mark.parametrize(
    ("values", "verdict"),
    [("'open', 'full', 'over'", SAFE), ("'open', 'full'", SAFE), ("'open'", UNSAFE), ("'shut'", UNSAFE)],
)
def test_a_check_may_be_widened_and_not_narrowed(values: str, verdict: Safety) -> None:
    drop = "alter table events drop constraint events_state_check;"
    add = f"alter table events add constraint events_state_check check (state in ({values}));"
    assert review(drop + add, before=[TABLE]).verdict is verdict
    one_by_one = [Script("V2__drop.sql", drop), Script("V3__add.sql", add)]
    assert review_all(one_by_one, before=[Script("V1__table.sql", TABLE)]).verdict is verdict


def test_a_check_on_another_column_is_not_the_same_widened() -> None:
    sql = (
        "alter table events drop constraint events_state_check;"
        "alter table events add constraint events_state_check check (title in ('open', 'full'));"
    )
    assert review(sql, before=[TABLE]).verdict is UNSAFE


def test_what_one_script_makes_the_next_may_change() -> None:
    made = Script("V2__more.sql", "create table more (a int);")
    changed = Script("V3__more.sql", "alter table more alter column a set not null; drop table more;")
    assert review_all([made, changed]).verdict is SAFE
    assert review_all([changed], before=[made]).verdict is UNSAFE


def test_a_column_that_is_made_nullable_first_is_not_made_required_next() -> None:
    first = Script("V2__a.sql", "alter table events add column a int;")
    second = Script("V3__b.sql", "update events set a = 0; alter table events alter column a set not null;")
    found = review_all([first, second])
    assert found.verdict is UNSAFE
    assert (found.reasons[0].script, found.reasons[0].line) == ("V3__b.sql", 1)


def test_the_line_is_that_of_the_statement() -> None:
    sql = "-- why\n\n/* more\n why */\nselect 1;\n\n  -- and\n  drop table\n  events;"
    [reason] = review(sql, name="V2__it.sql").reasons
    assert reason.line == 8
    assert reason.how


def test_placeholders_with_a_value_are_read() -> None:
    sql = "alter table ${table} drop column a"
    assert review(sql, placeholders={"table": "events"}).verdict is UNSAFE


def test_what_cannot_run_in_a_transaction_is_not_asked_to() -> None:
    sql = "create index concurrently on events (title)"
    assert review(sql, in_transaction=True).verdict is UNSAFE
    assert review(sql, in_transaction=False).verdict is SAFE


@pytest.mark.parametrize(
    ("sql", "verdict", "words"),
    [
        ("create table more (id int)", Verdict.PASSED, "can live with V2__it.sql"),
        ("create index on events (title)", Verdict.INCONCLUSIVE, "SHARE"),
        ("drop table events", Verdict.FAILED, "V2__it.sql, line 1: the table public.events is dropped"),
        ("", Verdict.INCONCLUSIVE, "no statement"),
    ],
)
def test_the_finding_says_where_and_why(sql: str, verdict: Verdict, words: str) -> None:
    found = judge(review_all([Script("V2__it.sql", sql)]))
    assert (found.gate, found.verdict) == ("migrations", verdict)
    assert words in found.sentence


@given(st.text(max_size=200))
def test_no_text_raises_or_is_safe_without_a_statement(sql: str) -> None:
    found = review(sql)
    assert found.verdict is not SAFE or found.statements


STATEMENTS = st.sampled_from(
    [
        "alter table events add column note text;",
        "drop table events;",
        "create index on events (title);",
        "create table more (id int);",
        "update events set title = 'x';",
        "comment on table events is 'x';",
    ]
)


@given(st.lists(STATEMENTS, min_size=1, max_size=4), STATEMENTS)
def test_one_more_statement_makes_nothing_safer(statements: list[str], one_more: str) -> None:
    before, after = review("\n".join(statements)), review("\n".join([*statements, one_more]))
    assert after.verdict.badness >= before.verdict.badness


@given(
    st.lists(STATEMENTS, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n", " /* why */ ", "\n-- drop table x\n"])
)
def test_space_comments_and_case_change_nothing(statements: list[str], between: str) -> None:
    plain = review(" ".join(statements))
    assert review(between.join(it.upper() for it in statements)).verdict is plain.verdict
