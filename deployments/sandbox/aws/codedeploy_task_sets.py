"""What ECS answers about the task sets of a service whose deployment controller is CodeDeploy."""

from datetime import datetime

from deployments.sandbox.aws.ecs_state import Document, Revision, ServiceState, ServiceTask, TaskSet
from deployments.sandbox.aws.ecs_task_answers import last_status, without_none

KEPT_FIELDS = ("launchType", "capacityProviderStrategy", "platformVersion", "networkConfiguration")


def task_set_answers(service: ServiceState) -> list[Document]:
    """The service's task sets, the primary one first. A set is gone with its last task."""
    return [_answer(service, revision) for revision in shown_task_sets(service)]


def shown_task_sets(service: ServiceState) -> list[Revision]:
    """The primary one first, then the others that live, the newest first."""
    if service.controller != "CODE_DEPLOY":
        return []
    primary = service.primary
    others = [
        revision
        for arn, revision in reversed(service.revisions.items())
        if revision is not primary and (_is_wanted(service, arn) or service.living(revision))
    ]
    return [primary, *others] if primary else others


def task_set_status(service: ServiceState, revision: Revision) -> str:
    """PRIMARY, ACTIVE, or DRAINING when it is on its way out."""
    if revision is service.primary:
        return "PRIMARY"
    return "ACTIVE" if _is_wanted(service, revision.arn) else "DRAINING"


def task_set_arn(service: ServiceState, revision: Revision) -> str:
    """The ARN of a revision as a task set."""
    return f"{service.arn.replace(':service/', ':task-set/')}/{revision.deployment_id}"


def counts(service: ServiceState, revision: Revision) -> tuple[int, int, int]:
    """Tasks of a task set: as many as are to be there, pending, running."""
    living = [task for task in service.of(revision) if task.living]
    stays = revision is service.primary or _is_wanted(service, revision.arn)
    states = [last_status(task) for task in living]
    return service.desired if stays else 0, states.count("PENDING"), states.count("RUNNING")


def _is_wanted(service: ServiceState, arn: str) -> bool:
    return arn in service.task_sets and service.task_sets[arn].wanted


def _answer(service: ServiceState, revision: Revision) -> Document:
    made = service.task_sets.get(revision.arn, TaskSet("", wanted=True, updated_at=revision.created_at))
    desired, pending, running = counts(service, revision)
    living = [task for task in service.of(revision) if task.living]
    steady = len(living) == desired and all(task.healthy for task in living)
    answer: Document = {
        "id": revision.deployment_id,
        "taskSetArn": task_set_arn(service, revision),
        "serviceArn": service.arn,
        "clusterArn": service.cluster_arn,
        "startedBy": "CODE_DEPLOY" if made.external_id else None,
        "externalId": made.external_id or None,
        "status": task_set_status(service, revision),
        "taskDefinition": revision.task_definition,
        "computedDesiredCount": desired,
        "pendingCount": pending,
        "runningCount": running,
        "createdAt": revision.created_at,
        "updatedAt": made.updated_at,
        "loadBalancers": _balancers(service, revision),
        "serviceRegistries": [],
        "scale": {"value": 100.0, "unit": "PERCENT"},
        "stabilityStatus": "STEADY_STATE" if steady else "STABILIZING",
        "stabilityStatusAt": _changed_at(living, made.updated_at),
        "tags": [],
    }
    return without_none(answer | {name: revision.settings.get(name) for name in KEPT_FIELDS})


def _balancers(service: ServiceState, revision: Revision) -> list[Document]:
    """The load balancer entries, with the target group that this task set really has."""
    group = service.groups.get(revision.arn)
    entries = revision.settings.get("loadBalancers") or []
    return [{**entry, "targetGroupArn": group} if group else dict(entry) for entry in entries]


def _changed_at(tasks: list[ServiceTask], otherwise: datetime) -> datetime:
    return max((task.started_at for task in tasks if task.started_at), default=otherwise)
