"""The door to an environment's PostgreSQL: its schema as a value, and sessions for those who migrate it.

schema()     one snapshot: REPEATABLE READ READ ONLY, some dozen queries of the catalogue
connected()  a session with time limits; what goes wrong is an Outage or Declined, never with the password
"""

import logging
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
from prefect.blocks.core import Block
from psycopg import Connection, conninfo
from psycopg.rows import tuple_row
from pydantic import Field, SecretStr

from blocks.catalog_queries import CONSTRAINT_KINDS, CONSTRAINTS, QUERIES, whole
from blocks.discretion import discretion
from rules.errors import Declined, InvalidInput, Outage
from rules.schemas import Schema, SchemaObject, schema_object, schema_of

SYSTEM = "The database"
ATTEMPTS = 3
FIRST_PAUSE = 0.5
CONNECT_SECONDS = 10
LEFT_OUT = ("flyway_schema_history", "schema_version", "databasechangelog", "databasechangeloglock")
"""Histories of migrations: of two databases that serve the same code they may differ."""
REFUSED = (psycopg.errors.InvalidPassword, psycopg.errors.InvalidAuthorizationSpecification)
logger = logging.getLogger(__name__)


class Database(Block):
    """The database behind the services of one environment. The document bears application and environment."""

    _block_type_name = "Promotion Database"
    _block_type_slug = "promotion-database"
    _description = "The PostgreSQL database of one environment: compared with the next one's, and migrated."

    url: SecretStr = Field(
        description="postgresql://user:password@host:5432/name?sslmode=verify-full. Where migrations are applied, "
        "the user must own the tables; through a pooler that shares sessions it cannot be."
    )
    schemas: list[str] = Field(default=[], description="Schemas that are compared. None: all but PostgreSQL's own.")
    seconds: float = Field(default=60, gt=0, description="Time limit of one statement, where no other is set.")

    @contextmanager
    def connected(self, *, read_only: bool) -> Iterator[Connection[Any]]:
        """A session of its own, in autocommit, closed afterwards. Raises Outage and Declined."""
        settings = {"statement_timeout": f"{self.seconds * 1000:.0f}"}
        if read_only:
            settings["default_transaction_read_only"] = "on"
        with opened(self.url, settings) as connection:
            yield connection

    def read_schema(self) -> Schema:
        """As it is at one moment. Raises InvalidInput where there is no object at all, Outage and Declined."""
        return schema_at(self.url, self.schemas, self.seconds)


def schema_at(url: SecretStr, schemas: Sequence[str] = (), seconds: float = 60) -> Schema:
    """The schema of the database at a URL: all its objects but PostgreSQL's own, extensions' and histories."""
    with opened(url, {"statement_timeout": f"{seconds * 1000:.0f}"}) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        connection.read_only = True
        with translated("reading the schema"), connection.transaction():
            connection.execute("set local search_path to pg_catalog")
            return schema_of(_objects(connection, {"schemas": list(schemas), "left_out": list(LEFT_OUT)}))


@contextmanager
def opened(url: SecretStr, settings: dict[str, str]) -> Iterator[Connection[Any]]:
    """A session in autocommit with these settings. Connecting is tried again; nothing else is."""
    learn(url)
    with _connect(url) as connection:
        with translated("setting up a session"):
            for name, value in settings.items():
                connection.execute("select set_config(%s, %s, false)", (name, value))
        yield connection


def learn(url: SecretStr) -> None:
    """So that no message shows it. Raises InvalidInput where it is no address: libpq would quote it."""
    try:
        password = conninfo.conninfo_to_dict(url.get_secret_value()).get("password")
    except psycopg.ProgrammingError:
        allowed = "postgresql://user:password@host:5432/name"
        raise InvalidInput("The database's URL", "not an address", allowed, "Set it in the block.") from None
    discretion.learn([url.get_secret_value(), str(password or "")])


def _connect(url: SecretStr) -> Connection[Any]:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return psycopg.connect(
                url.get_secret_value(),
                autocommit=True,
                connect_timeout=CONNECT_SECONDS,
                application_name="promotion-flows",
            )
        except REFUSED as error:
            raise Declined(SYSTEM, "connecting", 0, said(error)) from None
        except psycopg.OperationalError as error:
            if is_refusal(error):
                raise Declined(SYSTEM, "connecting", 0, said(error)) from None
            if attempt == ATTEMPTS:
                raise Outage(SYSTEM, "connecting", f"{said(error)} ({ATTEMPTS} attempts).") from None
            logger.warning("%s: %s; again", SYSTEM, said(error))
            time.sleep(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter, not a secret
    raise AssertionError  # the last attempt returns or raises


def is_refusal(error: psycopg.Error) -> bool:
    """Whether the server said no, to whom we are or to what we asked for; libpq tells it in words only."""
    return any(it in str(error) for it in ("authentication failed", "does not exist", "no pg_hba.conf entry"))


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """What PostgreSQL raises, as the errors of this project."""
    try:
        yield
    except psycopg.errors.InsufficientPrivilege as error:
        raise Declined(SYSTEM, doing, 0, said(error)) from None
    except psycopg.Error as error:
        raise Outage(SYSTEM, doing, said(error)) from None


def said(error: psycopg.Error) -> str:
    """On one line, without addresses and passwords."""
    return " ".join(discretion.clean(error.diag.message_primary or str(error)).split()) or type(error).__name__


def _objects(connection: Connection[Any], given: dict[str, list[str]]) -> Iterator[SchemaObject]:
    with connection.cursor(row_factory=tuple_row) as cursor:
        for kind, query in QUERIES:
            for name, table, facts in cursor.execute(whole(query), given).fetchall():
                yield schema_object(kind, name, facts or {}, table)
        for name, table, facts, letter in cursor.execute(whole(CONSTRAINTS), given).fetchall():
            yield schema_object(CONSTRAINT_KINDS[letter], name, facts, table)
