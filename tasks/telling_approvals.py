"""The release channel hears what happens while a promotion waits for people: each thing once, from the ledger.

Nothing here can fail a promotion or hold it up: what the chat did not take is told at the next pass of the run, or by
the keeper of the waiting runs.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, tzinfo
from zoneinfo import ZoneInfo

from prefect.logging import get_logger

from blocks.chat import Posted
from blocks.doors import Application
from rules.approval_messages import News, Setting, approval_news, reminder
from rules.catalogue import Catalogue
from rules.production_policies import ApprovalPolicy
from rules.records import Event, EventKind, Record
from rules.summaries import APPROVALS, told_about
from rules.waiting import WaitingRun
from tasks.announcing import run_link
from tasks.promotions import Promotion
from tasks.records import note

logger = get_logger("promotion-flows.approvals")


def tell_news(promotion: Promotion) -> None:
    """Tells what has happened to this run and was not told yet. Once the run has ended there is nothing."""
    tell_approvals(promotion.application, promotion.run_id)


def tell_approvals(application: Application, run_id: str) -> None:
    """As `tell_news`, for any run, whose process may be long gone."""
    try:
        records = list(application.ledger.records())
        story = [record for record in records if record.event.run_id == run_id]
        news = approval_news(records, run_id, setting_of(application, story))
        _tell_untold(application, story, news)
    except Exception as trouble:  # noqa: BLE001 - a promotion does not depend on who has heard of it
        logger.warning("the news of run %s were not told: %s: %s", run_id, type(trouble).__name__, trouble)


def remind(application: Application, run: WaitingRun) -> bool:
    """Reminds those who are awaited. False when the chat did not take it: then it is still to be done."""
    try:
        story = list(application.ledger.records(run.run_id))
        message = reminder(run, story, setting_of(application, story))
        application.chat.post(message)
    except Exception as trouble:  # noqa: BLE001 - told to the log, and reminded at the next look
        logger.warning("nobody was reminded of run %s: %s: %s", run.run_id, type(trouble).__name__, trouble)
        return False
    return True


def setting_of(application: Application, story: Sequence[Record]) -> Setting:
    """What messages about a run need. `story`: its records."""
    catalogue, run_id = application.catalogue, story[0].event.run_id if story else ""
    return Setting(
        application=application.name,
        people=catalogue.people,
        policy=policy_of(catalogue, story),
        run_url=run_link(run_id),
        zone=zone_of(catalogue),
    )


def policy_of(catalogue: Catalogue, story: Iterable[Record]) -> ApprovalPolicy:
    """By which answers of a run are judged: an emergency has a policy of its own."""
    started = next((record.event.details for record in story if record.event.kind is EventKind.STARTED), {})
    return catalogue.emergency.approvals if started.get("emergency") else catalogue.approvals


def zone_of(catalogue: Catalogue) -> tzinfo:
    """In which people are told times: that of the first window."""
    window = next(iter(catalogue.windows.open), None)
    return ZoneInfo(window.timezone) if window else UTC


def _tell_untold(application: Application, story: Sequence[Record], news: Iterable[News]) -> None:
    heard = {about: _posted(details) for about, details in told_about(story, APPROVALS).items()}
    for one in news:
        if one.about not in heard:
            posted = application.chat.post(
                one.message, thread=heard.get("asked") if one.aside else None, urgent=one.urgent
            )
            heard[one.about] = posted
            _note(application, story[-1].event, one.about, posted)


def _note(application: Application, last: Event, about: str, posted: Posted) -> None:
    """Written down after it was said: rather twice than never."""
    details = {"channel": APPROVALS, "about": about, "place": posted.channel, "message": posted.ts}
    sentence = f"Told {APPROVALS}: {about}."
    note(
        application.ledger,
        Event(last.run_id, last.plan_hash, last.environment, EventKind.NOTIFIED, sentence, details),
    )


def _posted(details: dict[str, object]) -> Posted:
    return Posted(str(details.get("place", "")), str(details.get("message", "")))
