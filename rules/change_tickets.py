"""The change ticket of a promotion: whether the change may be made, and what the ticket has not heard yet.

    ticket ──check_ticket(policy)──▶ Finding          records ──untold──▶ what to tell, and where the ticket moves

What is written on a ticket is in `rules/ticket_comments.py`. Keys, summaries and statuses come from outside.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from rules.approval_pages import seen
from rules.histories import is_rehearsal
from rules.production_policies import TicketPolicy, Waivable
from rules.records import RUN_ENDINGS, EventKind, Record
from rules.vocabulary import Finding, Verdict

GATE = Waivable.CHANGE_TICKET.value
KEY = re.compile(r"[A-Z][A-Z0-9_]{1,9}-[1-9][0-9]{0,9}")
LINK, UNDER_WAY = "link", "under_way"
"""What a ticket hears before the end; then it hears the ending, by its kind."""
SHOWN = 120
STILL_TOLD = timedelta(days=30)
"""What a ticket has not heard for so long, it does not hear any more: it may be gone, or closed to us."""

BEYOND_THE_GATES = frozenset(
    {EventKind.TICKET_TOLD, EventKind.APPROVAL_ASKED, EventKind.APPROVED, EventKind.WAITING, EventKind.LOCK_TAKEN}
)


def is_ticket_key(text: str) -> bool:
    """Whether this can be the key of a ticket, such as CHG-123."""
    return KEY.fullmatch(text) is not None


def project_of(key: str) -> str:
    return key.rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as the ticket system has it."""

    key: str
    """Its own, also when it was asked for by the one that it had before it was moved to another project."""
    summary: str
    status: str
    """By name."""
    category: str = ""
    """`new`, `indeterminate` or `done`."""
    url: str = ""
    """Where people look at it."""

    @property
    def is_open(self) -> bool:
        return self.category != "done"


@dataclass(frozen=True, slots=True)
class Move:
    """A transition that the ticket's workflow offers now."""

    id: str
    name: str
    to: str
    """Name of the status that it leads to."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of moving a ticket."""

    there: bool
    why_not: str = ""


def same_status(one: str, other: str) -> bool:
    """Status names are compared as people do."""
    return one.strip().casefold() == other.strip().casefold()


def move_to(moves: Iterable[Move], status: str) -> Move | None:
    """The transition that leads to a status in one step."""
    return next((move for move in moves if same_status(move.to, status)), None)


def no_way(ticket: Ticket, status: str, moves: Sequence[Move]) -> Moved:
    offered = ", ".join(dict.fromkeys(seen(move.to, SHOWN) for move in moves)) or "nowhere"
    why = f"{ticket.key} is {seen(ticket.status, SHOWN)}, from where the workflow leads to {offered}, not to {status}."
    return Moved(there=False, why_not=why)


# ----------------------------------------------------------------------------------------------------------- the gate


def check_ticket(ticket: Ticket | None, key: str, policy: TicketPolicy) -> Finding:
    """Whether the change may be made, by the ticket that was named. None: the ticket system does not show it."""
    if not policy.project:
        return no_project()
    if ticket is None:
        sentence = f"{key} does not exist, or the promotion account may not see it."
        remedy = "Name the approved ticket of this change, or let the promotion account see it; then run again."
        return _refusal(sentence, "not found", f"a ticket of project {policy.project}", remedy)
    if project_of(ticket.key) != policy.project:
        was = "" if ticket.key == key else f" {key} is now {ticket.key}."
        sentence = f"{ticket.key} is a ticket of another project.{was}"
        remedy = f"Name a ticket of project {policy.project}, then run again."
        return _refusal(sentence, project_of(ticket.key), policy.project, remedy)
    return _check_status(ticket, policy)


def no_project() -> Finding:
    """What is found where there are no change tickets."""
    sentence = "No change ticket was looked at: the catalogue names no project of change tickets."
    waived = "The catalogue names no project of change tickets."
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, "no project", "a project", waived=waived)


def awaits_approval(ticket: Ticket, policy: TicketPolicy, *, made_now: bool) -> Finding:
    """What is found where no ticket was named: the one that was made, which people must approve and somebody name."""
    when = "was created now" if made_now else f"was created for this version before and is {seen(ticket.status, SHOWN)}"
    sentence = f"No change ticket was named; {ticket.key} {when}."
    remedy = f"{ticket.key} was created; have it approved, then run again with it as the change ticket. {ticket.url}"
    return _refusal(sentence, "no ticket named", f"a ticket that is {_allowed(policy)}", remedy.strip())


def would_be_made(policy: TicketPolicy, version: str) -> Finding:
    """What a dry run finds where no ticket was named, nor made before."""
    sentence = f"No change ticket was named; one would be created in project {policy.project} for {version}."
    remedy = "Run without dry run to have it created, or name an approved one."
    return _refusal(sentence, "no ticket named", f"a ticket that is {_allowed(policy)}", remedy)


def nothing_to_make(policy: TicketPolicy) -> Finding:
    """What is found where no ticket was named, and there is no release for which one could be made."""
    sentence = "No change ticket was named, and without a release none can be created."
    remedy = "Name the approved ticket, or run again when it is clear which release it is."
    return _refusal(sentence, "no ticket named", f"a ticket that is {_allowed(policy)}", remedy)


