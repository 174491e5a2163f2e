"""A PostgreSQL of the tests' own, with targets of any schema, and what a rehearsal of scripts on them finds."""

import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg
from pydantic import SecretStr

from blocks.rehearsals import RehearsalLimits, RehearsedScript, rehearse
from blocks.scratch_databases import ScratchServer
from deployments.sandbox.database import Database, programs
from rules.rehearsals import Rehearsal, judge
from rules.vocabulary import Finding

TABLE = "create table public.customers (id bigint primary key, email text not null, phone text);"
NUMBERS = count(1)


@contextmanager
def running_bench() -> Iterator["Bench"]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        database = Database(Path(folder) / "postgres", {})
        Path(folder).chmod(0o755)
        database.prepare()
        with subprocess.Popen(database.command(), env={}, stderr=subprocess.DEVNULL) as process:
            try:
                until = time.monotonic() + 30
                while not database.answers() and time.monotonic() < until:
                    pass
                yield Bench(database)
            finally:
                process.send_signal(database.ends_by)
                process.wait(30)
                database.tidy()


class Bench:
    """A target with a schema, and what a rehearsal of scripts on it finds."""

    def __init__(self, running: Database) -> None:
        self.running = running
        url = SecretStr(running.url())
        self.server = ScratchServer(url=url, pg_dump=str(programs() / "pg_dump"), same_server_is_fine=True)

    def target(self, schema: str) -> SecretStr:
        name = f"target_{next(NUMBERS)}"
        self.running.create(name)
        with psycopg.connect(self.running.url(name)) as connection:
            connection.execute(schema.encode())
        return SecretStr(self.running.url(name))

    def rehearsal(self, schema: str, *scripts: str, rows: int = 20) -> Rehearsal:
        wanted = [RehearsedScript(f"V{number}__it.sql", text) for number, text in enumerate(scripts, start=2)]
        return rehearse(self.server, self.target(schema), wanted, RehearsalLimits(rows=rows))

    def finding(self, schema: str, *scripts: str) -> Finding:
        return judge(self.rehearsal(schema, *scripts), [f"V{number}__it.sql" for number in range(2, 2 + len(scripts))])

    def databases(self) -> list[str]:
        with psycopg.connect(self.running.url()) as connection:
            found = connection.execute("select datname from pg_database where datname like 'rehearsal%'").fetchall()
        return [name for (name,) in found]
