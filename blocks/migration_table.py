"""Flyway's history table, read and written as Flyway itself does: rows of either are the other's rows.

Columns, types, keys, ranks and the number of the advisory lock are those of Flyway's PostgreSQL support (9 to 12).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection, sql
from psycopg.rows import class_row, scalar_row

from rules.errors import Refused
from rules.vocabulary import Finding, Verdict

LOCK_BASE = int.from_bytes(b"Flyway")
"""Flyway locks the number of its own name plus a hash of the table's, so that two tables do not lock each other out."""
COLUMNS = sql.SQL(
    "installed_rank, version, description, type, script, checksum, installed_by, installed_on, execution_time, success"
)
SCHEMA_MADE, BASELINED = "<< Flyway Schema Creation >>", "<< Flyway Baseline >>"
LONGEST_DESCRIPTION = 200


@dataclass(frozen=True, slots=True)
class Applied:
    """One row. `installed_on`: in the server's time zone, as Flyway stores it. `execution_time`: milliseconds."""

    installed_rank: int
    version: str | None
    description: str
    type: str
    script: str
    checksum: int | None
    installed_by: str
    installed_on: datetime
    execution_time: int
    success: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """A row to be written."""

    version: str | None
    description: str
    type: str
    script: str
    checksum: int | None
    success: bool = True
    execution_time: int = 0


@dataclass(frozen=True, slots=True)
class HistoryTable:
    """Where the history is. Its schema is also the one that the scripts' unqualified names mean."""

    schema: str = "public"
    name: str = "flyway_schema_history"

    @property
    def lock_key(self) -> int:
        """The number that Flyway itself locks for this table."""
        return LOCK_BASE + java_hash(f"{_quoted(self.schema)}.{_quoted(self.name)}")

    @property
    def identifier(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)

    def exists(self, connection: Connection[Any]) -> bool:
        query = (
            "select exists(select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
            " where n.nspname = %s and c.relname = %s and c.relkind in ('r', 'p'))"
        )
        return bool(_value(connection, query, self.schema, self.name))

    def rows(self, connection: Connection[Any]) -> tuple[Applied, ...]:
        """All rows by rank; none where there is no table."""
        if not self.exists(connection):
            return ()
        query = sql.SQL("select {} from {} order by installed_rank").format(COLUMNS, self.identifier)
        with connection.cursor(row_factory=class_row(Applied)) as cursor:
            return tuple(cursor.execute(query).fetchall())

    def create(self, connection: Connection[Any]) -> None:
        """Make the table, and its schema, unless they are there. Raises Refused where other tables are there already.

        To be called with Flyway's lock held.
        """
        if self.exists(connection):
            return
        if self._has_objects(connection):
            raise Refused(f"Migrations into schema {self.schema}", [self._baseline_first()])
        with connection.transaction():
            made = not self._has_schema(connection)
            if made:
                connection.execute(sql.SQL("create schema {}").format(sql.Identifier(self.schema)))
            self._make(connection)
            if made:
                # Flyway gives this marker the rank 0, so that the first script has 1 in any case.
                entry = Entry(None, SCHEMA_MADE, "SCHEMA", _quoted(self.schema), None)
                self._write(connection, entry, sql.Literal(0))

    def baseline(self, connection: Connection[Any], version: str) -> Applied:
        """Make the table in a schema that is in use: scripts up to this version are taken as run."""
        with connection.transaction():
            self._make(connection)
            return self.add(connection, Entry(version, BASELINED, "BASELINE", BASELINED, None))

    def add(self, connection: Connection[Any], entry: Entry) -> Applied:
        """Write a row with the next rank."""
        rank = sql.SQL("(select coalesce(max(installed_rank), 0) + 1 from {})").format(self.identifier)
        return self._write(connection, entry, rank)

    def finish(self, connection: Connection[Any], rank: int, milliseconds: int) -> Applied:
        """Mark the row as done: success."""
        query = sql.SQL("update {} set success = true, execution_time = %s where installed_rank = %s returning {}")
        with connection.cursor(row_factory=class_row(Applied)) as cursor:
            row = cursor.execute(query.format(self.identifier, COLUMNS), (milliseconds, rank)).fetchone()
        return _there(row)

    def _write(self, connection: Connection[Any], entry: Entry, rank: sql.Composable) -> Applied:
        query = sql.SQL(
            "insert into {} (installed_rank, version, description, type, script, checksum, installed_by,"
            " execution_time, success) values ({}, %s, %s, %s, %s, %s, current_user, %s, %s) returning {}"
        ).format(self.identifier, rank, COLUMNS)
        description = entry.description[:LONGEST_DESCRIPTION]
        values = (entry.version, description, entry.type, entry.script, entry.checksum)
        with connection.cursor(row_factory=class_row(Applied)) as cursor:
            row = cursor.execute(query, (*values, entry.execution_time, entry.success)).fetchone()
        return _there(row)

    def _make(self, connection: Connection[Any]) -> None:
        key, index = sql.Identifier(f"{self.name}_pk"), sql.Identifier(f"{self.name}_s_idx")
        table = sql.SQL(
            "create table {} (installed_rank int not null, version varchar(50), description varchar(200) not null,"
            " type varchar(20) not null, script varchar(1000) not null, checksum int,"
            " installed_by varchar(100) not null, installed_on timestamp not null default now(),"
            " execution_time int not null, success boolean not null, constraint {} primary key (installed_rank))"
        )
        connection.execute(table.format(self.identifier, key))
        connection.execute(sql.SQL("create index {} on {} (success)").format(index, self.identifier))

    def _has_schema(self, connection: Connection[Any]) -> bool:
        query = "select exists(select from pg_catalog.pg_namespace where nspname = %s)"
        return bool(_value(connection, query, self.schema))

    def _has_objects(self, connection: Connection[Any]) -> bool:
        """Whether the schema has tables, views, sequences or functions; those of extensions do not count."""
        query = (
            "select exists(select from pg_catalog.pg_namespace n join ("
            " select oid, relnamespace as home from pg_catalog.pg_class where relkind in ('r', 'p', 'v', 'm', 'S', 'f')"
            " union all select oid, pronamespace from pg_catalog.pg_proc) o on o.home = n.oid"
            " where n.nspname = %s and not exists("
            "select from pg_catalog.pg_depend d where d.objid = o.oid and d.deptype = 'e'))"
        )
        return bool(_value(connection, query, self.schema))

    def _baseline_first(self) -> Finding:
        return Finding(
            gate="migrations",
            verdict=Verdict.FAILED,
            sentence=f"The schema {self.schema} is in use, but {self.name} is not there to tell which scripts it has.",
            measured="tables without a history",
            allowed="an empty schema, or one with a history",
            could_be_met=f"a baseline: say which version {self.schema} is at, by `baseline` or by Flyway's own",
        )


def java_hash(text: str) -> int:
    """The text's hash as Java has it (`String.hashCode`), 32 bits with sign."""
    number = 0
    units = text.encode("utf-16-be")
    for at in range(0, len(units), 2):
        number = (number * 31 + int.from_bytes(units[at : at + 2])) & 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def _value(connection: Connection[Any], query: str, *values: object) -> object:
    with connection.cursor(row_factory=scalar_row) as cursor:
        return cursor.execute(query.encode(), values).fetchone()


def _there(row: Applied | None) -> Applied:
    if row is None:
        raise AssertionError("a statement with RETURNING gave no row")
    return row
