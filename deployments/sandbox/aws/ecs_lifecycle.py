"""One service through time: deployments begin, go on tick by tick, and end; tasks and traffic follow them."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime

from moto.cloudwatch.models import cloudwatch_backends

from deployments.sandbox.aws.ecs_machine import advance, supersede, wanted
from deployments.sandbox.aws.ecs_stages import FINAL, DeploymentPlan, Observed, Progress, Status, Strategy
from deployments.sandbox.aws.ecs_state import Deployment, Document, Failures, Revision, ServiceState
from deployments.sandbox.aws.ecs_tasks import Tasks
from deployments.sandbox.aws.ecs_traffic import group_for, rule_fault, shift
from deployments.sandbox.aws.runtime import TaskPhase


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """Moves services on. All methods are called under the simulator's lock."""

    tasks: Tasks

    def deploy(
        self, service: ServiceState, target: Revision, plan: DeploymentPlan, configuration: Document, now: datetime
    ) -> Deployment:
        """Begin a deployment, or let it wait until the one under way has given its traffic back."""
        deployment = Deployment(
            deployment_arn(service), plan, target, Progress(now), now, configuration, source=service.steady
        )
        service.history.append(deployment)
        service.revisions[target.arn] = target
        if service.current is None:
            service.current = deployment
            return deployment
        if service.waiting is not None:
            _close(service.waiting, Status.STOPPED, "A newer service deployment was started.", now)
        service.waiting = deployment
        service.current.progress = supersede(service.current.progress, now)
        return deployment

    def drop_waiting(self, service: ServiceState, now: datetime) -> None:
        """Give up the deployment that waits for the one under way to end."""
        if service.waiting is not None:
            _close(service.waiting, Status.STOPPED, "Stopped before it began.", now)
        service.waiting = None

    def place(self, service: ServiceState, deployment: Deployment) -> None:
        """Make a revision the steady one at once. Tasks before it leave as soon as it can answer."""
        target = deployment.target
        if service.current is not None:
            _close(service.current, Status.STOPPED, "Another revision was put in place.", deployment.created_at)
        group = group_for(service, target, Strategy.ROLLING)
        service.current = service.waiting = None
        if group is not None:
            service.groups[target.arn] = group
        service.revisions[target.arn] = target
        service.history.append(deployment)
        service.steady = target
        shift(service, deployment)
        for _ in range(service.desired):
            self.tasks.start(service, target, deployment.created_at).started_at = deployment.created_at

    def retire(self, service: ServiceState, now: datetime) -> None:
        """Begin to delete a service: its tasks are drained, then it is INACTIVE."""
        for deployment in (service.current, service.waiting):
            if deployment is not None:
                _close(deployment, Status.STOPPED, "The service was deleted.", now)
        service.current = service.waiting = service.steady = None
        service.desired, service.status = 0, "DRAINING"
        service.task_sets.clear()

    def tick(self, service: ServiceState, now: datetime) -> None:
        """One step of everything: look at the tasks, move the deployment on, let tasks and traffic follow."""
        self.tasks.observe(service, now)
        if service.current is not None:
            self._move_on(service, service.current, now)
        if service.current is not None:
            self._follow_deployment(service, service.current, now)
        else:
            self.tasks.reconcile(service, service.steady, service.desired, now)
            self._keep_task_sets(service, now)
        self._clear_others(service, now)
        self.tasks.end_drained(service, now)
        if service.status == "DRAINING" and not any(task.living for task in service.tasks.values()):
            service.status = "INACTIVE"
        _say_when_steady(service, now)

    def _move_on(self, service: ServiceState, deployment: Deployment, now: datetime) -> None:
        if deployment.progress.status is Status.PENDING:
            _prepare(service, deployment, now)
        before = deployment.progress
        deployment.progress = advance(deployment.plan, before, observe(service, deployment, now))
        if deployment.progress == before:
            return
        deployment.updated_at = now
        shift(service, deployment)
        if deployment.progress.status in FINAL:
            _finish(service, deployment, now)

    def _follow_deployment(self, service: ServiceState, deployment: Deployment, now: datetime) -> None:
        want = wanted(deployment.plan, deployment.progress, observe(service, deployment, now))
        deployment.wanted = want
        self.tasks.reconcile(service, deployment.source, want.source, now)
        self.tasks.reconcile(service, deployment.target, want.target, now)

    def _keep_task_sets(self, service: ServiceState, now: datetime) -> None:
        """Beside the steady revision CodeDeploy may want a second one to live, as large as the first."""
        for arn in _kept_by_codedeploy(service) - {service.steady.arn if service.steady else ""}:
            self.tasks.reconcile(service, service.revisions[arn], service.desired, now)

    def _clear_others(self, service: ServiceState, now: datetime) -> None:
        """Tasks of revisions that nobody wants any more leave once the steady revision can do without them."""
        if service.steady is not None and _up(service, service.steady) < service.desired:
            return
        current = service.current
        kept = {r.arn for r in (service.steady, current and current.source, current and current.target) if r}
        kept |= _kept_by_codedeploy(service)
        for arn in {task.revision for task in service.tasks.values() if task.active} - kept:
            self.tasks.reconcile(service, service.revisions[arn], 0, now)


