"""Which row is tried next: values put together by slots, so that keys are new and references are met.

A *slot* is one column, or the columns of one foreign key, with its choices. A *place* says which choice of each slot is
meant. A row that was refused tells by its constraint's name which slots are moved on; the others stay.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rules.row_tables import Table
from rules.row_values import Value

Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Slot:
    columns: tuple[str, ...]
    choices: tuple[tuple[Value, ...], ...]
    """Never empty; a tuple has one value for each column."""

    def meets(self, columns: Collection[str]) -> bool:
        return any(column in columns for column in self.columns)


Place = tuple[int, ...]
"""For each slot, how far on in its choices."""


def first(slots: Sequence[Slot]) -> Place:
    return (0,) * len(slots)


def row_at(slots: Sequence[Slot], place: Place) -> dict[str, Value]:
    """The row of a place. Where two foreign keys share a column, the second takes a choice that fits the first."""
    row: dict[str, Value] = {}
    for slot, at in zip(slots, place, strict=True):
        row |= zip(slot.columns, _fitting(slot, row, at), strict=True)
    return row


def _fitting(slot: Slot, row: Row, at: int) -> tuple[Value, ...]:
    if row.keys().isdisjoint(slot.columns):
        return slot.choices[at % len(slot.choices)]
    fitting = [
        choice
        for choice in slot.choices
        if all(row.get(name, value) == value for name, value in zip(slot.columns, choice, strict=True))
    ]
    choices = fitting or slot.choices
    return choices[at % len(choices)]


def moved(slots: Sequence[Slot], place: Place, columns: Collection[str]) -> Place:
    """The next place, where only slots of these columns move, like the wheels of a counter that begins anew."""
    wheels = list(place)
    for number, slot in enumerate(slots):
        if not slot.meets(columns):
            continue
        wheels[number] = (wheels[number] + 1) % len(slot.choices)
        if wheels[number]:
            break
    return tuple(wheels)


def spread(slots: Sequence[Slot], table: Table, number: int, count: int) -> Place:
    """The place of the row with this number, of about so many; 0 is the most ordinary.

    Columns that are unique alone and columns that are in no key take one choice after the other. Those of a key of
    several columns count like digits, so that each repeats although no pair does.
    """
    place = {name: number for slot in slots for name in slot.columns}
    alone = unique_alone(table)
    for key in table.keys:
        if len(key.columns) > 1:
            place |= _counted([slot for slot in slots if slot.meets(set(key.columns) - alone)], number, count)
    return tuple(place[slot.columns[0]] % len(slot.choices) for slot in slots)


def unique_alone(table: Table) -> set[str]:
    return {key.columns[0] for key in table.keys if len(key.columns) == 1}


def capacity(slots: Sequence[Slot], table: Table) -> int:
    """So many rows the table can have: no more than the scarcest column that is unique alone has choices."""
    alone = unique_alone(table)
    return min((sum(None not in it for it in slot.choices) for slot in slots if slot.meets(alone)), default=10**9)


def keyed(slots: Sequence[Slot], table: Table, place: Place, key_place: Place) -> Place:
    """A place with the keys of another."""
    keys = {name for key in table.keys for name in key.columns}
    pairs = zip(slots, place, key_place, strict=True)
    return tuple(other if slot.meets(keys) else own for slot, own, other in pairs)


def _counted(slots: Sequence[Slot], number: int, count: int) -> dict[str, int]:
    """Digits of about the same base, the last slot takes what is left."""
    base = 2
    while base ** len(slots) < count:
        base += 1
    place: dict[str, int] = {}
    for slot in slots[:-1]:
        number, digit = divmod(number, min(base, len(slot.choices)))
        place |= dict.fromkeys(slot.columns, digit)
    return place | {name: number for slot in slots[-1:] for name in slot.columns}
