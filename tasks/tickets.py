"""The change ticket: looked at before the change, linked to the run, told how it ended, and moved on.

The look is a gate: a ticket system that is down is an outage there, and never an approval. What a ticket is told
afterwards can neither fail a promotion nor hold it up: what it did not take is told again from the ledger, at the next
pass of the run, at its end, or by the keeper of the waiting runs. Each thing is told once.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from prefect.logging import get_logger

from blocks.doors import Application, open_application
from rules.change_tickets import (
    LINK,
    UNDER_WAY,
    Moved,
    Ticket,
    awaits_approval,
    check_ticket,
    ending_of,
    final_status,
    has_heard,
    is_ticket_key,
    later_run,
    no_project,
    nothing_to_make,
    ticket_made_for,
    ticket_of,
    unreachable,
    untold,
    untold_runs,
    would_be_made,
    writable,
)
from rules.emergencies import excused
from rules.errors import Declined, InvalidInput, Outage
from rules.histories import details_of, is_rehearsal
from rules.plans import Plan
from rules.records import Event, EventKind, Record
from rules.ticket_comments import Setting, draft, ending_comment, link_comment, link_title, marker, stuck_comment
from rules.vocabulary import Finding, Release
from tasks.announcing import run_link
from tasks.kinds import acting
from tasks.promotions import Promotion, pin_release
from tasks.waking import see

logger = get_logger("promotion-flows.tickets")

FLOW = "promote-to-production"
STUCK = "not moved"
GLOBAL_ID = "promotion-flows:run:{run_id}"


# --------------------------------------------------------------------------------------------------------- the gate


@acting("check the change ticket")
def check_change_ticket(promotion: Promotion, release: Release | None = None) -> tuple[Finding, ...]:
    """Whether the change may be made. Where no ticket was named one is made, once for each version; a person names it.

    `release`: for which one would be made; without it the one that runs in the source. Raises Outage.
    """
    policy = promotion.catalogue.tickets
    if not policy.project:
        return (no_project(),)
    try:
        return (_look(promotion, release),)
    except (Outage, Declined) as trouble:
        finding = unreachable(trouble, policy)
        [judged] = excused((finding,), promotion.emergency, promotion.catalogue.emergency)
        if judged.blocks:
            raise
        return (finding,)


def _look(promotion: Promotion, release: Release | None) -> Finding:
    policy, key = promotion.catalogue.tickets, promotion.terms.ticket if promotion.terms else ""
    if not key:
        return _look_for_one(promotion, release)
    if not is_ticket_key(key):
        raise InvalidInput("change_ticket", key[:40], "the key of a ticket, such as CHG-123")
    return check_ticket(promotion.application.tickets.find(key), key, policy)


def _look_for_one(promotion: Promotion, release: Release | None) -> Finding:
    """The ticket that was made for this change, by this run or before it, or else now."""
    policy = promotion.catalogue.tickets
    if ours := ticket_of(_story(promotion.application, promotion.run_id)):
        ticket = promotion.application.tickets.find(ours)
        return awaits_approval(ticket, policy, made_now=False) if ticket else check_ticket(None, ours, policy)
    release = release or pin_release.fn(promotion)[0]
    if release is None:
        return nothing_to_make(policy)
    if known := _made_before(promotion, release.version):
        _keep(promotion, known, release.version)
        return awaits_approval(known, policy, made_now=False)
    if promotion.dry_run:
        return would_be_made(policy, release.version)
    ticket = _make(promotion, release.version)
    return awaits_approval(ticket, policy, made_now=True)


def _made_before(promotion: Promotion, version: str) -> Ticket | None:
    """The open ticket that an earlier run had made for the same version in the same environment."""
    environment, tickets = promotion.target.environment.name, promotion.application.tickets
    keys = ticket_made_for(promotion.application.ledger.records(), environment, version)
    found = (tickets.find(key) for key in keys if writable(key, promotion.catalogue.tickets))
    return next((ticket for ticket in found if ticket is not None and ticket.is_open), None)


def _make(promotion: Promotion, version: str) -> Ticket:
    story = _story(promotion.application, promotion.run_id)
    asked = details_of(story, EventKind.STARTED)
    setting = _setting(promotion.application, promotion.run_id)
    wanted = draft(setting, promotion.target.environment.name, version, asked, promotion.catalogue.tickets)
    ticket = promotion.application.tickets.create(wanted)
    _keep(promotion, ticket, version)
    return ticket


def _keep(promotion: Promotion, ticket: Ticket, version: str) -> None:
    """Which ticket this run goes by, so that its next pass and the next run for this version find it again."""
    if promotion.dry_run:
        return
    environment = promotion.target.environment.name
    sentence = f"{ticket.key} was created for {version} in {environment}: it is for people to approve."
    details = {"ticket": ticket.key, "version": version}
    event = Event(promotion.run_id, "", environment, EventKind.TICKET_CREATED, sentence, details)
    promotion.application.ledger.append(event)


# --------------------------------------------------------------------------------------------- what the ticket is told


@acting("link the change ticket")
def link_ticket(promotion: Promotion, plan: Plan) -> None:
    """The ticket shows the run. A ticket system that is down now hears it later."""
    _quietly(tell_link, promotion.application, promotion.run_id, plan.hash)


@acting("move the change ticket")
def ticket_under_way(promotion: Promotion, plan: Plan) -> None:
    """The ticket moves to where changes under way are, by policy; it may stay where it is."""
    _quietly(tell_under_way, promotion.application, promotion.run_id, plan.hash)


def tell_ticket(application: Application, run_id: str) -> None:
    """The ticket of a run that has ended hears how, from the run's records alone. Raises nothing."""
    _quietly(tell_ending, application, run_id)


