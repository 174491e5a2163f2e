"""What is done for the runs that wait, now and again: no process of theirs is there to do it."""

from datetime import UTC, datetime, timedelta

from prefect.logging import get_logger

from blocks.doors import Application, open_application
from rules.records import Event, EventKind
from rules.vocabulary import Role
from rules.waiting import WaitingRun, waiting_runs
from tasks.announcing import announce
from tasks.kinds import acting
from tasks.telling_approvals import policy_of, remind, tell_approvals
from tasks.waking import see, wake

logger = get_logger("promotion-flows.keeping")


@acting("look after the waiting runs")
def look_after_waiting_runs(name: str) -> tuple[str, ...]:
    """One sentence for each run for which something was done."""
    application, now = open_application(name), datetime.now(UTC)
    catalogue = application.catalogue
    targets = [it for it in catalogue.environments.values() if it.role is Role.PRODUCTION]
    waiting = [run for it in targets for run in waiting_runs(application.ledger.records(), it.name)]
    return tuple(filter(None, (look_after_whatever_comes(application, run, now) for run in waiting)))


def look_after_whatever_comes(application: Application, run: WaitingRun, now: datetime) -> str:
    """One run that cannot be looked after keeps nobody from the others."""
    try:
        return look_after(application, run, now)
    except Exception as trouble:  # noqa: BLE001 - it is told, and tried again at the next look
        logger.warning("run %s: %s: %s", run.run_id, type(trouble).__name__, trouble)
        return f"Run {run.run_id} could not be looked after: {type(trouble).__name__}."


def look_after(application: Application, run: WaitingRun, now: datetime) -> str:
    """What was done, as a sentence; empty where there was nothing to do."""
    seen = see(run.run_id)
    if seen.final:
        return close(application, run, seen.name, seen.message)
    if not seen.suspended:
        return ""  # it is at work just now
    tell_approvals(application, run.run_id)  # what the channel missed, if it was out of reach
    if why := reason_to_wake(run, now) or ("nobody can answer, its form is not there" if seen.formless else ""):
        return f"Run {run.run_id} was woken: {why}." if wake(run.run_id, why) else ""
    return remind_when_due(application, run, now)


def reason_to_wake(run: WaitingRun, now: datetime) -> str:
    if run.superseded_by:
        return f"run {run.superseded_by} took its place"
    if run.until is not None and run.until <= now:
        return "its time has come"
    if run.approved and run.until is None:
        return "it is approved"
    return "the deadline for approvals is over" if not run.approved and run.deadline < now else ""


def remind_when_due(application: Application, run: WaitingRun, now: datetime) -> str:
    policy = policy_of(application.catalogue, application.ledger.records(run.run_id))
    if run.approved or now - (run.last_reminded or run.asked_at) < timedelta(hours=policy.reminder_hours):
        return ""
    if not remind(application, run):
        return ""
    sentence = f"Reminded {', '.join(run.awaited) or 'nobody'} of run {run.run_id}."
    event = Event(run.run_id, run.plan_hash, run.environment, EventKind.REMINDED, sentence, {"awaited": run.awaited})
    application.ledger.append(event)
    return sentence


def close(application: Application, run: WaitingRun, state: str, message: str) -> str:
    """A run that ended where we did not see it (cancelled or deleted while it was suspended) ends in the ledger too.

    One that has ended by itself since we read of it has had its last word. It writes that before its state is final.
    """
    if run.run_id not in {it.run_id for it in waiting_runs(application.ledger.records(), run.environment)}:
        return ""
    sentence = f"The run ended while it waited: {state or 'unknown to Prefect'}. {message} Nothing had been changed."
    application.ledger.append(Event(run.run_id, run.plan_hash, run.environment, EventKind.CANCELLED, sentence))
    announce(application, run.run_id, "promote-to-production")
    return f"Run {run.run_id}: {sentence}"
