"""Which runs wait for people or for their time, read from the ledger: the process that asked is long gone.

A newer plan takes the place of an older waiting one. Waiting never locks, so nothing has to be freed for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from rules.records import RUN_ENDINGS, Event, EventKind, Record
from rules.vocabulary import Finding, Verdict

ASKS = frozenset({EventKind.APPROVAL_ASKED, EventKind.WAITING})
GOES_ON = frozenset({EventKind.LOCK_TAKEN, *RUN_ENDINGS})


@dataclass(frozen=True, slots=True)
class WaitingRun:
    """A run that asked people or waits for its time, as its records say."""

    run_id: str
    environment: str
    plan_hash: str
    """Of the plan that it asked about last."""
    version: str
    asked_at: datetime
    """When it asked first."""
    deadline: datetime
    awaited: tuple[str, ...]
    """Ids of the people who are asked now; nobody once it is approved."""
    approved: bool = False
    until: datetime | None = None
    """When its time comes, once it is approved."""
    last_reminded: datetime | None = None
    superseded_by: str = ""
    began: int = 0
    """Number of its first record: of two waiting runs the one that began later is the newer."""


def waiting_runs(records: Iterable[Record], environment: str) -> tuple[WaitingRun, ...]:
    """The runs that wait in an environment, the oldest first."""
    stories: dict[str, list[Record]] = {}
    everything = [record for record in records if record.event.environment == environment]
    for record in everything:
        stories.setdefault(record.event.run_id, []).append(record)
    superseded = _superseded(everything)
    found = [_waiting(run_id, story, superseded.get(run_id, "")) for run_id, story in stories.items()]
    return tuple(run for run in found if run is not None)


def superseded_by(records: Iterable[Record], run_id: str) -> str:
    """The run whose newer plan took the place of this one's; empty when none did."""
    return _superseded(records).get(run_id, "")


def check_not_waiting(waiting: Iterable[WaitingRun], run_id: str, plan_hash: str) -> Finding:
    """Whether no other run waits with this very plan: its approvals would be lost by asking again."""
    twins = [run for run in waiting if run.run_id != run_id and run.plan_hash == plan_hash and not run.superseded_by]
    if twins:
        sentence = f"Run {twins[0].run_id} already waits with this very plan."
        remedy = "Approve that one, or reject it and run again."
        return Finding(
            "waiting runs", Verdict.FAILED, sentence, twins[0].run_id, "none with this plan", could_be_met=remedy
        )
    return Finding("waiting runs", Verdict.PASSED, "No other run waits with this plan.", "none", "none with this plan")


def older(waiting: Iterable[WaitingRun], began: int) -> tuple[WaitingRun, ...]:
    """The waiting runs whose place one takes that began with record number `began`."""
    return tuple(run for run in waiting if run.began < began and not run.superseded_by)


def newer(waiting: Iterable[WaitingRun], began: int) -> tuple[WaitingRun, ...]:
    """The waiting runs that take its place. Of two that ask at the same moment just one goes on."""
    return tuple(run for run in waiting if run.began > began and not run.superseded_by)


def check_not_superseded(records: Sequence[Record], run_id: str) -> Finding:
    newer = superseded_by(records, run_id)
    if newer:
        sentence = f"Run {newer} brings a newer plan, which took the place of this one."
        return Finding("superseded", Verdict.FAILED, sentence, newer, "no newer plan")
    return Finding("superseded", Verdict.PASSED, "No newer plan took the place of this one.", "none", "no newer plan")


def _superseded(records: Iterable[Record]) -> dict[str, str]:
    """The newer run by the older one."""
    events = [record.event for record in records if record.event.kind is EventKind.SUPERSEDES]
    return {str(event.details["run"]): event.run_id for event in events}


def _waiting(run_id: str, story: Sequence[Record], superseded: str) -> WaitingRun | None:
    asked = [record for record in story if record.event.kind is EventKind.APPROVAL_ASKED]
    if not asked or any(record.event.kind in GOES_ON for record in story):
        return None
    last = asked[-1].event
    approved_now = any(it.event.kind is EventKind.APPROVED for it in since(story, EventKind.APPROVAL_ASKED))
    waiting = _last(since(story, EventKind.APPROVED), EventKind.WAITING)
    reminded = _last(story, EventKind.REMINDED)
    return WaitingRun(
        run_id,
        last.environment,
        last.plan_hash,
        _version(story),
        asked[0].at,
        datetime.fromisoformat(str(last.details["deadline"])),
        () if approved_now else tuple(str(one) for one in last.details["awaited"]),
        approved_now,
        _until(waiting.event.details) if approved_now and waiting is not None else None,
        reminded.at if reminded is not None else None,
        superseded,
        story[0].seq,
    )


def _until(details: Mapping[str, object]) -> datetime:
    return datetime.fromisoformat(str(details["until"]))


def _version(story: Sequence[Record]) -> str:
    plans = [record.event.details.get("version", "") for record in story if record.event.kind is EventKind.PLAN]
    return str(plans[-1]) if plans else ""


def _last(story: Sequence[Record], kind: EventKind) -> Record | None:
    return next((record for record in reversed(story) if record.event.kind is kind), None)


def since(story: Sequence[Record], kind: EventKind) -> Sequence[Record]:
    """What a run recorded after its last record of that kind; all of it where there is none.

    What was approved is not approved any more once people are asked again, be it about the very same plan.
    """
    last = max((at for at, record in enumerate(story) if record.event.kind is kind), default=-1)
    return story[last + 1 :]


def was_asked(records: Iterable[Record]) -> bool:
    """Whether a run, of whose records these are, has asked people already."""
    return any(record.event.kind in ASKS for record in records)


def events_of(records: Iterable[Record], kind: EventKind) -> tuple[Event, ...]:
    return tuple(record.event for record in records if record.event.kind is kind)
