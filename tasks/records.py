"""Writing to the ledger from inside a run. What cannot be written down is not done."""

from typing import Any

from prefect.runtime import flow_run

from blocks.ledger import Ledger
from rules.records import Event, EventKind, Record


def write(
    ledger: Ledger, kind: EventKind, environment: str, sentence: str, plan_hash: str = "", /, **details: Any
) -> Record:
    """Appends one record of the run that is under way."""
    return ledger.append(Event(str(flow_run.id or ""), plan_hash, environment, kind, sentence, details))
