"""A migration script made ready to run: placeholders filled in, cut into statements with their lines.

Cut by PostgreSQL's own grammar (libpg_query), so that quotes, dollar quotes, comments and `begin atomic` bodies are
what the server takes them for. A script that does not parse is refused before the server sees any of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from typing import Any

from google.protobuf.message import DecodeError, Message

from rules.errors import InvalidInput

postgast: Any = import_module("postgast")
"""Imported so because its stub of the grammar's tree has fields named `None`, which mypy cannot parse."""

PLACEHOLDER = re.compile(r"\$\{([^{}\r\n]*)\}")
FROM_STDIN = re.compile(r"^\s*copy\b[^;]*\bfrom\s+stdin\b", re.IGNORECASE | re.MULTILINE)
LONGEST_EXCERPT = 80
SHORTEST_MASKED = 3
"""Characters of a placeholder's value: shorter ones, such as a digit, would mask half of every message."""
BY_SAVEPOINT = frozenset(
    {"TRANS_STMT_SAVEPOINT", "TRANS_STMT_RELEASE", "TRANS_STMT_ROLLBACK_TO"},
)
ALWAYS_ALONE = frozenset(
    {
        "AlterSystemStmt",
        "CreatedbStmt",
        "CreateSubscriptionStmt",
        "CreateTableSpaceStmt",
        "DropdbStmt",
        "DropSubscriptionStmt",
        "DropTableSpaceStmt",
    }
)
"""Statements that PostgreSQL never runs within a transaction. Others are so by an option."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a script. `line`: where it begins, from 1."""

    text: str
    line: int
    kind: str
    """Its node in PostgreSQL's grammar: `AlterTableStmt`."""
    alone: bool
    """It cannot run within a transaction, such as `create index concurrently`."""
    controls: bool
    """It begins or ends a transaction itself."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is sent to the server."""

    name: str
    statements: tuple[Statement, ...]
    in_transaction: bool


def prepare(name: str, sql: str, placeholders: Mapping[str, str] | None, *, in_transaction: bool | None) -> Prepared:
    """Make the script ready. `placeholders` None: they are left as they stand (`placeholderReplacement=false`).

    `in_transaction`: what the script's `.conf` says, None where it says nothing: then a script that consists only of
    statements that PostgreSQL runs outside of transactions runs without one, as Flyway has it.
    Raises InvalidInput: a placeholder without a value, SQL that does not parse, COPY FROM STDIN, BEGIN or COMMIT in a
    script that runs in a transaction, or statements that need one mixed with such that cannot have one.
    """
    text = sql.removeprefix("\ufeff")
    if "\0" in text:  # the grammar would end there, and what follows be left out
        raise InvalidInput(f"the text of {name}", "a NUL character", "text", "Nothing was run.")
    filled = text if placeholders is None else fill(name, text, placeholders)
    statements = _cut(name, filled, placeholders or {})
    return Prepared(name, statements, _in_transaction(name, statements, in_transaction))


def fill(name: str, sql: str, placeholders: Mapping[str, str]) -> str:
    """The SQL with each `${name}` replaced; upper and lower case are the same. Raises InvalidInput without a value."""
    values = {key.lower(): value for key, value in placeholders.items()}

    def value(found: re.Match[str]) -> str:
        key = found[1].strip()
        if key.lower() not in values:
            line = sql.count("\n", 0, found.start()) + 1
            known = ", ".join(sorted(values)) or "none"
            what, remedy = f"a placeholder in line {line} of {name}", "Give its value in the catalogue."
            raise InvalidInput(what, found[0], f"one with a value ({known})", remedy)
        return values[key.lower()]

    return PLACEHOLDER.sub(value, sql)


def masked(text: str, placeholders: Mapping[str, str]) -> str:
    """The text with the values of placeholders taken out again: some are passwords, and the server quotes SQL."""
    for key, value in sorted(placeholders.items(), key=lambda pair: -len(pair[1])):
        if len(value) >= SHORTEST_MASKED and not key.startswith("flyway:"):
            text = text.replace(value, f"${{{key}}}")
    return text


