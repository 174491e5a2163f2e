"""The door to the containers of one environment (Amazon ECS).

What runs is read from tasks, revisions and service deployments; nothing is inferred from a task definition's
number. Every write is preceded by a look, so that repeating it changes nothing.
"""

from __future__ import annotations  # the client's types are stubs, not there at run time

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from blocks.shifts import Look, Shift, is_ours
from blocks.task_definitions import TaskDefinitions
from rules.errors import Conflict, InvalidInput, Outage
from rules.releases import ServiceState
from rules.rollouts import Arm, Deployment, DeploymentStatus, Pause
from rules.vocabulary import Service

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        ServiceDeploymentBriefTypeDef,
        ServiceDeploymentTypeDef,
        ServiceRevisionTypeDef,
        ServiceTypeDef,
        TaskTypeDef,
    )

SYSTEM = "Amazon ECS"
DESCRIBE_LIMIT = 10
"""ECS describes at most ten services a call."""
TASK_LIMIT = 100
REMEMBERED = 20
"""So many deployments of a service are looked through; as many revisions ECS describes in one call."""
GONE_ON = frozenset({"ConflictException", "InvalidParameterException", "ServiceDeploymentNotFoundException"})
"""How ECS says that a pause is no longer waited at."""


class Containers:
    """Services of one cluster."""

    def __init__(self, ecs: ECSClient, cluster: str) -> None:
        self._ecs, self._cluster = ecs, cluster
        self.definitions = TaskDefinitions(ecs)

    # --- looking -------------------------------------------------------------------------------------------

    def states(self, services: Iterable[Service], environment: str) -> dict[str, ServiceState]:
        """What each service runs, by service id. A service that is not there is not in the answer."""
        names = self._generated_names(
            {service.id: service.ecs_service.format(environment=environment) for service in services}
        )
        containers = {service.id: service.container for service in services}
        found = {service["serviceName"]: service for service in self._describe_services(list(names.values()))}
        return {id_: self._state(id_, found[name], containers[id_]) for id_, name in names.items() if name in found}

    def state(self, service: Service, environment: str) -> ServiceState:
        """What one service runs. Raises InvalidInput when it is not there."""
        found = self.states([service], environment)
        if service.id not in found:
            raise InvalidInput(f"{service.id} in {environment}", "missing", f"an ECS service {service.ecs_service}")
        return found[service.id]

    def ongoing(self, name: str) -> Deployment | None:
        """The service's deployment in progress, whoever started it."""
        with translated(SYSTEM, f"looking for deployments of {name}"):
            briefs = list(self._briefs(name))
        if not briefs:
            return None
        newest = max(briefs, key=lambda brief: brief["createdAt"])
        return self.deployment(newest["serviceDeploymentArn"])

    def deployment(self, arn: str) -> Deployment:
        with translated(SYSTEM, f"looking at deployment {arn}"):
            found = self._ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"]
        if not found:
            raise Outage(SYSTEM, f"looking at deployment {arn}", "it was listed and is not described yet")
        return self._deployment(found[0])

    def last_deployment(self, name: str, task_definition: str) -> Deployment | None:
        """The service's newest deployment of that task definition, ended or not; ECS remembers some months."""
        with translated(SYSTEM, f"looking for deployments of {name}"):
            pages = self._ecs.list_service_deployments(cluster=self._cluster, service=name, maxResults=REMEMBERED)
        newest_first = sorted(pages["serviceDeployments"], key=lambda brief: brief["createdAt"], reverse=True)
        arms = self._arms([brief["targetServiceRevisionArn"] for brief in newest_first]) if newest_first else {}
        for brief in newest_first:
            arm = arms.get(brief["targetServiceRevisionArn"])
            if arm and arm.task_definition == task_definition:
                return self.deployment(brief["serviceDeploymentArn"])
        return None

    def look(self, name: str, container: str) -> Look:
        """One look at a service, with as few calls as it takes: many services are followed at once."""
        ongoing, services = self.ongoing(name), self._describe_services([name])
        steady = bool(services) and _complete(services[0]) and ongoing is None
        return Look(ongoing, self._serving(name, container, ongoing), steady)

    def arm(self, name: str) -> Arm | None:
        """The version that serves now, as its metrics name it; None while there is none, or more than one."""
        services = self._describe_services([name])
        current = [one["arn"] for service in services for one in service.get("currentServiceRevisions", ())]
        arms = list(self._arms(current).values()) if current else []
        return arms[0] if len(arms) == 1 else None

    def foreign_pauses(self, name: str) -> int:
        """How many pauses the service's owner has given it: at these somebody else's word is waited for, not ours."""
        return sum(1 for hook in self._hooks(name) if hook.get("targetType") == "PAUSE" and not is_ours(hook))

    def strategy(self, name: str) -> str:
        """How the service's last deployment was asked to run: `BLUE_GREEN`, `ROLLING`, …"""
        services = self._describe_services([name])
        return str(services[0].get("deploymentConfiguration", {}).get("strategy", "ROLLING")) if services else ""

    # --- acting --------------------------------------------------------------------------------------------

    def start(self, name: str, task_definition: str, how: Shift) -> str:
        """Starts the deployment of a task definition, unless it is on its way. The deployment's ARN.

        Raises:
            Outage: ECS does not list the deployment yet. Asking again adopts it.
            Conflict: somebody else's deployment was faster.

        """
        ongoing = self.ongoing(name)
        if ongoing is None:
            present = self._hooks(name)
            with translated(SYSTEM, f"deploying {task_definition} to {name}"):
                self._ecs.update_service(
                    cluster=self._cluster,
                    service=name,
                    taskDefinition=task_definition,
                    deploymentConfiguration=how.request(present),
                )
            ongoing = self.ongoing(name)
        if ongoing is None:
            raise Outage(SYSTEM, f"deploying to {name}", "the new deployment is not listed yet")
        # Match on our revision, never on "the newest".
        if ongoing.target_task_definition != task_definition:
            raise Conflict(f"the deployment of {name}", task_definition, ongoing.target_task_definition)
        return ongoing.arn

    def go_on(self, deployment: Deployment) -> None:
        """Answers the pause at which ECS waits: on to the next step. Raises Conflict when it was answered otherwise."""
        if deployment.pause is None:
            return
        with translated(SYSTEM, f"going on with {deployment.arn}"):
            try:
                self._ecs.continue_service_deployment(
                    serviceDeploymentArn=deployment.arn, hookId=deployment.pause.hook, action="CONTINUE"
                )
            except ClientError as error:
                if code_of(error) not in GONE_ON:  # a lost answer repeated, or it ended: the next look tells
                    raise

    def stop(self, deployment: str) -> None:
        """Asks ECS to roll a deployment back. Asking twice is asking once."""
        if not self.deployment(deployment).status.ongoing:
            return
        with translated(SYSTEM, f"rolling back {deployment}"):
            try:
                self._ecs.stop_service_deployment(serviceDeploymentArn=deployment, stopType="ROLLBACK")
            except ClientError as error:
                if code_of(error) != "ConflictException":  # it ended meanwhile: the next look tells how
                    raise

    # --- parts ---------------------------------------------------------------------------------------------

    def _hooks(self, name: str) -> list[Any]:
        services = self._describe_services([name])
        return list(services[0].get("deploymentConfiguration", {}).get("lifecycleHooks", ())) if services else []

    def _briefs(self, name: str) -> Iterator[ServiceDeploymentBriefTypeDef]:
        token: dict[str, Any] = {}
        while True:
            page = self._ecs.list_service_deployments(
                cluster=self._cluster,
                service=name,
                status=["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"],
                **token,
            )
            yield from page["serviceDeployments"]
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}

    def _generated_names(self, wanted: Mapping[str, str]) -> dict[str, str]:
        with translated(SYSTEM, f"listing the services of {self._cluster}"):
            pages = self._ecs.get_paginator("list_services").paginate(cluster=self._cluster)
            present = [arn.rsplit("/", 1)[-1] for page in pages for arn in page["serviceArns"]]
        chosen = {id_: _the_one(id_, prefix, present) for id_, prefix in wanted.items()}
        return {id_: name for id_, name in chosen.items() if name is not None}

    def _describe_services(self, names: Sequence[str]) -> list[ServiceTypeDef]:
        with translated(SYSTEM, f"describing services of {self._cluster}"):
            return [
                service
                for some in _chunks(names, DESCRIBE_LIMIT)
                for service in self._ecs.describe_services(cluster=self._cluster, services=some)["services"]
                if service["status"] == "ACTIVE"
            ]

    def _state(self, id_: str, service: ServiceTypeDef, container: str) -> ServiceState:
        name = service["serviceName"]
        ongoing = self.ongoing(name)
        primary = next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)
        definition = _serving_definition(service, ongoing)
        stopped = [task for task in self._tasks(name, "STOPPED") if task["taskDefinitionArn"] == definition]
        return ServiceState(
            service=id_,
            name=name,
            task_definition=definition,
            desired=service["desiredCount"],
            running=service["runningCount"],
            deployed_at=primary["createdAt"] if primary else service["createdAt"],
            digests=self._serving(name, container, ongoing),
            deploying=ongoing is not None,
            deploying_to=self.definitions.image_of(ongoing.target_task_definition, container) if ongoing else "",
            crashed_tasks=sum(1 for task in stopped if _died(task)),
        )

    def _tasks(self, name: str, status: Any) -> list[TaskTypeDef]:
        with translated(SYSTEM, f"looking at tasks of {name}"):
            pages = self._ecs.get_paginator("list_tasks").paginate(
                cluster=self._cluster, serviceName=name, desiredStatus=status
            )
            arns = [arn for page in pages for arn in page["taskArns"]]
            return [
                task
                for some in _chunks(arns, TASK_LIMIT)
                for task in self._ecs.describe_tasks(cluster=self._cluster, tasks=some)["tasks"]
            ]

    def _serving(self, name: str, container: str, ongoing: Deployment | None) -> frozenset[str]:
        tasks = [
            task
            for task in self._tasks(name, "RUNNING")
            if ongoing is None or task["taskDefinitionArn"] in ongoing.carrying
        ]
        return frozenset(digest for task in tasks if (digest := _digest_of(task, container)))

    def _deployment(self, answer: ServiceDeploymentTypeDef) -> Deployment:
        target = answer["targetServiceRevision"]
        sources = answer.get("sourceServiceRevisions", ())
        arms = self._arms([one["arn"] for one in (target, *sources)])
        if target["arn"] not in arms:
            raise Outage(SYSTEM, f"looking at {answer['serviceDeploymentArn']}", "its revision is not described yet")
        status, new = DeploymentStatus(answer["status"]), arms[target["arn"]]
        died = self._deaths(answer, new.task_definition) if status.ongoing else []
        return Deployment(
            arn=answer["serviceDeploymentArn"],
            status=status,
            stage=answer.get("lifecycleStage", ""),
            target_revision=target["arn"],
            target_task_definition=new.task_definition,
            weight=target.get("requestedProductionTrafficWeight", 0.0),
            created_at=answer["createdAt"],
            reason=answer.get("rollback", {}).get("reason") or answer.get("statusReason", ""),
            failed_tasks=len(died),
            failure=died[-1].get("stoppedReason", "") if died else "",
            carrying=frozenset(
                arms[one["arn"]].task_definition
                for one in (target, *sources)
                if one.get("requestedProductionTrafficWeight", 0) > 0 and one["arn"] in arms
            ),
            old=next((arms[one["arn"]] for one in sources if one["arn"] in arms), None),
            new=new,
            pause=_pause(answer) if status is DeploymentStatus.IN_PROGRESS else None,
            complete=0 < target.get("requestedTaskCount", 0) <= target.get("runningTaskCount", 0),
        )

    def _arms(self, revisions: Sequence[str]) -> dict[str, Arm]:
        with translated(SYSTEM, "looking at service revisions"):
            answer = self._ecs.describe_service_revisions(serviceRevisionArns=list(revisions))
            return {one["serviceRevisionArn"]: _arm(one) for one in answer["serviceRevisions"]}

    def _deaths(self, deployment: ServiceDeploymentTypeDef, definition: str) -> list[TaskTypeDef]:
        """Tasks of a task definition that stopped by themselves since the deployment began, oldest first."""
        stopped = self._tasks(deployment["serviceArn"].rsplit("/", 1)[-1], "STOPPED")
        ours = [task for task in stopped if task["taskDefinitionArn"] == definition and _died(task)]
        return sorted(
            (task for task in ours if task["createdAt"] >= deployment["createdAt"]), key=lambda task: task["createdAt"]
        )


