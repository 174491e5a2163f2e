"""The task sets of a service, read from what ECS says of the service."""

from __future__ import annotations  # the client's types are stubs, not there at run time

from typing import TYPE_CHECKING

from rules.task_sets import TaskSet

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import ServiceTypeDef, TaskSetTypeDef


def task_sets(service: ServiceTypeDef) -> tuple[TaskSet, ...]:
    """As ECS lists them; none where ECS itself moves the traffic."""
    return tuple(_task_set(one) for one in service.get("taskSets", ()))


def _task_set(answer: TaskSetTypeDef) -> TaskSet:
    balanced = next(iter(answer.get("loadBalancers", ())), None)
    return TaskSet(
        id=answer["id"],
        task_definition=answer["taskDefinition"],
        status=answer["status"],
        desired=answer["computedDesiredCount"],
        running=answer["runningCount"],
        created_at=answer["createdAt"],
        target_group=balanced.get("targetGroupArn", "") if balanced else "",
        container=balanced.get("containerName", "") if balanced else "",
        port=balanced.get("containerPort", 0) if balanced else 0,
        platform_version=answer.get("platformVersion", ""),
        deployment=answer.get("externalId", ""),
    )
