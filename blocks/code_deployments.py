"""AWS CodeDeploy as the mover of a service's traffic, for services that it already moves.

Amazon ECS itself does more; what CodeDeploy cannot do is refused, never approximated:

- its canary has one step before 100 %, stays there for a time chosen at the start, and can be neither hurried nor held.
  With nobody there to stop it, it goes ON, where ECS goes back: an alarm must guard it (`rules/strategies.py`), and
  whoever cannot tell whether the new version is well must stop it before the time is over;
- the bake is the deployment group's termination wait, the same for all deployments (`rules/deployment_groups.py`);
- for Amazon ECS one deployment of a group is under way at a time.
"""

from __future__ import annotations  # the client's types are stubs, not there at run time

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from blocks.containers import Containers
from blocks.deployment_reports import SYSTEM, DeploymentReports
from blocks.shifts import BlueGreen, Canary, Look, Shift
from rules.app_specs import AppSpec
from rules.catalogue import RolloutPolicy
from rules.code_deployments import (
    ALL_AT_ONCE,
    ON_ALARM,
    ON_FAILURE,
    ON_REQUEST,
    Deaths,
    Report,
    canary_config,
    deployment_of,
)
from rules.deployment_groups import DeploymentGroup, check_group
from rules.errors import Conflict, InvalidInput, Outage
from rules.rollouts import Deployment
from rules.task_sets import TaskSet, beside_primary, primary
from rules.vocabulary import Finding

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_codedeploy.type_defs import (
        AlarmConfigurationTypeDef,
        AutoRollbackConfigurationTypeDef,
        CreateDeploymentInputTypeDef,
        TrafficRoutingConfigTypeDef,
    )

