"""Processes that end when they are told to, when one of them dies, and when whoever started them is killed.

Every process carries a mark in its environment, and so does whatever it starts in its turn (the worker's flow
runs, for one). The mark finds them all: at the end, and at the next start should an end have been cut short. A
guardian, started before all others, waits for its starter's death and then ends what carries the mark.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

from deployments.sandbox.settings import CHECKOUT

MARK = "PROMOTION_SANDBOX"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")
"""The only variables of the user's that reach a process: no credentials, no profile, no address can leak in."""
DEATH_SECONDS = 10.0
POLL_SECONDS = 0.05
Answer = TypeVar("Answer")


class ChildDied(Exception):
    """A process of the sandbox ended by itself; the message has the last lines of its log."""


class NotReady(Exception):
    """A process of the sandbox runs and does not get ready."""


def environment(home: Path, mark: str, user: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment of every process: the user's, without anything that could reach beyond the sandbox."""
    kept = {name: user[name] for name in PASSED_ON if name in user}
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    return kept | {
        MARK: mark,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_RUNTIME_DIR": str(temporary),
        "AWS_CONFIG_FILE": str(home / "no-aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "no-aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "DO_NOT_TRACK": "1",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONUNBUFFERED": "1",
        "NO_COLOR": "1",
    }


@dataclass(slots=True)
class Child:
    """One process, its log, and how it is asked to end."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    ends_by: signal.Signals = signal.SIGTERM

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def last_lines(self, count: int = 15) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"    {line[:400]}" for line in lines[-count:]) or "    (its log is empty)"

    def raise_if_dead(self) -> None:
        if not self.alive:
            raise ChildDied(
                f"{self.name} ended by itself with exit code {self.process.returncode}. "
                f"The last lines of {self.log}:\n{self.last_lines()}"
            )

    def ask_to_end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(self.ends_by)

    def end_within(self, seconds: float) -> None:
        """Wait for its end, and make it end when it takes longer."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start(
    name: str,
    command: Sequence[str],
    variables: Mapping[str, str],
    logs: Path,
    *,
    folder: Path = CHECKOUT,
    output: Path | None = None,
    ends_by: signal.Signals = signal.SIGTERM,
) -> Child:
    """Start a process in a session of its own, so that Ctrl-C in the terminal reaches the supervisor alone.

    Its log is `logs/NAME.log`; with `output`, what it prints goes there and only the rest into the log.
    """
    log = logs / f"{name.replace(' ', '-')}.log"
    with contextlib.ExitStack() as files:
        errors = files.enter_context(log.open("wb"))
        prints = files.enter_context(output.open("wb")) if output else errors
        process = subprocess.Popen(  # noqa: S603 - our own commands, no shell
            list(command),
            env=dict(variables),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=prints,
            stderr=errors,
            start_new_session=True,
        )
    return Child(name, process, log, ends_by)


def wait_until(ready: Callable[[], Answer | None], what: str, seconds: float, check: Callable[[], None]) -> Answer:
    """The first answer of `ready` that is neither None nor False; `check` raises when waiting is in vain."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = ready()
        if answer is not None and answer is not False:
            return answer
        check()
        time.sleep(POLL_SECONDS)
    raise NotReady(f"{what} was not ready after {seconds:.0f} s; its log is in the state folder's logs.")


def marked(mark: str) -> Iterator[psutil.Process]:
    """Every living process that carries the mark, this one excepted."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and living(process) and process.environ().get(MARK) == mark:
                yield process


def living(process: psutil.Process) -> bool:
    """A zombie is over; where nobody collects it (in a container without an init process) it stays for ever."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def sweep(mark: str, seconds: float = 3.0) -> int:
    """End at once every process that carries the mark; how many there were."""
    found = list(marked(mark))
    for process in found:
        with contextlib.suppress(psutil.Error):
            # PostgreSQL gives its shared memory back on SIGQUIT, and cannot on SIGKILL.
            process.send_signal(signal.SIGQUIT if process.name() == "postgres" else signal.SIGKILL)
    deadline = time.monotonic() + seconds
    while any(living(process) for process in found) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for process in filter(living, found):
        with contextlib.suppress(psutil.Error):
            process.kill()
    return len(found)


def kill_with_children(child: Child) -> int:
    """End a process and all that it started at once, with no word to them; how many there were."""
    children = psutil.Process(child.process.pid).children(recursive=True)
    for pid in (child.process.pid, *(it.pid for it in children)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.process.wait()
    psutil.wait_procs(children, timeout=DEATH_SECONDS)  # a busy machine takes its time to end what was killed
    return 1 + len(children)


class Guardian:
    """The process that ends all others of this mark when the one that started it is gone, however it went."""

    def __init__(self, mark: str, variables: Mapping[str, str]) -> None:
        unmarked = {name: value for name, value in variables.items() if name != MARK}
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", "deployments.sandbox.guardian", mark],
            env=unmarked,
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def dismiss(self) -> None:
        """Let it do its work now and wait for it: after this no process of the mark is left."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait()
