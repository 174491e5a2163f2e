"""The end of a run, told from its records: the one source for every message, however the run ended.

Because the ledger is asked and not the process, a run that died can be announced by whoever recovers it.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from rules.approval_words import Decision
from rules.messages import Ending, RunSummary
from rules.records import RUN_ENDINGS, Event, EventKind, Record
from rules.settling import INTENTS
from rules.vocabulary import Finding, Verdict

CHAT, PAGER, PAGER_OVER, CHANGES = "chat", "pager", "pager: over", "change events"
"""The channels, as records name them."""
APPROVALS = "chat: approvals"
"""The chat too, about what happens before the end: not the channel that hears of the end."""

OUTCOMES = {
    EventKind.COMPLETED: Ending.SUCCEEDED,
    EventKind.REFUSED: Ending.REFUSED,
    EventKind.REJECTED: Ending.REJECTED,
    EventKind.SUPERSEDED: Ending.SUPERSEDED,
    EventKind.FAILED: Ending.FAILED,
    EventKind.PUT_BACK: Ending.PUT_BACK,
    EventKind.PUT_BACK_FAILED: Ending.PUT_BACK_FAILED,
    EventKind.CANCELLED: Ending.CANCELLED,
}


def summarise(records: Iterable[Record], flow: str, application: str, run_url: str) -> RunSummary | None:
    """The summary of a run that has ended, None while it has not. `records` are those of the run, oldest first."""
    told = list(records)
    ending = next((record for record in reversed(told) if record.event.kind in RUN_ENDINGS), None)
    if ending is None:
        return None
    started, plan = _details(told, EventKind.STARTED), _details(told, EventKind.PLAN)
    seen = _details(told, EventKind.VALIDATED)
    return RunSummary(
        flow=flow,
        application=application,
        source=str(started.get("source", "")),
        target=ending.event.environment,
        version=str(plan.get("version") or seen.get("version") or started.get("requested") or ""),
        outcome=OUTCOMES[ending.event.kind],
        sentence=_why(ending, told),
        findings=run_findings(told),
        run_url=run_url,
        duration_s=(ending.at - told[0].at).total_seconds(),
        serving=dict(ending.event.details.get("serving", {})),
    )


def run_findings(records: Iterable[Record]) -> tuple[Finding, ...]:
    """All findings of a run, in the order in which they were found; a gate that was asked again counts as it is now."""
    found: list[Finding] = []
    for record in records:
        if record.event.kind is EventKind.FINDINGS:
            now = read_findings(record.event.details["findings"])
            again = {it.gate for it in now}
            found = [*(it for it in found if it.gate not in again), *now]
    return tuple(found)


def read_findings(stored: Iterable[dict[str, str]]) -> tuple[Finding, ...]:
    """Findings as a record's details have them."""
    return tuple(_finding(one) for one in stored)


def already_told(records: Iterable[Record], channel: str) -> bool:
    """Whether a channel has heard of the run's end: nobody is told twice."""
    told = (record.event for record in records if record.event.kind is EventKind.NOTIFIED)
    return any(event.details.get("channel") == channel for event in told)


def told_about(records: Iterable[Record], channel: str) -> dict[str, dict[str, Any]]:
    """What a channel has heard that hears of many things of a run: the details of each telling, by what it is about."""
    told = (record.event.details for record in records if record.event.kind is EventKind.NOTIFIED)
    return {str(it["about"]): dict(it) for it in told if it.get("channel") == channel and "about" in it}


def cancelled_sentence(message: str, run: Iterable[Event], left: Sequence[Event]) -> str:
    """What a cancelled run leaves: nothing, what it put back, or work for the next run.

    `run` are its own events, `left` what is unsettled in its environment.
    """
    if left:
        kinds = ", ".join(sorted({intent.kind.removesuffix("_intent") for intent in left}))
        return f"{message} STILL CHANGED: {kinds}. Promote again to finish it, or to go back if that fails."
    if any(event.kind in INTENTS for event in run):
        return f"{message} What it had changed was put back."
    return f"{message} Nothing had been changed."


def page_is_open(records: Iterable[Record], environment: str) -> bool:
    """Whether somebody was paged about an environment and has not been told that it is over."""
    told = [
        record.event.details.get("channel")
        for record in records
        if record.event.kind is EventKind.NOTIFIED and record.event.environment == environment
    ]
    last = next((channel for channel in reversed(told) if channel in {PAGER, PAGER_OVER}), None)
    return last == PAGER


def _why(ending: Record, told: Iterable[Record]) -> str:
    """The ending's sentence; of a rejection by somebody, who says so with the comment."""
    if ending.event.kind is not EventKind.REJECTED:
        return ending.event.sentence
    said = (it.event for it in told if it.event.kind is EventKind.APPROVAL_GIVEN)
    return next((it.sentence for it in said if it.details.get("decision") == Decision.REJECT), ending.event.sentence)


def _details(records: Sequence[Record], kind: EventKind) -> dict[str, Any]:
    return next((dict(record.event.details) for record in records if record.event.kind is kind), {})


def _finding(stored: dict[str, str]) -> Finding:
    return Finding(**{**stored, "verdict": Verdict(stored["verdict"])})  # type: ignore[arg-type]
