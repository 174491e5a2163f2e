"""What a run that died has left: where Amazon ECS has given the traffic back by itself, the ledger learns why."""

from prefect import get_run_logger
from prefect.client.orchestration import get_client

from rules.records import EventKind, Record
from rules.rollouts import Deployment
from rules.settling import services_before, unsettled
from rules.vocabulary import Controller, Service
from tasks.kinds import asking
from tasks.locks import lock_name
from tasks.promotions import Promotion
from tasks.records import write


@asking("look back")
def look_back(promotion: Promotion) -> None:
    """Writes down which roll-outs of dead runs ECS itself has taken back, unless somebody is at work just now."""
    environment = promotion.target.environment.name
    services = {it.id: it for it in promotion.target.services if it.controller is Controller.ECS}
    records = list(promotion.application.ledger.records())
    pending = unsettled(records, environment)
    if not pending or _somebody_holds(lock_name(promotion.application.name, environment)):
        return
    states = promotion.target.containers.states(services.values(), environment)
    before = services_before(pending)
    for record in records:
        id_ = str(record.event.details.get("service", ""))
        if record.event in pending and record.event.kind is EventKind.ROLLOUT_INTENT and id_ in states:
            _settle(promotion, services[id_], states[id_].name, record, before[id_]["task_definition"])


def _settle(promotion: Promotion, service: Service, name: str, record: Record, before: str) -> None:
    """`before`: the task definition that the service had before the first thing that is still unsettled."""
    environment, intent = promotion.target.environment.name, record.event
    ended = promotion.target.containers.last_deployment(name, intent.details["after"]["task_definition"])
    # One that is older than the intent was some other run's: the same image is the same task definition.
    if ended is None or not ended.status.gave_back or ended.created_at < record.at:
        return
    if ended.old is None or ended.old.task_definition != before:
        return  # it gave back to what another dead run had brought: not yet where everything began
    sentence = told(service.id, ended)
    get_run_logger().warning("%s (begun by run %s)", sentence, intent.run_id)
    details = {"service": service.id, "deployment": ended.arn, "begun_by": intent.run_id}
    kind = EventKind.ROLLOUT_ROLLED_BACK
    write(promotion.application.ledger, kind, environment, sentence, intent.plan_hash, **details)


def told(service: str, ended: Deployment) -> str:
    reason = ended.reason or "it gave no reason"
    return f"Amazon ECS took {service} back by itself, because no run of ours was there to go on: {reason}"


def _somebody_holds(lock: str) -> bool:
    with get_client(sync_client=True) as client:
        return client.read_global_concurrency_limit_by_name(lock).active_slots > 0
