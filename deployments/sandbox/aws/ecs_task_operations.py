"""The operations on tasks: those of services are ours, those of `run_task` stay moto's."""

from collections.abc import Iterator
from typing import Any

from deployments.sandbox.aws.ecs_configuration import refuse
from deployments.sandbox.aws.ecs_fleet import Caller, Fleet, check_count, page
from deployments.sandbox.aws.ecs_state import Document, ServiceState, ServiceTask
from deployments.sandbox.aws.ecs_task_answers import desired_status, task_answer


def list_tasks(fleet: Fleet, caller: Caller) -> Document:
    arns = [task.arn for service, task in _chosen(fleet, caller) if _matches(caller, service, task)]
    if caller.get("serviceName") is None:
        arns += [task.task_arn for task in _chosen_of_moto(caller)]
    arns, token = page(caller, arns, most=100, default=100)
    return {"taskArns": arns} | ({"nextToken": token} if token else {})


def describe_tasks(fleet: Fleet, caller: Caller) -> Document:
    names = caller.get("tasks", [])
    check_count("tasks", names, 100)
    ours = {t.spec.id: task_answer(s, t) for s in fleet.of_cluster(caller) for t in s.tasks.values()}
    known: dict[str, Any] = {name: ours.get(name.split("/")[-1]) or _of_moto(caller, name) for name in names}
    return {
        "tasks": [task for task in known.values() if task is not None],
        "failures": [{"arn": name, "reason": "MISSING"} for name, task in known.items() if task is None],
    }


def stop_task(fleet: Fleet, caller: Caller) -> Document:
    task_id = caller.parameters["task"].split("/")[-1]
    reason = caller.get("reason", "Task stopped by user")
    for service in fleet.of_cluster(caller):
        if task_id in service.tasks:
            fleet.lifecycle.tasks.stop(service.tasks[task_id], fleet.clock.now(), "UserInitiated", reason)
            return {"task": task_answer(service, service.tasks[task_id])}
    if _of_moto(caller, task_id) is None:
        raise refuse("The referenced task was not found.")
    return {"task": caller.backend.stop_task(caller.cluster().name, task_id, reason)}


def _chosen(fleet: Fleet, caller: Caller) -> Iterator[tuple[ServiceState, ServiceTask]]:
    name = caller.get("serviceName")
    services = [fleet.get(caller, name)] if name else fleet.of_cluster(caller)
    return ((service, task) for service in services for task in service.tasks.values())


def _matches(caller: Caller, service: ServiceState, task: ServiceTask) -> bool:
    """Without a desired status only those that are to run are listed, as by the real ECS."""
    family = task.spec.task_definition_arn.split("/")[-1].split(":")[0]
    return (
        desired_status(task) == caller.get("desiredStatus", "RUNNING")
        and caller.get("startedBy", task.started_by) == task.started_by
        and caller.get("family", family) == family
        and caller.get("launchType", service.settings.get("launchType")) == service.settings.get("launchType")
        and caller.get("containerInstance") is None
    )


def _chosen_of_moto(caller: Caller) -> list[Any]:
    return caller.backend.list_tasks(
        caller.cluster().name,
        caller.get("containerInstance"),
        caller.get("family"),
        caller.get("startedBy"),
        None,
        caller.get("desiredStatus", "RUNNING"),
    )


def _of_moto(caller: Caller, name: str) -> Any | None:
    task_id, cluster = name.rsplit("/", maxsplit=1)[-1], caller.cluster().name
    if not any(arn.endswith(task_id) for arn in caller.backend.tasks.get(cluster, {})):
        return None
    return caller.backend.describe_tasks(cluster, [task_id])[0]
