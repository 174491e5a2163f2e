"""A rehearsal of database migrations, from the copy of the target's schema to what the scripts broke.

    scratch database ◀──schema of the target
         │ rows in every table ──▶ statements of the running version, tried
         │ the pending scripts, one by one, timed
         ▼ the statements again, and what the schema is now ──▶ Rehearsal

The target is only read; its rows only where a sample is wanted, and masked. What only fails with data is found here.
"""

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, Protocol

import psycopg
from psycopg import Connection
from pydantic import SecretStr

from blocks.rehearsal_rows import Filled, fill_all, unfilled
from blocks.rehearsal_samples import Sample
from blocks.rehearsal_statements import Statement, broken, statements_of
from blocks.rehearsal_tables import HISTORY, read_tables
from blocks.scratch_databases import SYSTEM, NotCopied, ScratchServer, reading
from rules.errors import InvalidInput, Outage
from rules.rehearsals import BrokenStatement, Rehearsal, ScriptFailure, ScriptRun
from rules.row_tables import Table
from rules.schemas import Schema, compare

postgast: Any = import_module("postgast")
"""Not by an import statement: mypy cannot read its stubs, which have a field of the name None."""


class PreparedStatement(Protocol):
    @property
    def text(self) -> str: ...
    @property
    def line(self) -> int: ...


class PreparedScript(Protocol):
    """One pending script, its placeholders filled in; such as `blocks.migration_scripts.Prepared`."""

    @property
    def name(self) -> str: ...
    @property
    def statements(self) -> Sequence[PreparedStatement]: ...
    @property
    def in_transaction(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Piece:
    """One statement. `line`: where it begins, counted from 1."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class RehearsedScript:
    """A script from its plain text."""

    name: str
    sql: str
    in_transaction: bool = True

    @property
    def statements(self) -> Sequence[PreparedStatement]:
        """Raises postgast.PgQueryError, where it is not SQL."""
        return numbered(self.sql)


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
    sample: int = 0
    """So many rows of each table of the target are copied as well, their texts masked."""


ReadSchema = Callable[[SecretStr], Schema]


def rehearse(
    server: ScratchServer,
    target: SecretStr,
    scripts: Sequence[PreparedScript],
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
            server.copy_schema(target, scratch)
            return _Stage(target, scratch, limits, read_schema).play(scripts)
        except NotCopied as error:
            return Rehearsal(problem=str(error))
        except psycopg.OperationalError as error:
            raise Outage(SYSTEM, "rehearsing", str(error.diag.message_primary or error)) from None


@dataclass(slots=True)
class _Stage:
    target: SecretStr
    scratch: SecretStr
    limits: RehearsalLimits
    read_schema: ReadSchema | None

    def play(self, scripts: Sequence[PreparedScript]) -> Rehearsal:
        with self._connected() as connection:
            copied, filled, statements = self._prepared(connection)
        before = self._schema()
        runs = self._run_all(scripts)
        is_done = all(run.failure is None for run in runs)
        after = self._schema() if is_done else None
        return Rehearsal(
            tuple(runs),
            len(filled),
            copied + sum(it.rows for it in filled),
            unfilled(filled),
            len(statements),
            self._broken(statements) if is_done else (),
            tuple(compare(before, after)) if before and after else (),
        )

    def _run_all(self, scripts: Sequence[PreparedScript]) -> list[ScriptRun]:
        """Up to the first that fails. Each in a session of its own: what one sets there is not for the next."""
        runs: list[ScriptRun] = []
        for script in scripts:
            with self._connected() as connection:
                began = time.monotonic()
                failure = _run(connection, script)
                runs.append(ScriptRun(script.name, time.monotonic() - began, failure))
            if failure:
                break
        return runs

    def _broken(self, statements: Sequence[Statement]) -> tuple[BrokenStatement, ...]:
        with self._connected() as connection, connection.transaction():
            return broken(connection, statements)

    def _prepared(self, connection: Connection[Any]) -> tuple[int, tuple[Filled, ...], tuple[Statement, ...]]:
        tables = read_tables(connection, [self.limits.history])
        with connection.transaction():
            copied = self._sampled(connection, tables) if self.limits.sample else {}
            filled = fill_all(connection, tables, self.limits.rows)
        filled = tuple(replace(it, problem="") if copied.get(it.table.full_name) else it for it in filled)
        with connection.transaction():
            return sum(copied.values()), filled, statements_of(connection, filled)

    def _schema(self) -> Schema | None:
        """None where nobody wants it, and where the database is empty."""
        with suppress(InvalidInput):
            return self.read_schema(self.scratch) if self.read_schema else None
        return None

    def _sampled(self, connection: Connection[Any], tables: Sequence[Table]) -> dict[str, int]:
        """How many rows of each table were copied."""
        with reading(self.target) as target:
            sample = Sample(target, connection, secrets.token_bytes(32), self.limits.sample)
            sample.copy(tables)
        return {name: len(rows) for name, rows in sample.copied.items()}

    def _connected(self) -> Connection[Any]:
        connection = psycopg.connect(self.scratch.get_secret_value(), autocommit=True, connect_timeout=10)
        settings = {"statement_timeout": str(round(self.limits.seconds * 1000)), "search_path": self.limits.search_path}
        for name, value in settings.items():
            connection.execute("select set_config(%s, %s, false)", [name, value])
        return connection


def _run(connection: Connection[Any], script: PreparedScript) -> ScriptFailure | None:
    """One script, statement by statement, so that the line is known."""
    try:
        pieces = script.statements
        with connection.transaction() if script.in_transaction else nullcontext():
            return _first_failure(connection, pieces)
    except postgast.PgQueryError as error:
        return ScriptFailure(f"it is not SQL as PostgreSQL knows it: {error}")
    except psycopg.Error as error:  # at the end of the transaction: of a deferred constraint
        if connection.broken:
            raise
        return _failure(error, 0)


def _first_failure(connection: Connection[Any], pieces: Sequence[PreparedStatement]) -> ScriptFailure | None:
    for it in pieces:
        try:
            connection.execute(it.text.encode())
        except psycopg.Error as error:
            if connection.broken:
                raise
            return _failure(error, it.line)
    return None


def _failure(error: psycopg.Error, line: int) -> ScriptFailure:
    detail = f". {error.diag.message_detail}" if error.diag.message_detail else ""
    return ScriptFailure(f"{error.diag.message_primary or error}{detail}", error.sqlstate or "", line)


def numbered(script: str) -> list[Piece]:
    """The statements of a script, each with the line that it begins in, counted from 1."""
    found, at = [], 0
    for statement in postgast.split(script):
        begins = script.index(statement, at)
        at = begins + len(statement)
        found.append(Piece(statement, script.count("\n", 0, begins) + 1))
    return found
