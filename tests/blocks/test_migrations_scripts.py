"""Scripts made ready to run: placeholders, statements with their lines, and what is refused before it is sent."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.migration_scripts import Prepared, fill, masked, prepare
from rules.errors import InvalidInput

NAME = "V1__x.sql"
GOOD = """-- é
create table t (a int, b text default 'x;y');

/* two; /* nested */
 */ create function f() returns int language sql begin atomic select 1; select 2; end;
do $body$ begin perform 1; end $body$;
update t set b = $$;$$ where a = 1"""


def prepared(sql: str, *, in_transaction: bool | None = None, **placeholders: str) -> Prepared:
    return prepare(NAME, sql, placeholders, in_transaction=in_transaction)


def test_statements_are_cut_where_the_server_would_and_keep_their_lines() -> None:
    ready = prepared(GOOD)
    assert [(it.line, it.kind) for it in ready.statements] == [
        (2, "CreateStmt"),
        (5, "CreateFunctionStmt"),
        (6, "DoStmt"),
        (7, "UpdateStmt"),
    ]
    assert ready.statements[1].text.endswith("select 2; end")
    assert ready.in_transaction


def test_a_byte_order_mark_and_no_statement_at_all_are_fine() -> None:
    assert prepared("\ufeff-- nothing yet\n").statements == ()


def test_placeholders_are_filled_in_whatever_their_case() -> None:
    assert fill(NAME, "grant select on ${Table} to ${ROLE};", {"table": "t", "Role": "r"}) == "grant select on t to r;"
    assert prepare(NAME, "select '${x}'", None, in_transaction=None).statements[0].text == "select '${x}'"


def test_a_placeholder_without_a_value_is_named_with_its_line() -> None:
    with pytest.raises(InvalidInput, match=r"line 2 of V1__x.sql is '\$\{role\}'.*\(team, user\)"):
        prepared("select 1;\nset role ${role};", user="u", team="t")


def test_values_are_taken_out_of_messages_the_longest_first() -> None:
    assert masked("near secret-long, secret", {"a": "secret", "b": "secret-long"}) == "near ${b}, ${a}"
    with pytest.raises(InvalidInput, match="password") as caught:
        prepared("create role r password ${password}", password="hunter22")
    assert "hunter22" not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("select 1;\nselec 2;", "line 2 of V1__x.sql"),
        ("select 1;\n\nselect 'abc;\nselect 2;", "line 3 of V1__x.sql"),
        ("copy t from stdin;\n1\tit's\n\\.\n", "FROM STDIN"),
        ("copy t (a) from stdin with (format csv)", "FROM STDIN"),
        ("copy t to stdout", "TO STDOUT"),
        ("begin; select 1; commit;", "Take BEGIN and COMMIT out"),
        ("select 1;\ncreate index concurrently i on t (a);", "line 2 .*a script of its own"),
        ("select 1;\0drop table t;", "NUL"),
        ("select '\ud800'", "half a character"),
    ],
)
def test_what_cannot_be_run_is_refused(sql: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        prepared(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "create index concurrently on t (a)",
        "drop index concurrently i",
        "reindex table concurrently t",
        "vacuum t",
        "create database d",
        "alter system set work_mem = '1MB'",
        "discard all",
    ],
)
def test_statements_that_cannot_be_in_a_transaction_run_without_one(sql: str) -> None:
    assert not prepared(sql).in_transaction
    with pytest.raises(InvalidInput, match="executeInTransaction=false"):
        prepared(sql, in_transaction=True)
    assert not prepared(f"select 1; {sql}", in_transaction=False).in_transaction


@pytest.mark.parametrize("sql", ["create index on t (a)", "analyze t", "reindex table t", "savepoint s; rollback to s"])
def test_their_relatives_do_run_in_one(sql: str) -> None:
    assert prepared(sql).in_transaction


def test_an_expression_too_deep_for_the_tree_is_cut_all_the_same() -> None:
    deep = "select " + "+".join(["1"] * 400)
    ready = prepared(f"select 1;\n{deep};\nvacuum t;", in_transaction=False)
    assert [(it.line, it.kind, it.alone) for it in ready.statements] == [
        (1, "SelectStmt", False),
        (2, "", False),
        (3, "VacuumStmt", True),
    ]
    assert ready.statements[1].text == deep


@given(st.text(max_size=200))
def test_no_text_raises_anything_but_invalid_input(sql: str) -> None:
    with suppress(InvalidInput):
        prepared(sql)


@given(st.integers(0, len(GOOD)), st.text(max_size=4))
def test_no_damage_of_a_script_raises_anything_but_invalid_input_or_loses_text(at: int, put: str) -> None:
    damaged = GOOD[:at] + put + GOOD[at + 1 :]
    try:
        ready = prepared(damaged)
    except InvalidInput:
        return
    assert all(it.text in damaged for it in ready.statements)
