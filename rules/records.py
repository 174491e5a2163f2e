"""The record of what was done, as a chain: every record carries the hash of the one before it.

    Event ──chain(previous)──▶ Record ──line──▶ one line of canonical JSON

Before each act its intent is recorded, afterwards its end; what a dead run left behind are the intents
without an end (`open_intents`). `rules/verification.py` proves that nobody touched the lines.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any

from rules.errors import InvalidInput

START = "0" * 64
"""What the first record names as the hash before it."""


class EventKind(StrEnum):
    STARTED = "started"
    FINDINGS = "findings"
    PLAN = "plan"
    RESUMED = "resumed"
    """The run goes on in a new process, after it waited for people or for its time."""
    VALIDATED = "validated"
    """What was found of a release in an environment: `digests` by service, `findings`."""
    LOAD_TESTED = "load_tested"
    """What a load test measured, and how it was judged: what the next one is compared with."""
    TICKET_CREATED = "ticket_created"
    TICKET_TOLD = "ticket_told"
    """The change ticket knows how the run stands: `about` is link, under_way or the run's ending."""
    APPROVAL_ASKED = "approval_asked"
    APPROVAL_GIVEN = "approval_given"
    APPROVAL_NOT_ADMITTED = "approval_not_admitted"
    APPROVALS_VOID = "approvals_void"
    REMINDED = "reminded"
    APPROVED = "approved"
    WAITING = "waiting"
    """Approved, and its time has not come: `until`, ISO."""
    SUPERSEDES = "supersedes"
    """A newer plan takes the place of the waiting run `run`."""
    SNAPSHOT_INTENT = "snapshot_intent"
    SNAPSHOT_TAKEN = "snapshot_taken"
    LOCK_TAKEN = "lock_taken"
    LOCK_RELEASED = "lock_released"
    CONFIGURATION_INTENT = "configuration_intent"
    CONFIGURATION_APPLIED = "configuration_applied"
    CONFIGURATION_PUT_BACK = "configuration_put_back"
    FLAGS_INTENT = "flags_intent"
    FLAGS_APPLIED = "flags_applied"
    FLAGS_PUT_BACK = "flags_put_back"
    MIGRATIONS_INTENT = "migrations_intent"
    """Scripts are about to be applied to the target's database: `version` of the release, `scripts`, `safe` ones."""
    MIGRATIONS_APPLIED = "migrations_applied"
    MIGRATIONS_PUT_BACK = "migrations_put_back"
    ROLLOUT_INTENT = "rollout_intent"
    ROLLOUT_STARTED = "rollout_started"
    ROLLOUT_OBSERVED = "rollout_observed"
    ROLLOUT_SUCCEEDED = "rollout_succeeded"
    ROLLOUT_ROLLED_BACK = "rollout_rolled_back"
    COMPLETED = "completed"
    REFUSED = "refused"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    PUT_BACK = "put_back"
    PUT_BACK_FAILED = "put_back_failed"
    CANCELLED = "cancelled"
    NOTIFIED = "notified"
    LEDGER_MENDED = "ledger_mended"
    """The ledger itself found half a line at its end (a writer died) and set it aside."""


ENDINGS = {
    EventKind.CONFIGURATION_INTENT: {EventKind.CONFIGURATION_APPLIED, EventKind.CONFIGURATION_PUT_BACK},
    EventKind.FLAGS_INTENT: {EventKind.FLAGS_APPLIED, EventKind.FLAGS_PUT_BACK},
    EventKind.MIGRATIONS_INTENT: {EventKind.MIGRATIONS_APPLIED, EventKind.MIGRATIONS_PUT_BACK},
    EventKind.ROLLOUT_INTENT: {EventKind.ROLLOUT_SUCCEEDED, EventKind.ROLLOUT_ROLLED_BACK},
}
"""What closes an intent."""

RUN_ENDINGS = {
    EventKind.COMPLETED,
    EventKind.REFUSED,
    EventKind.REJECTED,
    EventKind.SUPERSEDED,
    EventKind.FAILED,
    EventKind.PUT_BACK,
    EventKind.PUT_BACK_FAILED,
    EventKind.CANCELLED,
}
"""One of these is the last word of a run; only notifications may follow."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that a run did or is about to do. `details` becomes plain JSON; a secret in it raises."""

    run_id: str
    plan_hash: str
    """Empty before there is a plan."""
    environment: str
    """The target's name."""
    kind: EventKind
    sentence: str
    """What a release manager reads."""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("run_id", "plan_hash", "environment", "sentence"):
            value = getattr(self, name)
            if not isinstance(value, str):
                raise InvalidInput(f"{name} of an event", type(value).__name__, "text")
        if not isinstance(self.details, Mapping):
            raise InvalidInput("details of an event", type(self.details).__name__, "a mapping")
        object.__setattr__(self, "kind", EventKind(self.kind))
        object.__setattr__(self, "details", plain(self.details, "details"))


@dataclass(frozen=True, slots=True)
class Record:
    """An event at its place in the chain."""

    seq: int
    """From 1, without a gap."""
    at: datetime
    """UTC."""
    event: Event
    previous: str
    hash: str
    """SHA-256 of everything else in the record, as canonical JSON."""

    @property
    def line(self) -> str:
        """The record as it is kept: one line of canonical JSON, without the line's end."""
        return canonical({**_body(self.seq, self.at, self.event, self.previous), "hash": self.hash})


