"""Tables as a generator of rows must know them: types, keys, references and checks; and in which order they fill.

Table ── columns ── ColumnType          fill_order(tables): parents before their children,
  ├──── uniques, checks: Rule           and in a circle the one first whose reference may be null
  └──── references: Reference
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """Something that refuses rows: a unique key, a check, a domain's check, the bounds of the partitions."""

    name: str
    """As PostgreSQL names it when it refuses a row."""
    columns: tuple[str, ...]
    expression: str = ""
    """Of a check, as PostgreSQL writes it back. In a domain's check the value is called VALUE."""


@dataclass(frozen=True, slots=True)
class ColumnType:
    name: str
    """As PostgreSQL writes it: `character varying(40)`, `public.mood`."""
    base: str
    """The name below all domains: `int4`, `varchar`, `timestamptz`."""
    length: int = 0
    """Characters of varchar, char and bit; 0: no limit."""
    precision: int = 0
    """Digits of a numeric; 0: no limit."""
    scale: int = 0
    """Digits of a numeric behind the point; also the dimensions of a vector."""
    labels: tuple[str, ...] = ()
    """Of an enum."""
    element: "ColumnType | None" = None
    """Of an array."""
    rules: tuple[Rule, ...] = ()
    """Of its domains."""
    required: bool = False
    """A domain that takes no null."""
    input_name: str = ""
    """As `name`, below all domains, with its limits."""


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: ColumnType
    nullable: bool = True
    defaulted: bool = False
    """It has a default, an identity or an expression."""
    automatic: bool = False
    """The database fills it: an identity, a sequence, a generated column. Writers leave it out."""
    generated: bool = False
    """Programs may not write it: `GENERATED ALWAYS`."""
    computed: bool = False
    """Nobody may: it is an expression of the others."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    name: str
    columns: tuple[str, ...]
    table: str
    """The one it refers to, qualified."""
    referred: tuple[str, ...]
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    schema: str
    name: str
    columns: tuple[Column, ...]
    uniques: tuple[Rule, ...] = ()
    """Primary key, unique constraints and unique indexes; with the columns of expressions and predicates."""
    checks: tuple[Rule, ...] = ()
    references: tuple[Reference, ...] = ()

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def written(self) -> tuple[Column, ...]:
        """The columns that a program fills."""
        return tuple(column for column in self.columns if not column.automatic)

    @property
    def keys(self) -> tuple[Rule, ...]:
        """The unique keys that a program's own values must keep: in the others the database makes a part."""
        automatic = {column.name for column in self.columns if column.automatic}
        return tuple(key for key in self.uniques if automatic.isdisjoint(key.columns))

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def rule_columns(self, rule: str) -> tuple[str, ...]:
        """The columns that a constraint of this name judges; all of them where no constraint has the name."""
        named: list[Rule | Reference] = [*self.uniques, *self.checks, *self.references]
        found = {name for it in named if it.name == rule for name in it.columns}
        found |= {column.name for column in self.columns for it in column.type.rules if it.name == rule}
        return tuple(column.name for column in self.written if not found or column.name in found)

    def may_wait(self, reference: Reference) -> bool:
        """Whether rows can be written without it first: a part of its columns may be null."""
        return any(self._takes_null(name) for name in reference.columns)

    def _takes_null(self, name: str) -> bool:
        column = self.column(name)
        return column.nullable and not column.automatic


def fill_order(tables: Iterable[Table]) -> tuple[Table, ...]:
    """Parents before children. Of a circle the table comes first that has the fewest references which cannot wait."""
    left = {table.full_name: table for table in sorted(tables, key=lambda it: it.full_name)}
    ordered: list[Table] = []
    while left:
        name = min(left, key=lambda it: (*_open(left[it], left), it))
        ordered.append(left.pop(name))
    return tuple(ordered)


def _open(table: Table, left: dict[str, Table]) -> tuple[int, int]:
    """How many of its references to tables without rows cannot wait, and how many there are."""
    waiting = [it for it in table.references if it.table in left and it.table != table.full_name]
    return sum(not table.may_wait(it) for it in waiting), len(waiting)


def waiting_references(table: Table, filled: Sequence[str]) -> tuple[Reference, ...]:
    """The references that are null at first, because their table has no rows yet, or is this one."""
    return tuple(it for it in table.references if it.table not in filled and table.may_wait(it))
