"""The load balancer's side of a deployment, in moto's ELBv2 state: weights, targets and their health."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from moto.elbv2.models import ELBv2Backend, FakeAction, FakeHealthStatus, elbv2_backends

from deployments.sandbox.aws.ecs_stages import Strategy
from deployments.sandbox.aws.ecs_state import (
    Deployment,
    Document,
    Revision,
    ServiceState,
    ServiceTask,
    TargetGroupPair,
)
from deployments.sandbox.aws.runtime import TaskPhase

NOT_ON_THE_RULE = (
    "Service deployment rolled back because of invalid networking configuration. Both targetGroup and "
    "alternateTargetGroup must be associated with the productionListenerRule or testListenerRule."
)


@dataclass(frozen=True, slots=True)
class Route:
    """A share of a service's requests and who answers it."""

    revision: str
    """ARN of the service revision; empty when the share goes to nobody."""
    weight: float
    """Percent; the routes of a service are 100 together."""
    addresses: tuple[str, ...]


def balancer(settings: Document) -> Document | None:
    """The first load balancer entry of a service, or None for a service without one."""
    return next((entry for entry in settings.get("loadBalancers") or () if entry.get("targetGroupArn")), None)


def production_rule(settings: Document) -> str:
    advanced = (balancer(settings) or {}).get("advancedConfiguration") or {}
    return str(advanced.get("productionListenerRule", ""))


def both_groups(settings: Document) -> tuple[str, ...]:
    entry = balancer(settings) or {}
    alternate = (entry.get("advancedConfiguration") or {}).get("alternateTargetGroupArn")
    return tuple(group for group in (entry.get("targetGroupArn"), alternate) if group)


def group_for(service: ServiceState, revision: Revision, strategy: Strategy) -> str | None:
    """The target group of a new revision: unless by ROLLING the one that the steady revision does not have."""
    groups = both_groups(revision.settings)
    if not groups:
        return None
    taken = service.groups.get(service.steady.arn) if service.steady else None
    if strategy is Strategy.ROLLING:
        return taken if taken in groups else groups[0]
    return next((group for group in groups if group != taken), groups[0])


def rule_fault(service: ServiceState, deployment: Deployment) -> str:
    """Why the production listener rule cannot carry the deployment; empty when it can or there is none."""
    settings = deployment.target.settings
    if balancer(settings) is None or deployment.plan.strategy is Strategy.ROLLING:
        return ""
    groups = both_groups(settings)
    on_rule = {arn for arn, _ in _rule_weights(service, settings)}
    return "" if len(groups) == 2 and on_rule.issuperset(groups) else NOT_ON_THE_RULE


def shift(service: ServiceState, deployment: Deployment) -> None:
    """Write the deployment's weights into the production listener rule (and the test rule, if there is one).

    A listener rule has whole numbers, so this is where the share is rounded; Service Connect has the exact one.
    """
    entry = balancer(deployment.target.settings)
    target = service.groups.get(deployment.target.arn)
    if entry is None or target is None or deployment.plan.strategy is Strategy.ROLLING:
        return
    advanced = entry.get("advancedConfiguration") or {}
    progress = deployment.progress
    for rule, weight in (
        (advanced.get("productionListenerRule"), progress.weight),
        (advanced.get("testListenerRule"), progress.test_weight),
    ):
        if rule:
            _write_weights(service, str(rule), both_groups(deployment.target.settings), target, _whole(weight))


def shift_pair(
    service: ServiceState, listeners: Iterable[str], groups: Iterable[str], target: str, weight: int
) -> None:
    """Give `target` this share, percent, of whatever the listeners' rules forward to one of the two groups."""
    groups = tuple(groups)
    weighted = [{"TargetGroupArn": group, "Weight": weight if group == target else 100 - weight} for group in groups]
    for rule in _rules_of(service, listeners):
        # In place: a listener's default actions are the same list as its last rule's.
        rule.actions[:] = [
            _with_weights(action, weighted) if _mentions(action, groups) else action for action in rule.actions
        ]


