"""How a run ends: in a state whose name tells, in the ledger, and with a message.

nothing raised        Completed
Refused, bad input    Failed, named Refused        nothing was written
Rejected, Superseded  Failed, named so             nothing was written
Ended                 Failed, named Refused        nothing was written, and its last word stays the last
PutBack               Failed, named PutBack        the target is what it was
PutBackFailed         Failed, named PutBackFailed  and somebody is paged
another of ours       Failed
anything else         raised on, so that Prefect shows the traceback
"""

from collections.abc import Callable
from functools import wraps
from inspect import signature
from typing import Any, ParamSpec

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed, Failed

from blocks.doors import Application, open_application
from rules.errors import (
    Busy,
    Declined,
    Ended,
    InvalidInput,
    PromotionError,
    PutBack,
    PutBackFailed,
    Refused,
    Rejected,
    Superseded,
)
from rules.plans import Plan
from rules.records import Event, EventKind
from tasks.announcing import announce, announce_unrecorded
from tasks.artifacts import publish_end
from tasks.histories import publish_history
from tasks.kinds import acting
from tasks.promotions import Promotion
from tasks.tickets import tell_ticket

P = ParamSpec("P")

ENDS: dict[type[Exception], tuple[EventKind, str]] = {
    Refused: (EventKind.REFUSED, "Refused"),
    InvalidInput: (EventKind.REFUSED, "Refused"),
    Declined: (EventKind.REFUSED, "Refused"),
    Busy: (EventKind.REFUSED, "Refused"),
    Rejected: (EventKind.REJECTED, "Rejected"),
    Superseded: (EventKind.SUPERSEDED, "Superseded"),
    PutBack: (EventKind.PUT_BACK, "PutBack"),
    PutBackFailed: (EventKind.PUT_BACK_FAILED, "PutBackFailed"),
}


def ending(runbook: Callable[P, State[Any] | None]) -> Callable[P, State[Any] | None]:
    """Gives a runbook its ends. The runbook has a parameter `application`."""

    @wraps(runbook)
    def told(*args: P.args, **kwargs: P.kwargs) -> State[Any] | None:
        try:
            return runbook(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - whatever ended the run is recorded, told, and raised on if not ours
            bound = signature(runbook).bind(*args, **kwargs)
            bound.apply_defaults()
            return _end_badly(str(bound.arguments["application"]), error)

    return told


def rehearsed(promotion: Promotion, plan: Plan) -> State[Any]:
    """The end of a dry run: recorded, and announced to nobody, because nothing happened."""
    sentence = f"Dry run: every gate is met and {plan.release.version} could be promoted. Nothing was changed."
    event = Event(str(flow_run.id), plan.hash, plan.target, EventKind.COMPLETED, sentence, {"dry_run": True})
    promotion.application.ledger.append(event)
    publish_end(promotion.application, event.run_id)
    return Completed(message=sentence)


def completed(promotion: Promotion, plan: Plan, sentence: str) -> State[Any]:
    """The good end: recorded, announced, and said in the state's message."""
    serving = {one.service: plan.release.version for one in plan.services}
    details = {"version": plan.release.version, "serving": serving}
    run_id = str(flow_run.id)
    _close(promotion.application, Event(run_id, plan.hash, plan.target, EventKind.COMPLETED, sentence, details))
    return Completed(message=sentence)


def _end_badly(name: str, error: Exception) -> State[Any]:
    kind, state_name = ENDS.get(type(error), (EventKind.FAILED, "Failed"))
    get_run_logger().error("%s: %s", state_name, error)
    if isinstance(error, Ended):
        return Failed(name="Refused", message=str(error))
    try:
        _tell_bad_end(open_application(name), kind, str(error) or type(error).__name__)
    except Exception as trouble:  # noqa: BLE001 - the run ends as it ended, whoever could not be told of it
        get_run_logger().error("the end of this run could not be told: %s", trouble)
    if not isinstance(error, PromotionError):
        raise error
    return Failed(name=state_name, message=str(error))


def _tell_bad_end(application: Application, kind: EventKind, sentence: str) -> None:
    try:
        _close(application, _ending_event(application, kind, sentence))
    except PromotionError as trouble:
        get_run_logger().error("the end of this run could not be recorded: %s", trouble)
        announce_unrecorded(application, Event(str(flow_run.id), "", "", kind, sentence), str(flow_run.flow_name))


def _ending_event(application: Application, kind: EventKind, sentence: str) -> Event:
    run_id = str(flow_run.id)
    begun = [record.event for record in application.ledger.records(run_id)]
    environment = begun[0].environment if begun else ""
    plan_hash = next((event.plan_hash for event in reversed(begun) if event.plan_hash), "")
    return Event(run_id, plan_hash, environment, kind, sentence)


def _close(application: Application, event: Event) -> None:
    record_end(application, event)
    announce(application, event.run_id, str(flow_run.flow_name))
    tell_ticket(application, event.run_id)
    publish_end(application, event.run_id)
    publish_history(application, event.environment)


@acting("record the end")
def record_end(application: Application, event: Event) -> None:
    """A task, so that a short outage of the ledger does not leave the run without its last word."""
    application.ledger.append(event)
