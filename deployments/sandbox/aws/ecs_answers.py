"""What the stand-in answers about services and deployments, in the shapes of the ECS API."""

from typing import Any

from deployments.sandbox.aws.ecs_stages import GOING_BACK, Status
from deployments.sandbox.aws.ecs_state import Deployment, Document, Revision, ServiceState
from deployments.sandbox.aws.ecs_task_answers import last_status, without_none
from deployments.sandbox.aws.ecs_traffic import production_rule

SERVICE_FIELDS = (
    "loadBalancers",
    "serviceRegistries",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "deploymentConfiguration",
    "placementConstraints",
    "placementStrategy",
    "networkConfiguration",
    "healthCheckGracePeriodSeconds",
    "schedulingStrategy",
    "deploymentController",
    "enableECSManagedTags",
    "propagateTags",
    "enableExecuteCommand",
    "availabilityZoneRebalancing",
)
DEPLOYMENT_FIELDS = (
    "capacityProviderStrategy",
    "launchType",
    "platformVersion",
    "networkConfiguration",
    "serviceConnectConfiguration",
)


def service_answer(service: ServiceState, tags: list[Document] | None = None) -> Document:
    """A `Service`; with its tags when they were asked for."""
    primary = service.primary
    living = [task for task in service.tasks.values() if task.living]
    answer: Document = {
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "status": service.status,
        "desiredCount": service.desired,
        "runningCount": sum(last_status(task) == "RUNNING" for task in living),
        "pendingCount": sum(last_status(task) == "PENDING" for task in living),
        "taskDefinition": primary.task_definition if primary else service.settings.get("taskDefinition"),
        "deployments": _deployments(service),
        "events": list(service.events),
        "createdAt": service.created_at,
        "roleArn": service.settings.get("role"),
        "currentServiceRevisions": [_running(service, revision) for revision in _shown_revisions(service)],
        "currentServiceDeployment": service.current.arn if service.current else None,
        "tags": tags,
    }
    answer |= {name: service.settings.get(name) for name in SERVICE_FIELDS}
    return without_none(answer)


def deployment_brief(service: ServiceState, deployment: Deployment) -> Document:
    """A `ServiceDeploymentBrief`, as `list_service_deployments` gives it."""
    return without_none(
        {
            "serviceDeploymentArn": deployment.arn,
            "serviceArn": service.arn,
            "clusterArn": service.cluster_arn,
            "createdAt": deployment.created_at,
            "startedAt": deployment.started_at,
            "finishedAt": deployment.finished_at,
            "targetServiceRevisionArn": deployment.target.arn,
            "status": str(deployment.progress.status),
            "statusReason": deployment.progress.reason or None,
        }
    )


def deployment_answer(service: ServiceState, deployment: Deployment) -> Document:
    """A whole `ServiceDeployment`."""
    progress = deployment.progress
    answer = deployment_brief(service, deployment)
    del answer["targetServiceRevisionArn"]
    weight, rest = progress.weight, round(100.0 - progress.weight, 1)
    sources = [deployment.source] if deployment.source else []
    stopped = deployment.finished_at if progress.status is Status.STOPPED else None
    return answer | without_none(
        {
            "updatedAt": deployment.updated_at or deployment.created_at,
            "stoppedAt": stopped,
            "sourceServiceRevisions": [
                _summary(service, source, deployment.wanted.source, rest, 100.0 - progress.test_weight)
                for source in sources
            ],
            "targetServiceRevision": _summary(
                service, deployment.target, deployment.wanted.target, weight, progress.test_weight
            ),
            "lifecycleStage": str(progress.stage) if progress.stage else None,
            "lifecycleHookDetails": [_hook(hook) for hook in progress.hooks],
            "deploymentConfiguration": deployment.configuration,
            "rollback": _rollback(deployment),
            "alarms": _alarms(deployment),
            "deploymentCircuitBreaker": _breaker(service, deployment),
        }
    )


def revision_answer(service: ServiceState, revision: Revision) -> Document:
    """A `ServiceRevision`."""
    group = service.groups.get(revision.arn)
    return revision.settings | without_none(
        {
            "serviceRevisionArn": revision.arn,
            "serviceArn": service.arn,
            "clusterArn": service.cluster_arn,
            "taskDefinition": revision.task_definition,
            "createdAt": revision.created_at,
            "containerImages": [
                without_none({"containerName": i.container, "image": i.image, "imageDigest": i.digest or None})
                for i in revision.images
            ],
            "guardDutyEnabled": False,
            "resolvedConfiguration": {"loadBalancers": [_balanced(revision, group)]} if group else None,
        }
    )


