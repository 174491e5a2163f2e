"""CodeDeploy deployments through time: they begin, go on tick by tick and end; task sets and traffic follow them.

Known to differ from the real CodeDeploy: hooks (Lambda) are refused; a revision is an AppSpec in the request.

Assumed, because AWS's documents do not say: the status is Baking while the original task set waits for its end (it
may be InProgress or Ready there), and TERMINATION_WAIT is answered then; a deployment that is stopped without a
rollback leaves traffic and both task sets as they are, until the next one begins from the primary task set; a
rollback deployment has the lifecycle events Install and AllowTraffic, watches no alarms, and goes back in one step;
an alarm that rings before the start stops a deployment too; a deployment tells the hash of its AppSpec only; waiting
in Ready for too long counts as a failure that may be rolled back; a service whose first task set is still on its way
keeps a deployment Queued.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime

from moto.cloudwatch.models import cloudwatch_backends

from deployments.sandbox.aws.codedeploy_appspec import written
from deployments.sandbox.aws.codedeploy_machine import advance, end_badly, green_is_primary, wanted
from deployments.sandbox.aws.codedeploy_preparation import ELB_SAYS, UnpreparedError, attach, prepare, service_of
from deployments.sandbox.aws.codedeploy_stages import (
    MANUAL_STOP,
    ROLLBACK_EVENTS,
    Fault,
    Observed,
    Progress,
    RolloutPlan,
    Status,
)
from deployments.sandbox.aws.codedeploy_state import Desk, Rollout, new_id
from deployments.sandbox.aws.ecs_state import Document, Revision, ServiceState, TaskSet
from deployments.sandbox.aws.ecs_traffic import balancer, pair_weights, shift_pair

log = logging.getLogger(__name__)

HAND_OVER = "Another revision was put in place."


@dataclass(frozen=True, slots=True)
class Shifter:
    """Moves deployments on. All methods are called under the simulator's lock."""

    desk: Desk

    def tick(self, now: datetime) -> None:
        """One step of every deployment that has not ended."""
        for account, region in {key[:2] for key in self.desk.fleet.services}:
            attach(self.desk.fleet, account, region)
        for rollout in [rollout for rollout in self.desk.rollouts.values() if rollout.active]:
            self._move_on(rollout, now)
        for service in self.desk.fleet.services.values():
            _forget(service)

    def interrupt(self, service: ServiceState, now: datetime) -> None:
        """End whatever is under way for a service, without a way back."""
        for rollout in self.desk.rollouts.values():
            if rollout.active and rollout.service is service:
                rollout.progress = end_badly(rollout.progress, Fault(MANUAL_STOP, HAND_OVER, stops=True), now)
                rollout.finished_at = rollout.updated_at = now
        service.task_sets.clear()

    def lead_to(self, service: ServiceState, revision: Revision | None) -> None:
        """Give all traffic of a service to one revision."""
        group = service.groups.get(revision.arn) if revision is not None else None
        if service.pair is not None and group is not None:
            shift_pair(service, service.pair.listeners, service.pair.groups, group, 100)
            shift_pair(service, service.pair.test_listeners, service.pair.groups, group, 100)

    def _move_on(self, rollout: Rollout, now: datetime) -> None:
        fault = None
        if rollout.progress.status is Status.QUEUED and rollout.service is None and not rollout.progress.stop_asked:
            try:
                if not self._begin(rollout, now):
                    return
            except UnpreparedError as error:
                fault = error.fault
        before = rollout.progress
        rollout.progress = advance(rollout.plan, before, _observe(rollout, fault, now))
        if rollout.progress == before:
            return
        rollout.updated_at = now
        self._follow(rollout, now)
        if not rollout.active:
            self._finish(rollout, now)

    def _begin(self, rollout: Rollout, now: datetime) -> bool:
        """Find the task sets. False while the service's own first deployment is under way. Raises `UnpreparedError`."""
        service = service_of(self.desk.fleet, rollout)
        blue = service.steady
        if blue is None or service.current is not None:
            return False
        green = prepare(rollout, service, blue, now)
        # What a deployment that was stopped has left behind goes; the primary task set has all traffic.
        for arn, left in service.task_sets.items():
            service.task_sets[arn] = replace(left, wanted=arn == blue.arn)
        self.lead_to(service, blue)
        rollout.service, rollout.blue, rollout.green, rollout.started_at = service, blue, green, now
        rollout.previous = self._revision_of(rollout, blue)
        return True

    def _revision_of(self, rollout: Rollout, blue: Revision) -> Document:
        """The `RevisionLocation` that has made a task set; for one that CodeDeploy has not made, one that would."""
        before = self.desk.of_group(rollout.account, rollout.region, rollout.application, rollout.group)
        made = next((it for it in before if it.green is blue), None)
        if made is not None:
            return made.revision
        entry = balancer(blue.settings) or {}
        content = written(blue.task_definition, entry.get("containerName", ""), entry.get("containerPort", 0))
        return {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}

    def _follow(self, rollout: Rollout, now: datetime) -> None:
        """Let traffic, the task sets and the service's primary one be what the deployment says."""
        service, blue, green = rollout.service, rollout.blue, rollout.green
        if service is None or blue is None or green is None or service.pair is None:
            return
        progress, pair = rollout.progress, service.pair
        shift_pair(service, pair.listeners, pair.groups, rollout.green_group, round(progress.weight))
        shift_pair(service, pair.test_listeners, pair.groups, rollout.green_group, round(progress.test_weight))
        want = wanted(rollout.plan, progress)
        for revision, stays in ((blue, want.blue), (green, want.green)):
            self._want(service, revision, stays, now)
        arrived = green_is_primary(rollout.plan, progress)
        if arrived is not None:
            _make_primary(service, green if arrived else blue)

    def _want(self, service: ServiceState, revision: Revision, stays: bool, now: datetime) -> None:
        present = service.task_sets.get(revision.arn)
        if (present.wanted if present else False) is not stays:
            maker = next((it.id for it in self.desk.rollouts.values() if it.green is revision), "")
            service.task_sets[revision.arn] = TaskSet(maker, stays, now)

    def _finish(self, rollout: Rollout, now: datetime) -> None:
        rollout.finished_at = now
        service, progress = rollout.service, rollout.progress
        if service is None:
            return
        words = "completed" if progress.fault is None else f"ended: {progress.fault.message}"
        service.say(now, f"(CodeDeploy deployment {rollout.id}) deployment {words}.")
        if progress.fault is not None and _goes_back(rollout, progress.fault):
            self.desk.add(_way_back(rollout, service, now))


