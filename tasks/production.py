"""What a promotion to production is asked for with, and the gates that only production has."""

from collections.abc import Sequence
from datetime import UTC, datetime

from prefect import get_run_logger

from blocks.doors import open_application
from rules.approvals import check_approvers
from rules.change_tickets import is_ticket_key
from rules.durations import expected_minutes
from rules.emergencies import check_emergency, excused
from rules.errors import Ended, InvalidInput, PromotionError
from rules.plans import Plan
from rules.production_policies import Emergency, Terms
from rules.records import RUN_ENDINGS, EventKind, Record
from rules.releases import is_sha
from rules.vocabulary import Finding, Release, Role, Strategy, unmet
from rules.waiting import check_not_superseded, check_not_waiting, waiting_runs, was_asked
from rules.windows import check_windows
from tasks.approving import open_case
from tasks.authorship import find_authors
from tasks.kinds import asking
from tasks.promotions import Promotion
from tasks.records import write
from tasks.releasing import AS_CATALOGUED
from tasks.tickets import check_change_ticket
from tasks.validating import check_validated
from tasks.waking import see

LONGEST_NAME = 100


@asking("begin")
def begin_production(application: str, version: str, terms: Terms, strategy: str, dry_run: bool) -> Promotion:
    """Opens every door and writes down who asked for what; when the run goes on after a wait, that it does."""
    if version and not is_sha(version):
        raise InvalidInput("version", version, "a Git SHA of 7 to 40 hexadecimal digits, or nothing for what runs")
    opened = open_application(application)
    source, target = opened.step_to(Role.PRODUCTION)
    override = None if strategy == AS_CATALOGUED else Strategy(strategy)
    promotion = Promotion(opened, source, target, version or None, strategy=override, terms=terms, dry_run=dry_run)
    environment = target.environment.name
    story = list(opened.ledger.records(promotion.run_id))
    refuse_what_ended(story)
    if story:
        write(opened.ledger, EventKind.RESUMED, environment, "The run goes on, from its top.")
        return promotion
    write(
        opened.ledger,
        EventKind.STARTED,
        environment,
        f"{terms.requested_by} asked for the promotion of {promotion}" + (f", version {version}." if version else "."),
        source=source.environment.name,
        requested=version,
        strategy=strategy,
        catalogue=opened.catalogue.sha256,
        dry_run=dry_run,
        **told(terms),
    )
    return promotion


def refuse_what_ended(story: Sequence[Record]) -> None:
    """Raises Ended when the run of these records has had its last word: the keeper looks after it no more."""
    last = next((it.event for it in story if it.event.kind in RUN_ENDINGS), None)
    if last is not None:
        raise Ended(last.run_id, last.kind.replace("_", " "))


def told(terms: Terms) -> dict[str, object]:
    """The terms as records have them."""
    emergency = {"emergency": terms.emergency} if terms.emergency else {}
    return {
        "requested_by": terms.requested_by,
        "ticket": terms.ticket,
        "start_at": terms.start_at,
        "next_window": terms.next_window,
        **emergency,
    }


def read_terms(
    requested_by: str, ticket: str, start_at: datetime | None, next_window: bool, emergency: Emergency | None
) -> Terms:
    """The fields of the form, checked. Raises InvalidInput."""
    who, key = requested_by.strip(), ticket.strip().upper()
    if not who or len(who) > LONGEST_NAME or not who.isprintable():
        raise InvalidInput("requested_by", requested_by, f"who asks, in 1 to {LONGEST_NAME} characters")
    if key and not is_ticket_key(key):
        raise InvalidInput("change_ticket", ticket, "the key of a ticket, such as CHG-123, or nothing")
    if start_at is not None and start_at.tzinfo is None:
        raise InvalidInput("start_at", start_at.isoformat(), "a time with its zone, such as 2026-11-23T09:00:00+01:00")
    return Terms(who, key, in_utc(start_at) if start_at else "", next_window, emergency)


