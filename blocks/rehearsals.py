"""A rehearsal of database migrations, from the copy of the target's schema to what the scripts broke.

    scratch database ◀──schema of the target
         │ rows in every table ──▶ statements of the running version, tried
         │ the pending scripts, one by one, timed
         ▼ the statements again, and what the schema is now ──▶ Rehearsal

The target is only read, and only its schema. What only fails with data is found here.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import psycopg
from psycopg import Connection
from pydantic import SecretStr

from blocks.rehearsal_rows import Filled, fill_all, unfilled
from blocks.rehearsal_statements import Statement, broken, statements_of
from blocks.rehearsal_tables import HISTORY, read_tables
from blocks.scratch_databases import NotCopied, ScratchServer
from rules.rehearsals import Rehearsal, ScriptFailure, ScriptRun
from rules.schemas import Schema, compare

postgast: Any = import_module("postgast")
"""Not by an import statement: mypy cannot read its stubs, which have a field of the name None."""


@dataclass(frozen=True, slots=True)
class RehearsedScript:
    """One pending script, as it is sent: its placeholders are filled in."""

    name: str
    sql: str
    in_transaction: bool = True


@dataclass(frozen=True, slots=True)
class RehearsalLimits:
    rows: int = 20
    """In each table."""
    seconds: float = 1800
    """Of one statement of a script."""
    search_path: str = "public"
    """The schema that scripts mean where they name none."""
    history: str = HISTORY
    """The migrations' own table: it gets no rows."""


ReadSchema = Callable[[SecretStr], Schema]


def rehearse(
    server: ScratchServer,
    target: SecretStr,
    scripts: Sequence[RehearsedScript],
    limits: RehearsalLimits,
    read_schema: ReadSchema | None = None,
) -> Rehearsal:
    """Apply the scripts to a copy of the target's schema with rows in every table, and say what came of it.

    Raises Outage, Declined and InvalidInput as the scratch server does; what the target's schema, the rows or the
    scripts bring about is in the answer.
    """
    if not scripts:
        return Rehearsal()
    with server.database(target) as scratch:
        try:
            left_out = server.copy_schema(target, scratch)
        except NotCopied as error:
            return Rehearsal(problem=str(error))
        return _Stage(scratch, limits, read_schema, left_out).play(scripts)


@dataclass(slots=True)
class _Stage:
    scratch: SecretStr
    limits: RehearsalLimits
    read_schema: ReadSchema | None
    left_out: tuple[str, ...]

    def play(self, scripts: Sequence[RehearsedScript]) -> Rehearsal:
        with self._connected() as connection:
            filled, statements = self._prepared(connection)
            before = self.read_schema(self.scratch) if self.read_schema else None
            runs = _run_all(connection, scripts)
            is_done = all(run.failure is None for run in runs)
            after = self.read_schema(self.scratch) if self.read_schema and is_done else None
            return Rehearsal(
                tuple(runs),
                len(filled),
                sum(it.rows for it in filled),
                unfilled(filled),
                len(statements),
                _broken(connection, statements) if is_done else (),
                tuple(compare(before, after)) if before and after else (),
            )

    def _prepared(self, connection: Connection[Any]) -> tuple[tuple[Filled, ...], tuple[Statement, ...]]:
        with connection.transaction():
            filled = fill_all(connection, read_tables(connection, [self.limits.history]), self.limits.rows)
        with connection.transaction():
            return filled, statements_of(connection, filled)

    def _connected(self) -> Connection[Any]:
        connection = psycopg.connect(self.scratch.get_secret_value(), autocommit=True, connect_timeout=10)
        settings = {"statement_timeout": str(round(self.limits.seconds * 1000)), "search_path": self.limits.search_path}
        for name, value in settings.items():
            connection.execute("select set_config(%s, %s, false)", [name, value])
        return connection


def _broken(connection: Connection[Any], statements: Sequence[Statement]) -> tuple[Any, ...]:
    with connection.transaction():
        return broken(connection, statements)


def _run_all(connection: Connection[Any], scripts: Sequence[RehearsedScript]) -> list[ScriptRun]:
    """Up to the first that fails."""
    runs: list[ScriptRun] = []
    for script in scripts:
        began = time.monotonic()
        failure = _run(connection, script)
        runs.append(ScriptRun(script.name, time.monotonic() - began, failure))
        if failure:
            break
    return runs


def _run(connection: Connection[Any], script: RehearsedScript) -> ScriptFailure | None:
    """One script, statement by statement, so that the line is known."""
    try:
        pieces = numbered(script.sql)
        with connection.transaction() if script.in_transaction else nullcontext():
            return _first_failure(connection, pieces)
    except postgast.PgQueryError as error:
        return ScriptFailure(f"it is not SQL as PostgreSQL knows it: {error}")
    except psycopg.Error as error:  # at the end of the transaction: of a deferred constraint
        return _failure(error, 0)


def _first_failure(connection: Connection[Any], pieces: Sequence[tuple[int, str]]) -> ScriptFailure | None:
    for line, statement in pieces:
        try:
            connection.execute(statement.encode())
        except psycopg.Error as error:
            return _failure(error, line)
    return None


def _failure(error: psycopg.Error, line: int) -> ScriptFailure:
    detail = f". {error.diag.message_detail}" if error.diag.message_detail else ""
    return ScriptFailure(f"{error.diag.message_primary or error}{detail}", error.sqlstate or "", line)


def numbered(script: str) -> list[tuple[int, str]]:
    """The statements of a script, each with the line that it begins in, counted from 1."""
    found, at = [], 0
    for statement in postgast.split(script):
        begins = script.index(statement, at)
        at = begins + len(statement)
        found.append((script.count("\n", 0, begins) + 1, statement))
    return found