def _balanced(revision: Revision, group: str) -> Document:
    return {"targetGroupArn": group} | without_none(
        {"productionListenerRule": production_rule(revision.settings) or None}
    )


def _shown_revisions(service: ServiceState) -> list[Revision]:
    """The primary revision first, then all others that still have tasks."""
    living = {task.revision for task in service.tasks.values() if task.living}
    primary = service.primary
    others = [r for arn, r in reversed(service.revisions.items()) if arn in living and r is not primary]
    return [primary, *others] if primary else others


def _deployments(service: ServiceState) -> list[Document]:
    if service.controller != "ECS":
        return []
    return [_deployment(service, revision) for revision in _shown_revisions(service)]


def _deployment(service: ServiceState, revision: Revision) -> Document:
    """A `Deployment` as `describe_services` lists it: one per revision, not per service deployment."""
    last = next((d for d in reversed(service.history) if d.target is revision), None)
    created = last.created_at if last else revision.created_at
    is_primary = revision is service.primary
    state, reason = _rollout_state(service, revision, last)
    tasks = [task for task in service.of(revision) if task.living]
    failures = service.failures.get(revision.arn)
    answer: Document = {
        "id": revision.deployment_id,
        "status": "PRIMARY" if is_primary else "ACTIVE",
        "taskDefinition": revision.task_definition,
        "desiredCount": sum(task.active for task in tasks) if not is_primary else service.desired,
        "runningCount": sum(last_status(task) == "RUNNING" for task in tasks),
        "pendingCount": sum(last_status(task) == "PENDING" for task in tasks),
        "failedTasks": failures.total if failures else 0,
        "createdAt": created,
        "updatedAt": (last.updated_at if last else None) or created,
        "rolloutState": state,
        "rolloutStateReason": reason,
    }
    return without_none(answer | {name: revision.settings.get(name) for name in DEPLOYMENT_FIELDS})


def _rollout_state(service: ServiceState, revision: Revision, last: Deployment | None) -> tuple[str, str]:
    name = f"ECS deployment {revision.deployment_id}"
    current = service.current
    if current is not None and current.source is revision and current.progress.status in GOING_BACK:
        return "IN_PROGRESS", f"{current.progress.reason} Rolling back to deploymentId {revision.deployment_id}."
    if last is None or last.progress.status is Status.SUCCESSFUL:
        return "COMPLETED", f"{name} completed."
    if last.progress.status in {Status.PENDING, Status.IN_PROGRESS}:
        return "IN_PROGRESS", f"{name} in progress."
    return "FAILED", last.progress.reason


def _running(service: ServiceState, revision: Revision) -> Document:
    tasks = [task for task in service.of(revision) if task.living]
    return {
        "arn": revision.arn,
        "requestedTaskCount": sum(task.active for task in tasks),
        "runningTaskCount": sum(last_status(task) == "RUNNING" for task in tasks),
        "pendingTaskCount": sum(last_status(task) == "PENDING" for task in tasks),
    }


def _summary(service: ServiceState, revision: Revision, wanted: int, weight: float, test_weight: float) -> Document:
    return _running(service, revision) | {
        "requestedTaskCount": wanted,
        "requestedProductionTrafficWeight": weight,
        "requestedTestTrafficWeight": test_weight,
    }


def _hook(hook: Any) -> Document:
    return {
        "hookId": hook.id,
        "targetType": "PAUSE",
        "status": str(hook.status),
        "expiresAt": hook.expires_at,
        "timeoutAction": "ROLLBACK" if hook.rolls_back_on_timeout else "CONTINUE",
    }


def _rollback(deployment: Deployment) -> Document | None:
    progress = deployment.progress
    if progress.rollback_at is None or deployment.source is None:
        return None
    return {
        "reason": progress.reason,
        "startedAt": progress.rollback_at,
        "serviceRevisionArn": deployment.source.arn,
    }


def _alarms(deployment: Deployment) -> Document:
    progress = deployment.progress
    return {
        "status": str(progress.watch),
        "alarmNames": list(deployment.plan.alarms),
        "triggeredAlarmNames": list(progress.triggered),
    }


def _breaker(service: ServiceState, deployment: Deployment) -> Document | None:
    breaker = deployment.plan.breaker
    if breaker is None:
        return None
    failures = service.failures.get(deployment.target.arn)
    count = failures.in_a_row if failures else 0
    done = deployment.finished_at is not None
    calm = "MONITORING_COMPLETE" if done else "MONITORING"
    status = "TRIGGERED" if count >= breaker.threshold else calm
    return {"status": status, "failureCount": count, "threshold": breaker.threshold}
