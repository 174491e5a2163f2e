"""What the services have to tell: small tables of one conference, and where they are read from."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import psycopg
from psycopg import sql

ANSWER_SECONDS = 5.0

Row = Mapping[str, Any]

TABLES: Mapping[str, Sequence[Row]] = {
    "events": [
        {"id": 56, "title": "Cloud native in practice", "held_on": "2026-06-19", "seats": 220},
        {"id": 57, "title": "Architecture under load", "held_on": "2026-11-27", "seats": 180},
        {"id": 58, "title": "Data that moves", "held_on": "2027-03-12", "seats": 240},
    ],
    "speakers": [
        {"id": 1, "name": "Anna Keller", "topic": "Event sourcing without regret"},
        {"id": 2, "name": "Marco Bianchi", "topic": "What our pagers taught us"},
        {"id": 3, "name": "Lea Zimmermann", "topic": "A schema that never stops"},
    ],
    "partners": [
        {"id": 1, "name": "Aare Software", "level": "gold"},
        {"id": 2, "name": "Gurten Systems", "level": "silver"},
    ],
    "content": [
        {"id": 1, "title": "Slides: Architecture under load", "kind": "slides", "downloads": 412},
        {"id": 2, "title": "Video: Cloud native in practice", "kind": "video", "downloads": 1290},
    ],
    "companies": [
        {"id": 1, "name": "Aare Software AG", "employees": 48},
        {"id": 2, "name": "Gurten Systems GmbH", "employees": 310},
        {"id": 3, "name": "Marzili Labs", "employees": 9},
    ],
}

TABLE_OF: Mapping[str, str] = {
    "event-management": "events",
    "speaker-coordination": "speakers",
    "partner-coordination": "partners",
    "attendee-experience": "content",
    "company-user-management": "companies",
}
"""The table that each service answers for, by service id. The API path is `/api/<table>`."""


def service_for(path: str) -> str | None:
    """The service behind an API path, `/api/events/57` → `event-management`."""
    parts = path.split("/", 3)
    resource = parts[2] if len(parts) > 2 and parts[1] == "api" else None
    return next((service for service, table in TABLE_OF.items() if table == resource), None)


class Store(Protocol):
    async def rows(self, table: str) -> list[Row]:
        """All rows of one of the tables. Raises `OSError` when the database does not answer."""

    async def close(self) -> None: ...


class MemoryStore:
    """Where there is no database: the tables as they are above."""

    async def rows(self, table: str) -> list[Row]:
        return list(TABLES[table])

    async def close(self) -> None:
        return None


class DatabaseStore:
    """An environment's PostgreSQL, over one connection that opens with the first question and after each loss."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._one_at_a_time = asyncio.Lock()
        self._connection: psycopg.AsyncConnection | None = None

    async def rows(self, table: str) -> list[Row]:
        question = sql.SQL("SELECT document FROM {} ORDER BY id").format(sql.Identifier(table))
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._one_at_a_time:
                cursor = await (await self._connected()).execute(question)
                return [document for (document,) in await cursor.fetchall()]
        except (psycopg.Error, TimeoutError) as problem:
            await self.close()
            raise OSError(f"The database did not answer: {type(problem).__name__}.") from problem

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _connected(self) -> psycopg.AsyncConnection:
        if self._connection is None or self._connection.closed:
            self._connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        return self._connection


def seed_database(url: str) -> None:
    """Create and fill the tables in one environment's database. What is there already is left as it is."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table, rows in TABLES.items():
            name = sql.Identifier(table)
            create = "CREATE TABLE IF NOT EXISTS {} (id int PRIMARY KEY, document jsonb NOT NULL)"
            insert = sql.SQL("INSERT INTO {} VALUES (%s, %s) ON CONFLICT DO NOTHING").format(name)
            connection.execute(sql.SQL(create).format(name))
            for row in rows:
                connection.execute(insert, (row["id"], json.dumps(row)))
