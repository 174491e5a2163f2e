"""Takes the picture of the world: every environment at one moment, while nothing moves."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from deployments.sandbox.aws.ecs_state import ServiceState
from deployments.sandbox.clock import Clock
from deployments.sandbox.control_room.shape import ActivityView, EnvironmentView, WorldState
from deployments.sandbox.names import service_name
from deployments.sandbox.seed import Seed
from deployments.sandbox.services.edge import Edge
from deployments.sandbox.services.visitors import Visitors
from deployments.sandbox.snapshot import (
    Build,
    activity,
    alarm_views,
    parameter_views,
    service_view,
    traffic_view,
    visitors_view,
)
from rules.catalogue import Catalogue
from rules.vocabulary import Environment

REMEMBERED = 120
"""Activities that the picture shows."""


class Stage(Protocol):
    """The parts of the world that are in the picture."""

    catalogue: Catalogue
    clock: Clock
    seed: Seed
    edges: dict[str, Edge]
    visitors: dict[str, Visitors]

    @property
    def prefect_url(self) -> str | None: ...

    @property
    def lock(self) -> AbstractContextManager[Any]: ...

    def services(self) -> Iterable[ServiceState]: ...


class Picture:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def taken(self, said: Iterable[ActivityView]) -> WorldState:
        """All of it now; `said` is what the world itself has to tell beside the deployments."""
        stage = self._stage
        with stage.lock:
            states = {(it.account, it.cluster, it.name): it for it in stage.services()}
            environments = [self._environment(name, states) for name in stage.catalogue.chain]
            happened = sorted([*said, *self._activities(states)], key=lambda item: item["at"])
        return {
            "application": stage.catalogue.application,
            "now": stage.clock.now().isoformat(),
            "minute_seconds": stage.clock.minute_seconds,
            "prefect_url": stage.prefect_url,
            "environments": environments,
            "activity": happened[-REMEMBERED:],
        }

    def _environment(self, name: str, states: Mapping[tuple[str, str, str], ServiceState]) -> EnvironmentView:
        environment, edge = self._stage.catalogue.environments[name], self._stage.edges[name]
        visitors = self._stage.visitors.get(name)
        digests = {
            arn: it.images[0].digest for state in states.values() for arn, it in state.revisions.items() if it.images
        }
        return {
            "name": name,
            "role": str(environment.role),
            "account": environment.account,
            "url": edge.url,
            "services": [
                service_view(service, key[2], states.get(key), self._build)
                for service in self._stage.catalogue.services.values()
                for key in [_key(environment, service_name(environment, service))]
            ],
            "traffic": traffic_view(edge.traffic.seconds()),
            "visitors": visitors_view(
                visitors.per_second if visitors else 0.0,
                edge.traffic.totals(),
                lambda revision: self._build(digests.get(revision, "")).version,
            ),
            "parameters": parameter_views(environment),
            "alarms": alarm_views(environment),
        }

    def _activities(self, states: Mapping[tuple[str, str, str], ServiceState]) -> Iterator[ActivityView]:
        for environment in self._stage.catalogue.environments.values():
            for service in self._stage.catalogue.services.values():
                state = states.get(_key(environment, service_name(environment, service)))
                if state is not None:
                    yield from activity(environment.name, service.id, state, self._build)

    def _build(self, digest: str) -> Build:
        for release in self._stage.seed.releases.values():
            if digest in release.digests.values():
                return Build(release.version, release.behaviour)
        return Build("", "")


def _key(environment: Environment, service: str) -> tuple[str, str, str]:
    return environment.account, environment.cluster, service