def _arm(revision: ServiceRevisionTypeDef) -> Arm:
    balanced = revision.get("resolvedConfiguration", {}).get("loadBalancers", ())
    group = next((group for one in balanced if (group := one.get("targetGroupArn"))), "")
    return Arm(revision["taskDefinition"], group)


def _pause(answer: ServiceDeploymentTypeDef) -> Pause | None:
    """The pause at which ECS waits for somebody's word; of several the one whose time runs out first."""
    waiting = [
        Pause(hook["hookId"], hook["expiresAt"])
        for hook in answer.get("lifecycleHookDetails", ())
        if hook.get("targetType") == "PAUSE" and hook.get("status") == "AWAITING_ACTION"
    ]
    return min(waiting, key=lambda pause: pause.expires_at, default=None)


def _the_one(id_: str, prefix: str, present: Sequence[str]) -> str | None:
    if prefix in present:
        return prefix
    matching = [name for name in present if name.startswith(prefix)]
    if len(matching) > 1:
        raise InvalidInput(
            f"services.{id_}.ecs_service", prefix, "a name or a prefix of exactly one service",
            f"It fits {', '.join(sorted(matching))}; make it longer in the catalogue.",
        )  # fmt: skip
    return matching[0] if matching else None


def _chunks(items: Sequence[str], size: int) -> Iterator[list[str]]:
    return (list(items[start : start + size]) for start in range(0, len(items), size))


def _digest_of(task: TaskTypeDef, container: str) -> str | None:
    return next((one.get("imageDigest") for one in task["containers"] if one["name"] == container), None)


def _serving_definition(service: ServiceTypeDef, ongoing: Deployment | None) -> str:
    """The one that carries the traffic; while another is on its way ECS names that one as the service's."""
    if ongoing is not None and len(ongoing.carrying) == 1:
        return next(iter(ongoing.carrying))
    return service["taskDefinition"]


def _complete(service: ServiceTypeDef) -> bool:
    return service["runningCount"] == service["desiredCount"]


def _died(task: TaskTypeDef) -> bool:
    return task.get("stopCode") in {"EssentialContainerExited", "TaskFailedToStart"}
