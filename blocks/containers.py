"""The door to the containers of one environment (Amazon ECS).

What runs is read from tasks, revisions and service deployments; nothing is inferred from a task definition's
number. Every write is preceded by a look, so that repeating it changes nothing.
"""

from __future__ import annotations  # the client's types are stubs, not there at run time

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from blocks.service_tasks import ServiceTasks, chunks
from blocks.shifts import Look, Shift, owners_hooks
from blocks.task_definitions import TaskDefinitions
from blocks.task_sets import task_sets
from rules.errors import Conflict, InvalidInput, Outage
from rules.releases import ServiceState
from rules.rollouts import Arm, Deployment, DeploymentStatus, Pause
from rules.task_sets import TaskSet, beside_primary, primary
from rules.vocabulary import Controller, Service

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import (
        ServiceDeploymentBriefTypeDef,
        ServiceDeploymentTypeDef,
        ServiceRevisionTypeDef,
        ServiceTypeDef,
    )

SYSTEM = "Amazon ECS"
DESCRIBE_LIMIT = 10
"""ECS describes at most ten services a call."""
REMEMBERED = 20
"""So many deployments of a service are looked through; as many revisions ECS describes in one call."""
GONE_ON = frozenset({"ClientException", "InvalidParameterException", "ServiceDeploymentNotFoundException"})
"""How ECS says that a pause is no longer waited at."""


def _no_pairs(_service: Service) -> ServiceState | None:
    return None