LATEST = "LATEST"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class CodeDeployments:
    """The deployments of one service, which has a deployment group of its own."""

    def __init__(
        self,
        codedeploy: CodeDeployClient,
        containers: Containers,
        application: str,
        group: str,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._codedeploy, self._containers, self._application, self._group = codedeploy, containers, application, group
        self._reports = DeploymentReports(codedeploy, application, group)
        self._now = now
        self._known: DeploymentGroup | None = None
        self._last = ""
        """The deployment that was last seen under way: between its end and its way back none is."""

    # --- looking -------------------------------------------------------------------------------------------

    def look(self, name: str, container: str) -> Look:
        """One look at a service, which is known to be this group's."""
        sets = self._containers.task_sets(name)
        ongoing = self.ongoing(sets)
        carrying = ongoing.carrying if ongoing else self._carrying_at_rest(sets)
        first = primary(sets)
        steady = ongoing is None and first is not None and first.complete
        return Look(ongoing, self._containers.tasks.serving(name, container, carrying), steady)

    def ongoing(self, sets: Sequence[TaskSet] | None = None) -> Deployment | None:
        """The deployment in progress, whoever started it. One that is taken back is, until it is back."""
        active = self._reports.active()
        if active is None:
            return self._still_ongoing()
        found = self._whole(active, sets)
        self._last = found.arn
        return found

    def deployment(self, arn: str) -> Deployment:
        """One deployment by CodeDeploy's id, ongoing or ended; by that of its way back too."""
        return self._whole(self._reports.report(arn))

    def preflight(self, service: str, name: str, policy: RolloutPolicy) -> tuple[Finding, ...]:
        """Whether the deployment group can do what the catalogue asks for. `name`: the service's in ECS."""
        return (check_group(service, name, self._containers.cluster, self.group(), policy),)

    def group(self) -> DeploymentGroup:
        """The deployment group, as it is now. Raises InvalidInput when it is not there."""
        return self._reports.group()

    def _still_ongoing(self) -> Deployment | None:
        if not self._last:
            return None
        found = self.deployment(self._last)
        return found if found.status.ongoing else None

    def _whole(self, report: Report, sets: Sequence[TaskSet] | None = None) -> Deployment:
        """A deployment together with its way back. `sets`: the service's, where they were just read."""
        forward = self._reports.report(report.takes_back) if report.takes_back else report
        back = self._reports.report(forward.taken_back_by) if forward.taken_back_by else None
        name = self._service()
        sets = self._containers.task_sets(name) if sets is None else sets
        ends = (back or forward).status.ended
        return deployment_of(forward, back, sets, self._now(), None if ends else self._deaths(name, forward))

    def _deaths(self, name: str, forward: Report) -> Deaths:
        died = self._containers.tasks.deaths(name, forward.task_definition, forward.created_at)
        return Deaths(len(died), died[-1].get("stoppedReason", "") if died else "")

    def _carrying_at_rest(self, sets: Sequence[TaskSet]) -> frozenset[str]:
        """Task definitions with traffic while nothing moves. Two versions may: a deployment was stopped half-way."""
        if others := [one for one in beside_primary(sets) if one.deployment]:
            newest = max(others, key=lambda one: one.created_at)
            return self.deployment(newest.deployment).carrying
        first = primary(sets)
        return frozenset({first.task_definition}) if first else frozenset()

    def _service(self) -> str:
        """Name of the service that the group deploys to."""
        self._known = self._known or self._reports.group()
        if len(self._known.services) != 1:
            found = ", ".join(name for _, name in self._known.services) or "nothing"
            raise InvalidInput(f"deployment group {self._group}", found, "one ECS service", "Mend the group.")
        return self._known.services[0][1]

    # --- acting --------------------------------------------------------------------------------------------

    def start(self, name: str, task_definition: str, how: Shift) -> str:
        """Starts the deployment of a task definition, unless it is on its way. CodeDeploy's id of it.

        Raises:
            InvalidInput: the group is not the service's, or the canary is none that CodeDeploy has.
            Outage: another one has just begun and is not listed yet. Asking again tells whose it is.
            Conflict: somebody else's deployment was faster.

        """
        ongoing = self.ongoing()
        if ongoing is None:
            if name != self._service():
                raise InvalidInput(f"deployment group {self._group}", self._service(), name, "Mend the catalogue.")
            started = self._create(self._spec(name, task_definition), how)
            if started:
                self._last = started
                return started
            ongoing = self.ongoing()
        if ongoing is None:
            raise Outage(SYSTEM, f"deploying to {name}", "another deployment is in progress that is not listed yet")
        if ongoing.target_task_definition != task_definition:
            raise Conflict(f"the deployment of {name}", task_definition, ongoing.target_task_definition)
        return ongoing.arn

    def go_on(self, deployment: Deployment) -> None:
        """Nothing: CodeDeploy waits for nobody's word, it goes on when its own time is over."""

    def stop(self, deployment: str) -> None:
        """Asks CodeDeploy to take a deployment back. Asking twice is asking once."""
        status = self.deployment(deployment).status
        if not status.ongoing or status.going_back:
            return
        with translated(SYSTEM, f"taking {deployment} back"):
            try:
                self._codedeploy.stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)
            except ClientError as error:
                if code_of(error) != "DeploymentAlreadyCompletedException":  # the next look tells how it ended
                    raise

    # --- parts ---------------------------------------------------------------------------------------------

    def _spec(self, name: str, task_definition: str) -> AppSpec:
        """The same container, port and platform as what serves now."""
        first = primary(self._containers.task_sets(name))
        if first is None or not first.container:
            allowed = "an ECS service with the deployment controller CODE_DEPLOY, behind a load balancer"
            raise InvalidInput(name, "a service without such a task set", allowed, "Mend controller in the catalogue.")
        fixed = first.platform_version if first.platform_version != LATEST else ""
        return AppSpec(task_definition, first.container, first.port, fixed)

    def _create(self, spec: AppSpec, how: Shift) -> str:
        """The new deployment's id; empty when CodeDeploy says that another one is in progress."""
        request: CreateDeploymentInputTypeDef = {
            "applicationName": self._application,
            "deploymentGroupName": self._group,
            "deploymentConfigName": self._config(how),
            "description": f"promotion-flows: {spec.task_definition.rsplit('/', 1)[-1]}",
            "revision": {
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": spec.text, "sha256": spec.sha256},
            },
            "autoRollbackConfiguration": _way_back(how),
        }
        if alarms := _alarms(how):
            request["overrideAlarmConfiguration"] = alarms
        with translated(SYSTEM, f"deploying {spec.task_definition}"):
            try:
                return self._codedeploy.create_deployment(**request)["deploymentId"]
            except ClientError as error:
                if code_of(error) == "DeploymentLimitExceededException":
                    return ""
                raise

    def _config(self, how: Shift) -> str:
        """Name of the traffic configuration, made when it is a canary's for which there is none."""
        if isinstance(how, BlueGreen):
            return ALL_AT_ONCE
        percent, minutes = _step_of(how)
        name = canary_config(percent, minutes)
        wanted: TrafficRoutingConfigTypeDef = {
            "type": "TimeBasedCanary",
            "timeBasedCanary": {"canaryPercentage": percent, "canaryInterval": minutes},
        }
        found = self._routing(name)
        if found is None:
            self._make_config(name, wanted)
            found = self._routing(name)
        if found != wanted:
            raise InvalidInput(f"deployment configuration {name}", found, str(wanted), "Delete it; it is made again.")
        return name

    def _routing(self, name: str) -> TrafficRoutingConfigTypeDef | None:
        with translated(SYSTEM, f"looking at deployment configuration {name}"):
            try:
                answer = self._codedeploy.get_deployment_config(deploymentConfigName=name)
            except ClientError as error:
                if code_of(error) == "DeploymentConfigDoesNotExistException":
                    return None
                raise
            return answer["deploymentConfigInfo"].get("trafficRoutingConfig", {})

    def _make_config(self, name: str, routing: TrafficRoutingConfigTypeDef) -> None:
        with translated(SYSTEM, f"making deployment configuration {name}"):
            try:
                self._codedeploy.create_deployment_config(
                    deploymentConfigName=name, computePlatform="ECS", trafficRoutingConfig=routing
                )
            except ClientError as error:
                if code_of(error) != "DeploymentConfigAlreadyExistsException":  # a service beside us made it
                    raise


def _step_of(how: Canary) -> tuple[int, int]:
    """Percent and minutes of CodeDeploy's only step."""
    if len(how.steps) != 1:
        steps = ", ".join(map(str, how.steps))
        raise InvalidInput("canary.steps", steps, "one step", "CodeDeploy's canary goes from it straight to 100 %.")
    return how.steps[0], max(round(how.hold_minutes), 1)


def _way_back(how: Shift) -> AutoRollbackConfigurationTypeDef:
    """What it is taken back after. On the way back no alarm may hold up the version that is known to be good."""
    if _unguarded(how):
        return {"enabled": True, "events": [ON_FAILURE, ON_REQUEST]}
    return {"enabled": True, "events": [ON_FAILURE, ON_ALARM, ON_REQUEST]}


def _alarms(how: Shift) -> AlarmConfigurationTypeDef | None:
    """None: those that the group's owner has given it stay."""
    if _unguarded(how):
        return {"enabled": False}
    if not how.alarms:
        return None
    return {"enabled": True, "ignorePollAlarmFailure": False, "alarms": [{"name": name} for name in how.alarms]}


def _unguarded(how: Shift) -> bool:
    return isinstance(how, BlueGreen) and how.unguarded
