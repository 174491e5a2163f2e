"""A snapshot of the database before production changes: its name, and what is next by what is seen.

    Look (is it there, how far, of which database, for how long have we waited) ──next_step──▶ take, wait, done or fail

One that is there under this run's name was taken by this run before it died, and counts.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

LONGEST_IDENTIFIER = 255
AVAILABLE = "available"
LOST = frozenset(
    {"failed", "error", "deleting", "deleted", "incompatible-restore", "inaccessible-encryption-credentials"}
)
"""Statuses from which no snapshot becomes one that can be restored. Any other is waited for, up to the limit."""
ALL = 100.0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot as Amazon RDS describes it."""

    identifier: str
    database: str
    """Identifier of the instance that it is of."""
    status: str
    percent: int
    created_at: datetime | None
    """None until RDS has begun."""
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Unready:
    """The instance takes no snapshot at this moment: it is being backed up, modified, restarted."""

    why: str


@dataclass(frozen=True, slots=True)
class Look:
    """One look."""

    database: str
    """Of which a snapshot is wanted."""
    identifier: str
    snapshot: Snapshot | None
    minutes: float
    """Since we began to wait."""
    refused: str = ""
    """What RDS said when it was last asked to take one, and did not."""


class Move(StrEnum):
    TAKE = "take"
    WAIT = "wait"
    DONE = "done"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Step:
    move: Move
    why: str
    percent: float = 0.0


def snapshot_name(application: str, environment: str, plan_hash: str, run_id: str) -> str:
    """The identifier: letters, digits and single hyphens, a letter first, at most 255. Another for every run."""
    end = _name(f"{plan_hash} {run_id}")
    start = _name(f"{application} {environment}")[: LONGEST_IDENTIFIER - len("db--") - len(end)]
    name = _name(f"{start} {end}")
    return name if name[:1].isalpha() else f"db-{name}".rstrip("-")


def tag_values(values: Mapping[str, str]) -> dict[str, str]:
    """The tags, with nothing in them that AWS takes for no tag's text."""
    return {key: re.sub(r"[^A-Za-z0-9 _.:/=+@-]", "-", value)[:256] for key, value in values.items()}


def next_step(look: Look, limit_minutes: float) -> Step:
    """What to do now. A snapshot that is there is never taken again; one that can be restored is always enough."""
    if look.snapshot is None:
        return _absent(look, limit_minutes)
    snapshot, name = look.snapshot, f"Snapshot {look.identifier}"
    if snapshot.database.lower() != look.database.lower():
        why = f"{name} is of {snapshot.database}, not of {look.database}; nobody but this run may use its name."
        return Step(Move.FAIL, why)
    if snapshot.status == AVAILABLE:
        return Step(Move.DONE, f"{name} of {look.database} is there.", ALL)
    if snapshot.status in LOST:
        why = f"{name} of {look.database} is {snapshot.status}. Look at the instance's events in Amazon RDS."
        return Step(Move.FAIL, why)
    so_far = f"{name} of {look.database} is {snapshot.status}: {snapshot.percent} %"
    if look.minutes > limit_minutes:
        why = f"{so_far} after {look.minutes:.0f} minutes; allowed are {limit_minutes:g} (rollout.snapshot_minutes)."
        return Step(Move.FAIL, why, snapshot.percent)
    return Step(Move.WAIT, f"{so_far}.", snapshot.percent)


def unready(database: str, said: str) -> Step:
    """What is told after RDS has refused."""
    return Step(Move.WAIT, f"{database} takes no snapshot at the moment, and is asked again soon: {said}")


def _absent(look: Look, limit_minutes: float) -> Step:
    if look.minutes > limit_minutes:
        said = f" Amazon RDS said: {look.refused}" if look.refused else ""
        why = f"No snapshot of {look.database} could be begun within {limit_minutes:g} minutes.{said}"
        return Step(Move.FAIL, why)
    return Step(Move.TAKE, f"A snapshot of {look.database} is taken: {look.identifier}.")


def _name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
