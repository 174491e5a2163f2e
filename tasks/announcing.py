"""People hear how a run ended: the release channel always, the pager when somebody must get up.

Nothing here can fail a promotion: what serves in an environment does not depend on a chat service.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.logging import get_logger
from prefect.settings import PREFECT_UI_URL

from blocks.doors import Application, open_application
from rules.errors import PromotionError
from rules.messages import Ending, RunSummary, change_note, chat_message, page, page_key
from rules.records import Event, EventKind, chain
from rules.settling import unsettled
from rules.summaries import CHANGES, CHAT, PAGER, PAGER_OVER, already_told, cancelled_sentence, page_is_open, summarise
from tasks.records import note

logger = get_logger("promotion-flows.announcing")


def run_link(run_id: str) -> str:
    """Where the run can be looked at; empty where no UI address is set."""
    ui = PREFECT_UI_URL.value()
    return f"{ui.rstrip('/')}/runs/flow-run/{run_id}" if ui else ""


def announce(application: Application, run_id: str, flow: str) -> None:
    """Tells the end of a run, from its records, to every channel that has not heard of it."""
    try:
        records = list(application.ledger.records(run_id))
        summary = summarise(records, flow, application.name, run_link(run_id))
        told = channels(application, summary) if summary else {}
    except PromotionError as trouble:
        logger.warning("nobody was told how run %s ended: %s", run_id, trouble)
        return
    for channel, tell in told.items():
        if summary and not already_told(records, channel) and _tells(channel, tell, run_id):
            sentence, details = f"Told {channel} that it {summary.outcome}.", {"channel": channel}
            note(application.ledger, Event(run_id, "", summary.target, EventKind.NOTIFIED, sentence, details))


def announce_unrecorded(application: Application, event: Event, flow: str) -> None:
    """Tells a bad end that the ledger did not take: who must get up is paged all the same."""
    summary = summarise([chain(None, event, datetime.now(UTC))], flow, application.name, run_link(event.run_id))
    for channel, tell in (channels(application, summary) if summary else {}).items():
        _tells(channel, tell, event.run_id)


def channels(application: Application, summary: RunSummary) -> dict[str, Callable[[], object]]:
    """Who hears of this end, and how."""
    told: dict[str, Callable[[], object]] = {CHAT: lambda: application.chat.post(chat_message(summary))}
    alert, note = page(summary), change_note(summary)
    if alert is not None:
        told[PAGER] = lambda: application.pager.trigger(alert)
    if summary.outcome is Ending.SUCCEEDED and over(application, summary.target):
        told[PAGER_OVER] = lambda: application.pager.resolve(page_key(application.name, summary.target))
    if note is not None:
        told[CHANGES] = lambda: application.pager.note_change(note)
    return told


def over(application: Application, environment: str) -> bool:
    """Whether somebody was paged for a put-back that got stuck, and nothing of it is left."""
    records = list(application.ledger.records())
    return page_is_open(records, environment) and not unsettled(records, environment)


def _tells(channel: str, tell: Callable[[], object], run_id: str) -> bool:
    """Whether the channel took it."""
    try:
        tell()
    except Exception as trouble:  # noqa: BLE001 - told to the log; the run's own end stands and the others still hear
        logger.warning("%s did not hear how run %s ended: %s", channel, run_id, trouble)
        return False
    return True


def announce_cancellation(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
    """Prefect calls this in a process of its own when a run was cancelled; the names of its arguments are Prefect's."""
    application = open_application(str(flow_run.parameters.get("application", "")))
    run_id = str(flow_run.id)
    begun = list(application.ledger.records(run_id))
    environment = begun[0].event.environment if begun else ""
    left = unsettled(application.ledger.records(), environment)
    sentence = cancelled_sentence(state.message or "Cancelled.", [it.event for it in begun], left)
    application.ledger.append(Event(run_id, "", environment, EventKind.CANCELLED, sentence))
    announce(application, run_id, flow.name)
