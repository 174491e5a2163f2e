"""Some rows of the target, masked while they are copied: what people really wrote, where generated rows are not enough.

Parents first; of a child those rows whose parents came along. The target is only read, a few rows of each table, and
no text of it is stored unmasked. A row that the copy does not take (its masked text breaks a rule) is left out.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, Error, sql

from rules.row_checks import hints
from rules.row_masks import masked
from rules.row_plans import Row
from rules.row_tables import Column, Reference, Table, fill_order

READ = 10
"""So many times the wanted rows are read of a child, to find some whose parents came along."""


@dataclass(slots=True)
class Sample:
    """Copies rows from one connection to the other."""

    target: Connection[Any]
    scratch: Connection[Any]
    key: bytes
    """Secret of this rehearsal: what the masks are made with."""
    rows: int
    copied: dict[str, list[Row]] = field(default_factory=dict)
    """As they stand in the target, by table: only in memory, to know which parents came along."""

    def copy(self, tables: Iterable[Table]) -> int:
        """How many rows were copied."""
        return sum(self._copy(table) for table in fill_order(tables))

    def _copy(self, table: Table) -> int:
        columns = [column for column in table.columns if not column.computed]
        found = self._read(table, columns)
        taken = [row for row in found if self._has_parents(table, row)][: self.rows]
        kept = self.copied.setdefault(table.full_name, [])
        for row in taken:
            if self._stored(table, columns, row):
                kept.append(row)
        if kept:
            _move_on(self.scratch, table)
        return len(kept)

    def _read(self, table: Table, columns: Sequence[Column]) -> list[Row]:
        texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(it.name)) for it in columns)
        query = sql.SQL("select {} from {} limit {}")
        name = sql.Identifier(table.schema, table.name)
        limit = self.rows * READ if table.references else self.rows
        with suppress(Error), self.target.transaction():
            found = self.target.execute(query.format(texts, name, sql.Literal(limit))).fetchall()
            return [dict(zip([it.name for it in columns], row, strict=True)) for row in found]
        return []

    def _has_parents(self, table: Table, row: Row) -> bool:
        return all(self._refers(table, it, row) for it in table.references)

    def _refers(self, table: Table, reference: Reference, row: Row) -> bool:
        wanted = [row.get(name) for name in reference.columns]
        if None in wanted or reference.table == table.full_name:
            return True
        parents = self.copied.get(reference.table, [])
        return any([parent.get(name) for name in reference.referred] == wanted for parent in parents)

    def _stored(self, table: Table, columns: Sequence[Column], row: Row) -> bool:
        values = [self._masked(table, column, row[column.name]) for column in columns]
        names = sql.SQL(", ").join(sql.Identifier(it.name) for it in columns)
        marks = sql.SQL(", ").join([sql.Placeholder()] * len(columns))
        query = sql.SQL("insert into {} ({}) overriding system value values ({})")
        with suppress(Error), self.scratch.transaction():
            self.scratch.execute(query.format(sql.Identifier(table.schema, table.name), names, marks), values)
            return True
        return False

    def _masked(self, table: Table, column: Column, value: str | None) -> str | None:
        if value is None:
            return None
        rules = [*((it, column.name) for it in table.checks), *((it, "") for it in column.type.rules)]
        words = {word for rule, name in rules for word in hints(rule.expression, name, 1)}
        return masked(value, column.type, self.key, words)


def _move_on(connection: Connection[Any], table: Table) -> None:
    """The sequences of its columns go on after the highest number that was copied."""
    for column in table.columns:
        if not column.automatic:
            continue
        query = sql.SQL("select setval(pg_get_serial_sequence({}, {}), greatest(max({}), 1)) from {}").format(
            sql.Literal(f'"{table.schema}"."{table.name}"'),
            sql.Literal(column.name),
            sql.Identifier(column.name),
            sql.Identifier(table.schema, table.name),
        )
        with suppress(Error), connection.transaction():
            connection.execute(query)
