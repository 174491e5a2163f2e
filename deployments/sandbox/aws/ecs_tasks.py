"""The tasks of a service: what became of them, and which to start or stop so that as many live as are wanted."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from moto.elbv2.models import elbv2_backends

from deployments.sandbox.aws.ecs_state import ContainerImage, Document, Failures, Revision, ServiceState, ServiceTask
from deployments.sandbox.aws.ecs_traffic import balancer
from deployments.sandbox.aws.runtime import Runtime, TaskPhase, TaskSpec
from deployments.sandbox.clock import Clock

REMEMBERED_STOPPED_TASKS = 60
DRAIN_LIMIT_SECONDS = 30.0
"""AWS seconds. The default deregistration delay (300 s) is for slow requests; ours last milliseconds."""
UNHEALTHY_MINUTES = 1.0
"""Two failed health checks, 30 s apart."""
FIRST_BACK_OFF_SECONDS = 10.0
LONGEST_BACK_OFF_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class Tasks:
    """Starts, watches and stops the tasks of services through the runtime."""

    runtime: Runtime
    clock: Clock

    def observe(self, service: ServiceState, now: datetime) -> None:
        """Take over from the runtime how every task is."""
        for task in [task for task in service.tasks.values() if task.living]:
            task.condition = self.runtime.condition(task.spec.id)
            if task.condition.phase is TaskPhase.EXITED:
                self._ended(service, task, now)
            else:
                self._watch(service, task, now)
        _forget(service)

    def reconcile(self, service: ServiceState, revision: Revision | None, want: int, now: datetime) -> None:
        """Start or stop tasks of a revision so that `want` are there; a failing revision is started ever slower."""
        if revision is None:
            return
        active = [task for task in service.of(revision) if task.active]
        if len(active) > want:
            surplus = sorted(active, key=lambda task: (task.healthy, task.created_at))[: len(active) - want]
            self._stop_all(service, surplus, now)
        not_before = _failures(service, revision.arn).not_before
        if len(active) < want and (not_before is None or not_before <= now):
            started = [self.start(service, revision, now) for _ in range(want - len(active))]
            service.say(now, f"has started {len(started)} tasks: {_names(started)}.")

    def start(self, service: ServiceState, revision: Revision, created_at: datetime) -> ServiceTask:
        image = _main_container(revision)
        task_id = secrets.token_hex(16)
        spec = TaskSpec(
            task_id,
            service.account,
            service.cluster,
            service.name,
            revision.task_definition,
            image.container,
            image.image,
            image.digest,
            image.environment,
        )
        arn = f"arn:aws:ecs:{service.region}:{service.account}:task/{service.cluster}/{task_id}"
        task = ServiceTask(spec, arn, revision.arn, revision.deployment_id, created_at)
        service.tasks[task_id] = task
        self.runtime.start(spec)
        return task

    def stop(self, task: ServiceTask, now: datetime, code: str, reason: str) -> None:
        """Begin to stop a task: the load balancer drains it before it is ended."""
        if task.active:
            task.stopping_at, task.stop_code, task.stopped_reason = now, code, reason

    def end_drained(self, service: ServiceState, now: datetime) -> None:
        """End the tasks that have been draining long enough."""
        for task in service.tasks.values():
            if task.stopping_at is None or task.ending or not task.living:
                continue
            if now - task.stopping_at >= self._drain(service, task):
                task.ending = True
                self.runtime.stop(task.spec.id)

    def _stop_all(self, service: ServiceState, tasks: list[ServiceTask], now: datetime) -> None:
        for task in tasks:
            self.stop(task, now, "ServiceSchedulerInitiated", f"Scaling activity initiated by ({task.started_by})")
        service.say(now, f"has stopped {len(tasks)} running tasks: {_names(tasks)}.")

    def _drain(self, service: ServiceState, task: ServiceTask) -> timedelta:
        group = service.groups.get(task.revision)
        if group is None or task.condition.address is None:
            return timedelta(0)
        found = elbv2_backends[service.account][service.region].target_groups.get(group)
        attributes: Document = dict(found.attributes) if found is not None else {}
        seconds = float(attributes.get("deregistration_delay.timeout_seconds", DRAIN_LIMIT_SECONDS))
        return self._lasting(min(seconds, DRAIN_LIMIT_SECONDS))

    def _watch(self, service: ServiceState, task: ServiceTask, now: datetime) -> None:
        task.started_at = task.started_at or now
        if task.healthy:
            task.healthy_once = True
            _failures(service, task.revision).in_a_row = 0
        if task.condition.phase is not TaskPhase.UNHEALTHY:
            task.unhealthy_since = None
            return
        task.unhealthy_since = task.unhealthy_since or now
        grace = float(service.settings.get("healthCheckGracePeriodSeconds") or 0.0)
        patience = self._lasting(UNHEALTHY_MINUTES * 60 + (0.0 if task.healthy_once else grace))
        if task.active and now - task.unhealthy_since >= patience:
            self.stop(task, now, "ServiceSchedulerInitiated", _unhealthy_reason(service, task))
            self._failed(service, task, now)

    def _ended(self, service: ServiceState, task: ServiceTask, now: datetime) -> None:
        task.stopped_at = now
        if task.stopping_at is not None:
            return
        task.stopping_at = now
        if task.condition.exit_code is None:
            task.stop_code, task.stopped_reason = "TaskFailedToStart", task.condition.reason or "Task failed to start"
        else:
            task.started_at = task.started_at or now
            task.stop_code, task.stopped_reason = "EssentialContainerExited", "Essential container in task exited"
        service.say(now, f"(task {task.spec.id}) stopped: {task.stopped_reason}.")
        self._failed(service, task, now)

    def _failed(self, service: ServiceState, task: ServiceTask, now: datetime) -> None:
        """A task that had been healthy is replaced at once; one that never was makes the next one wait longer."""
        failures = _failures(service, task.revision)
        failures.total += 1
        if task.healthy_once:
            failures.not_before = None
            return
        failures.in_a_row += 1
        seconds = min(FIRST_BACK_OFF_SECONDS * 2 ** min(failures.in_a_row - 1, 10), LONGEST_BACK_OFF_SECONDS)
        failures.not_before = now + self._lasting(seconds)

    def _lasting(self, aws_seconds: float) -> timedelta:
        return timedelta(seconds=self.clock.seconds(aws_seconds / 60))


def _failures(service: ServiceState, revision: str) -> Failures:
    return service.failures.setdefault(revision, Failures())


def _main_container(revision: Revision) -> ContainerImage:
    """The container that the load balancer talks to, else the first one."""
    named = (balancer(revision.settings) or {}).get("containerName")
    return next((image for image in revision.images if image.container == named), revision.images[0])


def _unhealthy_reason(service: ServiceState, task: ServiceTask) -> str:
    group = service.groups.get(task.revision)
    return (
        f"Task failed ELB health checks in (target-group {group})" if group else "Task failed container health checks"
    )


def _names(tasks: Iterable[ServiceTask]) -> str:
    return " ".join(f"(task {task.spec.id})" for task in tasks)


def _forget(service: ServiceState) -> None:
    stopped = [task for task in service.tasks.values() if not task.living]
    for task in stopped[:-REMEMBERED_STOPPED_TASKS]:
        del service.tasks[task.spec.id]
