"""The door through which migrations are applied: Flyway's scripts, in Flyway's history, one run at a time.

A team whose services run Flyway when they start sees our rows as its own, and we see theirs; Flyway's own lock keeps
the two apart. Through a pooler that shares sessions between transactions (PgBouncer's `transaction`) there are no such
locks: the database is to be addressed directly.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from psycopg import Connection
from psycopg.rows import tuple_row

from blocks.migration_failures import SYSTEM, WORTH_ANOTHER_TRY, Broken, answering, failed
from blocks.migration_locks import held
from blocks.migration_runs import ROLLED_BACK, CommitLost, ScriptRun
from blocks.migration_scripts import Prepared, prepare
from blocks.migration_standing import BASELINES_ITSELF, MigrationScript, done_already, undone_already, version_key
from blocks.migration_table import Applied, Entry, HistoryTable
from blocks.wire import Wiring
from rules.errors import Outage


class Connects(Protocol):
    """A database that can be connected to; such as the block `Database`."""

    def connected(self, *, read_only: bool) -> AbstractContextManager[Connection[Any]]:
        """A session of its own, closed afterwards. Raises Outage and Declined."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a migration may take and keep others waiting. All in seconds but `tries`."""

    lock_wait: float = 60.0
    """For another migration to end."""
    lock_timeout: float = 5.0
    """For a lock on a table: while a migration waits for it, all traffic to the table waits behind the migration."""
    statement_timeout: float = 600.0
    tries: int = 5
    """Of one script that others were in the way of, pauses between."""
    pause: float = 2.0
    """Before the second try, give or take a half; doubled from then on."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of a script, and its row. `now`: it was run by this call; else the row tells who did, and when."""

    script: str
    row: Applied
    now: bool

    @property
    def sentence(self) -> str:
        row = self.row
        if self.now:
            return f"{self.script} ran in {row.execution_time} ms (rank {row.installed_rank})."
        when = f"{row.installed_on:%Y-%m-%d %H:%M} by {row.installed_by}"
        return f"{self.script} was not run: {row.script} was on {when} (rank {row.installed_rank}, {row.type})."


