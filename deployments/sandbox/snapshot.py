"""The picture of the world that the control room shows, taken from the stand-in's own memory.

It asks nobody over HTTP: looking must not count as a call, meet an injected fault, or slow the world down.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployments.sandbox.aws.ecs_stages import HookStatus
from deployments.sandbox.aws.ecs_state import Deployment, Revision, ServiceState
from deployments.sandbox.aws.ecs_traffic import routes
from deployments.sandbox.aws.runtime import TaskPhase
from deployments.sandbox.control_room.shape import (
    ActivityView,
    AlarmView,
    DeploymentView,
    Health,
    MetView,
    ParameterView,
    PauseView,
    RevisionView,
    ServiceView,
    TrafficSample,
    VisitorsView,
)
from deployments.sandbox.services.traffic import Second, Tally
from rules.vocabulary import Environment, Service

MASK = "••••••••"
GOOD_ENDINGS = frozenset({"SUCCESSFUL"})


@dataclass(frozen=True, slots=True)
class Build:
    """What a digest is known to be."""

    version: str
    behaviour: str


Builds = Callable[[str], Build]
"""What is known of a digest."""


def service_view(service: Service, name: str, state: ServiceState | None, builds: Builds) -> ServiceView:
    """One service with its revisions. `state` is None for a service that is not there."""
    revisions = list(_revisions(state, builds)) if state else []
    return {
        "id": service.id,
        "name": name,
        "wave": service.wave,
        "load_balanced": service.load_balanced,
        "health": _service_health(revisions),
        "deployed_at": _deployed_at(state) if state else None,
        "revisions": revisions,
        "deployment": _deployment_view(state) if state else None,
    }


def _revisions(state: ServiceState, builds: Builds) -> Iterator[RevisionView]:
    weights = {route.revision: route.weight / 100 for route in routes(state)}
    shown = [revision for revision in state.revisions.values() if _matters(state, revision, weights)]
    return (_revision_view(state, revision, weights, builds) for revision in shown)


def _matters(state: ServiceState, revision: Revision, weights: Mapping[str, float]) -> bool:
    return revision.arn in weights or revision is state.steady or any(t.active for t in state.of(revision))


def _revision_view(
    state: ServiceState, revision: Revision, weights: Mapping[str, float], builds: Builds
) -> RevisionView:
    tasks = [task for task in state.of(revision) if task.active]
    digest = revision.images[0].digest if revision.images else ""
    healthy = sum(task.healthy for task in tasks)
    build = builds(digest)
    return {
        "revision": revision.task_definition.rpartition("/")[2],
        "version": build.version,
        "digest": digest,
        "weight": weights.get(revision.arn, 0.0),
        "desired": state.desired if _wanted(state, revision) else 0,
        "running": sum(task.condition.phase in {TaskPhase.HEALTHY, TaskPhase.UNHEALTHY} for task in tasks),
        "healthy": healthy,
        "health": _health(healthy, len(tasks), any(t.condition.phase is TaskPhase.STARTING for t in tasks)),
        "behaviour": build.behaviour,
        "role": _role(state, revision),
    }


def _wanted(state: ServiceState, revision: Revision) -> bool:
    current = state.current
    return revision is state.steady or (current is not None and revision is current.target)


def _role(state: ServiceState, revision: Revision) -> Any:
    if state.current is not None and revision is state.current.target:
        return "new"
    return "primary" if state.current is None and revision is state.steady else "old"


def _health(healthy: int, tasks: int, starting: bool) -> Health:
    if tasks and healthy == tasks:
        return "healthy"
    if healthy:
        return "degraded"
    if not tasks:
        return "unknown"
    return "starting" if starting else "unhealthy"


def _service_health(revisions: Sequence[RevisionView]) -> Health:
    """The worst health that visitors can meet."""
    order: tuple[Health, ...] = ("healthy", "starting", "unknown", "degraded", "unhealthy")
    serving = [revision["health"] for revision in revisions if revision["weight"] > 0]
    return max(serving, key=order.index, default="unknown")


def _deployed_at(state: ServiceState) -> str | None:
    steady = [it for it in state.history if state.steady is not None and it.target is state.steady]
    return steady[-1].created_at.isoformat() if steady else None


def _deployment_view(state: ServiceState) -> DeploymentView | None:
    deployment = state.current or (state.history[-1] if state.history else None)
    if deployment is None:
        return None
    progress = deployment.progress
    return {
        "id": deployment.arn.rpartition("/")[2],
        "status": str(progress.status),
        "stage": str(progress.stage or "") if deployment.finished_at is None else "",
        "strategy": str(deployment.plan.strategy),
        "weights": list(deployment.plan.weights),
        "pause": _pause_view(deployment),
        "reason": progress.reason,
        "started_at": _iso(deployment.started_at),
        "finished_at": _iso(deployment.finished_at),
    }


def _pause_view(deployment: Deployment) -> PauseView | None:
    """The hook that waits at this moment."""
    waiting = [hook for hook in deployment.progress.hooks if hook.status is HookStatus.AWAITING_ACTION]
    if not waiting or deployment.finished_at is not None:
        return None
    hook = waiting[-1]
    return {
        "hook": hook.id,
        "stage": str(hook.stage),
        "expires_at": hook.expires_at.isoformat(),
        "goes_back": hook.rolls_back_on_timeout,
    }


def activity(environment: str, service: str, state: ServiceState, builds: Builds) -> Iterator[ActivityView]:
    """What happened to a service's deployments since the world began."""
    for deployment in state.history:
        if deployment.source is not None and deployment.started_at is not None:
            yield from _told(environment, service, deployment, builds)


