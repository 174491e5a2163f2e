"""The door to the ledger: what was done is appended, and can only be appended.

    LocalLedger   a folder on this machine: records.jsonl, head.json, one writer at a time
    S3Ledger      a bucket with Object Lock, for several machines: see blocks/locked_ledger.py

Both answer to `Ledger`. `open_ledger` opens whichever document bears the application's name.
"""

import fcntl
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol, cast

from prefect.blocks.core import Block
from pydantic import Field, ValidationError

from blocks.discretion import invalid
from blocks.locked_ledger import S3Ledger
from rules.errors import InvalidInput, Outage
from rules.records import Event, EventKind, Head, Record, chain, is_sealed, read
from rules.verification import Evidence

logger = logging.getLogger(__name__)

__all__ = ["Ledger", "LocalLedger", "S3Ledger", "open_ledger"]

SYSTEM = "The ledger"
LOCK_WAIT_SECONDS = 30.0
LOCK_PAUSE_SECONDS = 0.005
TAIL_BYTES = 64 * 1024


class Ledger(Protocol):
    def append(self, event: Event) -> Record:
        """Record the event durably, then return. Raises Outage when that could not be done."""
        ...

    def records(self, run_id: str | None = None) -> Iterator[Record]:
        """The records, the oldest first, of one run or all. Lines that are no records are skipped and logged."""
        ...

    def head(self) -> Head:
        """The last record's number and hash: note it elsewhere and `audit verify --expect` can prove it later."""
        ...

    def evidence(self) -> Evidence:
        """Everything that `verify` needs, as it was at one moment."""
        ...


def open_ledger(name: str, kinds: Sequence[type[Block]] | None = None) -> Ledger:
    """The ledger of an application: the S3 document of that name, else the local one.

    Raises:
        InvalidInput: no such document is registered, or it is not valid: then there is no other ledger.

    """
    for kind in kinds or (S3Ledger, LocalLedger):
        try:
            return cast("Ledger", kind.load(name))  # typed as "or a coroutine", not so in synchronous code
        except ValidationError as error:
            raise invalid("the ledger's block", name, error) from None
        except ValueError:
            continue
    raise InvalidInput(
        "the ledger's block", name, f"a document local-ledger/{name} or s3-ledger/{name}",
        "Run `python -m deployments.register`, or create it in the Prefect UI under Blocks.",
    )  # fmt: skip


class LocalLedger(Block):
    """A folder on this machine. Many processes may write; each waits its turn and finds the chain whole."""

    _block_type_name = "Local ledger"
    _block_type_slug = "local-ledger"
    _description = "The audit trail in a folder of this machine: one worker machine, a shared disk with locks."

    directory: str = Field(description="Folder of the ledger; made when it is not there.")

    def append(self, event: Event, at: datetime | None = None) -> Record:
        """Chain and write the event, on disk when this returns. `at` is for tests; the time is now."""
        folder = self._folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with _alone(folder):
                for mended in _mend(folder):
                    _write(folder, chain(_last(folder), _mending(event, mended), at or datetime.now(UTC)))
                record = chain(_last(folder), event, at or datetime.now(UTC))
                _write(folder, record)
        except OSError as error:
            raise Outage(SYSTEM, f"appending to {folder}", str(error)) from error
        return record

    def records(self, run_id: str | None = None) -> Iterator[Record]:
        for number, line in enumerate(_lines(self._folder()), start=1):
            try:
                record = read(line)
            except InvalidInput:
                logger.warning("Line %d of %s is not a record; run `audit verify`.", number, _file(self._folder()))
                continue
            if run_id in {None, record.event.run_id}:
                yield record

    def head(self) -> Head:
        last = _last(self._folder())
        return Head(last.seq, last.hash) if last else Head()

    def evidence(self) -> Evidence:
        folder = self._folder()
        if not folder.is_dir():
            raise InvalidInput("the ledger's folder", str(folder), "a folder that is there")
        try:
            with _alone(folder):
                torn = _torn(folder)
                odd = (f"The last line is unfinished ({len(torn)} bytes): a writer died.",) if torn else ()
                return Evidence(tuple(_lines(folder)), _head(folder) or Head(), odd)
        except OSError as error:
            raise Outage(SYSTEM, f"reading {folder}", str(error)) from error

    def _folder(self) -> Path:
        return Path(self.directory).expanduser()


def _file(folder: Path) -> Path:
    return folder / "records.jsonl"


