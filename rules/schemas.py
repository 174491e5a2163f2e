"""A PostgreSQL schema as a value: canonical, sorted, hashable; and what differs between two of them."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import orjson

from rules.errors import InvalidInput
from rules.schema_changes import Judgement, Kind, SchemaChange, Service, serves

_CONSTRAINTS = {Kind.PRIMARY_KEY, Kind.FOREIGN_KEY, Kind.UNIQUE, Kind.EXCLUSION, Kind.CHECK}
_OF_A_TABLE = _CONSTRAINTS | {Kind.COLUMN, Kind.INDEX, Kind.TRIGGER, Kind.POLICY}


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
    def tables(self) -> int:
        return sum(it.kind is Kind.TABLE for it in self.objects)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        canonical = [(it.kind.value, it.name, it.facts, it.table) for it in self.objects]
        return hashlib.sha256(orjson.dumps(canonical)).hexdigest()


_Key = tuple[Kind, str]
_ByName = dict[_Key, SchemaObject]
_Constraints = dict[_Key, list[SchemaObject]]


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
    """What differs, by kind and name. A table that came or went tells for its columns, keys and indexes.

    A constraint that is new under its name serves where its table had one before that was no wider.
    """
    before, after = _by_name(old), _by_name(new)
    differing = sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))
    gone, come = (
        _constraints(one, [key for key in differing if key not in it]) for one, it in ((before, after), (after, before))
    )
    return [
        _change(before.get(key), after.get(key), gone, come)
        for key in differing
        if (key in before and key in after) or not _told_by_table(before.get(key) or after[key], before, after)
    ]


def _by_name(schema: Schema) -> _ByName:
    return {(it.kind, it.name): it for it in schema.objects}


def _constraints(by_name: _ByName, keys: Iterable[_Key]) -> _Constraints:
    """By kind and table: those that only one schema has under their names."""
    found: _Constraints = {}
    for key in keys:
        it = by_name[key]
        if it.kind in _CONSTRAINTS:
            found.setdefault((it.kind, it.table), []).append(it)
    return found


def _told_by_table(
    it: SchemaObject, before: Mapping[tuple[Kind, str], object], after: Mapping[tuple[Kind, str], object]
) -> bool:
    table = (Kind.TABLE, it.table)
    return it.kind in _OF_A_TABLE and (table in before) != (table in after)


def _change(old: SchemaObject | None, new: SchemaObject | None, gone: _Constraints, come: _Constraints) -> SchemaChange:
    it = new or old
    if it is None:
        raise InvalidInput("A change", "nothing", "an old object or a new one")
    how = "differs" if old and new else "is new" if new else "is gone"
    for_old, for_new = _service(it.kind, old, new, gone, come), _service(it.kind, new, old, come, gone)
    sentence = f"The {it.kind} {it.name} {how}: old code {for_old.service} ({for_old.reason}), "
    sentence += f"new code {for_new.service} ({for_new.reason})."
    return SchemaChange(it.kind, it.name, sentence, for_old, for_new)


def _service(
    kind: Kind, mine: SchemaObject | None, given: SchemaObject | None, had: _Constraints, has: _Constraints
) -> Judgement:
    """Whether what is given serves the code; a constraint may have another name there."""
    if mine and given and mine.table != given.table:
        return Judgement(Service.REVIEW, f"it belongs to {given.table or 'no table'}, the code knows {mine.table}")
    if given and not mine:
        others = [serves(kind, dict(it.facts), dict(given.facts)) for it in had.get((kind, given.table), [])]
    elif mine and not given and kind is not Kind.CHECK:
        others = [serves(kind, dict(mine.facts), dict(it.facts)) for it in has.get((kind, mine.table), [])]
    else:
        others = []
    if served := [it for it in others if it.service is Service.SAFE]:
        return Judgement(Service.SAFE, f"{served[0].reason}, under another name")
    return serves(kind, dict(mine.facts) if mine else None, dict(given.facts) if given else None)