def _told(environment: str, service: str, deployment: Deployment, builds: Builds) -> Iterator[ActivityView]:
    digest = deployment.target.images[0].digest if deployment.target.images else ""
    what = f"{service} {builds(digest).version}".strip()
    if deployment.started_at is not None:
        yield _event(deployment.started_at, environment, f"{what} is being rolled out.", "info")
    if deployment.finished_at is not None:
        status = str(deployment.progress.status)
        good = status in GOOD_ENDINGS
        words = f"{what}: {status}. {deployment.progress.reason}".strip()
        yield _event(deployment.finished_at, environment, words, "good" if good else "bad")


def _event(at: datetime, environment: str, sentence: str, tone: Any) -> ActivityView:
    return {"at": at.isoformat(), "environment": environment, "sentence": sentence, "tone": tone}


def traffic_view(seconds: Sequence[Second]) -> list[TrafficSample]:
    return [
        {
            "at": second.at.isoformat(),
            "requests": len(second.hits),
            "errors": sum(hit.failed for hit in second.hits),
            "p95_ms": _p95(sorted(hit.seconds for hit in second.hits)),
        }
        for second in seconds
    ]


def _p95(ordered: Sequence[float]) -> float | None:
    return round(1000 * ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 1) if ordered else None


def visitors_view(per_second: float, totals: Mapping[str, Tally], version_of: Callable[[str], str]) -> VisitorsView:
    """`totals` are by revision; `version_of` gives a revision's version, empty for what is not known."""
    whole, versions = Tally(), dict[str, Tally]()
    for revision, tally in totals.items():
        whole.add(tally)
        versions.setdefault(version_of(revision), Tally()).add(tally)
    by_version = {version: _met(tally) for version, tally in versions.items()}
    return {"per_second": per_second, "met": _met(whole), "by_version": by_version}


def _met(tally: Tally) -> MetView:
    return {"requests": tally.requests, "failed": tally.failed, "slow": tally.slow, "bad": tally.bad}


def parameter_views(environment: Environment) -> list[ParameterView]:
    """The environment's parameters, secrets masked."""
    from moto.ssm.models import ssm_backends

    backend, path = ssm_backends[environment.account][environment.region], environment.parameter_path
    found, token = backend.get_parameters_by_path(path, recursive=True)
    while token:
        more, token = backend.get_parameters_by_path(path, recursive=True, next_token=token)
        found = [*found, *more]
    return [_parameter_view(parameter) for parameter in sorted(found, key=lambda parameter: parameter.name)]


def _parameter_view(parameter: Any) -> ParameterView:
    secret = parameter.parameter_type == "SecureString"
    return {
        "name": parameter.name,
        "type": parameter.parameter_type,
        "value": MASK if secret else parameter.value,
        "version": parameter.version,
    }


def alarm_views(environment: Environment) -> list[AlarmView]:
    from moto.cloudwatch.models import cloudwatch_backends

    alarms = cloudwatch_backends[environment.account][environment.region].alarms
    return [{"name": it.name, "state": it.state_value, "reason": it.state_reason or ""} for it in alarms.values()]


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