class Containers:
    """Services of one cluster. `paired`: reads those that are two ECS services, of which this door knows one each."""

    def __init__(
        self, ecs: ECSClient, cluster: str, paired: Callable[[Service], ServiceState | None] = _no_pairs
    ) -> None:
        self._ecs, self.cluster, self._paired = ecs, cluster, paired
        self.definitions = TaskDefinitions(ecs)
        self.tasks = ServiceTasks(ecs, cluster)

    # --- looking -------------------------------------------------------------------------------------------

    def states(self, services: Iterable[Service], environment: str) -> dict[str, ServiceState]:
        """What each service runs, by service id. A service that is not there is not in the answer."""
        listed = list(services)
        paired = [service for service in listed if service.controller is Controller.LISTENER]
        single = [service for service in listed if service.controller is not Controller.LISTENER]
        seen = ((service.id, self._paired(service)) for service in paired)
        return self._states(single, environment) | {id_: state for id_, state in seen if state}

    def _states(self, services: Sequence[Service], environment: str) -> dict[str, ServiceState]:
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

    def full_names(self, wanted: Sequence[str]) -> tuple[str, ...]:
        """Of services by name or prefix; those that are not there are left out."""
        return tuple(self._generated_names({one: one for one in wanted}).values())

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
            pages = self._ecs.list_service_deployments(cluster=self.cluster, service=name, maxResults=REMEMBERED)
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
        return Look(ongoing, self.tasks.serving(name, container, ongoing.carrying if ongoing else None), steady)

    def task_sets(self, name: str) -> tuple[TaskSet, ...]:
        """Of a service whose traffic AWS CodeDeploy moves; none of any other."""
        return tuple(one for service in self._describe_services([name]) for one in task_sets(service))

    def arm(self, name: str) -> Arm | None:
        """The version that serves now, or that a deployment in progress comes from, as its metrics name it."""
        if (ongoing := self.ongoing(name)) is not None:
            return ongoing.old
        services = self._describe_services([name])
        if first := next((primary(task_sets(service)) for service in services), None):
            return first.arm
        current = [one["arn"] for service in services for one in service.get("currentServiceRevisions", ())]
        arms = list(self._arms(current).values()) if current else []
        return arms[0] if len(arms) == 1 else None

    def foreign_pauses(self, name: str) -> int:
        """How many pauses the service's owner has given it: at these somebody else's word is waited for, not ours."""
        return sum(1 for hook in owners_hooks(self._configuration(name)) if hook.get("targetType") == "PAUSE")

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
            present = self._configuration(name)
            with translated(SYSTEM, f"deploying {task_definition} to {name}"):
                self._ecs.update_service(
                    cluster=self.cluster,
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
        """Answers the pause at which ECS waits: on to the next step. One that is over is left alone."""
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

    def tidy(self, name: str) -> None:
        """Takes a canary's pause off the service, when its deployment has ended. Starts no deployment.

        Whoever deploys to the service next, by whatever means, would wait at it for a word that nobody gives.
        """
        present = self._configuration(name)
        owners = owners_hooks(present)
        if len(owners) == len(present.get("lifecycleHooks", ())) or self.ongoing(name) is not None:
            return
        with translated(SYSTEM, f"taking a canary's pause off {name}"):
            self._ecs.update_service(
                cluster=self.cluster,
                service=name,
                deploymentConfiguration={
                    "strategy": "BLUE_GREEN",
                    "bakeTimeInMinutes": present.get("bakeTimeInMinutes", 0),
                    "lifecycleHooks": owners,
                },
            )

    # --- parts ---------------------------------------------------------------------------------------------

    def _configuration(self, name: str) -> Mapping[str, Any]:
        services = self._describe_services([name])
        return services[0].get("deploymentConfiguration", {}) if services else {}

    def _briefs(self, name: str) -> Iterator[ServiceDeploymentBriefTypeDef]:
        token: dict[str, Any] = {}
        while True:
            page = self._ecs.list_service_deployments(
                cluster=self.cluster,
                service=name,
                status=["PENDING", "IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"],
                **token,
            )
            yield from page["serviceDeployments"]
            if not page.get("nextToken"):
                return
            token = {"nextToken": page["nextToken"]}

    def _generated_names(self, wanted: Mapping[str, str]) -> dict[str, str]:
        with translated(SYSTEM, f"listing the services of {self.cluster}"):
            pages = self._ecs.get_paginator("list_services").paginate(cluster=self.cluster)
            present = [arn.rsplit("/", 1)[-1] for page in pages for arn in page["serviceArns"]]
        chosen = {id_: _the_one(id_, prefix, present) for id_, prefix in wanted.items()}
        return {id_: name for id_, name in chosen.items() if name is not None}

    def _describe_services(self, names: Sequence[str]) -> list[ServiceTypeDef]:
        with translated(SYSTEM, f"describing services of {self.cluster}"):
            return [
                service
                for some in chunks(names, DESCRIBE_LIMIT)
                for service in self._ecs.describe_services(cluster=self.cluster, services=some)["services"]
                if service["status"] == "ACTIVE"
            ]

    def _state(self, id_: str, service: ServiceTypeDef, container: str) -> ServiceState:
        name = service["serviceName"]
        if sets := task_sets(service):
            return self._state_of_sets(id_, name, sets, container)
        ongoing = self.ongoing(name)
        newest = next((d for d in service["deployments"] if d["status"] == "PRIMARY"), None)
        definition = _serving_definition(service, ongoing)
        return ServiceState(
            service=id_,
            name=name,
            task_definition=definition,
            desired=service["desiredCount"],
            running=service["runningCount"],
            deployed_at=newest["createdAt"] if newest else service["createdAt"],
            digests=self.tasks.serving(name, container, ongoing.carrying if ongoing else None),
            deploying=ongoing is not None,
            deploying_to=self.definitions.image_of(ongoing.target_task_definition, container) if ongoing else "",
            crashed_tasks=len(self.tasks.deaths(name, definition)),
        )

    def _state_of_sets(self, id_: str, name: str, sets: Sequence[TaskSet], container: str) -> ServiceState:
        """By its primary task set: who has which share while traffic moves, only AWS CodeDeploy knows."""
        first, others = primary(sets) or sets[0], beside_primary(sets)
        return ServiceState(
            service=id_,
            name=name,
            task_definition=first.task_definition,
            desired=first.desired,
            running=first.running,
            deployed_at=first.created_at,
            digests=self.tasks.serving(name, container, {first.task_definition}),
            deploying=bool(others),
            deploying_to=self.definitions.image_of(others[0].task_definition, container) if others else "",
            crashed_tasks=len(self.tasks.deaths(name, first.task_definition)),
        )

    def _deployment(self, answer: ServiceDeploymentTypeDef) -> Deployment:
        target = answer["targetServiceRevision"]
        sources = answer.get("sourceServiceRevisions", ())
        arms = self._arms([one["arn"] for one in (target, *sources)])
        if target["arn"] not in arms:
            raise Outage(SYSTEM, f"looking at {answer['serviceDeploymentArn']}", "its revision is not described yet")
        status, new = DeploymentStatus(answer["status"]), arms[target["arn"]]
        name, since = answer["serviceArn"].rsplit("/", 1)[-1], answer["createdAt"]
        died = self.tasks.deaths(name, new.task_definition, since) if status.ongoing else []
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


def _serving_definition(service: ServiceTypeDef, ongoing: Deployment | None) -> str:
    """The one that carries the traffic; while another is on its way ECS names that one as the service's."""
    if ongoing is not None and len(ongoing.carrying) == 1:
        return next(iter(ongoing.carrying))
    return service["taskDefinition"]


def _complete(service: ServiceTypeDef) -> bool:
    return service["runningCount"] == service["desiredCount"]
