"""The ledger in a bucket with S3 Object Lock: several machines write, and nobody can take anything back.

One object per record, named by its number, written only if nobody was faster (`IfNoneMatch`). A version under
compliance retention cannot be changed or deleted by anyone. What can be done is to hide it (a delete marker, a
newer version); so we always read an object's *first* version, and report what was laid over it.

Needs s3:PutObject, s3:PutObjectRetention, s3:GetObjectVersion and s3:ListBucketVersions on a bucket made with
Object Lock.
"""

from __future__ import annotations  # the client's type is a stub, not there at run time

import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from botocore.exceptions import ClientError
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr

from blocks.accounts import Account
from blocks.aws_errors import code_of, translated
from rules.errors import InvalidInput, Outage
from rules.records import Event, Head, Record, chain, read
from rules.verification import Evidence

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SYSTEM = "The ledger (Amazon S3)"
TAKEN = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})
ATTEMPTS = 50
LONGEST_PAUSE_SECONDS = 0.5
DIGITS = 12
READERS = 8


class S3Ledger(Block):
    """An audit trail that outlives the machines: a bucket made with Object Lock."""

    _block_type_name = "S3 ledger"
    _block_type_slug = "s3-ledger"
    _description = "The audit trail in a bucket with Object Lock: nobody can change or delete a record."

    account: Account | None = Field(default=None, description="The account of the bucket.")
    bucket: str = Field(description="A bucket that was made with Object Lock.")
    prefix: str = Field(
        default="ledger/", pattern=r"^([\w.-]+/)*$", description="Where in the bucket, with a slash at the end."
    )
    retain_days: int = Field(default=400, ge=1, description="So long nobody can delete a record.")

    _client: S3Client | None = PrivateAttr(default=None)
    _known: Head = PrivateAttr(default_factory=Head)

    def using(self, client: S3Client) -> Self:
        """Speak through that client instead of the account's."""
        self._client = client
        return self

    def append(self, event: Event, at: datetime | None = None) -> Record:
        """Chain and write the event behind the last record, whoever wrote that. `at` is for tests."""
        with translated(SYSTEM, f"appending to {self._place}"):
            if self._known.seq == 0:
                self._catch_up()
            for attempt in range(ATTEMPTS):
                record = chain(self._known, event, at or datetime.now(UTC))
                if self._put(record):
                    self._known = Head(record.seq, record.hash)
                    return record
                time.sleep(random.uniform(0, min(LONGEST_PAUSE_SECONDS, 0.01 * 2**attempt)))  # noqa: S311 - jitter
                self._catch_up()
        raise Outage(SYSTEM, f"appending to {self._place}", f"other writers were faster {ATTEMPTS} times")

    def records(self, run_id: str | None = None) -> Iterator[Record]:
        for line in self._lines(self._first_versions()[0]):
            record = _record(line)
            if record and run_id in {None, record.event.run_id}:
                yield record

    def head(self) -> Head:
        with translated(SYSTEM, f"looking for the end of {self._place}"):
            self._catch_up()
        return self._known

    def evidence(self) -> Evidence:
        """Without a head: what Object Lock keeps cannot be cut off, and `expected` proves it."""
        versions, odd = self._first_versions()
        return Evidence(tuple(self._lines(versions)), None, (*odd, *self._unlocked(versions)))

    @property
    def _s3(self) -> S3Client:
        if self._client is None:
            if self.account is None:
                raise InvalidInput("the account of the S3 ledger", None, "an Account block")
            self._client = self.account.client("s3")
        return self._client

    @property
    def _place(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def _key(self, seq: int) -> str:
        return f"{self.prefix}{seq:0{DIGITS}d}.json"

    def _put(self, record: Record) -> bool:
        """Whether it is there now. An answer that got lost on its way is no reason to write it twice."""
        try:
            self._s3.put_object(
                Bucket=self.bucket,
                Key=self._key(record.seq),
                Body=record.line.encode(),
                ContentType="application/json",
                IfNoneMatch="*",
                ChecksumAlgorithm="SHA256",
                ObjectLockMode="COMPLIANCE",
                ObjectLockRetainUntilDate=record.at + timedelta(days=self.retain_days),
            )
        except ClientError as error:
            if code_of(error) not in TAKEN:
                raise
            return self._first_line(record.seq) == record.line
        return True

    def _catch_up(self) -> None:
        """Find the last record, in steps that double and then halve: few requests however long the ledger is."""
        low, step = self._known.seq, 1
        while self._first_version(low + step):
            low, step = low + step, step * 2
        while step > 1:
            step //= 2
            if self._first_version(low + step):
                low += step
        if low > self._known.seq:
            record = _record(self._first_line(low) or "")
            # An object that is no record keeps its number; verification names it.
            self._known = Head(low, record.hash if record else self._known.hash)

    def _first_version(self, seq: int) -> str | None:
        """The version id of the first object that had this record's name; None if there never was one."""
        answer = self._s3.list_object_versions(Bucket=self.bucket, Prefix=self._key(seq))
        versions = answer.get("Versions", [])
        return versions[-1]["VersionId"] if versions else None

    def _first_line(self, seq: int) -> str | None:
        version = self._first_version(seq)
        return self._get(self._key(seq), version) if version else None

    def _get(self, key: str, version: str) -> str:
        answer = self._s3.get_object(Bucket=self.bucket, Key=key, VersionId=version)
        return answer["Body"].read().decode(errors="backslashreplace")

    def _first_versions(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The first version's id by key, in order, and what was laid over first versions."""
        first: dict[str, str] = {}
        odd: list[str] = []
        with translated(SYSTEM, f"listing {self._place}"):
            pages = self._s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=self.prefix)
            for page in pages:
                odd += [f"{marker['Key']} was hidden by a delete marker." for marker in page.get("DeleteMarkers", [])]
                for version in page.get("Versions", []):  # of one key, the newest first
                    if version["Key"] in first:
                        odd.append(f"{version['Key']} was overwritten by a newer version.")
                    first[version["Key"]] = version["VersionId"]
        return dict(sorted(first.items())), tuple(odd)

    def _lines(self, versions: dict[str, str]) -> Iterator[str]:
        with translated(SYSTEM, f"reading {self._place}"), ThreadPoolExecutor(READERS) as readers:
            yield from readers.map(self._get, versions.keys(), versions.values())

    def _unlocked(self, versions: dict[str, str]) -> tuple[str, ...]:
        """A bucket or a policy that was changed shows in the newest record."""
        if not versions:
            return ()
        key = next(reversed(versions))
        with translated(SYSTEM, f"looking at the lock of {key}"):
            answer = self._s3.head_object(Bucket=self.bucket, Key=key, VersionId=versions[key])
        return () if answer.get("ObjectLockMode") == "COMPLIANCE" else (f"{key} is not under compliance retention.",)


def _record(line: str) -> Record | None:
    try:
        return read(line)
    except InvalidInput:
        return None