@acting("tell change tickets what they missed")
def tell_untold_tickets(name: str) -> tuple[str, ...]:
    """One sentence for each run whose ending its ticket had not heard, because the ticket system was out of reach."""
    return tell_untold(open_application(name), datetime.now(UTC), lambda run_id: see(run_id).final)


def tell_untold(application: Application, now: datetime, is_over: Callable[[str], bool]) -> tuple[str, ...]:
    """As `tell_untold_tickets`. `is_over`: whether no process of the run is left, which may be telling it just now."""
    policy = application.catalogue.tickets
    runs = untold_runs(application.ledger.records(), policy, now) if policy.project else ()
    return tuple(filter(None, (_quietly(tell_ending, application, run_id) for run_id in runs if is_over(run_id))))


def tell_link(application: Application, run_id: str, plan_hash: str = "") -> str:
    """Link and comment. What was told, as a sentence; empty where the ticket has heard it, or there is none."""
    story = _story(application, run_id)
    key = _hearer(application, story, LINK)
    if not key:
        return ""
    setting, sign = _setting(application, run_id), marker(run_id, LINK)
    if setting.run_url:
        global_id = GLOBAL_ID.format(run_id=run_id)
        application.tickets.link(key, global_id, setting.run_url, link_title(setting, story))
    application.tickets.comment(key, link_comment(setting, story, sign), sign)
    return _note(application, story, LINK, f"{key} is linked to run {run_id}.", plan_hash)


def tell_under_way(application: Application, run_id: str, plan_hash: str = "") -> str:
    """Move to where changes under way are."""
    story, status = _story(application, run_id), application.catalogue.tickets.under_way
    key = _hearer(application, story, UNDER_WAY)
    if not key or not status:
        return ""
    moved = application.tickets.move(key, status)
    sentence = _moved(application, key, run_id, moved, status)
    return _note(application, story, UNDER_WAY, sentence, plan_hash)


def tell_ending(application: Application, run_id: str) -> str:
    """Link where that is missing, comment, move. In this order: what is closed may take no comments."""
    story, policy = _story(application, run_id), application.catalogue.tickets
    ending = ending_of(story)
    about = untold(story, policy)
    if ending is None or not about:
        return ""
    if LINK in about:
        tell_link(application, run_id)
    key, kind = ticket_of(story), ending.event.kind.value
    setting, sign = _setting(application, run_id), marker(run_id, kind)
    application.tickets.comment(key, ending_comment(setting, story, FLOW, sign), sign)
    sentence = f"{key} knows that run {run_id} ended: {kind.replace('_', ' ')}."
    return _note(application, story, kind, f"{sentence} {_moved_on(application, story)}".strip())


def _moved_on(application: Application, story: Sequence[Record]) -> str:
    """Where the ticket of a run that ended is moved to, as a sentence; empty where policy leaves it."""
    policy, key = application.catalogue.tickets, ticket_of(story)
    status = final_status(story, policy)
    if not status:
        return ""
    if later := later_run(application.ledger.records(), story):
        return f"{key} stays where run {later} has it."
    moved = application.tickets.move(key, status, via=policy.under_way)
    return _moved(application, key, story[0].event.run_id, moved, status)


def _moved(application: Application, key: str, run_id: str, moved: Moved, status: str) -> str:
    """What became of a move, as a sentence. Where the workflow has no way there, people are told on the ticket."""
    if moved.there:
        return f"{key} is {status}."
    logger.warning("%s was not moved to %s: %s", key, status, moved.why_not)
    sign = marker(run_id, f"{STUCK} to {status}")
    application.tickets.comment(key, stuck_comment(moved, status, sign), sign)
    return f"{key} could not be moved to {status}: {moved.why_not}"


def _hearer(application: Application, story: Sequence[Record], about: str) -> str:
    """The ticket that is to hear this now; empty where none is."""
    key = ticket_of(story)
    if not writable(key, application.catalogue.tickets) or is_rehearsal(story) or has_heard(story, about):
        return ""
    return key


def _note(application: Application, story: Sequence[Record], about: str, sentence: str, plan_hash: str = "") -> str:
    """Written down after it was told; where we die between the two the ticket itself says that it knows."""
    last = next((it.event.plan_hash for it in reversed(story) if it.event.plan_hash), "")
    details = {"ticket": ticket_of(story), "about": about}
    first = story[0].event
    event = Event(first.run_id, plan_hash or last, first.environment, EventKind.TICKET_TOLD, sentence, details)
    application.ledger.append(event)
    return sentence


def _quietly(tell: Callable[..., str], application: Application, run_id: str, *more: str) -> str:
    try:
        return tell(application, run_id, *more)
    except Exception as trouble:  # noqa: BLE001 - what serves in production does not depend on who has heard of it
        logger.warning("the change ticket of run %s was not told: %s: %s", run_id, type(trouble).__name__, trouble)
        return ""


def _story(application: Application, run_id: str) -> list[Record]:
    return list(application.ledger.records(run_id))


def _setting(application: Application, run_id: str) -> Setting:
    return Setting(application.name, application.catalogue.people, run_link(run_id))
