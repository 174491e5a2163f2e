"""The door to files that others leave for the gates: results, scripts, schemas; in a bucket or below one folder.

    s3://bucket/key           Amazon S3, through the client of an `Account`
    results/3f2a1bc/k6.json   below the configured root; nothing above it, and no link out of it

Files are read in pieces, as they are (a packed file stays packed). A stream that breaks is taken up again where it
broke, and only while the object is still the same one. What is not there is `NotThere`, which a gate answers with an
INCONCLUSIVE finding; what cannot be reached is an Outage, as everywhere.
"""

from __future__ import annotations  # the client's types are stubs, not there at run time

import os
import random
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError, IncompleteReadError, ReadTimeoutError, ResponseStreamingError

from blocks.aws_errors import code_of, translated
from rules.errors import Declined, InvalidInput, Outage, PromotionError

if TYPE_CHECKING:
    from botocore.response import StreamingBody
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

S3 = "Amazon S3"
FOLDER = "The folder of result files"
PIECE = 1 << 20
"""Bytes at a time."""
LONGEST_LINE = 16 << 20
"""Bytes; a longer line comes in cuts."""
AT_MOST = 64 << 20
MOST_NAMES = 10_000
TRIES = 5
"""Of one stream, the first included. Each has botocore's own attempts at the beginning."""
FIRST_PAUSE = 0.5
PLACEHOLDERS = frozenset({"environment", "service", "version"})
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_VALUE = re.compile(r"[A-Za-z0-9._-]+")
_BUCKET_AND_KEY = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])/(.*)", re.DOTALL)
_BROKEN = (ReadTimeoutError, ResponseStreamingError, IncompleteReadError)


class NotThere(PromotionError):
    """There is no file at this address. Nothing is broken: nobody has left one, or it goes by another name."""

    def __init__(self, address: str, remedy: str = "") -> None:
        self.address = address
        super().__init__(f"There is nothing at {address}. {remedy or 'Leave the file there, or mend the address.'}")


def filled(template: str, **values: str) -> str:
    """The address of a template such as `s3://results/{service}/{version}/k6.json`.

    Raises InvalidInput: a placeholder is unknown or has no value, or a value would make another address of it.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in PLACEHOLDERS or name not in values:
            known = ", ".join(f"{{{it}}}" for it in sorted(PLACEHOLDERS & values.keys()))
            raise InvalidInput(f"A placeholder of the address {template}", f"{{{name}}}", known or "none")
        return _safe(name, values[name], template)

    if set(_PLACEHOLDER.sub("", template)) & set("{}"):
        raise InvalidInput("The address", template, "one whose braces are those of placeholders")
    return _PLACEHOLDER.sub(value, template)


def _safe(name: str, value: str, template: str) -> str:
    if not _VALUE.fullmatch(value) or value in {".", ".."}:
        allowed = "letters, digits, '.', '_' and '-', and not only dots"
        raise InvalidInput(f"The {name} in the address {template}", value[:100], allowed)
    return value


class Files:
    """Files by address. Without `root` no paths are read, without `s3` no buckets."""

    def __init__(
        self, root: Path | None = None, s3: S3Client | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._root, self._s3, self._pause = root, s3, pause

    def pieces(self, address: str) -> Iterator[bytes]:
        """The file as it is, about a megabyte at a time.

        Raises:
            NotThere: there is no such file.
            InvalidInput: the address is none of ours, or names something that is not a file.
            Declined: this account may not read it.
            Outage: it could not be read to its end, or was written anew meanwhile.

        """
        return self._place(address).pieces()

    def lines(self, address: str) -> Iterator[bytes]:
        """The lines with their ends (line feeds); one longer than LONGEST_LINE comes in cuts. Raises as `pieces`."""
        return _lines(self.pieces(address))

    def content(self, address: str, at_most: int = AT_MOST) -> bytes:
        """The whole file. Raises as `pieces`, and InvalidInput where it has more than `at_most` bytes."""
        parts: list[bytes] = []
        length = 0
        for piece in self.pieces(address):
            parts.append(piece)
            length += len(piece)
            if length > at_most:
                raise InvalidInput(f"The size of {address}", f"more than {length} bytes", f"{at_most} bytes")
        return b"".join(parts)

    def listing(self, address: str) -> tuple[str, ...]:
        """The names directly below, sorted; a folder's ends with `/`. Raises as `pieces`, NotThere for no folder."""
        return tuple(sorted(_bounded(self._place(address.rstrip("/") + "/").names(), address)))

    def last_modified(self, address: str) -> datetime:
        """When the file was written, in UTC. Raises as `pieces`."""
        return self._place(address).written()

    def _place(self, address: str) -> _Place:
        if match := _BUCKET_AND_KEY.fullmatch(address):
            return self._object(address, match[1], match[2])
        if "://" in address:
            raise InvalidInput("The address of a file", address, "s3://bucket/key, or a path below the folder of files")
        if self._root is None:
            raise InvalidInput("The address of a file", address, "s3://bucket/key: no folder of files is configured")
        if not address:
            raise InvalidInput("The address of a file", address, "a path below the folder of files")
        _refuse_climbing(address)
        return _Path(address, self._root)

    def _object(self, address: str, bucket: str, key: str) -> _Object:
        if self._s3 is None:
            raise InvalidInput("The address of a file", address, "a path: no AWS account is configured for files")
        _refuse_climbing(key)
        return _Object(address, self._s3, bucket, key, self._pause)


class _Place(Protocol):
    def pieces(self) -> Iterator[bytes]: ...
    def names(self) -> Iterator[str]: ...
    def written(self) -> datetime: ...


