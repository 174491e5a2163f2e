"""All services of all accounts, and how a caller's words find one of them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.ecs.exceptions import ClusterNotFoundException, ServiceNotFoundException
from moto.ecs.models import EC2ContainerServiceBackend, ecs_backends

from deployments.sandbox.aws.ecs_configuration import refuse
from deployments.sandbox.aws.ecs_lifecycle import Lifecycle
from deployments.sandbox.aws.ecs_state import Deployment, Document, ServiceState
from deployments.sandbox.aws.ecs_task_answers import last_status
from deployments.sandbox.clock import Clock


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what."""

    account: str
    region: str
    parameters: Document

    @property
    def backend(self) -> EC2ContainerServiceBackend:
        return ecs_backends[self.account][self.region]

    def get(self, name: str, default: Any = None) -> Any:
        value = self.parameters.get(name)
        return default if value is None else value

    def cluster(self) -> Any:
        """The named cluster, as moto holds it. Raises ClusterNotFoundException."""
        found = self.backend.clusters.get(str(self.get("cluster", "default")).split("/")[-1])
        if found is None or found.status == "INACTIVE":
            raise ClusterNotFoundException
        return found


@dataclass(slots=True)
class Fleet:
    """Every service, by account, region, cluster name and service name."""

    clock: Clock
    lifecycle: Lifecycle
    services: dict[tuple[str, str, str, str], ServiceState] = field(default_factory=dict)

    def of_cluster(self, caller: Caller) -> list[ServiceState]:
        key = (caller.account, caller.region, caller.cluster().name)
        return [service for found, service in self.services.items() if found[:3] == key]

    def find(self, caller: Caller, name: str) -> ServiceState | None:
        """The service of this name or ARN in the caller's cluster."""
        return self.services.get(
            (caller.account, caller.region, caller.cluster().name, name.rsplit("/", maxsplit=1)[-1])
        )

    def get(self, caller: Caller, name: str) -> ServiceState:
        """As `find`. Raises ServiceNotFoundException."""
        service = self.find(caller, name)
        if service is None:
            raise ServiceNotFoundException
        return service

    def of_account(self, caller: Caller) -> Iterator[ServiceState]:
        return (s for s in self.services.values() if (s.account, s.region) == (caller.account, caller.region))

    def deployment(self, caller: Caller, arn: str) -> tuple[ServiceState, Deployment]:
        """A deployment by its ARN. Raises ServiceDeploymentNotFoundException."""
        for service in self.of_account(caller):
            for deployment in service.history:
                if deployment.arn == arn:
                    return service, deployment
        raise refuse(f"Service deployment {arn} was not found.", "ServiceDeploymentNotFoundException")

    def count_tasks(self) -> None:
        """Let moto's clusters say how many services and tasks they have."""
        clusters: dict[tuple[str, str, str], list[ServiceState]] = {}
        for key, service in self.services.items():
            clusters.setdefault(key[:3], []).append(service)
        for (account, region, name), services in clusters.items():
            cluster: Any = ecs_backends[account][region].clusters.get(name)
            if cluster is not None:
                _count(cluster, services)


def _count(cluster: Any, services: list[ServiceState]) -> None:
    statuses = [last_status(task) for service in services for task in service.tasks.values()]
    cluster.active_services_count = sum(service.status == "ACTIVE" for service in services)
    cluster.running_tasks_count = statuses.count("RUNNING")
    cluster.pending_tasks_count = statuses.count("PENDING")


def page(caller: Caller, items: list[Any], most: int, default: int) -> tuple[list[Any], str | None]:
    """One page of a list, with the token of the next one."""
    size = caller.get("maxResults", default)
    if not 1 <= size <= most:
        raise refuse(f"maxResults is {size}; it must be between 1 and {most}.")
    token = str(caller.get("nextToken", "0"))
    if not token.isdecimal():
        raise refuse("Invalid token in nextToken.")
    start = int(token)
    return items[start : start + size], str(start + size) if start + size < len(items) else None


def moment(value: Any) -> datetime | None:
    """A timestamp parameter. Moto's parser gives it in UTC, without saying so."""
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return None if value is None else datetime.fromtimestamp(float(value), UTC)


def check_count(name: str, items: list[Any], most: int) -> None:
    """Refuse empty and too long lists of names. Raises InvalidParameterException."""
    if not 1 <= len(items) <= most:
        raise refuse(f"{name} has {len(items)} entries; it must have between 1 and {most}.")
