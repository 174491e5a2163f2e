"""A deployment group of AWS CodeDeploy: whether it can do what the catalogue asks for, looked at before the start.

The bake cannot be chosen for one deployment: it is the group's termination wait. Nor can it be asked whether traffic
may move: a group that waits for somebody's word waits for its owner's.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from rules.catalogue import RolloutPolicy
from rules.vocabulary import Finding, Verdict

GATE = "deployment group"
ALARM_LIMIT = 10
"""CodeDeploy takes no more alarms for a deployment."""


@dataclass(frozen=True, slots=True)
class DeploymentGroup:
    """As CodeDeploy describes it."""

    name: str
    services: tuple[tuple[str, str], ...]
    """(cluster, service) of what it deploys to."""
    target_groups: tuple[str, ...] = ()
    """Names; a pair."""
    listeners: tuple[str, ...] = ()
    """ARNs of the production listeners."""
    blue_green: bool = True
    """Whether it is of the kind that moves traffic between two task sets."""
    waits_for_word: bool = False
    """Before traffic moves; then it is stopped unless somebody says go on."""
    keeps_minutes: float | None = 0.0
    """So long the old version stays after all traffic has moved. None: for ever."""


def check_group(service: str, name: str, cluster: str, group: DeploymentGroup, policy: RolloutPolicy) -> Finding:
    """One finding with everything that stands in the way. `name`: the service's in ECS."""
    faults = tuple(_faults(name, cluster, group, policy))
    measured = "for ever" if group.keeps_minutes is None else f"the old version stays {group.keeps_minutes:g} minutes"
    if faults:
        sentence = f"CodeDeploy group {group.name} of {service} {'; it '.join(faults)}."
        return Finding(f"{GATE}/{service}", Verdict.FAILED, sentence, measured, _allowed(policy))
    sentence = f"CodeDeploy group {group.name} of {service} can do what is asked; {measured}."
    return Finding(f"{GATE}/{service}", Verdict.PASSED, sentence, measured, _allowed(policy))


def _faults(name: str, cluster: str, group: DeploymentGroup, policy: RolloutPolicy) -> Iterator[str]:
    if group.services != ((cluster, name),):
        found = ", ".join("/".join(one) for one in group.services) or "nothing"
        yield f"deploys to {found}, and {cluster}/{name} is meant: mend codedeploy_group in the catalogue"
    if not group.blue_green or len(group.target_groups) != 2:  # noqa: PLR2004 - one for each version
        yield "has no pair of target groups between which it moves traffic: make it of the type BLUE_GREEN"
    if group.waits_for_word:
        yield "waits for somebody's word before traffic moves: set its ready option to CONTINUE_DEPLOYMENT"
    yield from _bake_faults(group.keeps_minutes, policy)


def _bake_faults(minutes: float | None, policy: RolloutPolicy) -> Iterator[str]:
    longest = policy.total_minutes - policy.start_minutes
    if minutes is None:
        yield "keeps the old version for ever: let it TERMINATE it after a wait"
    elif minutes < policy.bake_minutes:
        yield f"keeps the old version for {minutes:g} minutes: set its termination wait to {policy.bake_minutes:g}"
    elif minutes > longest:
        yield (
            f"keeps the old version for {minutes:g} minutes, so the roll-out would be called too long: set its "
            f"termination wait to at most {longest:g}, or raise rollout.total_minutes"
        )


def _allowed(policy: RolloutPolicy) -> str:
    return f"{policy.bake_minutes:g} to {policy.total_minutes - policy.start_minutes:g} minutes"
