"""The door to programs on this machine (k6, scanners): started without a shell, and never left running.

    with workplace() as folder:
        ended = run(["k6", "run", "script.js"], seconds=600, folder=folder)
        result = folder / "summary.json"

A program gets the environment it is given, plus where to find programs, its home and its language: nothing of the
worker's own, whose variables hold the keys to AWS and to Prefect. It leads a process group of its own, which is ended
as a whole: at the time limit, when the caller says stop or is interrupted, and also when the program itself is done.
"""

import os
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

from pydantic import SecretStr

from blocks.discretion import discretion
from rules.errors import InvalidInput, Outage, PromotionError

INHERITED = ("PATH", "HOME", "LANG")
MOST_OUTPUT = 64 * 1024
"""Bytes that are kept of the beginning of each stream, and as many of its end."""
MARGIN = 8 * 1024
"""Characters that are left out on both sides of a gap, so that no half of a secret stands there unmasked."""
PIECE = 64 * 1024
LOOK_SECONDS = 0.05
TERM_SECONDS = 5.0
"""So long a program may tidy up after SIGTERM; then it is killed."""
INTERRUPTED_SECONDS = 1.0
DRAIN_SECONDS = 2.0
"""So long we read on after the end: a grandchild in a session of its own may hold the stream open."""
NOTHING: Mapping[str, str] = MappingProxyType({})
NO_SECRETS: Mapping[str, SecretStr] = MappingProxyType({})


class ProgramMissing(PromotionError):
    """The program is not on this machine. Nothing was run, so nothing is known."""

    def __init__(self, program: str, install: str = "") -> None:
        self.program = program
        remedy = install or "Install it on the worker, or put its folder on the worker's PATH"
        super().__init__(f"The program {program} is not on this machine. {remedy.removesuffix('.')}.")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended. `stdout` and `stderr` are text, masked; where too much came, the middle is missing."""

    code: int
    """Its exit status; minus the signal's number where a signal ended it."""
    stdout: str
    stderr: str
    seconds: float
    """From its start to its end."""
    timed_out: bool = False
    stopped: bool = False
    """The caller's `stop` said so."""

    def is_ok(self, *codes: int) -> bool:
        """Whether it came to its own end with one of these exit statuses (default: 0)."""
        return not self.timed_out and not self.stopped and self.code in (codes or (0,))

    @property
    def how(self) -> str:
        """In words, for a finding."""
        if self.timed_out:
            return f"was ended at its time limit, after {self.seconds:.0f} s"
        if self.stopped:
            return f"was stopped after {self.seconds:.0f} s"
        return f"was ended by {_signal(-self.code)}" if self.code < 0 else f"ended with exit status {self.code}"


@contextmanager
def workplace() -> Iterator[Path]:
    """A fresh folder that only we may read, for a program and its result files. Gone at the end, whatever is in it."""
    folder = Path(tempfile.mkdtemp(prefix="promotion-flows-"))
    try:
        yield folder.resolve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def find(program: str, install: str = "", path: str | None = None) -> str:
    """Where the program is, on `path` or the worker's. Raises ProgramMissing, which says how to `install` it."""
    found = shutil.which(program, path=path)
    if found is None:
        raise ProgramMissing(program, install)
    return found


def run(
    argv: Sequence[str],
    *,
    seconds: float,
    folder: Path,
    environment: Mapping[str, str] = NOTHING,
    secrets: Mapping[str, SecretStr] = NO_SECRETS,
    install: str = "",
    stop: Callable[[], bool] = lambda: False,
) -> Ended:
    """Run a program to its end, or to the time limit, in `folder`. Its exit status is the caller's to judge.

    Args:
        argv: the program, by name or path, and its arguments as they are.
        seconds: the time limit; then the whole process group is told to end, and soon after killed.
        folder: where it runs.
        environment: its variables. `secrets` are variables too, and masked in all that it prints.
        secrets: by variable.
        install: how to get the program, for the message where it is missing.
        stop: asked some twenty times a second whether to give up; for callers in threads, which nothing interrupts.

    Raises:
        ProgramMissing: no such program, or it is not executable.
        InvalidInput: argv is empty, or the time limit is not above 0.
        Outage: the machine could not start it.

    """
    if not argv or not all(argv[:1]) or seconds <= 0:
        raise InvalidInput("A program to run", f"{list(argv[:1])} for {seconds} s", "a program and more than 0 s")
    discretion.learn(secret.get_secret_value() for secret in secrets.values())
    given = {**environment, **{name: secret.get_secret_value() for name, secret in secrets.items()}}
    program = find(argv[0], install, given.get("PATH"))
    with _started([program, *argv[1:]], folder, {**_inherited(), **given}) as process:
        return _Watch(process, seconds, stop).to_the_end()


