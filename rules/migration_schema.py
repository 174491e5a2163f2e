"""What is known of a schema while scripts are read, one after the other: what they made, and what they took away."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Node = Mapping[str, Any]
Listed = tuple[str, frozenset[str]]
PUBLIC = "public"


@dataclass(slots=True)
class Known:
    """Names are lower case; those without a schema are of `public`. Column: `public.events.title`."""

    pending: bool = False
    """Whether the script that is read is still to be applied: only then something is new to the code that runs."""
    new: set[str] = field(default_factory=set)
    """Tables, columns and types that pending scripts made: the code that runs does not know them."""
    gone: set[str] = field(default_factory=set)
    """What pending scripts dropped or renamed."""
    defaults: set[str] = field(default_factory=set)
    """Columns that fill themselves."""
    checks: dict[str, Listed | None] = field(default_factory=dict)
    """By `table.constraint`: the column and the values that it lets in; None where it is no list of values."""
    dropped_checks: dict[str, Listed | None] = field(default_factory=dict)

    def make(self, name: str) -> None:
        if self.pending:
            self.new.add(name)

    def drop(self, name: str) -> None:
        if self.pending:
            self.gone.add(name)
        self.new.discard(name)

    def is_new(self, *names: str) -> bool:
        """Whether one of them, such as a column or its table, was made by a pending script."""
        return any(name in self.new for name in names)


def table_of(relation: Node) -> str:
    return f"{relation.get('schemaname') or PUBLIC}.{relation.get('relname', '')}"


def texts(items: Iterable[Node]) -> list[str]:
    """The parts of a qualified name."""
    return [str(it["string"]["sval"]) for it in items if "string" in it]


def qualified(parts: list[str]) -> str:
    return ".".join(parts if len(parts) > 1 else [PUBLIC, *parts])


def values_of(check: Node) -> Listed | None:
    """Of a check that lists what a column may be: the column, and the values. None for any other."""
    found = check.get("a_expr", {})
    if found.get("kind") not in {"AEXPR_IN", "AEXPR_OP_ANY"} or texts(found.get("name", ())) != ["="]:
        return None
    column = _column(found.get("lexpr", {}))
    values = list(_constants(found.get("rexpr", {})))
    if not column or not values or None in values:
        return None
    return column, frozenset(str(it) for it in values)


def _column(node: Node) -> str:
    if "type_cast" in node:
        return _column(node["type_cast"].get("arg", {}))
    fields = texts(node.get("column_ref", {}).get("fields", ()))
    return fields[-1] if fields else ""


def _constants(node: Node) -> Iterator[str | None]:
    for kind in ("list", "a_array_expr"):
        if kind in node:
            for it in node[kind].get("items") or node[kind].get("elements") or ():
                yield constant(it)
            return
    yield None


def constant(node: Node) -> str | None:
    """The text of a literal, through casts; None for what is none."""
    if "type_cast" in node:
        return constant(node["type_cast"].get("arg", {}))
    found = node.get("a_const")
    if found is None:
        return None
    for kind, key in (("sval", "sval"), ("ival", "ival"), ("fval", "fval"), ("boolval", "boolval")):
        if kind in found:
            return str(found[kind].get(key, 0))
    return None