def pair_weights(service: ServiceState, pair: TargetGroupPair) -> list[tuple[str, int]]:
    """Target groups with their weights, by the first rule of the production listeners that forwards to the pair."""
    for rule in _rules_of(service, pair.listeners):
        for action in rule.actions:
            if _mentions(action, pair.groups):
                return _weights_of(action.data)
    return []


def _rules_of(service: ServiceState, listeners: Iterable[str]) -> Iterator[Any]:
    backend = elbv2_backends[service.account][service.region]
    for load_balancer in list(backend.load_balancers.values()):
        for arn in listeners:
            if arn in load_balancer.listeners:
                yield from list(load_balancer.listeners[arn].rules.values())


def _mentions(action: FakeAction, groups: Iterable[str]) -> bool:
    return any(group in groups for group, _ in _weights_of(action.data))


def _whole(percent: float) -> int:
    """Rounded, but a share that there is never vanishes, and one that is not everything is never everything."""
    return round(percent) if percent in {0.0, 100.0} else min(99, max(1, round(percent)))


def routes(service: ServiceState) -> tuple[Route, ...]:
    """Who answers how much: by the listener rule if there is one, else by the deployment's own weights."""
    revision = service.primary or service.steady
    if revision is None:
        return ()
    if balancer(revision.settings) is not None:
        return _balanced_routes(service, revision)
    return _connected_routes(service, revision)


def target_health(
    original: Callable[[ELBv2Backend, str, list[Document]], list[FakeHealthStatus]],
    services: Callable[[], Iterable[ServiceState]],
) -> Callable[[ELBv2Backend, str, list[Document]], list[FakeHealthStatus]]:
    """Moto's `describe_target_health`, which knows no port and finds everything healthy, with our tasks in it."""

    def describe(backend: ELBv2Backend, group: str, targets: list[Document]) -> list[FakeHealthStatus]:
        ours = {_key(s.target): s for s in _statuses(backend, group, services())}
        asked = [_key(target) for target in targets or ()]
        rest = [target for target in targets or () if _key(target) not in ours]
        theirs = original(backend, group, rest) if rest or not targets else []
        return theirs + [status for key, status in ours.items() if not asked or key in asked]

    return describe


def _key(target: Document) -> tuple[str, int]:
    return str(target["Id"]), int(target.get("Port") or 0)


def _statuses(backend: ELBv2Backend, group: str, services: Iterable[ServiceState]) -> Iterator[FakeHealthStatus]:
    used = backend._any_listener_using(group)  # noqa: SLF001 - moto has no public way to ask this
    for service in services:
        if (service.account, service.region) != (backend.account_id, backend.region_name):
            continue
        for task in _registered(service, group):
            host, _, port = (task.condition.address or "").rpartition(":")
            state, reason, words = _state(task) if used else _NOT_IN_USE
            yield FakeHealthStatus(host, port, port, state, reason, words)


_NOT_IN_USE = ("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")


def _state(task: ServiceTask) -> tuple[str, str | None, str | None]:
    if task.stopping_at is not None:
        return "draining", "Target.DeregistrationInProgress", "Target deregistration is in progress"
    if task.condition.phase is TaskPhase.HEALTHY:
        return "healthy", None, None
    return "unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [503]"


def _registered(service: ServiceState, group: str) -> Iterator[ServiceTask]:
    """The tasks that are targets of the group: from when they have an address until they are drained."""
    for task in service.tasks.values():
        if service.groups.get(task.revision) == group and task.living and not task.ending and task.condition.address:
            yield task


def _rule(service: ServiceState, arn: str) -> Any | None:
    backend = elbv2_backends[service.account][service.region]
    for load_balancer in list(backend.load_balancers.values()):
        for listener in list(load_balancer.listeners.values()):
            for rule in list(listener.rules.values()):
                if rule.arn == arn:
                    return rule
    return None