@dataclass(frozen=True, slots=True)
class MigrationRunner:
    """Applies scripts to one database, and undoes them."""

    database: Connects
    table: HistoryTable = field(default_factory=HistoryTable)
    limits: Limits = field(default_factory=Limits)
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """Values for `${name}`. They are taken out of every message."""
    out_of_order: bool = False
    """Whether a script may be applied after one of a higher version (Flyway's `outOfOrder`)."""
    wiring: Wiring = field(default_factory=Wiring)

    def history(self) -> tuple[Applied, ...]:
        """All rows by rank; none where there is no table. Reads only."""
        doing = f"reading {self.table.name}"
        with self.database.connected(read_only=True) as connection, answering(doing):
            return self.table.rows(connection)

    def apply(self, script: MigrationScript) -> Ran:
        """Run the script, unless the history says that it was. The history's table is made where it is lacking.

        Raises InvalidInput (a script that cannot be run), Refused (edited, out of order, failed before, a schema in
        use without a history), MigrationFailed, and Outage: then nothing was done, or the message says what is known.
        """
        kind = "SQL_BASELINE" if script.name.startswith(BASELINES_ITSELF) else "SQL"
        try:
            with self._session(f"applying {script.name}") as connection:
                self.table.create(connection)
                rows = self.table.rows(connection)
                row = done_already(rows, script, out_of_order=self.out_of_order)
                return Ran(script.name, row, now=False) if row else self._run(connection, script, kind)
        except CommitLost as lost:
            return self._look(lost.row)

    def apply_all(self, scripts: Sequence[MigrationScript]) -> tuple[Ran, ...]:
        """Run those that were not run, in this order. All are looked at before the first is run.

        Raises as `apply`; those before the one that failed stay applied, as the history tells.
        """
        with self.database.connected(read_only=True) as connection, answering(f"reading {self.table.name}"):
            rows, values = self.table.rows(connection), self._values(connection)
        for script in scripts:
            if done_already(rows, script, out_of_order=self.out_of_order) is None:
                self._prepared(script, values)
        return tuple(self.apply(script) for script in scripts)

    def undo(self, script: MigrationScript) -> Ran:
        """Run a script `U…`, which takes back the version that was applied last. Raises as `apply`."""
        try:
            with self._session(f"undoing by {script.name}") as connection:
                row = undone_already(self.table.rows(connection), script)
                return Ran(script.name, row, now=False) if row else self._run(connection, script, "UNDO_SQL")
        except CommitLost as lost:
            return self._look(lost.row)

    def baseline(self, version: str) -> Ran:
        """Begin the history of a schema that is in use: scripts up to this version count as run. Once only."""
        version_key(version)
        with self._session(f"baselining {self.table.schema} at {version}") as connection:
            rows = self.table.rows(connection)
            row = rows[0] if rows else self.table.baseline(connection, version)
            return Ran(f"Baseline {version}", row, now=not rows)

    # ----------------------------------------------------------------------------------------------------- one script

    def _run(self, connection: Connection[Any], script: MigrationScript, kind: str) -> Ran:
        values = self._values(connection)
        prepared = self._prepared(script, values)
        self._settle(connection)
        entry = Entry(script.version, script.description, kind, script.name, script.checksum)
        run = ScriptRun(connection, self.table, values, self.wiring.monotonic)
        if prepared.in_transaction:
            return Ran(script.name, self._patiently(run, prepared, entry), now=True)
        return Ran(script.name, run.without_transaction(prepared, entry), now=True)

    def _patiently(self, run: ScriptRun, prepared: Prepared, entry: Entry) -> Applied:
        """Once more, after a pause, where others were in the way: it was rolled back, and they go first."""
        for attempt in range(1, self.limits.tries + 1):
            try:
                return run.in_transaction(prepared, entry)
            except Broken as broken:
                if broken.sqlstate not in WORTH_ANOTHER_TRY or attempt == self.limits.tries:
                    tries = f" Tried {attempt} times." if attempt > 1 else ""
                    raise failed(prepared.name, broken, run.placeholders, f"{ROLLED_BACK}{tries}") from None
            self.wiring.sleep(self.limits.pause * 2 ** (attempt - 1) * (0.5 + self.wiring.chance()))
        raise AssertionError("at least one try is made")

    def _look(self, row: Applied) -> Ran:
        """After a commit without an answer. The lock is free only when the lost session has ended, either way."""
        doing = f"committing {row.script}"
        try:
            with self._session(f"looking whether {row.script} was committed") as connection:
                there = row in self.table.rows(connection)
        except Outage as error:
            what = f"the connection was lost, and it is NOT KNOWN whether {row.script} is applied: {error}"
            raise Outage(SYSTEM, doing, f"{what} The next run looks before it does anything.") from None
        if not there:
            raise Outage(SYSTEM, doing, f"the connection was lost, and {ROLLED_BACK.lower()} Run again.")
        return Ran(row.script, row, now=True)

    # ------------------------------------------------------------------------------------------------------ a session

    @contextmanager
    def _session(self, doing: str) -> Iterator[Connection[Any]]:
        """A connection with Flyway's lock."""
        with self.database.connected(read_only=False) as connection, answering(doing):
            connection.autocommit = True
            connection.prepare_threshold = None  # a script's statements are to reach the server as they stand
            with held(connection, self.table.lock_key, self.limits.lock_wait, self.wiring):
                yield connection

    def _settle(self, connection: Connection[Any]) -> None:
        """What scripts may rely on: the schema of their unqualified names, and what they may take."""
        query = (
            "select set_config('search_path', concat_ws(', ', quote_ident(%s),"
            " nullif(current_setting('search_path'), '')), false), set_config('lock_timeout', %s, false),"
            " set_config('statement_timeout', %s, false), set_config('client_encoding', 'UTF8', false)"
        )
        seconds = (self.limits.lock_timeout, self.limits.statement_timeout)
        connection.execute(query, (self.table.schema, *(f"{it * 1000:.0f}" for it in seconds)))

    def _prepared(self, script: MigrationScript, values: Mapping[str, str]) -> Prepared:
        known = {**values, "flyway:filename": script.name} if script.replaces_placeholders else None
        return prepare(script.name, script.sql, known, in_transaction=script.in_transaction)

    def _values(self, connection: Connection[Any]) -> Mapping[str, str]:
        """Those of the catalogue, and those that Flyway gives by itself."""
        with connection.cursor(row_factory=tuple_row) as cursor:
            user, name = cursor.execute("select current_user::text, current_database()::text").fetchone() or ("", "")
        own = {"flyway:defaultschema": self.table.schema, "flyway:table": self.table.name}
        return {**own, "flyway:user": user, "flyway:database": name, **self.placeholders}