def _head_file(folder: Path) -> Path:
    return folder / "head.json"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one writer at a time; the kernel frees the lock of one that died."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
    try:
        _lock(descriptor, folder)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, folder: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                why = f"another writer has held its lock for {LOCK_WAIT_SECONDS:.0f} seconds"
                raise Outage(SYSTEM, f"waiting for a turn in {folder}", why) from error
            time.sleep(LOCK_PAUSE_SECONDS)
        else:
            return


def _last(folder: Path) -> Record | Head | None:
    """What the next record follows: the last record, or the head where the records' end does not match it.

    Going on from the head leaves a cut-off or rewritten end visible for ever, and blocks nobody at 3 a.m.
    """
    head, record = _head(folder), _last_record(folder)
    if record is None or (head and (record.seq < head.seq or (record.seq == head.seq and record.hash != head.hash))):
        return head
    return record


def _last_record(folder: Path) -> Record | None:
    tail = _tail(folder).rstrip(b"\n").rpartition(b"\n")[2]
    return _record(tail) or _highest(folder)


def _highest(folder: Path) -> Record | None:
    """The record with the highest number, for a file whose end is spoilt."""
    records = [record for line in _lines(folder) if (record := _record(line.encode()))]
    return max(records, key=lambda record: record.seq, default=None)


def _record(line: bytes) -> Record | None:
    try:
        record = read(line.decode())
    except (InvalidInput, UnicodeDecodeError):
        return None
    return record if is_sealed(record) else None


def _head(folder: Path) -> Head | None:
    """The anchor, or None where it is missing or spoilt."""
    try:
        data = json.loads(_head_file(folder).read_bytes())
        head = Head(data["seq"], data["hash"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
    return head if type(head.seq) is int and isinstance(head.hash, str) else None


def _lines(folder: Path) -> Iterator[str]:
    """Finished lines only: the last one may just be being written."""
    if not _file(folder).exists():
        return
    with _file(folder).open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1].decode(errors="backslashreplace")


def _tail(folder: Path) -> bytes:
    """The end of the file, from the beginning of its last finished line on or earlier."""
    try:
        size = _file(folder).stat().st_size
    except FileNotFoundError:
        return b""
    length = TAIL_BYTES
    with _file(folder).open("rb") as file:
        while True:
            file.seek(max(0, size - length))
            tail = file.read(length)
            if length >= size or tail.count(b"\n") > 1:
                return tail
            length *= 4


def _torn(folder: Path) -> bytes:
    """What stands behind the last line's end: the beginning of a line whose writer died."""
    return _tail(folder).rpartition(b"\n")[2]


def _mend(folder: Path) -> list[str]:
    """Set right what a writer that died (or a hand) left, and say what it was."""
    said = []
    if torn := _torn(folder):
        said.append(_finish(folder) if _record(torn) else _set_aside(folder, torn))
    if _head(folder) is None and (record := _last_record(folder)):
        said.append(f"head.json was missing or spoilt; the chain goes on from record {record.seq}.")
    for sentence in said:
        logger.warning("Ledger %s mended: %s", folder, sentence)
    return said


def _mending(event: Event, sentence: str) -> Event:
    return Event("ledger", "", event.environment, EventKind.LEDGER_MENDED, f"Ledger mended: {sentence}")


def _finish(folder: Path) -> str:
    _append(_file(folder), b"\n")
    return "the last record lacked its line end."


def _set_aside(folder: Path, torn: bytes) -> str:
    name = f"torn-{hashlib.sha256(torn).hexdigest()[:12]}"
    _replace(folder / name, torn)
    os.truncate(_file(folder), _file(folder).stat().st_size - len(torn))
    return f"{len(torn)} bytes of an unfinished line were set aside in {name}."


def _write(folder: Path, record: Record) -> None:
    _append(_file(folder), f"{record.line}\n".encode())
    _replace(_head_file(folder), json.dumps({"seq": record.seq, "hash": record.hash}).encode())


def _append(file: Path, data: bytes) -> None:
    """One write, all or nothing as far as a full disk allows, and on the disk before it returns."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        if os.write(descriptor, data) != len(data):
            os.ftruncate(descriptor, size)
            raise OSError(f"no room for {len(data)} bytes in {file}")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(file: Path, data: bytes) -> None:
    """The file has the old content or the new, never half of it."""
    fresh = file.with_name(f"{file.name}.new")
    with fresh.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
