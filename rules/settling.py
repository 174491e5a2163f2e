"""What a promotion must still answer for: the intents of runs that neither completed nor were put back.

A run that died leaves its intents. The next promotion takes them over: if it arrives, they are settled with its own;
if it fails, everything goes back to what was there before the FIRST of them, which is the last state that was good.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rules.records import Event, EventKind, Record

UNDONE_BY = {
    EventKind.CONFIGURATION_PUT_BACK: EventKind.CONFIGURATION_INTENT,
    EventKind.FLAGS_PUT_BACK: EventKind.FLAGS_INTENT,
    EventKind.MIGRATIONS_PUT_BACK: EventKind.MIGRATIONS_INTENT,
    EventKind.ROLLOUT_ROLLED_BACK: EventKind.ROLLOUT_INTENT,
}
INTENTS = frozenset(UNDONE_BY.values())
SETTLED_BY = frozenset({EventKind.COMPLETED, EventKind.PUT_BACK})

Subject = tuple[EventKind, str]
"""Kind of intent, and the service where it is about one."""


def unsettled(records: Iterable[Record], environment: str) -> tuple[Event, ...]:
    """Intents in an environment that still have to arrive or to be put back, the oldest first."""
    pending: list[Event] = []
    for event in (record.event for record in records if record.event.environment == environment):
        if event.kind in INTENTS:
            pending.append(event)
        elif event.kind in UNDONE_BY:
            gone = (UNDONE_BY[event.kind], _service(event))
            pending = [intent for intent in pending if _subject(intent) != gone]
        elif event.kind in SETTLED_BY:
            touched = {_subject(intent) for intent in pending if intent.run_id == event.run_id}
            pending = [intent for intent in pending if _subject(intent) not in touched]
    return tuple(pending)


def of_kind(intents: Iterable[Event], kind: EventKind) -> tuple[Mapping[str, Any], ...]:
    """Details of the intents of one kind, the oldest first."""
    return tuple(intent.details for intent in intents if intent.kind is kind)


def services_before(intents: Iterable[Event]) -> dict[str, Mapping[str, Any]]:
    """What each service ran before the first unsettled roll-out: `task_definition` and `digests`, by service id."""
    before: dict[str, Mapping[str, Any]] = {}
    for details in of_kind(intents, EventKind.ROLLOUT_INTENT):
        before.setdefault(details["service"], details["before"])
    return before


def deployed_by_us(intents: Iterable[Event]) -> dict[str, frozenset[str]]:
    """By service id: the task definitions that the unsettled roll-outs may have begun to deploy."""
    ours: dict[str, frozenset[str]] = {}
    for details in of_kind(intents, EventKind.ROLLOUT_INTENT):
        after = frozenset({details["after"]["task_definition"]})
        ours[details["service"]] = ours.get(details["service"], frozenset()) | after
    return ours


def _subject(event: Event) -> Subject:
    return event.kind, _service(event)


def _service(event: Event) -> str:
    return str(event.details.get("service", ""))