def _rule_weights(service: ServiceState, settings: Document) -> list[tuple[str, int]]:
    """Target groups of the rule with their weights; the plain target group when there is no such rule."""
    if service.pair is not None:
        return pair_weights(service, service.pair)
    arn = production_rule(settings)
    if not arn:
        return [(group, 1) for group in both_groups(settings)[:1]]
    rule = _rule(service, arn)
    actions = rule.actions if rule is not None else []
    return [pair for action in actions for pair in _weights_of(action.data)]


def _weights_of(action: Document) -> list[tuple[str, int]]:
    groups = (action.get("ForwardConfig") or {}).get("TargetGroups")
    if groups:
        return [(str(group["TargetGroupArn"]), int(group.get("Weight", 1))) for group in groups]
    return [(str(action["TargetGroupArn"]), 1)] if action.get("TargetGroupArn") else []


def _write_weights(service: ServiceState, arn: str, groups: tuple[str, ...], target: str, weight: int) -> None:
    rule = _rule(service, arn)
    if rule is None or set(groups) - {group for action in rule.actions for group, _ in _weights_of(action.data)}:
        return
    weighted = [{"TargetGroupArn": g, "Weight": weight if g == target else 100 - weight} for g in groups]
    rule.actions = [_with_weights(action, weighted) for action in rule.actions]


def _with_weights(action: FakeAction, weighted: list[Document]) -> FakeAction:
    """The action with other weights; its order, its stickiness and all other actions stay as they are."""
    if action.data.get("Type") != "forward":
        return action
    forward = {**(action.data.get("ForwardConfig") or {}), "TargetGroups": weighted}
    rest = {key: value for key, value in action.data.items() if key != "TargetGroupArn"}
    return FakeAction({**rest, "ForwardConfig": forward})


def _balanced_routes(service: ServiceState, revision: Revision) -> tuple[Route, ...]:
    weights = _rule_weights(service, revision.settings)
    total = sum(weight for _, weight in weights)
    if total == 0:
        return (Route("", 100.0, ()),)
    return tuple(
        route for group, weight in weights if weight for route in _group_routes(service, group, 100.0 * weight / total)
    )


def _group_routes(service: ServiceState, group: str, weight: float) -> Iterator[Route]:
    answering = _answering([task for task in _registered(service, group) if task.stopping_at is None])
    if not answering:
        owner = next((arn for arn, owned in reversed(service.groups.items()) if owned == group), "")
        yield Route(owner, weight, ())
    for revision in dict.fromkeys(task.revision for task in answering):
        addresses = _addresses(task for task in answering if task.revision == revision)
        yield Route(revision, weight * len(addresses) / len(answering), addresses)


def _answering(tasks: list[ServiceTask]) -> list[ServiceTask]:
    """The healthy ones. A balancer that finds none healthy fails open and asks all that have an address."""
    reachable = [task for task in tasks if task.condition.address]
    return [task for task in reachable if task.healthy] or reachable


def _addresses(tasks: Iterable[ServiceTask]) -> tuple[str, ...]:
    return tuple(task.condition.address for task in tasks if task.condition.address)


def _connected_routes(service: ServiceState, revision: Revision) -> tuple[Route, ...]:
    current = service.current
    if current is None or current.source is None:
        return (_connected_route(service, revision, 100.0),)
    weight = current.progress.weight
    shares = ((current.source, 100.0 - weight), (current.target, weight))
    return tuple(_connected_route(service, owner, share) for owner, share in shares if share)


def _connected_route(service: ServiceState, revision: Revision, weight: float) -> Route:
    own = _answering([task for task in service.of(revision) if task.active])
    # A revision that was put in place at once takes over from the tasks before it as soon as it can answer.
    others = [task for task in service.tasks.values() if task.active and service.current is None]
    return Route(revision.arn, weight, _addresses(own or _answering(others)))
