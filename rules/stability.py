"""Whether the source environment has stood still and healthy long enough for its release to be promoted."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rules.catalogue import StabilityPolicy
from rules.releases import ServiceState
from rules.vocabulary import Finding, Service, Verdict


def check_stability(
    services: Iterable[Service],
    states: Mapping[str, ServiceState],
    policy: StabilityPolicy,
    now: datetime,
    environment: str,
) -> tuple[Finding, ...]:
    """One finding a service: every service counts, not the first one only."""
    return tuple(_judge(service.id, states.get(service.id), policy, now, environment) for service in services)


def _judge(
    service: str, state: ServiceState | None, policy: StabilityPolicy, now: datetime, environment: str
) -> Finding:
    gate, allowed = f"stability/{service}", f"{policy.minutes:g} minutes unchanged"
    if state is None:
        return Finding(gate, Verdict.FAILED, f"{service} was not found in {environment}.", "missing", allowed)
    if not state.steady:
        counts = f"{state.running} of {state.desired} tasks"
        why = "is being deployed" if state.deploying else f"runs {counts}"
        return Finding(gate, Verdict.FAILED, f"{service} {why} in {environment}.", counts, allowed)
    if state.crashed_tasks:
        sentence = (
            f"{state.crashed_tasks} tasks of {service} stopped by themselves in {environment} within the last hour."
        )
        return Finding(gate, Verdict.FAILED, sentence, f"{state.crashed_tasks} stopped tasks", "none")
    found = _judge_age(gate, service, (now - state.deployed_at).total_seconds() / 60, policy, environment)
    too_young = found.verdict is Verdict.FAILED
    return replace(found, could_be_met=_old_enough(state.deployed_at, policy)) if too_young else found


def _old_enough(deployed_at: datetime, policy: StabilityPolicy) -> str:
    """The first whole minute at which it will have run long enough, if nothing changes until then."""
    at = deployed_at.astimezone(UTC) + timedelta(minutes=policy.minutes + 1, microseconds=-1)
    return f"from {at:%Y-%m-%d %H:%M} UTC, if nothing changes until then"


def _judge_age(gate: str, service: str, minutes: float, policy: StabilityPolicy, environment: str) -> Finding:
    allowed = f"{policy.minutes:g} minutes unchanged"
    measured = f"{minutes:.0f} minutes"
    if minutes < 0:
        sentence = f"{service} was deployed in the future by {environment}'s clock; compare the clocks."
        return Finding(gate, Verdict.INCONCLUSIVE, sentence, measured, allowed)
    if minutes < policy.minutes:
        wait = policy.minutes - minutes
        sentence = f"{service} was deployed to {environment} {measured} ago; try again in {wait:.0f} minutes."
        return Finding(gate, Verdict.FAILED, sentence, measured, allowed)
    return Finding(
        gate, Verdict.PASSED, f"{service} has been stable in {environment} for {measured}.", measured, allowed
    )