def _refuse_climbing(path: str) -> None:
    if path.startswith("/") or {".", ".."} & set(path.split("/")) or "\0" in path or "\\" in path:
        raise InvalidInput("The address of a file", path[:200], "one without '..', and not from the root of the disk")


def _bounded(names: Iterable[str], address: str) -> Iterator[str]:
    for count, name in enumerate(names, start=1):
        if count > MOST_NAMES:
            raise InvalidInput(f"The files below {address}", f"more than {MOST_NAMES}", f"at most {MOST_NAMES}")
        yield name


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    left = b""
    for piece in pieces:
        *whole, left = (left + piece).split(b"\n")
        for line in whole:
            yield line + b"\n"
        if len(left) >= LONGEST_LINE:
            yield left
            left = b""
    if left:
        yield left


@dataclass(frozen=True, slots=True)
class _Path:
    """A path below the root."""

    address: str
    root: Path

    def pieces(self) -> Iterator[bytes]:
        with self._opened() as descriptor:
            while piece := self._read(descriptor):
                yield piece

    def names(self) -> Iterator[str]:
        with self._asking(), os.scandir(self._found()) as entries:
            yield from (entry.name + "/" * entry.is_dir() for entry in entries)

    def written(self) -> datetime:
        with self._asking():
            found = self._found().stat()
            self._refuse_other_kinds(found)
        return datetime.fromtimestamp(found.st_mtime, UTC)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with self._asking():
            # A named pipe would block for ever, so it is opened without waiting, looked at, and refused.
            descriptor = os.open(self._found(), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._refuse_other_kinds(os.fstat(descriptor))
            yield descriptor
        finally:
            os.close(descriptor)

    def _read(self, descriptor: int) -> bytes:
        with self._asking():
            return os.read(descriptor, PIECE)

    def _found(self) -> Path:
        """Where the path leads, links followed. InvalidInput where that is out of the root."""
        root = self.root.resolve()
        found = (root / self.address).resolve(strict=True)
        if not found.is_relative_to(root):
            raise InvalidInput("The address of a file", self.address, f"a path that stays in the folder {self.root}")
        return found

    def _refuse_other_kinds(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput("The address of a file", self.address, "a file, not a folder, pipe or device")

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotThere(self.address) from error
        except PermissionError as error:
            raise Declined(FOLDER, f"reading {self.address}", 0, str(error)) from error
        except (OSError, RuntimeError) as error:  # the second: links in a circle
            raise Outage(FOLDER, f"reading {self.address}", str(error)) from error


class _Object:
    """An object in a bucket, or the prefix of some."""

    def __init__(self, address: str, s3: S3Client, bucket: str, key: str, pause: Callable[[float], None]) -> None:
        self._address, self._s3, self._bucket, self._name, self._pause = address, s3, bucket, key, pause

    def pieces(self) -> Iterator[bytes]:
        """Begins again where a stream broke, asking for the same object: its ETag."""
        done, etag = 0, ""
        for attempt in range(1, TRIES + 1):
            stream, length, etag = self._open(done, etag)
            size = done + length
            with closing(stream):
                while piece := self._read(stream, attempt):
                    done += len(piece)
                    yield piece
            if done == size:
                return
            self._pause(random.uniform(0, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter, not a secret
        raise Outage(S3, f"reading {self._address}", f"{done} of {size} bytes came")

    def names(self) -> Iterator[str]:
        """Those of the objects and of the prefixes. The marker of an empty folder has the folder's own name: none."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix, Delimiter="/"
        )
        with self._asking("listing"):
            count = 0
            for page in pages:
                keys = [it["Key"] for it in page.get("Contents", ())]
                keys += [it["Prefix"] for it in page.get("CommonPrefixes", ())]
                count += len(keys)
                yield from filter(None, (key.removeprefix(self._prefix) for key in keys))
        if not count:
            raise NotThere(self._address)

    def written(self) -> datetime:
        with self._asking("looking at"):
            return self._s3.head_object(Bucket=self._bucket, Key=self._key)["LastModified"].astimezone(UTC)

    @property
    def _prefix(self) -> str:
        return "" if self._name == "/" else self._name

    @property
    def _key(self) -> str:
        if not self._name or self._name.endswith("/"):
            raise InvalidInput("The address of a file", self._address, "one with a file's name at its end")
        return self._name

    def _open(self, start: int, etag: str) -> tuple[StreamingBody, int, str]:
        """The rest from `start` on, how long it is, and the ETag of the whole; with an ETag, of that object only."""
        asked: GetObjectRequestTypeDef = {"Bucket": self._bucket, "Key": self._key}
        if etag:
            asked |= {"IfMatch": etag, "Range": f"bytes={start}-"}
        with self._asking("reading"):
            answer = self._s3.get_object(**asked)
            return answer["Body"], answer["ContentLength"], answer["ETag"]

    def _read(self, stream: StreamingBody, attempt: int) -> bytes:
        """The next piece; nothing at the end, and where the stream broke and may be taken up again."""
        with self._asking("reading"):
            try:
                return stream.read(PIECE)
            except _BROKEN:
                if attempt == TRIES:
                    raise
                return b""

    @contextmanager
    def _asking(self, doing: str) -> Iterator[None]:
        with translated(S3, f"{doing} {self._address}"):
            try:
                yield
            except ClientError as error:
                raise self._meaning(error, doing) from error

    def _meaning(self, error: ClientError, doing: str) -> Exception:
        match code_of(error):
            case "NoSuchBucket":
                return NotThere(self._address, f"There is no bucket {self._bucket}: mend the address.")
            case "404" | "NoSuchKey" | "NotFound":
                return NotThere(self._address)
            case "412" | "PreconditionFailed" | "InvalidRange":
                return Outage(S3, f"{doing} {self._address}", "it was written anew while it was read")
        return error
