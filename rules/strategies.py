"""Which ways of moving traffic a service can have here; what cannot be done is refused, not approximated in silence."""

from collections.abc import Mapping, Sequence

from rules.catalogue import CanaryPolicy
from rules.vocabulary import Controller, Finding, Service, Strategy, Verdict

ALLOWED = "blue_green or canary, by ecs or listener; blue_green, or a canary of one step, by codedeploy"


def check_strategies(
    services: Sequence[Service], strategies: Mapping[str, Strategy], canary: CanaryPolicy
) -> tuple[Finding, ...]:
    """A finding for each service that asks for what cannot be done. `strategies` by service id."""
    found = ((it, strategies[it.id], _obstacle(it, strategies[it.id], canary)) for it in services)
    return tuple(
        Finding(f"strategy/{it.id}", Verdict.FAILED, f"{it.id}: {why}", f"{strategy} by {it.controller}", ALLOWED)
        for it, strategy, why in found
        if why
    )


def _obstacle(service: Service, strategy: Strategy, canary: CanaryPolicy) -> str:
    if strategy is Strategy.ROLLING:
        return "rolling keeps no old version to go back to; choose blue_green or canary."
    if service.controller is Controller.CODEDEPLOY and strategy is Strategy.CANARY:
        return _obstacle_of_codedeploy(service, canary)
    return ""


def _obstacle_of_codedeploy(service: Service, canary: CanaryPolicy) -> str:
    if len(canary.steps) != 1:
        steps = ", ".join(map(str, canary.steps))
        return f"CodeDeploy's canary has one step before 100 %, and {steps} are asked for; choose one, or ecs."
    if canary.codedeploy_minutes <= canary.window_minutes:
        found = f"{canary.codedeploy_minutes:g} minutes and is judged for {canary.window_minutes:g}"
        return f"by CodeDeploy a canary stays at its step for {found}; set codedeploy_minutes above window_minutes."
    if not service.alarms:
        return "where nobody is there to stop it a canary by CodeDeploy goes on; give it alarms that do."
    return ""


def check_pauses(pauses: Mapping[str, int]) -> tuple[Finding, ...]:
    """A canary answers ECS's pauses; one that the service's owner has set waits for somebody else's word."""
    return tuple(
        Finding(
            f"pauses/{service}",
            Verdict.FAILED,
            f"{service} has {number} pause hooks of its own, whose answer is not ours to give; remove them first.",
            str(number),
            "0",
        )
        for service, number in pauses.items()
        if number
    )