def unreachable(trouble: Exception, policy: TicketPolicy) -> Finding:
    """What an emergency finds that leaves this gate out, while the ticket system is down. Never a pass."""
    sentence = f"The change ticket could not be looked at: {trouble}"
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, "no answer", f"a ticket that is {_allowed(policy)}")


def _check_status(ticket: Ticket, policy: TicketPolicy) -> Finding:
    status, allowed = seen(ticket.status, SHOWN), _allowed(policy)
    if any(same_status(ticket.status, one) for one in policy.approved):
        sentence = f"{ticket.key} is {status}: {seen(ticket.summary, SHOWN)}"
        return Finding(GATE, Verdict.PASSED, sentence, status, allowed, ticket.url)
    sentence = f"{ticket.key} is {status or 'without a status'}, not {allowed}."
    remedy = f"Have {ticket.key} approved, then run again. {ticket.url}".strip()
    return _refusal(sentence, status, allowed, remedy, ticket.url)


def _refusal(sentence: str, measured: str, allowed: str, remedy: str, evidence: str = "") -> Finding:
    return Finding(GATE, Verdict.FAILED, sentence, measured, allowed, evidence, could_be_met=remedy)


def _allowed(policy: TicketPolicy) -> str:
    return " or ".join(policy.approved) or "in no status: the catalogue names none"


# -------------------------------------------------------------------------------------------- what the records say


def ticket_made_for(records: Iterable[Record], environment: str, version: str) -> tuple[str, ...]:
    """Keys of the tickets that were made for this version, the newest first. `records`: of one application."""
    made = (it.event for it in records if it.event.kind is EventKind.TICKET_CREATED)
    keys = [str(it.details["ticket"]) for it in made if _is_for(it.details, it.environment, environment, version)]
    return tuple(dict.fromkeys(reversed(keys)))


def ticket_of(story: Iterable[Record]) -> str:
    """The ticket of a run: the one that it was asked for with, or that was made for it. Empty: none."""
    key = ""
    for record in story:
        if record.event.kind in {EventKind.STARTED, EventKind.TICKET_CREATED}:
            key = str(record.event.details.get("ticket") or key)
    return key


def writable(key: str, policy: TicketPolicy) -> bool:
    """Whether we write on this ticket: nobody gets us to write in other people's projects."""
    return bool(policy.project) and is_ticket_key(key) and project_of(key) == policy.project


def has_heard(story: Iterable[Record], about: str) -> bool:
    told = (it.event.details for it in story if it.event.kind is EventKind.TICKET_TOLD)
    return any(it.get("about") == about for it in told)


def ending_of(story: Sequence[Record]) -> Record | None:
    return next((it for it in reversed(story) if it.event.kind in RUN_ENDINGS), None)


def untold(story: Sequence[Record], policy: TicketPolicy) -> tuple[str, ...]:
    """What the ticket of a run that ended has not heard: its ending, and before that the link.

    Nothing of runs that ended at their gates, where nobody has been asked and nothing was to come of it.
    """
    ending = ending_of(story)
    if ending is None or not writable(ticket_of(story), policy) or is_rehearsal(story):
        return ()
    if not any(it.event.kind in BEYOND_THE_GATES for it in story):
        return ()
    about = ending.event.kind.value
    return () if has_heard(story, about) else tuple(it for it in (LINK, about) if not has_heard(story, it))


def untold_runs(records: Iterable[Record], policy: TicketPolicy, now: datetime) -> tuple[str, ...]:
    """Ids of the runs of which a ticket has not heard the ending, the oldest first."""
    stories: dict[str, list[Record]] = {}
    for record in records:
        stories.setdefault(record.event.run_id, []).append(record)
    return tuple(
        run_id
        for run_id, story in stories.items()
        if (ending := ending_of(story)) is not None and now - ending.at <= STILL_TOLD and untold(story, policy)
    )


def final_status(story: Sequence[Record], policy: TicketPolicy) -> str:
    """Where the ticket of a run that ended moves to; empty: it stays where it is.

    A run that ended before it had the environment for itself changed nothing: its ticket is as good as before.
    """
    ending = ending_of(story)
    if ending is None:
        return ""
    began = any(it.event.kind is EventKind.LOCK_TAKEN for it in story)
    return {
        EventKind.COMPLETED: policy.deployed,
        EventKind.PUT_BACK: policy.rolled_back,
        EventKind.PUT_BACK_FAILED: policy.failed,
        EventKind.FAILED: policy.failed if began else "",
        EventKind.CANCELLED: policy.failed if began else "",
    }.get(ending.event.kind, "")


def later_run(records: Iterable[Record], story: Sequence[Record]) -> str:
    """Id of a run that had its turn after this one, by the same ticket; empty: none had.

    What the ticket hears late must not pull it away from there. Whose turn it was says the lock: it is given back
    before the ending is recorded, and the next run may be quicker. `records`: of the application, the oldest first.
    """
    key = ticket_of(story)
    turn = max((it.seq for it in story if it.event.kind is EventKind.LOCK_TAKEN), default=story[-1].seq)
    tickets: dict[str, str] = {}
    for record in records:
        run_id = record.event.run_id
        tickets[run_id] = ticket_of([record]) or tickets.get(run_id, "")
        if record.seq > turn and record.event.kind is EventKind.LOCK_TAKEN and tickets[run_id] == key:
            return run_id
    return ""


def _is_for(details: Mapping[str, Any], where: str, environment: str, version: str) -> bool:
    return where == environment and details.get("version") == version and is_ticket_key(str(details.get("ticket")))
