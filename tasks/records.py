"""Writing to the ledger from inside a run. What cannot be written down is not done."""

from typing import Any

from prefect.logging import get_logger
from prefect.runtime import flow_run

from blocks.ledger import Ledger
from rules.errors import PromotionError
from rules.records import Event, EventKind, Record

logger = get_logger("promotion-flows.records")


def write(
    ledger: Ledger, kind: EventKind, environment: str, sentence: str, plan_hash: str = "", /, **details: Any
) -> Record:
    """Appends one record of the run that is under way."""
    return ledger.append(Event(str(flow_run.id or ""), plan_hash, environment, kind, sentence, details))


def note(ledger: Ledger, event: Event) -> None:
    """Appends what nothing depends on: a ledger out of reach must not hide how the work itself ended."""
    try:
        ledger.append(event)
    except PromotionError as trouble:
        logger.warning("not recorded: %s (%s)", event.sentence, trouble)
