"""What the stand-in answers about CodeDeploy deployments, in the shapes of the CodeDeploy API."""

from typing import Any

from moto.elbv2.models import elbv2_backends

from deployments.sandbox.aws.codedeploy_configs import Config
from deployments.sandbox.aws.codedeploy_machine import all_events
from deployments.sandbox.aws.codedeploy_requests import hash_of
from deployments.sandbox.aws.codedeploy_stages import Event, Stage, Status
from deployments.sandbox.aws.codedeploy_state import Desk, Rollout
from deployments.sandbox.aws.codedeploy_task_sets import counts, task_set_status
from deployments.sandbox.aws.ecs_state import Document, Revision, ServiceState
from deployments.sandbox.aws.ecs_task_answers import without_none

TARGET_STATUS = {
    Status.CREATED: "Pending",
    Status.QUEUED: "Pending",
    Status.IN_PROGRESS: "InProgress",
    Status.READY: "Ready",
    # Known of the real CodeDeploy: while the original task set waits for its end, the target has Succeeded already.
    Status.BAKING: "Succeeded",
    Status.SUCCEEDED: "Succeeded",
    Status.FAILED: "Failed",
    Status.STOPPED: "Failed",
}
COUNTED = ("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready")


def deployment_answer(desk: Desk, rollout: Rollout) -> Document:
    """A `DeploymentInfo`."""
    target = target_status(rollout)
    waits = rollout.progress.stage in {Stage.TERMINATION_WAIT, Stage.TERMINATE}
    answer: Document = {
        "applicationName": rollout.application,
        "deploymentGroupName": rollout.group,
        "deploymentConfigName": rollout.config,
        "deploymentId": rollout.id,
        "previousRevision": revision_brief(rollout.previous) if rollout.previous else None,
        "revision": revision_brief(rollout.revision),
        "status": str(rollout.progress.status),
        "errorInformation": _error(rollout),
        "createTime": rollout.created_at,
        "startTime": rollout.started_at,
        "completeTime": rollout.finished_at,
        "deploymentOverview": {name: int(name == target) for name in COUNTED},
        "creator": rollout.creator,
        "ignoreApplicationStopFailures": False,
        "updateOutdatedInstancesOnly": False,
        "rollbackInfo": _rollback(desk, rollout),
        "instanceTerminationWaitTimeStarted": waits and not rollout.plan.goes_back,
        "fileExistsBehavior": "DISALLOW",
        "deploymentStatusMessages": [],
        "computePlatform": "ECS",
    }
    told = {name: value for name, value in rollout.terms.items() if name != "ecsServices"}
    return without_none(answer | told)


def revision_brief(revision: Document) -> Document:
    """A revision as deployments and groups tell it: by its hash. `get_application_revision` has its text."""
    return {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": hash_of(revision)}}


def config_answer(config: Config) -> Document:
    """A `DeploymentConfigInfo`."""
    return {
        "deploymentConfigId": config.id,
        "deploymentConfigName": config.name,
        "createTime": config.created_at,
        "computePlatform": config.platform,
        "trafficRoutingConfig": config.routing or {"type": "AllAtOnce"},
    }


def target_id(rollout: Rollout) -> str:
    """`cluster:service`, which is what the one target of an ECS deployment is called."""
    named = rollout.terms["ecsServices"][0]
    return f"{named.get('clusterName', 'default')}:{named['serviceName']}"


def target_status(rollout: Rollout) -> str:
    """The status of the one target of a deployment."""
    return TARGET_STATUS[rollout.progress.status]


def target_answer(rollout: Rollout, service: ServiceState) -> Document:
    """A `DeploymentTarget`."""
    weight = rollout.progress.weight
    both = ((rollout.blue, "Blue", 100.0 - weight), (rollout.green, "Green", weight))
    return {
        "deploymentTargetType": "ECSTarget",
        "ecsTarget": {
            "deploymentId": rollout.id,
            "targetId": target_id(rollout),
            "targetArn": service.arn,
            "lastUpdatedAt": rollout.updated_at or rollout.created_at,
            "lifecycleEvents": [_event(event) for event in all_events(rollout.plan, rollout.progress)],
            "status": target_status(rollout),
            "taskSetsInfo": [_task_set(service, it, label, share) for it, label, share in both if it],
        },
    }


def group_answer(desk: Desk, answer: Document, group: Any, account: str, region: str) -> Document:
    """Moto's `DeploymentGroupInfo`, with what moto leaves open."""
    name = group.deployment_group_name
    rollouts = list(desk.of_group(account, region, group.application.application_name, name))
    good = next((it for it in rollouts if it.progress.status is Status.SUCCEEDED), None)
    return answer | without_none(
        {
            "alarmConfiguration": group.alarm_configuration or {},
            "targetRevision": revision_brief(good.revision) if good else None,
            "lastSuccessfulDeployment": _last(good),
            "lastAttemptedDeployment": _last(rollouts[0] if rollouts else None),
        }
    )


def _last(rollout: Rollout | None) -> Document:
    if rollout is None:
        return {}
    answer = {
        "deploymentId": rollout.id,
        "status": str(rollout.progress.status),
        "createTime": rollout.created_at,
        "endTime": rollout.finished_at,
    }
    return without_none(answer)


def _error(rollout: Rollout) -> Document | None:
    fault = rollout.progress.fault
    return None if fault is None else {"code": fault.code, "message": fault.message}


def _rollback(desk: Desk, rollout: Rollout) -> Document | None:
    if rollout.triggered_by:
        return {"rollbackTriggeringDeploymentId": rollout.triggered_by}
    if not rollout.rollback_id:
        return None
    back = desk.rollouts[rollout.account, rollout.region, rollout.rollback_id]
    words = f"Deployment {back.id} was created to roll back this deployment and is {back.progress.status}."
    return {"rollbackDeploymentId": back.id, "rollbackMessage": words}


def _event(event: Event) -> Document:
    answer = {
        "lifecycleEventName": str(event.stage),
        "status": str(event.status),
        "startTime": event.started_at,
        "endTime": event.ended_at,
    }
    return without_none(answer)


def _task_set(service: ServiceState, revision: Revision, label: str, weight: float) -> Document:
    desired, pending, running = counts(service, revision)
    group = elbv2_backends[service.account][service.region].target_groups.get(service.groups.get(revision.arn, ""))
    return {
        "identifer": revision.deployment_id,
        "desiredCount": desired,
        "pendingCount": pending,
        "runningCount": running,
        "status": task_set_status(service, revision),
        "trafficWeight": weight,
        "targetGroup": {"name": group.name} if group is not None else {},
        "taskSetLabel": label,
    }
