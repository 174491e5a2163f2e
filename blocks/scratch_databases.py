"""A PostgreSQL server on which rehearsals make databases of their own, and from which they take them away again.

    with server.database(target) as url:      CREATE DATABASE rehearsal_<time>_<random>
        server.copy_schema(target, url)       pg_dump --schema-only | executed here
                                              DROP DATABASE … WITH (FORCE), whatever happened

It is never the target's own server: what a rehearsal does may be heavy, and a mistake in an address would be costly.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import psycopg
from prefect.blocks.core import Block
from psycopg import Connection, conninfo, sql
from pydantic import Field, SecretStr

from blocks.commands import Ended, run, workplace
from blocks.discretion import discretion
from rules.errors import Declined, InvalidInput, Outage, PromotionError

SYSTEM = "The scratch server"
PREFIX = "rehearsal"
NAME = re.compile(r"rehearsal_(\d{12})_[0-9a-f]{16}")
STAMP = "%Y%m%d%H%M"
LEFT_AFTER = timedelta(days=1)
"""A database that is older belongs to a run that died."""

DUMP = ("--schema-only", "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions", "--no-tablespaces")
NO_ROLE = "42704"
"""SQLSTATE of an object that is not defined: a role that a policy speaks of."""

postgast: Any = import_module("postgast")
"""Not by an import statement: mypy cannot read its stubs, which have a field of the name None."""


class NotCopied(PromotionError):
    """The target's schema could not be copied, so nothing can be rehearsed. Says why."""


class ScratchServer(Block):
    """Where migrations are rehearsed: a PostgreSQL server whose databases may come and go."""

    _block_type_name = "Promotion Scratch Database"
    _block_type_slug = "promotion-scratch-database"

    url: SecretStr = Field(
        description="postgresql://user:password@host/postgres of a server that is not the target's. "
        "The user may create databases and roles, best as a superuser: extensions are made by it."
    )
    pg_dump: str = Field(default="pg_dump", description="Name or path of pg_dump, not older than the target's server.")
    seconds: float = Field(default=120, gt=0, description="Time limit of pg_dump, and of each copied statement.")
    same_server_is_fine: bool = Field(
        default=False, description="For development only: the target may be on this very server."
    )

    @contextmanager
    def database(self, target: SecretStr) -> Iterator[SecretStr]:
        """The URL of a new, empty database. It is dropped at the end, and so are those that dead runs left.

        Raises InvalidInput where the target is on this server, Outage where this server does not answer, Declined
        where it does not let us make databases.
        """
        self._check(target)
        name = f"{PREFIX}_{datetime.now(UTC):{STAMP}}_{secrets.token_hex(8)}"
        with self._administrator("making a database") as connection:
            self._tidy(connection)
            create = sql.SQL("create database {} encoding 'UTF8' template template0")
            connection.execute(create.format(sql.Identifier(name)))
        try:
            yield SecretStr(conninfo.make_conninfo(self.url.get_secret_value(), dbname=name))
        finally:
            with self._administrator("dropping its database") as connection:
                _drop(connection, name)

    def copy_schema(self, target: SecretStr, scratch: SecretStr) -> tuple[str, ...]:
        """Make the target's schema there, without rows, owners and privileges. What had to be left out, in words.

        Raises NotCopied, with what pg_dump or the server said.
        """
        dump = self._dumped(target)
        with _connected(scratch, "copying the schema") as connection:
            return self._restored(connection, dump)

    def _check(self, target: SecretStr) -> None:
        if self.same_server_is_fine:
            return
        if _place(target) == _place(self.url):
            raise InvalidInput(
                "The scratch server", "the target's own server", "another one", "Give the block another address."
            )

    def _dumped(self, target: SecretStr) -> str:
        parts = conninfo.conninfo_to_dict(target.get_secret_value())
        password = str(parts.pop("password", "") or "")
        hidden = {"PGPASSWORD": SecretStr(password)} if password else {}
        wanted = conninfo.make_conninfo("", **parts)
        with workplace() as folder:
            file = folder / "schema.sql"
            argv = [self.pg_dump, *DUMP, "--no-password", f"--file={file}", f"--dbname={wanted}"]
            ended = run(
                argv, seconds=self.seconds, folder=folder, secrets=hidden, install="Install PostgreSQL's client"
            )
            if not ended.is_ok():
                raise NotCopied(f"pg_dump {ended.how}: {_last_line(ended)}")
            return file.read_text(encoding="utf-8")

    def _restored(self, connection: Connection[Any], dump: str) -> tuple[str, ...]:
        left_out = []
        connection.execute(sql.SQL("set statement_timeout = {}").format(round(self.seconds * 1000)))
        for statement in statements(dump):
            try:
                with connection.transaction():
                    connection.execute(statement.encode())
            except psycopg.Error as error:
                if not _may_lack(statement, error):
                    raise NotCopied(
                        f"The copy failed: {_said(error)}, in: {' '.join(statement.split())[:200]}"
                    ) from error
                left_out.append(f"{_said(error)}, in: {' '.join(statement.split())[:80]}")
        return tuple(left_out)

    @contextmanager
    def _administrator(self, doing: str) -> Iterator[Connection[Any]]:
        with _connected(self.url, doing) as connection:
            try:
                yield connection
            except psycopg.errors.InsufficientPrivilege as error:
                raise Declined(SYSTEM, doing, 0, _said(error)) from None

    def _tidy(self, connection: Connection[Any]) -> None:
        now = datetime.now(UTC)
        for (name,) in connection.execute("select datname from pg_database where datname like 'rehearsal%'").fetchall():
            if is_left(name, now):
                with suppress(psycopg.Error):
                    _drop(connection, name)


