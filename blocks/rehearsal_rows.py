"""Fills tables with generated rows by trying: PostgreSQL says which rule refuses a row, and we go on from there.

    slots ──▶ a first row ──refused by a rule──▶ its columns move on ──▶ … ──▶ it is taken
          ──▶ the others ──refused──▶ the first row, with each value of theirs that is taken

Each try is a savepoint. What no try could fill is said, with the rule that stood in the way.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, Error, sql

from rules.row_checks import hints
from rules.row_plans import Place, Row, Slot, first, moved, row_at, spread
from rules.row_tables import Column, Reference, Table, fill_order, waiting_references
from rules.row_values import Value, pool

MOST_TRIES = 1_500
"""For the first row of a table, and for each later row's keys a tenth of it."""
SPARE = 20
"""More values of a unique column than rows: for statements that are tried later."""
AGAIN = 3
"""Rows at the end that repeat the first but for the keys: duplicates in all that may be duplicated."""
MOST_PARENTS = 40


@dataclass(frozen=True, slots=True)
class Filled:
    """What a table got."""

    table: Table
    rows: int = 0
    extra: tuple[Row, ...] = ()
    """Rows that it would take on top of that; they were tried and taken back."""
    problem: str = ""
    """Why it has no row."""


@dataclass(frozen=True, slots=True)
class Refusal:
    columns: tuple[str, ...]
    """Those that the rule judges."""
    sentence: str


def fill_all(connection: Connection[Any], tables: Iterable[Table], rows: int) -> tuple[Filled, ...]:
    """Rows in every table, parents first; then the references that had to wait. In the caller's transaction."""
    done: dict[str, Filled] = {}
    waiting: list[tuple[Table, Reference]] = []
    connection.execute("set constraints all immediate")
    for table in fill_order(tables):
        postponed = waiting_references(table, [name for name, it in done.items() if it.rows])
        done[table.full_name] = _Filling(connection, table, postponed).fill(rows)
        waiting += [(table, it) for it in postponed]
    for table, reference in waiting:
        _link(connection, table, reference)
    return tuple(done.values())


def insert_of(table: Table, row: Row) -> sql.Composed:
    """An INSERT with a placeholder for each value. An empty row is one of defaults only."""
    into = sql.SQL("insert into {} ").format(sql.Identifier(table.schema, table.name))
    if not row:
        return into + sql.SQL("default values")
    names = sql.SQL(", ").join(map(sql.Identifier, row))
    return into + sql.SQL("({}) values ({})").format(names, sql.SQL(", ").join([sql.Placeholder()] * len(row)))