def _inherited() -> dict[str, str]:
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


@contextmanager
def _started(argv: list[str], folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """The program in a session of its own. Whatever happens inside, its group is gone afterwards."""
    try:
        process = subprocess.Popen(  # noqa: S603 - no shell, and argv comes from the catalogue
            argv, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise Outage("This machine", f"starting {argv[0]}", str(error)) from error
    try:
        yield process
    finally:
        if process.returncode is None:
            _end(process)
        for stream in _streams(process):
            stream.close()


def _end(process: subprocess.Popen[bytes]) -> None:
    """We were interrupted: the program gets a moment only, for so do we."""
    try:
        _signal_group(process, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(INTERRUPTED_SECONDS)
    finally:
        _signal_group(process, signal.SIGKILL)
        process.wait()


class _Watch:
    """Reads what a program prints, looks whether it is done, and ends it when its time is over."""

    def __init__(self, process: subprocess.Popen[bytes], seconds: float, stop: Callable[[], bool]) -> None:
        self._process, self._stop = process, stop
        self._began = time.monotonic()
        self._deadline = self._began + seconds
        self._kept = {stream: _Kept() for stream in _streams(process)}
        self._selector = selectors.DefaultSelector()
        self._timed_out = self._stopped = False

    def to_the_end(self) -> Ended:
        with self._selector:
            for stream, kept in self._kept.items():
                self._selector.register(stream, selectors.EVENT_READ, kept)
            self._until_done()
            took = time.monotonic() - self._began
            _signal_group(self._process, signal.SIGKILL)  # what it left behind
            self._read_until(time.monotonic() + DRAIN_SECONDS, lambda: not self._selector.get_map())
        out, err = (kept.text() for kept in self._kept.values())
        return Ended(self._process.returncode, out, err, took, self._timed_out, self._stopped)

    def _until_done(self) -> None:
        self._read_until(self._deadline, lambda: self._is_done() or self._stop())
        if self._is_done():
            return
        self._timed_out = time.monotonic() >= self._deadline
        self._stopped = not self._timed_out
        _signal_group(self._process, signal.SIGTERM)
        self._read_until(time.monotonic() + TERM_SECONDS, self._is_done)
        _signal_group(self._process, signal.SIGKILL)
        self._process.wait()

    def _is_done(self) -> bool:
        return self._process.poll() is not None

    def _read_until(self, deadline: float, done: Callable[[], bool]) -> None:
        while not done() and (left := deadline - time.monotonic()) > 0:
            self._read(min(left, LOOK_SECONDS))

    def _read(self, seconds: float) -> None:
        if not self._selector.get_map():  # closed by a program that goes on; an empty select would not wait
            time.sleep(seconds)
        for key, _ in self._selector.select(seconds):
            piece = os.read(key.fd, PIECE)
            if piece:
                key.data.add(piece)
            else:
                self._selector.unregister(key.fileobj)


class _Kept:
    """The first and the last part of what was printed."""

    def __init__(self) -> None:
        self._head, self._tail, self._length = bytearray(), bytearray(), 0

    def add(self, piece: bytes) -> None:
        self._length += len(piece)
        room = max(0, MOST_OUTPUT + MARGIN - len(self._head))
        self._head += piece[:room]
        self._tail += piece[room:]
        del self._tail[: -(MOST_OUTPUT + MARGIN)]

    def text(self) -> str:
        whole = len(self._head) + len(self._tail) == self._length
        if whole:
            return discretion.clean(_text(self._head + self._tail))
        head, tail = discretion.clean(_text(self._head)), discretion.clean(_text(self._tail))
        return f"{head[:-MARGIN]}\n… {self._length} bytes in all, the middle is left out …\n{tail[MARGIN:]}"


def _text(printed: bytes | bytearray) -> str:
    return printed.decode("utf-8", "replace").replace("\0", "\ufffd")


def _streams(process: subprocess.Popen[bytes]) -> Collection[IO[bytes]]:
    return [stream for stream in (process.stdout, process.stderr) if stream is not None]


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    """To all that are in it. An empty group is gone, and the number of a leader just reaped is not given anew yet."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
