"""Who was asked, who said what of which plan, and whose word was not admitted: the chapters about people.

Only the time step of a one-time code is known here; the code itself never leaves its door.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rules.dossier_pages import Chapter
from rules.histories import details_of
from rules.records import EventKind, Record

REJECT = "reject"


def approval_chapters(run: Sequence[Record]) -> Iterator[Chapter]:
    asked = of(run, EventKind.APPROVAL_ASKED)
    given = tuple(_given(it, run) for it in of(run, EventKind.APPROVAL_GIVEN))
    if asked or given:
        yield Chapter("Approvals", (*_questions(asked, run), *_outcome(run)), given)
    yield Chapter("Approvals that became void", (), tuple(_void(it) for it in of(run, EventKind.APPROVALS_VOID)))
    refused = of(run, EventKind.APPROVAL_NOT_ADMITTED)
    yield Chapter("Answers that were not admitted", (), tuple(_not_admitted(it) for it in refused))


def of(run: Sequence[Record], *kinds: EventKind) -> list[Record]:
    return [record for record in run if record.event.kind in kinds]


def moment(record: Record) -> str:
    return _utc(record.at)


def times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"


def _utc(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _noted(text: str) -> str:
    """A time that stands in a record's details; what is none is shown as it is."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return _utc(at) if at.tzinfo else text


def _questions(asked: Sequence[Record], run: Sequence[Record]) -> Iterator[str]:
    if not asked:
        return
    first, last = asked[0], asked[-1]
    awaited = ", ".join(str(one) for one in first.event.details.get("awaited", ())) or "nobody"
    yield f"Asked first on {moment(first)}, on plan {first.event.plan_hash}. Awaited then: {awaited}."
    reminded = len(of(run, EventKind.REMINDED))
    times = "" if len(asked) == 1 else f" Asked {len(asked)} times in all."
    yield f"Deadline: {last.event.details.get('deadline', '')}.{times}" + (
        f" Reminded {reminded} times." * bool(reminded)
    )


def _outcome(run: Sequence[Record]) -> Iterator[str]:
    for record in of(run, EventKind.APPROVED):
        by = ", ".join(str(one) for one in record.event.details.get("by", ()))
        yield f"Approved on {moment(record)}: plan {record.event.plan_hash}, by {by} (record {record.seq})."


def _given(record: Record, run: Sequence[Record]) -> dict[str, str]:
    details = record.event.details
    return {
        "person": str(details.get("person", "")),
        "stage": str(details.get("stage", "")),
        "decision": str(details.get("decision", "")),
        "when": _answered(record, details),
        "plan": record.event.plan_hash,
        "counts": _counts(record, run),
        "comment": str(details.get("comment", "")),
        "code's step": _step(details),
        "record": str(record.seq),
    }


def _counts(record: Record, run: Sequence[Record]) -> str:
    """Whether this very answer let the run go on."""
    details, approved = record.event.details, of(run, EventKind.APPROVED)
    if details.get("decision") == REJECT:
        return "ended the run"
    if any(_voids(it, record) for it in of(run, EventKind.APPROVALS_VOID)):
        return "void: the plan changed"
    let_go = any(
        it.event.plan_hash == record.event.plan_hash and details.get("person") in it.event.details.get("by", ())
        for it in approved
    )
    return "yes" if let_go else "the run was not approved"


def _voids(voiding: Record, record: Record) -> bool:
    return voiding.seq > record.seq and voiding.event.details.get("was") == record.event.plan_hash


def _void(record: Record) -> dict[str, str]:
    details = record.event.details
    return {
        "when": moment(record),
        "plan before": str(details.get("was", "")),
        "plan after": str(details.get("now", "")),
        "whose": ", ".join(str(one) for one in details.get("people", ())) or "nobody's",
        "record": str(record.seq),
    }


def _not_admitted(record: Record) -> dict[str, str]:
    details = record.event.details
    return {
        "claimed to be": str(details.get("claimed", "")),
        "person": str(details.get("person", "")) or "unknown",
        "decision": str(details.get("decision", "")),
        "why not": str(details.get("reason", "")),
        "when": _answered(record, details),
        "code's step": _step(details),
        "record": str(record.seq),
    }


def _answered(record: Record, details: Mapping[str, Any]) -> str:
    """When it was given; the record says when it was judged."""
    return _noted(str(details.get("at", ""))) or moment(record)


def _step(details: Mapping[str, Any]) -> str:
    return "" if details.get("step") is None else str(details["step"])


def requested(run: Sequence[Record]) -> Chapter:
    """Who asked for what."""
    started = details_of(run, EventKind.STARTED)
    emergency = dict(started.get("emergency") or {})
    told = {
        "asked by": started.get("requested_by"),
        "version asked for": started.get("requested") or "whatever ran in the source",
        "from": started.get("source"),
        "strategy": started.get("strategy"),
        "change ticket": started.get("ticket"),
        "to begin at": started.get("start_at"),
        "in the next window": "yes" if started.get("next_window") else "",
        "EMERGENCY, incident": emergency.get("incident"),
        "EMERGENCY, reason": emergency.get("reason"),
        "EMERGENCY, gates left out": ", ".join(emergency.get("waives", ())),
        "dry run": "yes" if started.get("dry_run") else "",
        "catalogue (SHA-256)": started.get("catalogue"),
    }
    rows = tuple({"what": name, "value": str(value)} for name, value in told.items() if value)
    return Chapter("Request", (), rows)
