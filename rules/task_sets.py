"""Task sets: what a service of Amazon ECS consists of while AWS CodeDeploy moves its traffic."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from rules.rollouts import Arm

PRIMARY, DRAINING = "PRIMARY", "DRAINING"


@dataclass(frozen=True, slots=True)
class TaskSet:
    """The tasks of one version, behind one target group."""

    id: str
    task_definition: str
    status: str
    """PRIMARY, ACTIVE, or DRAINING on its way out."""
    desired: int
    running: int
    created_at: datetime
    target_group: str = ""
    """ARN."""
    container: str = ""
    """The container that the load balancer reaches, by its `port`."""
    port: int = 0
    platform_version: str = ""
    deployment: str = ""
    """Id of the CodeDeploy deployment that made it; empty for the first one, which came with the service."""

    @property
    def complete(self) -> bool:
        return 0 < self.desired <= self.running

    @property
    def arm(self) -> Arm:
        return Arm(self.task_definition, self.target_group)


def primary(sets: Sequence[TaskSet]) -> TaskSet | None:
    """The one that ECS takes for the service; CodeDeploy changes it when all traffic has moved."""
    return next((one for one in sets if one.status == PRIMARY), None)


def beside_primary(sets: Sequence[TaskSet]) -> tuple[TaskSet, ...]:
    """The other version, while there is one: before its traffic has come, and while it waits to be needed again."""
    return tuple(one for one in sets if one.status not in {PRIMARY, DRAINING})
