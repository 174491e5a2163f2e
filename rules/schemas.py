"""A PostgreSQL schema as a value: canonical, sorted, hashable; and what differs between two of them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from rules.errors import InvalidInput
from rules.schema_changes import Kind, SchemaChange, serves

_OF_A_TABLE = {Kind.COLUMN, Kind.PRIMARY_KEY, Kind.UNIQUE, Kind.EXCLUSION, Kind.CHECK, Kind.INDEX}


@dataclass(frozen=True, slots=True, order=True)
class SchemaObject:
    kind: Kind
    name: str
    """Qualified: `public.orders`; of a column or constraint `public.orders.id`."""
    facts: tuple[tuple[str, str], ...] = ()
    """Sorted. Of a column: type, nullable (`true` or `false`), default, generated, identity."""
    table: str = ""
    """The qualified table that a column, constraint or index belongs to."""


@dataclass(frozen=True, slots=True)
class Schema:
    """All objects, sorted by kind and name. Made by `schema_of`."""

    objects: tuple[SchemaObject, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        return hashlib.sha256(
            repr([(str(it.kind), it.name, it.facts, it.table) for it in self.objects]).encode()
        ).hexdigest()


def schema_object(kind: Kind, name: str, facts: Mapping[str, str] | None = None, table: str = "") -> SchemaObject:
    return SchemaObject(kind, name, tuple(sorted((facts or {}).items())), table)


def schema_of(objects: Iterable[SchemaObject]) -> Schema:
    """Raises InvalidInput where there is no object at all, or two of one kind and name."""
    found = tuple(sorted(objects))
    if not found:
        raise InvalidInput("A schema", "empty", "one object or more", "Check the schema's name and the permissions.")
    for one, other in pairwise(found):
        if (one.kind, one.name) == (other.kind, other.name):
            raise InvalidInput("A schema's object", f"{one.kind} {one.name}", "once only")
    return Schema(found)


def compare(old: Schema, new: Schema) -> list[SchemaChange]:
    """What differs, by kind and name. A table that came or went tells for its columns, keys and indexes."""
    before, after = _by_name(old), _by_name(new)
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    return [
        _change(before.get(key), after.get(key))
        for key in differing
        if not _told_by_table(before.get(key) or after[key], before, after)
    ]


def _by_name(schema: Schema) -> dict[tuple[Kind, str], SchemaObject]:
    return {(it.kind, it.name): it for it in schema.objects}


def _told_by_table(
    it: SchemaObject, before: Mapping[tuple[Kind, str], object], after: Mapping[tuple[Kind, str], object]
) -> bool:
    table = (Kind.TABLE, it.table)
    return it.kind in _OF_A_TABLE and (table in before) != (table in after)


def _change(old: SchemaObject | None, new: SchemaObject | None) -> SchemaChange:
    mine, given = (dict(old.facts) if old else None), (dict(new.facts) if new else None)
    it = new or old
    if it is None:
        raise InvalidInput("A change", "nothing", "an old object or a new one")
    how = "differs" if old and new else "is new" if new else "is gone"
    for_old, for_new = serves(it.kind, mine, given), serves(it.kind, given, mine)
    sentence = f"The {it.kind} {it.name} {how}: old code {for_old.service} ({for_old.reason}), "
    sentence += f"new code {for_new.service} ({for_new.reason})."
    return SchemaChange(it.kind, it.name, sentence, for_old, for_new)
