"""What the stand-in answers about the tasks of services, in the shapes of the ECS API."""

from deployments.sandbox.aws.ecs_state import Document, ServiceState, ServiceTask
from deployments.sandbox.aws.runtime import TaskPhase


def task_answer(service: ServiceState, task: ServiceTask) -> Document:
    """A `Task` of a service."""
    status = last_status(task)
    health = _health(task)
    return without_none(
        {
            "taskArn": task.arn,
            "clusterArn": service.cluster_arn,
            "taskDefinitionArn": task.spec.task_definition_arn,
            "group": f"service:{service.name}",
            "startedBy": task.started_by,
            "launchType": service.settings.get("launchType"),
            "platformVersion": service.settings.get("platformVersion"),
            "desiredStatus": desired_status(task),
            "lastStatus": status,
            "healthStatus": health,
            "connectivity": "CONNECTED",
            "createdAt": task.created_at,
            "startedAt": task.started_at,
            "stoppingAt": task.stopping_at,
            "stoppedAt": task.stopped_at,
            "executionStoppedAt": task.stopped_at,
            "stopCode": task.stop_code or None,
            "stoppedReason": task.stopped_reason or None,
            "containers": [_container(task, health, status)],
            "attachments": [],
            "overrides": {},
            "version": 1,
        }
    )


def desired_status(task: ServiceTask) -> str:
    return "RUNNING" if task.active else "STOPPED"


def last_status(task: ServiceTask) -> str:
    if task.stopped_at is not None:
        return "STOPPED"
    if task.stopping_at is not None:
        return "STOPPING" if task.ending else "DEACTIVATING"
    return "RUNNING" if task.started_at is not None else "PENDING"


def _container(task: ServiceTask, health: str, status: str) -> Document:
    spec, condition = task.spec, task.condition
    exited = condition.phase is TaskPhase.EXITED
    host = (condition.address or "").partition(":")[0]
    return without_none(
        {
            "containerArn": f"{task.arn.replace(':task/', ':container/')}/{spec.container}",
            "taskArn": task.arn,
            "name": spec.container,
            "image": spec.image,
            "imageDigest": spec.digest or None,
            "runtimeId": f"{spec.id}-1",
            "lastStatus": "STOPPED" if exited else "PENDING" if status == "PENDING" else "RUNNING",
            "healthStatus": health,
            "exitCode": condition.exit_code if exited else None,
            "reason": condition.reason or None,
            "networkInterfaces": [{"privateIpv4Address": host}] if host else [],
        }
    )


def _health(task: ServiceTask) -> str:
    if not task.living or task.condition.phase not in {TaskPhase.HEALTHY, TaskPhase.UNHEALTHY}:
        return "UNKNOWN"
    return str(task.condition.phase)


def without_none(answer: Document) -> Document:
    return {name: value for name, value in answer.items() if value is not None}
