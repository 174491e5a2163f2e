"""What is to guard a roll-out while it runs must be able to: its alarms, and the numbers of its canaries."""

from collections.abc import Sequence
from datetime import UTC, datetime

from blocks.containers import Containers
from rules.alarms import check_alarms
from rules.strategies import check_pauses
from rules.vocabulary import Finding, Service, Strategy
from tasks.kinds import asking
from tasks.promotions import Promotion


@asking("check alarms and numbers")
def check_guards(promotion: Promotion) -> tuple[Finding, ...]:
    """Before the start: no alarm rings, CodeDeploy's groups fit, and a canary's numbers really come."""
    findings = tuple(
        it
        for service in promotion.services
        for it in (*_check_alarms(promotion, service), *_check_group(promotion, service))
    )
    canaries = [it for it in promotion.services if promotion.strategy_of(it) is Strategy.CANARY]
    return (*findings, *_check_numbers(promotion, canaries)) if canaries else findings


def _check_alarms(promotion: Promotion, service: Service) -> tuple[Finding, ...]:
    environment = promotion.target.environment.name
    names = [alarm.format(environment=environment) for alarm in service.alarms]
    return check_alarms(service.id, names, promotion.target.alarms.states(names) if names else {}, environment)


def _check_group(promotion: Promotion, service: Service) -> tuple[Finding, ...]:
    """Where it is not Amazon ECS: whether who moves the traffic can do what the catalogue asks for."""
    controller = promotion.target.controller(service)
    if isinstance(controller, Containers):
        return ()
    state = promotion.target.containers.state(service, promotion.target.environment.name)
    return controller.preflight(service.id, state.name, promotion.catalogue.rollout)


def _check_numbers(promotion: Promotion, canaries: Sequence[Service]) -> tuple[Finding, ...]:
    from rules.telemetry_gates import check_window

    target, name = promotion.target, promotion.target.environment.name
    states = target.containers.states(canaries, name)
    known = [(it, states[it.id].name) for it in canaries if it.id in states]
    arms = {it.id: arm for it, full_name in known if (arm := target.arm(it, full_name))}
    old = {id_: {"old": arm} for id_, arm in arms.items()}
    window = check_window(target.metrics.source, promotion.catalogue.canary)
    pauses = {id_: target.containers.foreign_pauses(state.name) for id_, state in states.items()}
    return (window, *target.metrics.preflight(canaries, name, old, datetime.now(UTC)), *check_pauses(pauses))
