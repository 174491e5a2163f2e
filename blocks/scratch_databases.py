"""A PostgreSQL server on which rehearsals make databases of their own, and from which they take them away again.

    with server.database(target) as url:      CREATE DATABASE rehearsal_<time>_<random>
        server.copy_schema(target, url)       pg_dump --schema-only | executed here
                                              DROP DATABASE … WITH (FORCE), whatever happened

It is never the target's own server: what a rehearsal does may be heavy, and a mistake in an address would be costly.
"""

import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

import psycopg
from prefect.blocks.core import Block
from psycopg import Connection, conninfo, sql
from pydantic import Field, SecretStr

from blocks.commands import Ended, ProgramMissing, run, workplace
from blocks.databases import learn
from blocks.discretion import discretion
from rules.errors import Declined, InvalidInput, Outage, PromotionError

SYSTEM = "The scratch server"
PREFIX = "rehearsal"
NAME = re.compile(r"rehearsal_(\d{12})_[0-9a-f]{16}")
STAMP = "%Y%m%d%H%M"
LEFT_AFTER = timedelta(days=1)
"""A database that is older belongs to a run that died."""

INSTALL = "Install PostgreSQL's client on the worker, not older than the target"
EXCERPT = 200
"""Characters of a statement that could not be copied."""
DUMP = (
    "--schema-only",
    "--no-owner",
    "--no-privileges",
    "--no-publications",
    "--no-subscriptions",
    "--no-tablespaces",
    "--lock-wait-timeout=10000",
)
READ_ONLY = "-c default_transaction_read_only=on -c statement_timeout=30000"

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

    def copy_schema(self, target: SecretStr, scratch: SecretStr) -> None:
        """Make the target's schema there, without rows, owners and privileges.

        Scripts grant to roles, and policies name them: those that the target has and this server has not are made,
        without login and without rights. They stay, for the next rehearsal.

        Raises NotCopied, with what pg_dump or one of the servers said, and InvalidInput where they are one server.
        """
        with _connected(scratch, "copying the schema") as connection:
            with reading(target) as there:
                self._compare(_identity(there), _identity(connection))
                roles = _roles(there)
            self._make_roles(connection, roles)
            self._restore(connection, self._dumped(target))

    def _check(self, target: SecretStr) -> None:
        if not self.same_server_is_fine and places(target) & places(self.url):
            raise _same_server()

    def _compare(self, target: int | None, ours: int | None) -> None:
        """Two names may lead to one server; its number tells."""
        if not self.same_server_is_fine and target is not None and target == ours:
            raise _same_server()

    def _dumped(self, target: SecretStr) -> str:
        learn(target)
        parts = conninfo.conninfo_to_dict(target.get_secret_value())
        password = str(parts.pop("password", "") or "")
        hidden = {"PGPASSWORD": SecretStr(password)} if password else {}
        wanted = conninfo.make_conninfo("", **parts)
        with workplace() as folder:
            file = folder / "schema.sql"
            argv = [self.pg_dump, *DUMP, "--no-password", f"--file={file}", f"--dbname={wanted}"]
            try:
                ended = run(argv, seconds=self.seconds, folder=folder, secrets=hidden, install=INSTALL)
            except ProgramMissing as error:
                raise NotCopied(str(error)) from None
            if not ended.is_ok():
                raise NotCopied(f"pg_dump {ended.how}: {_last_line(ended)}")
            return file.read_text(encoding="utf-8")

    def _restore(self, connection: Connection[Any], dump: str) -> None:
        connection.execute("select set_config('statement_timeout', %s, false)", [str(round(self.seconds * 1000))])
        for statement in statements(dump):
            try:
                connection.execute(statement.encode())
            except psycopg.Error as error:
                told = " ".join(statement.split())[:EXCERPT]
                raise NotCopied(f"The copy of the schema failed: {_said(error)}, in: {told}") from error

    def _make_roles(self, connection: Connection[Any], wanted: Iterable[str]) -> None:
        there = {name for (name,) in connection.execute("select rolname from pg_roles").fetchall()}
        for name in sorted(set(wanted) - there):
            with suppress(psycopg.errors.DuplicateObject):  # another rehearsal was faster
                connection.execute(sql.SQL("create role {} nologin").format(sql.Identifier(name)))

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


def _same_server() -> InvalidInput:
    return InvalidInput(
        "The scratch server",
        "the target's own server",
        "another one",
        "Give the block promotion-scratch-database another address.",
    )


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
    learn(url)
    try:
        connection = psycopg.connect(url.get_secret_value(), autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise Outage(SYSTEM, doing, _said(error)) from None
    with connection:
        yield connection


def _drop(connection: Connection[Any], name: str) -> None:
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name)))


def places(url: SecretStr) -> set[tuple[str, str]]:
    """Hosts and ports that an address may lead to, as the client library takes them, with its defaults."""
    learn(url)
    parts = conninfo.conninfo_to_dict(url.get_secret_value())
    hosts = str(parts.get("hostaddr") or parts.get("host") or "localhost").split(",")
    ports = str(parts.get("port") or 5432).split(",")
    ports = ports if len(ports) == len(hosts) else ports[:1] * len(hosts)
    return {(_host(host), port or "5432") for host, port in zip(hosts, ports, strict=True)}


def _host(name: str) -> str:
    told = name.strip().lower().rstrip(".")
    return "localhost" if told in {"", "127.0.0.1", "::1"} else told


@contextmanager
def reading(target: SecretStr) -> Iterator[Connection[Any]]:
    """The target, which is only read. Raises NotCopied for all that goes wrong there."""
    try:
        with psycopg.connect(
            target.get_secret_value(), autocommit=True, connect_timeout=10, options=READ_ONLY
        ) as connection:
            yield connection
    except psycopg.Error as error:
        raise NotCopied(f"The target could not be read: {_said(error)}") from None


def _roles(connection: Connection[Any]) -> list[str]:
    """The names of its roles, but PostgreSQL's own."""
    found = connection.execute("select rolname::text from pg_roles where rolname !~ '^pg_'").fetchall()
    return [name for (name,) in found]


def _identity(connection: Connection[Any]) -> int | None:
    """The number that PostgreSQL gave the server at its making; None where we may not know it."""
    with suppress(psycopg.Error):
        found = connection.execute("select system_identifier from pg_control_system()").fetchone()
        return int(found[0]) if found else None
    return None


def _said(error: psycopg.Error) -> str:
    """On one line, and without an address that has a password in it."""
    return " ".join(discretion.clean(error.diag.message_primary or str(error)).split())


def _last_line(ended: Ended) -> str:
    return next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "it said nothing")[:300]
