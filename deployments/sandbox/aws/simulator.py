"""Amazon ECS services that really deploy, by ECS itself or by CodeDeploy, on top of moto's clusters and definitions.

moto remembers services but nothing ever happens to them. `EcsSimulator` replaces its operations on services,
tasks and service deployments, and moves all of them on whenever `tick` is called. What it adds to moto's CodeDeploy,
with what is assumed there, stands in `codedeploy_lifecycle.py`.

Known to differ from the real ECS: Lambda hooks are refused; a newer update of a service waits (PENDING) until the
deployment under way has given its traffic back, by ROLLING too; a ROLLING deployment that fails without rollback
leaves the old revision as the primary one; draining lasts at most 30 AWS seconds; stages have no limit of 24 hours; a
traffic step takes two ticks, where ECS takes as long as the load balancer needs. A listener rule carries whole
percents (a canary of 0.1 % is 1 % there), Service Connect the exact share.

Assumed, because AWS's documents do not say: every visit of PRE_PRODUCTION_TRAFFIC_SHIFT is shown as the lifecycle
stage, with a hook or without; the wait between two traffic steps belongs to PRODUCTION_TRAFFIC_SHIFT; a step waits
until all tasks of the new revision are healthy; decided hooks stay in the answer, and one that nobody answered before
the traffic went back is FAILED; an update changes the deployment configuration field by field; going back is one step.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from moto.codedeploy.responses import CodeDeployResponse
from moto.core.responses import ActionResult, BaseResponse
from moto.ecs.responses import EC2ContainerServiceResponse
from moto.elbv2.models import ELBv2Backend

from deployments.sandbox.aws import codedeploy_group_operations as on_groups
from deployments.sandbox.aws import codedeploy_operations as on_rollouts
from deployments.sandbox.aws import ecs_deployment_operations as on_deployments
from deployments.sandbox.aws import ecs_service_operations as on_services
from deployments.sandbox.aws import ecs_task_operations as on_tasks
from deployments.sandbox.aws.codedeploy_lifecycle import Shifter
from deployments.sandbox.aws.codedeploy_state import Desk
from deployments.sandbox.aws.ecs_fleet import Caller, Fleet
from deployments.sandbox.aws.ecs_lifecycle import Lifecycle
from deployments.sandbox.aws.ecs_state import Document, ServiceState
from deployments.sandbox.aws.ecs_tasks import Tasks
from deployments.sandbox.aws.ecs_traffic import Route, routes, target_health
from deployments.sandbox.aws.runtime import Runtime
from deployments.sandbox.clock import Clock

__all__ = ["EcsSimulator", "Route"]

Asked = TypeVar("Asked")
Operation = Callable[[Fleet, Caller], Document]
OPERATIONS: Mapping[str, Operation] = {
    operation.__name__: operation
    for operation in (
        on_services.create_service,
        on_services.update_service,
        on_services.describe_services,
        on_services.list_services,
        on_services.delete_service,
        on_deployments.list_service_deployments,
        on_deployments.describe_service_deployments,
        on_deployments.describe_service_revisions,
        on_deployments.stop_service_deployment,
        on_deployments.continue_service_deployment,
        on_tasks.list_tasks,
        on_tasks.describe_tasks,
        on_tasks.stop_task,
    )
}
CodeDeployOperation = Callable[[Desk, Caller], Document]
CODEDEPLOY_OPERATIONS: Mapping[str, CodeDeployOperation] = {
    operation.__name__: operation
    for operation in (
        on_groups.create_deployment_group,
        on_groups.get_deployment_group,
        on_groups.update_deployment_group,
        on_groups.create_deployment_config,
        on_groups.get_deployment_config,
        on_groups.list_deployment_configs,
        on_groups.delete_deployment_config,
        on_rollouts.create_deployment,
        on_rollouts.get_deployment,
        on_rollouts.batch_get_deployments,
        on_rollouts.list_deployments,
        on_rollouts.stop_deployment,
        on_rollouts.continue_deployment,
        on_rollouts.list_deployment_targets,
        on_rollouts.batch_get_deployment_targets,
        on_rollouts.get_deployment_target,
        on_rollouts.get_application_revision,
    )
}
_HEALTH_BY_MOTO = ELBv2Backend.describe_target_health


class EcsSimulator:
    """One world of ECS services. Everything happens under one lock."""

    def __init__(self, clock: Clock, runtime: Runtime) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._replaced: list[tuple[type, str, Any]] = []
        self._fleet = Fleet(clock, Lifecycle(Tasks(runtime, clock)))
        self._codedeploy = Shifter(Desk(self._fleet))

    def install(self) -> None:
        """Answer moto's ECS operations from here on; of several simulators the last one installed answers."""
        for name, operation in OPERATIONS.items():
            self._replace(EC2ContainerServiceResponse, name, self._answering(operation, self._fleet))
        for name, asked in CODEDEPLOY_OPERATIONS.items():
            self._replace(CodeDeployResponse, name, self._answering(asked, self._codedeploy.desk))
        describe = target_health(_HEALTH_BY_MOTO, self._fleet.services.values)
        self._replace(ELBv2Backend, "describe_target_health", self._locked(describe))

    def uninstall(self) -> None:
        """Leave moto as it was before `install`."""
        while self._replaced:
            owner, name, before = self._replaced.pop()
            if before is None:
                delattr(owner, name)
            else:
                setattr(owner, name, before)

    def _replace(self, owner: type, name: str, method: Callable[..., Any]) -> None:
        self._replaced.append((owner, name, getattr(owner, name, None)))
        setattr(owner, name, method)

    def tick(self) -> None:
        """Move every service on by one step. Call it some times a second."""
        with self._lock:
            now = self._clock.now()
            for service in self._fleet.services.values():
                self._fleet.lifecycle.tick(service, now)
            self._codedeploy.tick(now)
            self._fleet.count_tasks()

    def reset(self) -> None:
        """Forget all services and stop all their tasks; moto's own state is moto's to reset."""
        with self._lock:
            runtime = self._fleet.lifecycle.tasks.runtime
            for service in self._fleet.services.values():
                for task in service.tasks.values():
                    if task.living:
                        runtime.stop(task.spec.id)
            self._fleet.services.clear()
            self._codedeploy.desk.rollouts.clear()
            self._codedeploy.desk.configs.clear()

    def routing(self, account: str, cluster: str, service: str) -> tuple[Route, ...]:
        """Who answers which share of a service's requests now. The weights are 100 together.

        Raises `KeyError` for a service that is not there. A service without any revision has no routes.
        """
        with self._lock:
            return routes(self._service(account, cluster, service))

    def place(self, account: str, cluster: str, service: str, task_definition_arn: str, deployed_at: datetime) -> None:
        """Make a task definition the steady revision of a service at once, as if deployed at `deployed_at`."""
        with self._lock:
            state = self._service(account, cluster, service)
            caller = Caller(account, state.region, {"cluster": cluster})
            state.settings["taskDefinition"] = task_definition_arn
            self._codedeploy.interrupt(state, self._clock.now())
            on_services.place(self._fleet, caller, state, deployed_at)
            self._codedeploy.lead_to(state, state.steady)

    def _service(self, account: str, cluster: str, name: str) -> ServiceState:
        for key, service in self._fleet.services.items():
            if (key[0], key[2], key[3]) == (account, cluster.rsplit("/", maxsplit=1)[-1], name):
                return service
        raise KeyError(f"There is no service {name} in cluster {cluster} of account {account}.")

    def services(self) -> list[ServiceState]:
        """All services, for whoever shows them. Read them only while the stand-in's lock is held."""
        with self._lock:
            return list(self._fleet.services.values())

    def _locked(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def locked(*arguments: Any) -> Any:
            with self._lock:
                return function(*arguments)

        return locked

    def _answering(
        self, operation: Callable[[Asked, Caller], Document], asked: Asked
    ) -> Callable[[BaseResponse], ActionResult]:
        def answer(request: BaseResponse) -> ActionResult:
            caller = Caller(request.current_account, request.region, dict(request._get_params()))  # noqa: SLF001 - how moto's own operations read theirs
            with self._lock:
                return ActionResult(operation(asked, caller))

        return answer
