"""An environment's database as the team's own deployments leave it: migrated to what its release brings, with rows.

The product migrates an environment when it promotes to it. Where the sandbox places a release by itself, it does what
that deployment would have done.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg
from psycopg import sql

from deployments.sandbox.services.content import TABLES

HISTORY = """
CREATE TABLE flyway_schema_history (
    installed_rank integer NOT NULL PRIMARY KEY, version varchar(50), description varchar(200) NOT NULL,
    type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer,
    installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(),
    execution_time integer NOT NULL, success boolean NOT NULL
)
"""


@contextmanager
def _together(url: str) -> Iterator[psycopg.Connection]:
    """All or nothing: the services go on reading what was there until what is there now is whole."""
    with psycopg.connect(url, connect_timeout=10) as connection:
        yield connection


def migrate_from_nothing(url: str, scripts: Mapping[str, str], checksums: Mapping[str, int], by_hand: str = "") -> None:
    """Empties the database and brings it to these scripts, in their order, with the conference's rows.

    `checksums`: Flyway's, by script. `by_hand`: what somebody did afterwards, past all migrations.
    """
    with _together(url) as connection:
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
        connection.execute("CREATE SCHEMA public")
        connection.execute(HISTORY)
        for rank, (name, script) in enumerate(scripts.items(), start=1):
            connection.execute(script.encode())
            _note(connection, rank, name, checksums[name])
        _fill(connection)
        connection.execute(by_hand.encode() or b"SELECT 1")


def _note(connection: psycopg.Connection, rank: int, name: str, checksum: int) -> None:
    version, _, description = name.removesuffix(".sql").removeprefix("V").partition("__")
    row = (rank, version, description.replace("_", " "), "SQL", name, checksum, "flyway", 12, True)
    columns = "installed_rank, version, description, type, script, checksum, installed_by, execution_time, success"
    places = sql.SQL(", ").join([sql.Placeholder()] * len(row))
    connection.execute(
        sql.SQL("INSERT INTO flyway_schema_history ({}) VALUES ({})").format(sql.SQL(columns), places), row
    )


def _fill(connection: psycopg.Connection) -> None:
    for table, rows in TABLES.items():
        insert = sql.SQL("INSERT INTO {} (id, document) VALUES (%s, %s)").format(sql.Identifier(table))
        for row in rows:
            connection.execute(insert, (row["id"], json.dumps(row)))