def _goes_back(rollout: Rollout, fault: Fault) -> bool:
    """A rollback is not rolled back, nor what has not begun."""
    if rollout.plan.goes_back or rollout.progress.stage is None or rollout.service is None:
        return False
    if rollout.service.status != "ACTIVE":
        return False
    if fault.code == MANUAL_STOP and rollout.rollback_asked is not None:
        return rollout.rollback_asked
    return ROLLBACK_EVENTS.get(fault.code, "DEPLOYMENT_FAILURE") in rollout.rollback_events


def _way_back(rollout: Rollout, service: ServiceState, now: datetime) -> Rollout:
    """The deployment that gives all traffic back to the original task set."""
    rollout.rollback_id = new_id()
    was = rollout.progress
    return Rollout(
        rollout.rollback_id,
        rollout.account,
        rollout.region,
        rollout.application,
        rollout.group,
        rollout.config,
        rollout.previous,
        RolloutPlan(goes_back=True, install_limit=rollout.plan.install_limit),
        Progress(now, weight=was.weight, test_weight=was.test_weight),
        now,
        {name: value for name, value in rollout.terms.items() if name != "overrideAlarmConfiguration"}
        | {"description": f"Rollback of deployment {rollout.id}"},
        creator="codeDeployRollback",
        service=service,
        blue=rollout.blue,
        green=rollout.green,
        started_at=now,
        triggered_by=rollout.id,
        previous=rollout.revision,
    )


def _observe(rollout: Rollout, fault: Fault | None, now: datetime) -> Observed:
    """What the state machine may know of the world."""
    alarms = cloudwatch_backends[rollout.account][rollout.region].alarms
    ringing = frozenset(n for n in rollout.plan.alarms if n in alarms and alarms[n].state_value == "ALARM")
    service = rollout.service
    if service is None:
        return Observed(now, 0, alarming=ringing, fault=fault)
    return Observed(
        now,
        service.desired,
        service.healthy(rollout.green),
        service.living(rollout.green),
        service.healthy(rollout.blue),
        service.living(rollout.blue),
        ringing,
        fault or _world_fault(service),
    )


def _world_fault(service: ServiceState) -> Fault | None:
    """What has been taken away from under a deployment that has begun."""
    if service.status != "ACTIVE":
        return Fault("INVALID_ECS_SERVICE", f"The ECS service {service.name} is not ACTIVE.")
    if service.pair is not None and not pair_weights(service, service.pair):
        reason = f"No rule of listener {', '.join(service.pair.listeners)} forwards to the target group pair."
        return Fault("ELASTIC_LOAD_BALANCING_INVALID", ELB_SAYS.format(reason=reason))
    return None


def _make_primary(service: ServiceState, revision: Revision) -> None:
    if service.steady is not revision:
        service.steady = revision
        service.settings |= {"taskDefinition": revision.task_definition, **revision.settings}


def _forget(service: ServiceState) -> None:
    """Task sets that nobody wants are gone with their last task."""
    for arn in [arn for arn, task_set in service.task_sets.items() if not task_set.wanted]:
        if service.steady is None or (arn != service.steady.arn and not service.living(service.revisions[arn])):
            del service.task_sets[arn]
