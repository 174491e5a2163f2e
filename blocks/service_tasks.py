"""The tasks of the services of one cluster: what runs, and what stopped by itself."""

from __future__ import annotations  # the client's types are stubs, not there at run time

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from blocks.aws_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import TaskTypeDef

SYSTEM = "Amazon ECS"
TASK_LIMIT = 100
"""ECS describes at most so many tasks a call."""


class ServiceTasks:
    """Tasks of one cluster."""

    def __init__(self, ecs: ECSClient, cluster: str) -> None:
        self._ecs, self._cluster = ecs, cluster

    def serving(self, name: str, container: str, definitions: Collection[str] | None = None) -> frozenset[str]:
        """Digests of the running tasks, of all task definitions or of these."""
        tasks = (it for it in self.of(name, "RUNNING") if definitions is None or it["taskDefinitionArn"] in definitions)
        return frozenset(digest for task in tasks if (digest := _digest_of(task, container)))

    def deaths(self, name: str, definition: str, since: datetime | None = None) -> list[TaskTypeDef]:
        """Tasks of a task definition that stopped by themselves, oldest first; ECS remembers about an hour."""
        stopped = [it for it in self.of(name, "STOPPED") if it["taskDefinitionArn"] == definition and _died(it)]
        recent = (task for task in stopped if since is None or task["createdAt"] >= since)
        return sorted(recent, key=lambda task: task["createdAt"])

    def of(self, name: str, status: Any) -> list[TaskTypeDef]:
        """Those of a service that are RUNNING or STOPPED."""
        with translated(SYSTEM, f"looking at tasks of {name}"):
            pages = self._ecs.get_paginator("list_tasks").paginate(
                cluster=self._cluster, serviceName=name, desiredStatus=status
            )
            arns = [arn for page in pages for arn in page["taskArns"]]
            return [
                task
                for some in chunks(arns, TASK_LIMIT)
                for task in self._ecs.describe_tasks(cluster=self._cluster, tasks=some)["tasks"]
            ]


def chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _digest_of(task: TaskTypeDef, container: str) -> str | None:
    return next((one.get("imageDigest") for one in task["containers"] if one["name"] == container), None)


def _died(task: TaskTypeDef) -> bool:
    return task.get("stopCode") in {"EssentialContainerExited", "TaskFailedToStart"}