@dataclass(slots=True)
class _Filling:
    connection: Connection[Any]
    table: Table
    postponed: Sequence[Reference]
    last: Refusal = field(default=Refusal((), "no row was tried"))

    def fill(self, count: int) -> Filled:
        slots = self._slots(count + SPARE)
        if lacking := [" and ".join(slot.columns) for slot in slots if not slot.choices]:
            return Filled(self.table, problem=f"{lacking[0]} refers to a table that has no rows")
        base = self._first(slots)
        if base is None:
            return Filled(self.table, problem=f"no generated row is taken: {self.last.sentence}")
        taken = [self._later(slots, base, number, count, keep=True) for number in range(1, count)]
        extra = [self._later(slots, base, number, count + 3, keep=False) for number in range(count, count + 3)]
        return Filled(self.table, 1 + sum(it is not None for it in taken), tuple(it for it in extra if it is not None))

    def _first(self, slots: Sequence[Slot]) -> Place | None:
        return self._searched(slots, first(slots), MOST_TRIES, keep=True)

    def _searched(self, slots: Sequence[Slot], place: Place, tries: int, *, keep: bool) -> Place | None:
        """From a place on, to one whose row is taken."""
        for _ in range(tries):
            refusal = self._refused(row_at(slots, place), keep=keep)
            if refusal is None:
                return place
            self.last = refusal
            place = moved(slots, place, refusal.columns)
        return None

    def _later(self, slots: Sequence[Slot], base: Place, number: int, count: int, *, keep: bool) -> Row | None:
        """The row of this number as it is meant to be; or else as near to it as the table takes it."""
        wanted = self._wanted(slots, base, number, again=number >= count - AGAIN)
        if self._refused(row := row_at(slots, wanted), keep=keep) is None:
            return row
        place = self._searched(slots, self._wanted(slots, base, number, again=True), MOST_TRIES // 10, keep=False)
        if place is None:
            return None
        for at in range(len(slots)):
            nearer = (*place[:at], wanted[at], *place[at + 1 :])
            if nearer != place and self._refused(row_at(slots, nearer), keep=False) is None:
                place = nearer
        return row if self._refused(row := row_at(slots, place), keep=keep) is None else None

    def _wanted(self, slots: Sequence[Slot], base: Place, number: int, *, again: bool) -> Place:
        """Each slot its turn; or, for a repetition of the first row, only those of keys."""
        meant = spread(slots, self.table, number)
        keys = {name for key in self.table.uniques for name in key.columns}
        if not again:
            return meant
        return tuple(meant[at] if slot.meets(keys) else base[at] for at, slot in enumerate(slots))

    def _refused(self, row: Row, *, keep: bool) -> Refusal | None:
        try:
            with self.connection.transaction(force_rollback=not keep):
                self.connection.execute(insert_of(self.table, row), list(row.values()) or None)
        except Error as error:
            return Refusal(self._judged(error), str(error.diag.message_primary or error))
        return None

    def _judged(self, error: Error) -> tuple[str, ...]:
        if (column := error.diag.column_name) and error.sqlstate == "23502":
            return (column,)
        return self.table.rule_columns(error.diag.constraint_name or self.table.name)

    def _slots(self, count: int) -> tuple[Slot, ...]:
        null = {name for it in self.postponed for name in it.columns}
        references = [
            it for it in self.table.references if it not in self.postponed and it.table != self.table.full_name
        ]
        slots = [Slot(it.columns, self._parents(it)) for it in references]
        referring = {name for slot in slots for name in slot.columns}
        for column in self.table.written:
            if column.name not in referring:
                empty = column.name in null and column.nullable
                slots.append(Slot((column.name,), ((None,),) if empty else self._choices(column, count)))
        return tuple(slots)

    def _choices(self, column: Column, count: int) -> tuple[tuple[Value, ...], ...]:
        keys = {name for key in self.table.uniques for name in key.columns}
        rules = [it for it in self.table.checks if column.name in it.columns]
        wanted = [it for rule in rules for it in hints(rule.expression, column.name, count)]
        wanted += [it for rule in column.type.rules for it in hints(rule.expression, "", count)]
        values = pool(column, wanted, count if column.name in keys else 0)
        return tuple((it,) for it in values if it is None or self._is_valid(it, column)) or ((None,),)

    def _is_valid(self, value: str, column: Column) -> bool:
        """Whether the type takes the value. That of a domain is asked for what is below it: its rules come later."""
        cast = sql.SQL("select cast({} as {})").format(sql.Placeholder(), sql.SQL(column.type.input_name))
        with suppress(Error), self.connection.transaction():
            self.connection.execute(cast, [value])
            return True
        return False

    def _parents(self, reference: Reference) -> tuple[tuple[Value, ...], ...]:
        """The keys that may be referred to. With null, where one of the columns takes it."""
        found = self.connection.execute(_keys_of(reference)).fetchall()
        nulls = tuple(None if self.table.column(name).nullable else "" for name in reference.columns)
        if None not in nulls:
            return tuple(found)
        empty = tuple(None for _ in nulls) if "" not in nulls else None
        return (*found[:1], *([empty] if empty else []), *found[1:])


def _keys_of(reference: Reference) -> sql.Composed:
    schema, _, name = reference.table.partition(".")
    texts = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(it)) for it in reference.referred)
    present = sql.SQL(" and ").join(sql.SQL("{} is not null").format(sql.Identifier(it)) for it in reference.referred)
    query = sql.SQL("select distinct {} from {} where {} order by {} limit {}")
    order = sql.SQL(", ").join(sql.Literal(at) for at in range(1, len(reference.referred) + 1))
    return query.format(texts, sql.Identifier(schema, name), present, order, sql.Literal(MOST_PARENTS))


def _link(connection: Connection[Any], table: Table, reference: Reference) -> None:
    """Half of the rows get the reference that they waited for, where the table lets them."""
    found = connection.execute(_keys_of(reference)).fetchmany(1)
    settable = {it.name for it in table.columns if not it.generated}
    if not found or not settable.issuperset(reference.columns):
        return
    pairs = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in reference.columns)
    target = sql.Identifier(table.schema, table.name)
    half = sql.SQL("update {0} set {1} where ctid in (select ctid from {0} limit (select (count(*) + 1) / 2 from {0}))")
    with suppress(Error), connection.transaction():
        connection.execute(half.format(target, pairs), found[0])


def unfilled(filled: Iterable[Filled]) -> Mapping[str, str]:
    """Why a table has no row, by its name."""
    return {it.table.full_name: it.problem for it in filled if it.problem}
