"""One database for each environment on the sandbox's PostgreSQL server, with what the services read from it."""

import time

import psycopg
from psycopg import conninfo, sql

from deployments.sandbox.services.content import seed_database
from deployments.sandbox.values import made_up_secret
from rules.catalogue import Catalogue

PATIENCE_SECONDS = 60.0
"""The server may still be starting: the world does not wait for it before it begins."""


def prepared_databases(server: str | None, catalogue: Catalogue) -> dict[str, str]:
    """URL of each environment's own database, created and filled. Empty without a server.

    Raises `psycopg.OperationalError` when the server does not answer within a minute.
    """
    if server is None:
        return {}
    names = names_of(catalogue)
    with _patiently_connected(server) as connection:
        for environment, name in names.items():
            _create(connection, name, made_up_secret(environment, "database"))
    return {environment: _filled(server, environment, name) for environment, name in names.items()}


def database_urls(server: str, catalogue: Catalogue) -> dict[str, str]:
    """URL of each environment's own database, whether or not it is there yet."""
    return {
        environment: url_of(server, name, made_up_secret(environment, "database"))
        for environment, name in names_of(catalogue).items()
    }


def names_of(catalogue: Catalogue) -> dict[str, str]:
    """The database's name by environment."""
    return {environment: f"{catalogue.application}_{environment}" for environment in catalogue.environments}


def _filled(server: str, environment: str, name: str) -> str:
    seed_database(conninfo.make_conninfo(server, dbname=name, **_owner(environment, name)))
    return url_of(server, name, made_up_secret(environment, "database"))


def _owner(environment: str, name: str) -> dict[str, str]:
    return {"user": name, "password": made_up_secret(environment, "database")}


def url_of(server: str, name: str, password: str) -> str:
    """The server's address as a URL for the database and its owner, who bear the same name."""
    known = conninfo.conninfo_to_dict(server)
    host, port = str(known.get("host") or "127.0.0.1"), known.get("port") or 5432
    if host.startswith("/"):
        return f"postgresql://{name}:{password}@/{name}?host={host}&port={port}"
    return f"postgresql://{name}:{password}@{host}:{port}/{name}"


def _patiently_connected(server: str) -> psycopg.Connection:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return psycopg.connect(server, autocommit=True, connect_timeout=5)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _create(connection: psycopg.Connection, name: str, password: str) -> None:
    """The database and its owner; those that are there from an earlier start stay."""
    role, login = sql.Identifier(name), sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
    if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone() is None:
        connection.execute(login.format(role, sql.Literal(password)))
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone() is None:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(role, role))