def is_left(name: str, now: datetime) -> bool:
    """Whether a database is one of ours that a dead run left: by its name, which has the time of its making."""
    match = NAME.fullmatch(name)
    if match is None:
        return False
    with suppress(ValueError):
        return now - datetime.strptime(match[1], STAMP).replace(tzinfo=UTC) > LEFT_AFTER
    return False


def statements(script: str) -> tuple[str, ...]:
    r"""The statements of a dump, one by one, without psql's own commands (`\restrict`, since August 2025).

    Raises NotCopied where PostgreSQL's grammar does not know it.
    """
    lines = [line for line in script.splitlines() if not line.startswith(("\\restrict ", "\\unrestrict "))]
    try:
        return tuple(postgast.split("\n".join(lines)))
    except postgast.PgQueryError as error:
        raise NotCopied(f"pg_dump wrote what our grammar does not know: {error}") from error


@contextmanager
def _connected(url: SecretStr, doing: str) -> Iterator[Connection[Any]]:
    password = conninfo.conninfo_to_dict(url.get_secret_value()).get("password")
    discretion.learn([url.get_secret_value(), str(password or "")])
    try:
        connection = psycopg.connect(url.get_secret_value(), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Outage(SYSTEM, doing, _said(error)) from None
    with connection:
        yield connection


def _drop(connection: Connection[Any], name: str) -> None:
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def _place(url: SecretStr) -> tuple[str, str]:
    """Host and port, as the client library takes them, with its defaults."""
    parts = conninfo.conninfo_to_dict(url.get_secret_value())
    host = str(parts.get("hostaddr") or parts.get("host") or "localhost").lower().rstrip(".")
    return host, str(parts.get("port") or 5432)


def _may_lack(statement: str, error: psycopg.Error) -> bool:
    """A policy for a role that only the target has can be left out: no statement of ours is under a policy."""
    return error.sqlstate == NO_ROLE and statement.lstrip().upper().startswith(("CREATE POLICY", "ALTER POLICY"))


def _said(error: psycopg.Error) -> str:
    """On one line, and without an address that has a password in it."""
    return " ".join(discretion.clean(error.diag.message_primary or str(error)).split())


def _last_line(ended: Ended) -> str:
    return next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "it said nothing")[:300]