def in_utc(start_at: datetime) -> str:
    """As ISO text. Raises InvalidInput for a time that no calendar has there."""
    try:
        return start_at.astimezone(UTC).isoformat(timespec="seconds")
    except OverflowError as error:
        raise InvalidInput("start_at", start_at.isoformat(), "a time within a year or so") from error


def check_production(promotion: Promotion, release: Release | None) -> tuple[tuple[Finding, ...], frozenset[str]]:
    """The gates that only production has, and who wrote the change."""
    authors, written = find_authors(promotion, release) if release else (frozenset[str](), ())
    findings = (
        *check_validated(promotion, release),
        *check_change_ticket(promotion, release),
        *check_its_window(promotion),
        *written,
        check_enough_approvers(promotion, authors),
        *check_emergency(promotion.emergency, promotion.catalogue.emergency),
    )
    return findings, authors


@asking("check the window")
def check_its_window(promotion: Promotion) -> tuple[Finding, ...]:
    """Whether traffic may move, now or when it is asked for. A run that was let in once waits for its time."""
    asked_to = promotion.terms is not None and promotion.terms.next_window
    return windows(promotion, waits=asked_to or (has_asked(promotion) and not promotion.emergency))


def windows(promotion: Promotion, *, waits: bool) -> tuple[Finding, ...]:
    return check_windows(
        promotion.catalogue.windows, datetime.now(UTC), expected(promotion), start_at(promotion), next_window=waits
    )


def expected(promotion: Promotion) -> float:
    """Minutes that the roll-out is expected to take."""
    strategies = {it.id: promotion.strategy_of(it) for it in promotion.services}
    return expected_minutes(promotion.catalogue, promotion.services, strategies)


def start_at(promotion: Promotion) -> datetime | None:
    at = promotion.terms.start_at if promotion.terms else ""
    return datetime.fromisoformat(at) if at else None


def has_asked(promotion: Promotion) -> bool:
    return was_asked(promotion.application.ledger.records(promotion.run_id))


@asking("check who may approve")
def check_enough_approvers(promotion: Promotion, authors: frozenset[str]) -> Finding:
    """Whether there are people enough, so that nobody waits in vain."""
    return check_approvers(open_case(promotion, "", authors), promotion.application.approvers.enrolled())


@asking("look for a run that waits with this plan")
def check_twins(promotion: Promotion, plan: Plan | None) -> tuple[Finding, ...]:
    """Whether a run that is alive waits with this very plan. One cancelled seems to, until the keeper looks."""
    if plan is None or has_asked(promotion):
        return ()
    waiting = waiting_runs(promotion.application.ledger.records(), plan.target)
    twins = (run for run in waiting if run.plan_hash == plan.hash)
    return (check_not_waiting([run for run in twins if not see(run.run_id).final], promotion.run_id, plan.hash),)


def less_excused(promotion: Promotion, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """The findings, with those excused that the run's emergency leaves out."""
    now = excused(findings, promotion.emergency, promotion.catalogue.emergency)
    if left_out := [it.gate for it in now if promotion.emergency and it.waived.startswith("Emergency ")]:
        get_run_logger().warning("EMERGENCY: left out are %s", ", ".join(left_out))
    return now


@asking("look at the window before traffic moves")
def check_time_left(promotion: Promotion) -> None:
    """A slow snapshot may have taken the window's last minutes; then what was written so far is put back.

    Not for a promised time: that was kept when the change began, and going back would break the promise altogether.
    """
    policy, now = promotion.catalogue.windows, datetime.now(UTC)
    left = check_windows(policy, now, expected(promotion), None, next_window=False)
    late = unmet(less_excused(promotion, left))
    if late:
        raise PromotionError(" ".join(finding.sentence for finding in late))


def check_again(promotion: Promotion) -> tuple[Finding, ...]:
    """The cheap gates, once more under the lock: waiting for it may have taken the window's last minutes."""
    superseded = check_not_superseded(list(promotion.application.ledger.records()), promotion.run_id)
    findings = (superseded, *windows(promotion, waits=False), *check_change_ticket.fn(promotion))
    return less_excused(promotion, findings)
