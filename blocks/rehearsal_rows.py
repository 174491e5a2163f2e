"""Fills tables with generated rows by trying: PostgreSQL says which rule refuses a row, and we go on from there.

    slots ──▶ a first row ──refused by a rule──▶ its columns move on ──▶ … ──▶ it is taken
          ──▶ the others ──refused──▶ the first row, with each value of theirs that is taken

Each try is a savepoint. What no try could fill is said, with the rule that stood in the way.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection, Error, sql

from rules.row_checks import hints
from rules.row_plans import Place, Row, Slot, capacity, first, keyed, moved, row_at, spread
from rules.row_tables import Column, Reference, Table, fill_order, waiting_references
from rules.row_values import Value, pool

MOST_TRIES = 1_500
"""For the first row of a table."""
FEW_TRIES = 40
"""For a row with a certain value, or with keys that are free."""
SPARE = 60
"""More values of a unique column than rows: for what is tried on top."""
COVERED = 8
"""So many choices of each column are brought into a row, whatever else must change for it."""
AGAIN = 3
"""Rows at the end that repeat the first but for the keys: duplicates in all that may be duplicated."""
HINTS = 4
"""Values that a check speaks of, for each of its comparisons; more for keys."""
LASTING = ("23514", "23502")
"""SQLSTATE of checks and of NOT NULL."""
MOST_PARENTS = 40


@dataclass(frozen=True, slots=True)
class Filled:
    """What a table got."""

    table: Table
    rows: int = 0
    extra: tuple[Row, ...] = ()
    """Rows that it would take on top of that; they were tried and taken back."""
    first: Row | None = None
    """One that it has."""
    problem: str = ""
    """Why it has no row."""


@dataclass(frozen=True, slots=True)
class Refusal:
    columns: tuple[str, ...]
    """Those that the rule judges."""
    sentence: str
    lasts: bool = False
    """The rule looks at nothing but the values of these columns in this row."""


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
    slots: tuple[Slot, ...] = ()
    kept: list[Row] = field(default_factory=list)
    extra: list[Row] = field(default_factory=list)
    refused: set[tuple[int, int]] = field(default_factory=set)
    """Slots and choices that no row can have, whatever its other values."""
    taken: Place = ()
    """Where the keys stand that were given last."""
    last: Refusal = field(default=Refusal((), "no row was tried"))

    def fill(self, count: int) -> Filled:
        self.slots = self._slots(count + SPARE)
        if lacking := [" and ".join(slot.columns) for slot in self.slots if not slot.choices]:
            return Filled(self.table, problem=f"{lacking[0]} refers to a table that has no rows")
        base = self._searched(first(self.slots), MOST_TRIES, keep=True)
        if base is None:
            return Filled(self.table, problem=f"no generated row is taken: {self.last.sentence}")
        least = max(1, min(count, capacity(self.slots, self.table) - AGAIN))
        for number in range(1, least):
            self._later(base, number, least)
        self._try_on_top(base, least)
        return Filled(self.table, len(self.kept), tuple(self.extra), self.kept[0])

    def _searched(self, place: Place, tries: int, *, keep: bool, pinned: Collection[str] = ()) -> Place | None:
        """From a place on, to one whose row is taken. The columns that are pinned do not move."""
        seen = {place}
        for _ in range(tries):
            refusal = self._refused(row_at(self.slots, place), keep=keep)
            if refusal is None:
                return place
            self.last = refusal
            if not (movable := set(refusal.columns).difference(pinned)):
                return None
            place = moved(self.slots, place, movable)
            if place in seen:
                return None
            seen.add(place)
        return None

    def _later(self, base: Place, number: int, count: int) -> None:
        """The row of this number as it is meant to be; or else as near to it as the table takes it."""
        meant = spread(self.slots, self.table, number, count)
        wanted = tuple(base[at] if (at, it) in self.refused else it for at, it in enumerate(meant))
        if number >= count - AGAIN:
            wanted = keyed(self.slots, self.table, base, wanted)
        if self._refused(row_at(self.slots, wanted), keep=True) is None:
            return
        place = self._searched(keyed(self.slots, self.table, base, wanted), FEW_TRIES, keep=False)
        if place is not None:
            self._refused(row_at(self.slots, self._nearer(place, wanted)), keep=True)

    def _nearer(self, place: Place, wanted: Place) -> Place:
        """A place that is taken, with each of the wanted values that is taken too."""
        for at in range(len(self.slots)):
            nearer = _with(place, at, wanted[at])
            if nearer == place:
                continue
            refusal = self._refused(row_at(self.slots, nearer), keep=False)
            if refusal is None:
                place = nearer
            elif refusal.lasts and set(refusal.columns) <= set(self.slots[at].columns):
                self.refused.add((at, wanted[at]))
        return place

    def _try_on_top(self, base: Place, count: int) -> None:
        """Rows that the table would take as well: each of the first choices of each column is in one, if it can be."""
        meant = keyed(self.slots, self.table, base, spread(self.slots, self.table, count, count))
        free = self._searched(meant, MOST_TRIES // 10, keep=False) or meant
        self.taken = free
        for number in range(COVERED):
            self._try_extra(keyed(self.slots, self.table, spread(self.slots, self.table, number, count), free))
        for at, slot in enumerate(self.slots):
            for choice in range(min(len(slot.choices), COVERED if len(slot.columns) == 1 else 2)):
                self._cover(free, at, choice)
        self._try_extra(free)

    def _cover(self, free: Place, at: int, choice: int) -> None:
        """The value in a row on top, and in one that stays, which must not take the keys that are free."""
        slot = self.slots[at]
        on_top, stays = _has(self.extra, slot, choice), _has(self.kept, slot, choice)
        if on_top and stays:
            return
        found = self._searched(_with(free, at, choice), FEW_TRIES, keep=False, pinned=slot.columns)
        if found is None:
            return
        if not on_top:
            self._try_extra(found)
        if not stays and not any(slot.meets(key.columns) for key in self.table.keys):
            self.taken = moved(self.slots, self.taken, {name for key in self.table.keys for name in key.columns})
            place = keyed(self.slots, self.table, found, self.taken)
            self.taken = self._searched(place, FEW_TRIES, keep=True, pinned=slot.columns) or self.taken

    def _try_extra(self, place: Place) -> None:
        row = row_at(self.slots, place)
        if row not in self.extra and self._refused(row, keep=False) is None:
            self.extra.append(row)

    def _refused(self, row: Row, *, keep: bool) -> Refusal | None:
        try:
            with self.connection.transaction(force_rollback=not keep):
                self.connection.execute(insert_of(self.table, row), list(row.values()) or None)
        except Error as error:
            lasts = error.sqlstate in LASTING
            return Refusal(self._judged(error), str(error.diag.message_primary or error), lasts)
        if keep:
            self.kept.append(row)
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
        keys = {name for key in self.table.keys for name in key.columns}
        rules = [it for it in self.table.checks if column.name in it.columns]
        most = count if column.name in keys else HINTS
        wanted = [it for rule in rules for it in hints(rule.expression, column.name, most)]
        wanted += [it for rule in column.type.rules for it in hints(rule.expression, "", most)]
        values = pool(column, wanted, count if column.name in keys else 0)
        valid = set(self._valid([it for it in values if it is not None], column))
        return tuple((it,) for it in values if it is None or it in valid) or ((None,),)

    def _valid(self, values: Sequence[str], column: Column) -> Sequence[str]:
        """Those that the type takes. That of a domain is asked for what is below it: its rules come later."""
        cast = sql.SQL("select count(cast(it as {})) from unnest({}::text[]) it")
        query = cast.format(sql.SQL(column.type.input_name), sql.Placeholder())
        with suppress(Error), self.connection.transaction():
            self.connection.execute(query, [list(values)])
            return values
        half = len(values) // 2
        return [*self._valid(values[:half], column), *self._valid(values[half:], column)] if half else []

    def _parents(self, reference: Reference) -> tuple[tuple[Value, ...], ...]:
        """The keys that may be referred to. With null, where one of the columns takes it."""
        found = self.connection.execute(_keys_of(reference)).fetchall()
        nulls = tuple(None if self.table.column(name).nullable else "" for name in reference.columns)
        if None not in nulls:
            return tuple(found)
        empty = tuple(None for _ in nulls) if "" not in nulls else None
        return (*found[:1], *([empty] if empty else []), *found[1:])


def _with(place: Place, at: int, choice: int) -> Place:
    return (*place[:at], choice, *place[at + 1 :])


def _has(rows: Sequence[Row], slot: Slot, choice: int) -> bool:
    values = slot.choices[choice]
    return any(all(row[name] == value for name, value in zip(slot.columns, values, strict=True)) for row in rows)


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