@dataclass(frozen=True, slots=True)
class Head:
    """The anchor of a chain: its last record's number and hash, kept apart from the records."""

    seq: int = 0
    hash: str = START


def chain(previous: Record | Head | None, event: Event, at: datetime) -> Record:
    """The record that follows. `at` needs a time zone; None as previous begins a ledger."""
    last = previous or Head()
    if at.tzinfo is None:
        raise InvalidInput("the time of a record", at.isoformat(), "a time with its zone")
    at = at.astimezone(UTC)
    seal = _hash(_body(last.seq + 1, at, event, last.hash))
    return Record(last.seq + 1, at, event, last.hash, seal)


def read(line: str) -> Record:
    """A record from its line. Says nothing about its hash being right: see `is_sealed`.

    Raises:
        InvalidInput: not a record, or not written as we write it.

    """
    try:
        data = json.loads(line)
        texts = {key: data[key] for key in ("run_id", "plan_hash", "environment", "sentence")}
        event = Event(**texts, kind=EventKind(data["kind"]), details=data["details"])
        record = Record(data["seq"], datetime.fromisoformat(data["at"]), event, data["previous"], data["hash"])
        faithful = type(record.seq) is int and record.at.tzinfo is not None and record.line == line
    except (KeyError, TypeError, ValueError, RecursionError, InvalidInput, AttributeError) as error:
        raise InvalidInput("a line of the ledger", line[:60], "a record as canonical JSON") from error
    if not faithful:
        raise InvalidInput("a line of the ledger", line[:60], "a record as canonical JSON")
    return record


def is_sealed(record: Record) -> bool:
    """Whether the record's hash is that of its content."""
    return record.hash == _hash(_body(record.seq, record.at, record.event, record.previous))


def open_intents(records: Iterable[Record], environment: str) -> tuple[Record, ...]:
    """The intents in an environment that nothing closed: what runs that died have left behind.

    An intent is closed by its end (applied, put back, …) for the same `details["service"]`, in whichever run,
    so a later run that finished the work closes it too; or by its own run having completed or been put back.
    """
    opened: dict[int, Record] = {}
    for record in records:
        if record.event.environment == environment:
            opened = {seq: intent for seq, intent in opened.items() if not _closes(record.event, intent.event)}
            if record.event.kind in ENDINGS:
                opened[record.seq] = record
    return tuple(opened.values())


def narrate(records: Iterable[Record]) -> list[str]:
    """The records as a story, run by run: a heading for each run, then one line for each thing done."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record.event.run_id, []).append(record)
    return [line for chapter in runs.values() for line in _chapter(chapter)]


def plain(value: Any, path: str) -> Any:
    """The value as JSON types. Raises InvalidInput for what JSON has no word for, and for secrets; never shows it."""
    if _is_secret(value):
        raise InvalidInput(path, f"a {type(value).__name__}", "no secret", "Secrets never enter the ledger.")
    if is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Mapping):
        return {_key(key, path): plain(inner, f"{path}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner, f"{path}.{position}") for position, inner in enumerate(value)]
    return _scalar(value, path)


def canonical(value: Mapping[str, Any]) -> str:
    """The one way to write it: keys sorted, no spaces, ASCII only (so that no character can end a line early)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _scalar(value: Any, path: str) -> Any:
    if isinstance(value, Enum):
        return _scalar(value.value, path)
    if isinstance(value, datetime):
        return value.isoformat()
    if value is None or isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return value
    raise InvalidInput(path, f"a {type(value).__name__}", "text, a finite number, true, false, null, lists, objects")


def _key(key: object, path: str) -> str:
    if isinstance(key, str) and not _is_secret(key):
        return key.value if isinstance(key, StrEnum) else key
    raise InvalidInput(f"a key in {path}", f"a {type(key).__name__}", "text")


def _is_secret(value: object) -> bool:
    return any("Secret" in kind.__name__ for kind in type(value).__mro__) or hasattr(value, "get_secret_value")


def _body(seq: int, at: datetime, event: Event, previous: str) -> dict[str, Any]:
    return {
        "seq": seq,
        "at": at.isoformat(timespec="microseconds"),
        "run_id": event.run_id,
        "plan_hash": event.plan_hash,
        "environment": event.environment,
        "kind": event.kind.value,
        "sentence": event.sentence,
        "details": event.details,
        "previous": previous,
    }


def _hash(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def _closes(event: Event, intent: Event) -> bool:
    if event.kind in {EventKind.COMPLETED, EventKind.PUT_BACK}:
        return event.run_id == intent.run_id
    return event.kind in ENDINGS[intent.kind] and event.details.get("service") == intent.details.get("service")


def _chapter(records: Sequence[Record]) -> list[str]:
    first = records[0]
    plan = next((record.event.plan_hash for record in reversed(records) if record.event.plan_hash), "")
    heading = f"{first.at:%Y-%m-%d %H:%M:%S} UTC, run {first.event.run_id}"
    lines = [f"{heading}{f', plan {plan[:12]}' if plan else ''}"]
    lines += [_sentence(record, first.at) for record in records]
    for environment in dict.fromkeys(record.event.environment for record in records):
        left = [record.event.sentence for record in open_intents(records, environment)]
        lines += [f"           {environment}  LEFT OPEN: {sentence}" for sentence in left]
    return lines


def _sentence(record: Record, since: datetime) -> str:
    minutes, seconds = divmod(max(0, int((record.at - since).total_seconds())), 60)
    return f"  +{minutes:>3}:{seconds:02d}  {record.event.environment}  {record.event.sentence}"
