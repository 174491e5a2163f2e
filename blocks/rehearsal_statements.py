"""The statements of the running version: those that a table took before the scripts must be taken after them.

Each is tried in a savepoint and taken back, before and after, so that none sees what another did.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import Connection, Error, sql

from blocks.rehearsal_rows import Filled, insert_of
from rules.rehearsals import BrokenStatement
from rules.row_plans import Row
from rules.row_tables import Table

READ_ALIKE = {"S", "N", "D", "B"}
"""Categories of types whose members a program reads alike: texts, numbers, times, booleans."""
_VIEWS = """
    select n.nspname::text, c.relname::text, array_agg(a.attname::text order by a.attnum)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relkind in ('v', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    group by 1, 2 order by 1, 2
"""
_SEQUENCES = """
    select n.nspname::text, c.relname::text, format('%I.%I', n.nspname, c.relname)
    from pg_class c join pg_namespace n on n.oid = c.relnamespace
    where c.relkind = 'S' and n.nspname !~ '^pg_'
      and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype in ('e', 'i'))
    order by 1, 2
"""
MOST_VALUES = 6
"""To which one column is updated, one after the other."""


@dataclass(frozen=True, slots=True)
class Statement:
    told: str
    """Without its values: `INSERT into public.orders (id, note)`."""
    query: sql.Composed
    values: tuple[Any, ...] = ()
    types: tuple[int, ...] = ()
    """Of a SELECT: the object ids of its columns' types."""
    before: sql.Composed | None = None
    """What makes room for it."""


def statements_of(connection: Connection[Any], filled: Iterable[Filled]) -> tuple[Statement, ...]:
    """What a program that knows these tables does to them, as far as they take it now."""
    found: list[Statement] = []
    candidates = [*_views(connection), *_sequences(connection)]
    for it in filled:
        candidates += [_read(it.table), *_inserts(it), *_updates(connection, it), *_deletes(connection, it)]
    for candidate in candidates:
        types, refusal = _tried(connection, candidate)
        if refusal is None:
            found.append(replace(candidate, types=types))
    return tuple(found)


def broken(connection: Connection[Any], statements: Iterable[Statement]) -> tuple[BrokenStatement, ...]:
    """Those that are refused now, or whose SELECT gives values of another kind."""
    found = []
    for it in statements:
        types, refusal = _tried(connection, it)
        if refusal is not None:
            found.append(BrokenStatement(it.told, _said(refusal), refusal.sqlstate or ""))
        elif changed := _read_otherwise(connection, it.types, types):
            found.append(BrokenStatement(it.told, f"it reads {changed}"))
    return tuple(found)


def _tried(connection: Connection[Any], statement: Statement) -> tuple[tuple[int, ...], Error | None]:
    try:
        with connection.transaction(force_rollback=True):
            if statement.before is not None:
                connection.execute(statement.before)
            cursor = connection.execute(statement.query, statement.values or None)
            types = tuple(it.type_code for it in cursor.description or ())
            connection.execute("set constraints all immediate")
    except Error as error:
        return (), error
    return types, None


def _said(error: Error) -> str:
    return error.diag.message_primary or str(error)


def _read(table: Table) -> Statement:
    names = [it.name for it in table.columns]
    query = sql.SQL("select {} from {}").format(_names(names), _name(table))
    return Statement(_told("SELECT from", table, names), query)


def _inserts(it: Filled) -> list[Statement]:
    """Whole rows; and one with only what must be given, by a program that counts on defaults.

    A table that takes no further row, such as one for a single row of settings, is emptied before.
    """
    if not it.extra:
        room = sql.SQL("delete from {}").format(_name(it.table))
        return [replace(_insert(it.table, it.first), before=room)] if it.first else []
    rows = list(it.extra)
    needed = {column.name for column in it.table.written if not column.nullable and not column.defaulted}
    rows.append({name: value for name, value in rows[0].items() if name in needed})
    return [_insert(it.table, row) for row in rows]


def _insert(table: Table, row: Row) -> Statement:
    return Statement(_told("INSERT into", table, row), insert_of(table, row), tuple(row.values()))


def _updates(connection: Connection[Any], it: Filled) -> list[Statement]:
    """Of each column, in one row: to a value that another row was taken with."""
    condition, key = _one_row(connection, it.table)
    query = sql.SQL("update {} set {} = %s where {}")
    return [
        Statement(
            _told("UPDATE", it.table, [name]),
            query.format(_name(it.table), sql.Identifier(name), condition),
            (value, *key),
        )
        for name, value in _of_each_column(it)
    ]


def _of_each_column(it: Filled) -> list[tuple[str, Any]]:
    """Values that other rows were taken with, null among them, as far as they differ."""
    found = []
    for column in it.table.written:
        different = list(dict.fromkeys(row[column.name] for row in it.extra or (it.first or {},) if column.name in row))
        found += [(column.name, value) for value in different[:MOST_VALUES]]
    return found


def _deletes(connection: Connection[Any], it: Filled) -> list[Statement]:
    condition, key = _one_row(connection, it.table)
    query = sql.SQL("delete from {} where {}").format(_name(it.table), condition)
    return [Statement(_told("DELETE from", it.table), query, key)]


def _one_row(connection: Connection[Any], table: Table) -> tuple[sql.Composable, tuple[Any, ...]]:
    """How a program names one row: by its key. All rows, where the table has no key without nulls."""
    keys = (it.columns for it in table.uniques if not any(table.column(name).nullable for name in it.columns))
    if not (key := next(keys, ())):
        return sql.SQL("true"), ()
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in key)
    found = connection.execute(sql.SQL("select {} from {} limit 1").format(texts, _name(table))).fetchone()
    pairs = sql.SQL(" and ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in key)
    return pairs, tuple(found or [None] * len(key))


def _views(connection: Connection[Any]) -> list[Statement]:
    query = sql.SQL("select {} from {}")
    return [
        Statement(f"SELECT from {schema}.{name}", query.format(_names(columns), sql.Identifier(schema, name)))
        for schema, name, columns in connection.execute(_VIEWS).fetchall()
    ]


def _sequences(connection: Connection[Any]) -> list[Statement]:
    """Programs that number their rows themselves ask for the next value."""
    return [
        Statement(f"NEXTVAL of {schema}.{name}", sql.SQL("select nextval({})").format(sql.Literal(quoted)))
        for schema, name, quoted in connection.execute(_SEQUENCES).fetchall()
    ]


def _read_otherwise(connection: Connection[Any], before: Sequence[int], after: Sequence[int]) -> str:
    """Which types a program would read that it does not know; empty: none."""
    differing = [(old, new) for old, new in zip(before, after, strict=True) if old != new]
    if not differing:
        return ""
    oids = [oid for pair in differing for oid in pair]
    query = "select oid, typcategory, format_type(oid, null) from pg_type where oid = any(%s)"
    known = {oid: (category, name) for oid, category, name in connection.execute(query, [oids])}
    told = []
    for old, new in differing:
        (was, old_name), (now, new_name) = known.get(old, ("", "a type that is gone")), known[new]
        if was != now or was not in READ_ALIKE:
            told.append(f"{new_name} where it was {old_name}")
    return ", ".join(told)


def _told(verb: str, table: Table, columns: Iterable[str] = ()) -> str:
    named = ", ".join(columns)
    return f"{verb} {table.full_name}" + (f" ({named})" if named else "")


def _name(table: Table) -> sql.Identifier:
    return sql.Identifier(table.schema, table.name)


def _names(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