def excerpt(text: str) -> str:
    """The text in one short line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_EXCERPT else line[: LONGEST_EXCERPT - 1] + "…"


def _cut(name: str, sql: str, placeholders: Mapping[str, str]) -> tuple[Statement, ...]:
    try:
        raw = sql.encode()
        found = _statements(raw, sql)
    except postgast.PgQueryError as error:
        raise _unreadable(name, sql, error, placeholders) from None
    except UnicodeEncodeError:
        raise InvalidInput(f"the text of {name}", "half a character", "UTF-8", "Nothing was run.") from None
    lines = _lines(raw, [start for start, _, _ in found])
    return tuple(_statement(name, text, line, node) for (_, text, node), line in zip(found, lines, strict=True))


def _statements(raw: bytes, sql: str) -> list[tuple[int, str, Message | None]]:
    """Where each statement starts (in bytes), its text, and its node."""
    try:
        tree = postgast.parse(sql)
    except DecodeError:
        return _too_deep(raw, sql)
    ends = [one.stmt_location + one.stmt_len if one.stmt_len else len(raw) for one in tree.stmts]
    pairs = zip(tree.stmts, ends, strict=True)
    return [(one.stmt_location, raw[one.stmt_location : end].decode(), one.stmt) for one, end in pairs]


def _too_deep(raw: bytes, sql: str) -> list[tuple[int, str, Message | None]]:
    """A script with an expression that is nested too deeply for the tree to be handed over, though it does parse.

    Cut all the same. Statements that cannot be looked into are expressions and queries: none that ends a transaction.
    """
    found: list[tuple[int, str, Message | None]] = []
    at = 0
    for text in postgast.split(sql):
        at = raw.index(text.encode(), at)
        try:
            node = postgast.parse(text).stmts[0].stmt
        except DecodeError:
            node = None
        found.append((at, text, node))
        at += len(text.encode())
    return found


def _unreadable(name: str, sql: str, error: Any, placeholders: Mapping[str, str]) -> InvalidInput:
    if FROM_STDIN.search(sql):
        return _from_stdin(name)  # its rows follow the statement, and do not parse as SQL
    line = sql.count("\n", 0, max(error.cursorpos - 1, 0)) + 1
    said = masked(excerpt(error.message), placeholders)
    return InvalidInput(
        f"line {line} of {name}",
        said,
        "SQL as PostgreSQL 18 reads it",
        "Nothing was run. psql's \\ commands are no SQL.",
    )


def _from_stdin(name: str) -> InvalidInput:
    remedy = "Write INSERT statements, or load the rows outside of migrations. Nothing was run."
    return InvalidInput(
        f"a statement of {name}", "COPY … FROM STDIN or TO STDOUT", "a statement that carries its own data", remedy
    )


def _lines(raw: bytes, starts: Sequence[int]) -> list[int]:
    """The line of each start. Starts ascend, so that each byte is looked at once."""
    lines, line = [], 1
    for before, start in pairwise((0, *starts)):
        line += raw.count(b"\n", before, start)
        lines.append(line)
    return lines


def _statement(name: str, text: str, line: int, stmt: Message | None) -> Statement:
    # What stands before the statement, such as blank lines, is no part of it where we tell its line.
    stripped = text.lstrip()
    line += text[: len(text) - len(stripped)].count("\n")
    if stmt is None:
        return Statement(stripped.rstrip(), line, "", alone=False, controls=False)
    node = getattr(stmt, stmt.WhichOneof("node") or "")
    kind = node.DESCRIPTOR.name
    if kind == "CopyStmt" and not node.filename:
        raise _from_stdin(name)
    controls = kind == "TransactionStmt" and _name_of(node, "kind") not in BY_SAVEPOINT
    return Statement(stripped.rstrip(), line, kind, _alone(kind, node), controls)


def _alone(kind: str, node: Message) -> bool:
    if kind in ALWAYS_ALONE:
        return True
    if kind in {"IndexStmt", "DropStmt"}:
        return bool(getattr(node, "concurrent", False))
    if kind == "VacuumStmt":
        return bool(getattr(node, "is_vacuumcmd", False))
    if kind == "ReindexStmt":
        return _name_of(node, "kind") in {"REINDEX_OBJECT_SCHEMA", "REINDEX_OBJECT_DATABASE"} or _concurrently(node)
    return kind == "DiscardStmt" and _name_of(node, "target") == "DISCARD_ALL"


def _concurrently(node: Message) -> bool:
    return any(param.def_elem.defname == "concurrently" for param in getattr(node, "params", ()))


def _name_of(node: Message, field: str) -> str:
    """The name of the enumeration's value in this field."""
    kind = node.DESCRIPTOR.fields_by_name[field].enum_type
    return str(kind.values_by_number[getattr(node, field)].name)


def _in_transaction(name: str, statements: Sequence[Statement], declared: bool | None) -> bool:
    if declared is False:
        return False
    alone = [it for it in statements if it.alone]
    if alone and declared is None and len(alone) == len(statements):
        return False
    _refuse(name, alone, "a statement that can run in a transaction", "Put it into a script of its own")
    controls = [it for it in statements if it.controls]
    _refuse(name, controls, "a script whose transaction is begun and ended for it", "Take BEGIN and COMMIT out")
    return True


def _refuse(name: str, statements: Sequence[Statement], allowed: str, remedy: str) -> None:
    if statements:
        first = statements[0]
        said = f"{remedy}, or write executeInTransaction=false into {name}.conf. Nothing was run."
        raise InvalidInput(f"line {first.line} of {name}", excerpt(first.text), allowed, said)
