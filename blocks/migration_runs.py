"""One script in one session: in a transaction with its row of the history, or statement by statement without one."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.pq import TransactionStatus
from psycopg.rows import scalar_row

from blocks.migration_failures import SYSTEM, Broken, MigrationFailed, answering, failed
from blocks.migration_scripts import Prepared, Statement
from blocks.migration_table import Applied, Entry, HistoryTable
from rules.errors import Outage

ROLLED_BACK = "Its transaction was rolled back: nothing of it is in the database."
LOOKS_FOR_OLD_SNAPSHOTS = frozenset({"IndexStmt", "DropStmt", "ReindexStmt"})


class CommitLost(Exception):
    """The connection was lost during the commit: whether `row` is in the history has to be looked up."""

    def __init__(self, row: Applied) -> None:
        self.row = row
        super().__init__(row.script)


@dataclass(frozen=True, slots=True)
class ScriptRun:
    """Runs scripts over one connection, which is in autocommit and holds Flyway's lock."""

    connection: Connection[Any]
    table: HistoryTable
    placeholders: Mapping[str, str]
    monotonic: Callable[[], float] = time.monotonic

    def in_transaction(self, prepared: Prepared, entry: Entry) -> Applied:
        """All of it and its row, or nothing.

        Raises Broken (rolled back), Outage (lost before the commit), CommitLost.
        """
        try:
            row = self._until_commit(prepared, entry)
        except Broken as broken:
            if broken.lost:
                raise self._lost(prepared, broken) from None
            raise
        self._commit(row)
        return row

    def without_transaction(self, prepared: Prepared, entry: Entry) -> Applied:
        """Statement by statement. Raises MigrationFailed; then the row stays, with success = false.

        The row is written before and marked afterwards: should we die between, it tells that it was begun.
        """
        with answering(f"noting that {prepared.name} begins"):
            role = self._setting("role")
            row = self.table.add(self.connection, replace(entry, success=False))
        begun = self.monotonic()
        for done, statement in enumerate(prepared.statements):
            try:
                self._send(statement, patiently=statement.alone and statement.kind in LOOKS_FOR_OLD_SNAPSHOTS)
            except Broken as broken:
                self._abandon()
                raise failed(prepared.name, broken, self.placeholders, _half_done(prepared, done, row)) from None
        self._refuse_open_transaction(prepared, row)
        try:
            self._set("role", role)
            return self.table.finish(self.connection, row.installed_rank, self._milliseconds(begun))
        except psycopg.Error as error:
            unmarked = Broken(None, error, lost=self.connection.closed)
            standing = f"All of its statements are done, only its row (rank {row.installed_rank}) could not be marked."
            raise failed(prepared.name, unmarked, self.placeholders, standing) from None

    def _until_commit(self, prepared: Prepared, entry: Entry) -> Applied:
        begun = self.monotonic()
        try:
            role = self._setting("role")
            self.connection.execute("begin")
            for statement in prepared.statements:
                self._send(statement)
            return self._write(role, replace(entry, execution_time=self._milliseconds(begun)))
        except BaseException:  # an interrupted run too must not leave its transaction open behind the lock
            self._abandon()
            raise

    def _write(self, role: str, entry: Entry) -> Applied:
        try:
            self._set("role", role)
            return self.table.add(self.connection, entry)
        except psycopg.Error as error:
            raise Broken(None, error, lost=self.connection.closed) from None

    def _commit(self, row: Applied) -> None:
        try:
            self.connection.execute("commit")
        except psycopg.Error as error:
            if self.connection.closed:
                raise CommitLost(row) from None
            raise Broken(None, error, lost=False) from None  # such as a deferred constraint; the server rolled back

    def _send(self, statement: Statement, *, patiently: bool = False) -> None:
        """`patiently`: without a lock timeout, where it waits for old snapshots. Nobody queues behind it, and breaking
        it off leaves an invalid index; the statement timeout still bounds it.
        """
        try:
            lock_timeout = self._setting("lock_timeout") if patiently else ""
            if patiently:
                self._set("lock_timeout", "0")
            self.connection.execute(statement.text.encode())
            if patiently:
                self._set("lock_timeout", lock_timeout)
        except psycopg.Error as error:
            raise Broken(statement, error, lost=self.connection.closed) from None

    def _abandon(self) -> None:
        """Roll back what is open. A session that cannot is closed, and rolled back by the server."""
        if self.connection.closed or self.connection.info.transaction_status is TransactionStatus.IDLE:
            return
        try:
            self.connection.execute("rollback")
        except psycopg.Error:
            self.connection.close()

    def _setting(self, name: str) -> str:
        with self.connection.cursor(row_factory=scalar_row) as cursor:
            return str(cursor.execute("select pg_catalog.current_setting(%s)", (name,)).fetchone())

    def _set(self, name: str, value: str) -> None:
        """The role and others may have been changed by the script; the history is ours to write."""
        self.connection.execute("select pg_catalog.set_config(%s, %s, false)", (name, value))

    def _refuse_open_transaction(self, prepared: Prepared, row: Applied) -> None:
        if self.connection.info.transaction_status is TransactionStatus.IDLE:
            return
        self._abandon()
        said = "it begins a transaction and does not end it, so that what came after its BEGIN was rolled back"
        standing = _stays(row)
        raise MigrationFailed(prepared.name, prepared.statements[-1].line, "25001", said, standing)

    def _lost(self, prepared: Prepared, broken: Broken) -> Outage:
        doing = f"running {prepared.name}" + (f", line {broken.line}" if broken.line else "")
        what = "the connection was lost before the commit, so that PostgreSQL rolls all of it back. Run again."
        said = broken.error.diag.message_primary
        return Outage(SYSTEM, doing, f"{said}: {what}" if said else what)

    def _milliseconds(self, begun: float) -> int:
        return round((self.monotonic() - begun) * 1000)


def _half_done(prepared: Prepared, done: int, row: Applied) -> str:
    statement, before = prepared.statements[done], prepared.statements[:done]
    stays = f"The {done} before it are done and stay" if done else "Nothing came before it"
    lines = f" (lines {', '.join(str(it.line) for it in before)})" if before else ""
    left = len(prepared.statements) - done - 1
    index = " It may have left an invalid index behind; drop that." if statement.kind in LOOKS_FOR_OLD_SNAPSHOTS else ""
    return f"It runs without a transaction: {stays}{lines}; {left} after it were not begun.{index} {_stays(row)}"


def _stays(row: Applied) -> str:
    return (
        f"Its row (rank {row.installed_rank}) stays with success = false, and nothing more is applied until a person"
        " has finished or taken back by hand what it did, and deleted the row."
    )
