"""The operations on CodeDeploy deployments and their targets."""

import re
from datetime import datetime
from hashlib import sha256
from typing import Any

from deployments.sandbox.aws.codedeploy_answers import (
    deployment_answer,
    target_answer,
    target_id,
    target_status,
)
from deployments.sandbox.aws.codedeploy_configs import ALL_AT_ONCE, refuse
from deployments.sandbox.aws.codedeploy_machine import ask_stop, hurry
from deployments.sandbox.aws.codedeploy_requests import (
    check_alarms,
    check_config,
    check_revision,
    check_rollback,
    hash_of,
    plan_of,
    rollback_events,
)
from deployments.sandbox.aws.codedeploy_stages import WAITS, Progress
from deployments.sandbox.aws.codedeploy_state import Desk, Rollout, backend, group_of, new_id
from deployments.sandbox.aws.ecs_fleet import Caller, moment
from deployments.sandbox.aws.ecs_state import Document

IS_ID = re.compile(r"d-[A-Z0-9]{9}")
PAGE = 100


def create_deployment(desk: Desk, caller: Caller) -> Document:
    name = caller.get("deploymentGroupName")
    if not name:
        raise refuse("DeploymentGroupNameRequiredException", "Deployment group name is required.")
    group = group_of(caller, name)
    if group.application.compute_platform != "ECS":
        raise refuse("InvalidComputePlatformException", "The sandbox deploys to the compute platform ECS only")
    check_revision(caller.get("revision"))
    check_alarms(caller.get("overrideAlarmConfiguration", {}))
    check_rollback(caller.get("autoRollbackConfiguration", {}))
    _check_free(desk, caller, group)
    rollout = _made(desk, caller, group)
    desk.add(rollout)
    return {"deploymentId": rollout.id}


def get_deployment(desk: Desk, caller: Caller) -> Document:
    return {"deploymentInfo": deployment_answer(desk, _named(desk, caller))}


def batch_get_deployments(desk: Desk, caller: Caller) -> Document:
    names = caller.get("deploymentIds", [])
    if not 1 <= len(names) <= 25:
        raise refuse("BatchLimitExceededException", f"deploymentIds has {len(names)} entries; 1 to 25 are allowed")
    found = [desk.rollouts.get((caller.account, caller.region, name)) for name in names]
    return {"deploymentsInfo": [deployment_answer(desk, rollout) for rollout in found if rollout is not None]}


def list_deployments(desk: Desk, caller: Caller) -> Document:
    """The ids, newest first, page by page."""
    _check_filters(caller)
    chosen = [rollout.id for rollout in reversed(desk.rollouts.values()) if _is_chosen(caller, rollout)]
    token = str(caller.get("nextToken", "0"))
    if not token.isdecimal():
        raise refuse("InvalidNextTokenException", "The next token was specified in an invalid format.")
    start = int(token)
    more = {"nextToken": str(start + PAGE)} if start + PAGE < len(chosen) else {}
    return {"deployments": chosen[start : start + PAGE], **more}


def get_application_revision(desk: Desk, caller: Caller) -> Document:
    """The text of an AppSpec that was deployed, by its hash."""
    application = backend(caller).get_application(caller.parameters["applicationName"]).application_name
    place = (caller.account, caller.region, application)
    spec = caller.parameters["revision"].get("appSpecContent") or {}
    wanted = spec.get("sha256") or sha256(spec.get("content", "").encode()).hexdigest()
    rollouts = [it for it in desk.rollouts.values() if (it.account, it.region, it.application) == place]
    used = [rollout for rollout in rollouts if hash_of(rollout.revision) == wanted]
    if not used:
        raise refuse("RevisionDoesNotExistException", f"The application {application} has no such revision")
    content = used[0].revision["appSpecContent"]["content"]
    return {
        "applicationName": application,
        "revision": {"revisionType": "AppSpecContent", "appSpecContent": {"content": content, "sha256": wanted}},
        "revisionInfo": {
            "deploymentGroups": sorted({rollout.group for rollout in used}),
            "firstUsedTime": used[0].created_at,
            "lastUsedTime": used[-1].created_at,
            "registerTime": used[0].created_at,
        },
    }


def stop_deployment(desk: Desk, caller: Caller) -> Document:
    rollout = _named(desk, caller)
    _check_active(rollout)
    rollout.progress = ask_stop(rollout.progress)
    rollout.rollback_asked = caller.get("autoRollbackEnabled", rollout.rollback_asked)
    return {"status": "Pending", "statusMessage": f"Deployment {rollout.id} is being stopped."}


def continue_deployment(desk: Desk, caller: Caller) -> Document:
    rollout = _named(desk, caller)
    _check_active(rollout)
    wait = caller.get("deploymentWaitType", "READY_WAIT")
    if rollout.progress.stage is not WAITS[wait]:
        raise refuse(
            "DeploymentIsNotInReadyStateException",
            f"The deployment {rollout.id} is not in {wait}; its status is {rollout.progress.status}.",
        )
    rollout.progress = hurry(rollout.progress)
    return {}


