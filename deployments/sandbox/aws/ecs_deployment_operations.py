"""The operations on service deployments and revisions: list, describe, stop, continue."""

from datetime import datetime

from deployments.sandbox.aws.ecs_answers import deployment_answer, deployment_brief, revision_answer
from deployments.sandbox.aws.ecs_configuration import refuse
from deployments.sandbox.aws.ecs_fleet import Caller, Fleet, check_count, moment, page
from deployments.sandbox.aws.ecs_machine import decide_hook, request_rollback
from deployments.sandbox.aws.ecs_stages import FINAL, HookStatus, Progress, Status
from deployments.sandbox.aws.ecs_state import Deployment, Document


def list_service_deployments(fleet: Fleet, caller: Caller) -> Document:
    service = fleet.get(caller, caller.parameters["service"])
    statuses = set(caller.get("status", []))
    # Other controllers have task sets instead.
    history = service.history if service.controller == "ECS" else []
    chosen = [
        deployment
        for deployment in reversed(history)
        if (not statuses or deployment.progress.status in statuses) and _created_within(caller, deployment)
    ]
    briefs, token = page(caller, [deployment_brief(service, d) for d in chosen], most=100, default=20)
    return {"serviceDeployments": briefs} | ({"nextToken": token} if token else {})


def describe_service_deployments(fleet: Fleet, caller: Caller) -> Document:
    arns = caller.get("serviceDeploymentArns", [])
    check_count("serviceDeploymentArns", arns, 20)
    known = {d.arn: deployment_answer(s, d) for s in fleet.of_account(caller) for d in s.history if d.arn in arns}
    return {"serviceDeployments": [known[arn] for arn in arns if arn in known], "failures": _missing(arns, known)}


def describe_service_revisions(fleet: Fleet, caller: Caller) -> Document:
    arns = caller.get("serviceRevisionArns", [])
    check_count("serviceRevisionArns", arns, 20)
    known = {
        arn: revision_answer(service, service.revisions[arn])
        for service in fleet.of_account(caller)
        for arn in arns
        if arn in service.revisions
    }
    return {"serviceRevisions": [known[arn] for arn in arns if arn in known], "failures": _missing(arns, known)}


def stop_service_deployment(fleet: Fleet, caller: Caller) -> Document:
    arn = caller.parameters["serviceDeploymentArn"]
    if caller.get("stopType", "ROLLBACK") != "ROLLBACK":
        raise refuse("stopType must be ROLLBACK.")
    service, deployment = fleet.deployment(caller, arn)
    if deployment.progress.status in FINAL:
        raise refuse(
            f"The service deployment is {deployment.progress.status} and can no longer be stopped.",
            "ConflictException",
        )
    if deployment is service.waiting:
        fleet.lifecycle.drop_waiting(service, fleet.clock.now())
    else:
        reason = "Service deployment rolled back because it was stopped by StopServiceDeployment."
        deployment.progress = request_rollback(deployment.progress, fleet.clock.now(), reason)
    return {"serviceDeploymentArn": arn}


def continue_service_deployment(fleet: Fleet, caller: Caller) -> Document:
    arn, hook_id = caller.parameters["serviceDeploymentArn"], caller.parameters["hookId"]
    _, deployment = fleet.deployment(caller, arn)
    _check_awaiting(deployment.progress, arn, hook_id, fleet.clock.now())
    goes_on = caller.get("action", "CONTINUE") == "CONTINUE"
    status = HookStatus.SUCCEEDED if goes_on else HookStatus.FAILED
    deployment.progress = decide_hook(deployment.progress, hook_id, status)
    return {"serviceDeploymentArn": arn}


def _check_awaiting(progress: Progress, arn: str, hook_id: str, now: datetime) -> None:
    """Refuse an answer to a pause that waits for none. Raises InvalidParameterException."""
    hook = next((hook for hook in progress.hooks if hook.id == hook_id), None)
    if hook is None:
        raise refuse(f"Lifecycle hook {hook_id} was not found in {arn}.")
    # Between its time running out and the next tick a hook is TIMED_OUT already, whatever its status says.
    status = HookStatus.TIMED_OUT if hook.expires_at <= now else hook.status
    if hook.status is not HookStatus.AWAITING_ACTION or status is HookStatus.TIMED_OUT:
        raise refuse(f"Lifecycle hook {hook_id} is {status} and awaits no action.")
    if progress.status is not Status.IN_PROGRESS:
        raise refuse(f"The service deployment is {progress.status}; it must be IN_PROGRESS to be continued.")


def _created_within(caller: Caller, deployment: Deployment) -> bool:
    created = caller.get("createdAt", {})
    after, before = moment(created.get("after")), moment(created.get("before"))
    at = deployment.created_at
    return (after is None or at > after) and (before is None or at < before)


def _missing(arns: list[str], known: Document) -> list[Document]:
    return [{"arn": arn, "reason": "MISSING"} for arn in arns if arn not in known]