def _kept_by_codedeploy(service: ServiceState) -> set[str]:
    return {arn for arn, task_set in service.task_sets.items() if task_set.wanted}


def _up(service: ServiceState, revision: Revision) -> int:
    """Tasks that have started, in good health or bad: a revision put in place ill is what the environment runs."""
    return sum(t.active and t.condition.phase is not TaskPhase.STARTING for t in service.of(revision))


def observe(service: ServiceState, deployment: Deployment, now: datetime) -> Observed:
    """What the state machine may know of the world."""
    return Observed(
        now,
        service.desired,
        service.healthy(deployment.target),
        service.living(deployment.target),
        service.healthy(deployment.source),
        service.living(deployment.source),
        service.failures.get(deployment.target.arn, Failures()).in_a_row,
        _alarming(service, deployment.plan.alarms),
        rule_fault(service, deployment),
    )


def _alarming(service: ServiceState, names: tuple[str, ...]) -> frozenset[str]:
    alarms = cloudwatch_backends[service.account][service.region].alarms
    return frozenset(name for name in names if name in alarms and alarms[name].state_value == "ALARM")


def _prepare(service: ServiceState, deployment: Deployment, now: datetime) -> None:
    """What a deployment builds upon is known only when it begins, because another one may have come before it."""
    deployment.source = service.steady
    deployment.plan = replace(deployment.plan, has_source=service.steady is not None)
    deployment.started_at = now
    group = group_for(service, deployment.target, deployment.plan.strategy)
    if group is not None:
        service.groups[deployment.target.arn] = group


def _finish(service: ServiceState, deployment: Deployment, now: datetime) -> None:
    progress = deployment.progress
    _close(deployment, progress.status, progress.reason, now)
    if progress.status is Status.SUCCESSFUL:
        service.steady = deployment.target
        service.say(now, f"(deployment {deployment.target.deployment_id}) deployment completed.")
    else:
        service.say(now, f"(deployment {deployment.target.deployment_id}) deployment failed: {progress.reason}")
        _restore_settings(service)
    service.said_steady = False
    service.current, service.waiting = service.waiting, None


def _restore_settings(service: ServiceState) -> None:
    """After a rollback the service is again what it was, unless a newer request already waits its turn."""
    if service.steady is not None and service.waiting is None:
        service.settings |= {"taskDefinition": service.steady.task_definition, **service.steady.settings}


def _close(deployment: Deployment, status: Status, reason: str, now: datetime) -> None:
    deployment.progress = replace(deployment.progress, status=status, reason=reason)
    deployment.finished_at = deployment.updated_at = now


def _say_when_steady(service: ServiceState, now: datetime) -> None:
    steady = service.current is None and service.healthy(service.steady) == service.desired
    if steady and not service.said_steady:
        service.say(now, "has reached a steady state.")
    service.said_steady = steady


def deployment_arn(service: ServiceState) -> str:
    return (
        f"arn:aws:ecs:{service.region}:{service.account}:service-deployment/"
        f"{service.cluster}/{service.name}/{secrets.token_urlsafe(16)[:21].replace('-', 'x')}"
    )