def list_deployment_targets(desk: Desk, caller: Caller) -> Document:
    rollout = _begun(desk, caller)
    wanted = caller.get("targetFilters", {}).get("TargetStatus")
    return {"targetIds": [target_id(rollout)] if not wanted or target_status(rollout) in wanted else []}


def batch_get_deployment_targets(desk: Desk, caller: Caller) -> Document:
    rollout = _begun(desk, caller)
    names = caller.get("targetIds", [])
    if not names:
        raise refuse("DeploymentTargetIdRequiredException", "At least one target ID must be provided")
    if len(names) > 1:
        raise refuse("DeploymentTargetListSizeExceededException", "An ECS deployment has exactly one target")
    return {"deploymentTargets": [_target(rollout, names[0])]}


def get_deployment_target(desk: Desk, caller: Caller) -> Document:
    return {"deploymentTarget": _target(_begun(desk, caller), caller.get("targetId", ""))}


def _made(desk: Desk, caller: Caller, group: Any) -> Rollout:
    """The deployment that a request asks for. Raises a CodeDeploy error for an unsuitable configuration."""
    config = desk.config(caller, str(caller.get("deploymentConfigName") or group.deployment_config_name or ALL_AT_ONCE))
    check_config(config)
    clock = desk.fleet.clock
    now = clock.now()
    return Rollout(
        new_id(),
        caller.account,
        caller.region,
        group.application.application_name,
        group.deployment_group_name,
        config.name,
        dict(caller.parameters["revision"]),
        plan_of(group, config, caller.parameters, clock.seconds),
        Progress(now),
        now,
        _terms(caller, group),
        rollback_events(group, caller.parameters),
    )


def _terms(caller: Caller, group: Any) -> Document:
    terms = {
        "description": caller.get("description"),
        "deploymentStyle": group.deployment_style,
        "blueGreenDeploymentConfiguration": group.blue_green_deployment_configuration,
        "loadBalancerInfo": group.load_balancer_info,
        "autoRollbackConfiguration": caller.get("autoRollbackConfiguration", group.auto_rollback_configuration),
        "overrideAlarmConfiguration": caller.get("overrideAlarmConfiguration"),
        "ecsServices": group.ecs_services,
    }
    return {name: value for name, value in terms.items() if value}


def _check_free(desk: Desk, caller: Caller, group: Any) -> None:
    name = group.deployment_group_name
    for rollout in desk.of_group(caller.account, caller.region, group.application.application_name, name):
        if rollout.active:
            raise refuse(
                "DeploymentLimitExceededException",
                f"The Deployment Group '{name}' already has an active Deployment '{rollout.id}'",
            )


def _named(desk: Desk, caller: Caller) -> Rollout:
    name = caller.get("deploymentId", "")
    if not name:
        raise refuse("DeploymentIdRequiredException", "deploymentId must be specified")
    if not IS_ID.fullmatch(name):
        raise refuse("InvalidDeploymentIdException", f"The deployment ID {name} is not valid")
    return desk.rollout(caller, name)


def _begun(desk: Desk, caller: Caller) -> Rollout:
    rollout = _named(desk, caller)
    if rollout.service is None:
        raise refuse("DeploymentNotStartedException", f"The deployment {rollout.id} has not started yet")
    return rollout


def _target(rollout: Rollout, name: str) -> Document:
    if rollout.service is None or name != target_id(rollout):
        raise refuse("DeploymentTargetDoesNotExistException", f"The deployment {rollout.id} has no target {name}")
    return target_answer(rollout, rollout.service)


def _check_active(rollout: Rollout) -> None:
    if not rollout.active:
        raise refuse("DeploymentAlreadyCompletedException", f"Deployment {rollout.id} is already completed")


def _check_filters(caller: Caller) -> None:
    application, group = caller.get("applicationName"), caller.get("deploymentGroupName")
    if application and not group:
        words = "If applicationName is specified, then deploymentGroupName must be specified."
        raise refuse("DeploymentGroupNameRequiredException", words)
    if group and not application:
        words = "If deploymentGroupName is specified, applicationName must be specified."
        raise refuse("ApplicationNameRequiredException", words)
    if group:
        group_of(caller, group)


def _is_chosen(caller: Caller, rollout: Rollout) -> bool:
    if (rollout.account, rollout.region) != (caller.account, caller.region):
        return False
    named = (caller.get("applicationName", rollout.application), caller.get("deploymentGroupName", rollout.group))
    statuses = caller.get("includeOnlyStatuses")
    return (
        named == (rollout.application, rollout.group)
        and (not statuses or rollout.progress.status in statuses)
        and _created_within(caller, rollout.created_at)
    )


def _created_within(caller: Caller, at: datetime) -> bool:
    limits = caller.get("createTimeRange", {})
    start, end = moment(limits.get("start")), moment(limits.get("end"))
    if start and end and start > end:
        raise refuse("InvalidTimeRangeException", "The start time must be earlier than the end time.")
    return (start is None or start <= at) and (end is None or at <= end)
