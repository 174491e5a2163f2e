"""One migration at a time: Flyway's own advisory lock, held by the session that applies."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.rows import tuple_row

from blocks.migration_failures import SYSTEM
from blocks.wire import Wiring
from rules.errors import Outage

PAUSE_SECONDS = 1.0
"""Between two looks, give or take a half. Flyway waits as long."""


@contextmanager
def held(connection: Connection[Any], key: int, seconds: float, wiring: Wiring) -> Iterator[None]:
    """Hold the lock, which others give back within so many seconds. Raises Outage that names who does not.

    Asked for again and again instead of waited for: a session that waits keeps a snapshot, and `create index
    concurrently` of the one that holds the lock would wait for that snapshot: both would wait for ever.
    """
    _take(connection, key, seconds, wiring)
    try:
        yield
    finally:
        _give_back(connection, key)


def _take(connection: Connection[Any], key: int, seconds: float, wiring: Wiring) -> None:
    until = wiring.monotonic() + seconds
    while not _taken(connection, key):
        if wiring.monotonic() >= until:
            doing = "waiting until no other migration runs"
            raise Outage(SYSTEM, doing, f"the lock was not free after {seconds:g} s: {holder(connection, key)}")
        wiring.sleep(PAUSE_SECONDS * (0.5 + wiring.chance()))


def _taken(connection: Connection[Any], key: int) -> bool:
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute("select pg_catalog.pg_try_advisory_lock(%s)", (key,)).fetchone()
    return bool(row and row[0])


def _give_back(connection: Connection[Any], key: int) -> None:
    """A session that is lost has given it back already."""
    try:
        connection.execute("select pg_catalog.pg_advisory_unlock(%s)", (key,))
    except psycopg.Error:
        connection.close()  # which gives it back too; the error that brought us here must not be hidden by this one


def holder(connection: Connection[Any], key: int) -> str:
    """Who holds the lock, for people: process, user, application, address, and since when it is busy."""
    query = (
        "select l.pid, a.usename, a.application_name, host(a.client_addr), a.state,"
        " a.state_change::timestamptz(0)::text"
        " from pg_catalog.pg_locks l left join pg_catalog.pg_stat_activity a using (pid)"
        " where l.locktype = 'advisory' and l.granted and l.objsubid = 1"
        " and l.classid = %s::bigint::oid and l.objid = %s::bigint::oid"
        " and l.database = (select oid from pg_catalog.pg_database where datname = current_database())"
    )
    with connection.cursor(row_factory=tuple_row) as cursor:
        row = cursor.execute(query, (key >> 32, key & 0xFFFFFFFF)).fetchone()
    if row is None:
        return "it was given back this moment; run again."
    pid, user, application, address, state, since = row
    return (
        f"process {pid} holds it: user {user or 'not shown to us'}, application {application or 'without a name'},"
        f" from {address or 'the same host'}, {state or 'in an unknown state'} since {since or 'an unknown time'}."
        " Wait for it, or look what it does, then run again."
    )
