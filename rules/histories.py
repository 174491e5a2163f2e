"""What came to an environment, run by run, read from the ledger: one row for each run that ended, the newest first.

A rehearsal (a dry run) came to nothing and is not part of it; a run that was refused or rejected is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rules.messages import Ending, spoken
from rules.records import RUN_ENDINGS, EventKind, Record
from rules.summaries import OUTCOMES

MOST = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One run that ended."""

    run_id: str
    began: datetime
    ended: datetime
    version: str
    """Empty where it never came to a plan and none was asked for."""
    source: str
    """Empty where nothing comes from another environment."""
    ending: Ending
    asked_by: str
    approved_by: tuple[str, ...]
    """Ids of the people whose approvals let it go on."""
    ticket: str
    held_seconds: float
    """How long it had the environment to itself."""

    @property
    def took(self) -> str:
        """From its beginning to its end; where it waited, also how long it worked on the environment."""
        whole = (self.ended - self.began).total_seconds()
        held = f", {spoken(self.held_seconds)} of it with the lock" if self.approved_by and self.held_seconds else ""
        return f"{spoken(whole)}{held}"


def history(records: Iterable[Record], environment: str) -> tuple[Entry, ...]:
    """The runs that ended in an environment, those that ended last first."""
    stories: dict[str, list[Record]] = {}
    for record in records:
        stories.setdefault(record.event.run_id, []).append(record)
    entries = [it for it in (_entry(story, environment) for story in stories.values()) if it is not None]
    return tuple(sorted(entries, key=lambda it: it.ended, reverse=True))


def history_rows(entries: Sequence[Entry], link: Callable[[str], str], most: int = MOST) -> list[dict[str, str]]:
    """The entries as a table. `link` gives the address of a run, or nothing where there is none."""
    return [
        {
            "when": f"{it.ended:%Y-%m-%d %H:%M} UTC",
            "version": it.version,
            "from": it.source,
            "ending": it.ending.value,
            "asked by": it.asked_by,
            "approved by": ", ".join(it.approved_by),
            "ticket": it.ticket,
            "took": it.took,
            "run": link(it.run_id) or it.run_id,
        }
        for it in entries[:most]
    ]


def _entry(story: Sequence[Record], environment: str) -> Entry | None:
    ending = next((record for record in reversed(story) if record.event.kind in RUN_ENDINGS), None)
    if ending is None or ending.event.environment != environment or is_rehearsal(story):
        return None
    started, plan = details_of(story, EventKind.STARTED), details_of(story, EventKind.PLAN)
    created, approved = details_of(story, EventKind.TICKET_CREATED), details_of(story, EventKind.APPROVED)
    return Entry(
        run_id=ending.event.run_id,
        began=story[0].at,
        ended=ending.at,
        version=str(plan.get("version") or started.get("requested") or ""),
        source=str(started.get("source", "")),
        ending=OUTCOMES[ending.event.kind],
        asked_by=str(started.get("requested_by", "")),
        approved_by=tuple(str(one) for one in approved.get("by", ())),
        ticket=str(created.get("ticket") or started.get("ticket") or ""),
        held_seconds=_held(story, ending),
    )


def is_rehearsal(story: Iterable[Record]) -> bool:
    return any(record.event.details.get("dry_run") for record in story)


def details_of(story: Sequence[Record], kind: EventKind) -> Mapping[str, Any]:
    """Of the last record of that kind."""
    return next((record.event.details for record in reversed(story) if record.event.kind is kind), {})


def _held(story: Iterable[Record], ending: Record) -> float:
    taken = next((record.at for record in story if record.event.kind is EventKind.LOCK_TAKEN), None)
    return (ending.at - taken).total_seconds() if taken else 0.0
