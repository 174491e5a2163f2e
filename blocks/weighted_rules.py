"""A listener rule's weights, moved by ourselves: for a service that is two ordinary ECS services, blue and green.

Exactly the weights of the policy, 10 → 50 → 100, with nothing in between. The price: **nothing goes back by itself.**
Amazon ECS gives the traffic back when nobody speaks to it any more, and CodeDeploy obeys alarms; here the weights stay
where they were when our process died, until the next run looks (docs/adr/0012). So the catalogue must say that its
owner accepts that, and where Amazon ECS or CodeDeploy move the traffic of one of the two services, this is refused.

Each act is a look, a list of writes (`rules/weighted_rules.py`), and the rule read back. All else on the rule stays as
it is: its conditions, its other actions with their order, its stickiness.
"""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from blocks.aws_errors import translated
from blocks.shifts import BlueGreen, Look, Shift
from blocks.weighted_looks import Names, WeightedLooks
from rules.errors import Conflict, InvalidInput, Outage
from rules.releases import ServiceState
from rules.rollouts import Arm, Deployment
from rules.traffic import Traffic
from rules.vocabulary import Finding
from rules.weighted_pairs import Because, Intent, Motion, Pair, Wish
from rules.weighted_rules import (
    Deploy,
    Divide,
    Note,
    Scale,
    Write,
    check_pair,
    deployment_of,
    faults,
    to_go_on,
    to_start,
    to_stop,
)

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client

    from blocks.containers import Containers
    from rules.catalogue import RolloutPolicy

ECS = "Amazon ECS"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WeightedRules:
    """One service of two sides. `names`: what the catalogue calls them, names or prefixes."""

    def __init__(
        self,
        ecs: ECSClient,
        elbv2: ElasticLoadBalancingv2Client,
        containers: Containers,
        names: Names,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._ecs, self._containers, self._now = ecs, containers, now
        self._looks = WeightedLooks(ecs, elbv2, containers, names)

    # --- looking -------------------------------------------------------------------------------------------

    def look(self, name: str, container: str) -> Look:
        """One look at both sides. `name` is the first one's; a stranger's deployment of what serves is seen too."""
        pair = self._looks.pair()
        if name != pair.sides[0].name:
            raise InvalidInput("a pair of services", pair.sides[0].name, name, "Mend ecs_service in the catalogue.")
        ongoing = self._ongoing(pair)
        return Look(ongoing, self._serving(pair, container), pair.steady and ongoing is None)

    def deployment(self, arn: str) -> Deployment:
        """The deployment that is, or was last, under way. Of those before it nothing is remembered."""
        motion = self._looks.pair().motion
        if motion is None or motion.arn != arn:
            raise Outage("The listener rule", f"looking at {arn}", "its tag does not speak of it (any more)")
        return self._told(motion)

    def state(self, service: str, container: str) -> ServiceState | None:
        """Both sides as the one service that they are: what carries the traffic. None where one of them lacks."""
        if not self._looks.present():
            return None
        pair = self._looks.pair()
        ongoing, lead = self._ongoing(pair), pair.lead
        image = self._containers.definitions.image_of
        return ServiceState(
            service=service,
            name=pair.sides[0].name,
            task_definition=lead.task_definition,
            desired=lead.desired,
            running=lead.running,
            deployed_at=lead.deployed_at,
            digests=self._serving(pair, container),
            deploying=ongoing is not None,
            deploying_to=image(ongoing.target_task_definition, container) if ongoing else "",
            crashed_tasks=len(self._containers.tasks.deaths(lead.name, lead.task_definition)),
        )

    def arm(self) -> Arm | None:
        """The version that serves now, or that a deployment in progress comes from."""
        pair = self._looks.pair()
        motion = pair.motion
        if motion is not None and pair.moving:
            return motion.old.arm
        return pair.lead.arm if len(pair.carrying) == 1 else None

    def traffic(self) -> Traffic | None:
        """Where the rule sends visitors; None where one of the two services lacks."""
        if not self._looks.present():
            return None
        pair = self._looks.pair()
        weights = {side.target_group: weight for side, weight in zip(pair.sides, pair.weights, strict=True)}
        groups = frozenset(side.target_group for side in pair.sides if side.desired > 0)
        return Traffic(weights, groups, sum(side.healthy for side in pair.carrying), pair.moving)

    def preflight(self, service: str, name: str, policy: RolloutPolicy) -> tuple[Finding, ...]:  # noqa: ARG002 - as every controller's
        """Whether the two services and the rule are such that weights may be moved."""
        try:
            return (check_pair(service, self._looks.pair()),)
        except InvalidInput as error:
            return (check_pair(service, str(error)),)

    def _ongoing(self, pair: Pair) -> Deployment | None:
        """Ours, or somebody's who deploys to the very tasks that serve."""
        motion = pair.motion
        if motion is not None and pair.moving:
            return self._told(motion)
        unsettled = next((side for side in pair.carrying if not side.settled), None)
        return self._containers.ongoing(unsettled.name) if unsettled else None

    def _told(self, motion: Motion) -> Deployment:
        if not motion.intent.stage.open:
            return deployment_of(motion, self._now())
        new = motion.new
        died = self._containers.tasks.deaths(new.name, new.task_definition, motion.intent.begun)
        said = died[-1].get("stoppedReason", "") if died else ""
        return deployment_of(motion, self._now(), (len(died), said))

    def _serving(self, pair: Pair, container: str) -> frozenset[str]:
        of_sides = (self._containers.tasks.serving(side.name, container) for side in pair.carrying)
        return frozenset().union(*of_sides)

    # --- acting --------------------------------------------------------------------------------------------

    def start(self, name: str, task_definition: str, how: Shift) -> str:
        """The side without traffic gets the task definition and as many tasks as the other, unless it is on its way.

        Raises:
            InvalidInput: the services or the rule are not such that we may move weights.
            Conflict: the deployment in progress is another one's.

        """
        pair = self._looks.pair()
        ongoing = self._ongoing(pair)
        if ongoing is None:
            if found := "; ".join(faults(pair)):
                raise InvalidInput(name, found, "two ordinary ECS services with one rule between them")
            self._write(pair, to_start(pair, task_definition, _wish(how), self._now()))
            ongoing = self._ongoing(self._looks.pair())
        if ongoing is None:
            raise Outage("The listener rule", f"deploying to {name}", "its new tag is not to be seen yet")
        if ongoing.target_task_definition != task_definition:
            raise Conflict(f"the deployment of {name}", task_definition, ongoing.target_task_definition)
        return ongoing.arn

    def go_on(self, deployment: Deployment) -> None:
        """Does what is next: the next weight, more tasks, the end. What was seen before it changed is left alone."""
        motion = self._looks.pair().motion
        if motion is None or motion.arn != deployment.arn:
            return
        word = deployment.pause.hook if deployment.pause else ""
        self._write(motion.pair, to_go_on(motion, self._now(), word))

    def stop(self, deployment: str) -> None:
        """All weight to the old side, in one call; then the new side to nothing. Asking twice is asking once."""
        motion = self._looks.pair().motion
        if motion is not None and motion.arn == deployment:
            self._write(motion.pair, to_stop(motion, Because.STOPPED, self._now()))

    # --- parts ---------------------------------------------------------------------------------------------

    def _write(self, pair: Pair, writes: Sequence[Write]) -> None:
        for write in writes:
            match write:
                case Note(intent):
                    self._note(pair, intent)
                case Divide(weights):
                    self._looks.divide(pair, weights)
                case Deploy(name, definition, desired):
                    with translated(ECS, f"deploying {definition} to {name}"):
                        self._ecs.update_service(
                            cluster=self._containers.cluster,
                            service=name,
                            taskDefinition=definition,
                            desiredCount=desired,
                        )
                case Scale(name, desired):
                    with translated(ECS, f"scaling {name} to {desired}"):
                        self._ecs.update_service(cluster=self._containers.cluster, service=name, desiredCount=desired)

    def _note(self, pair: Pair, intent: Intent) -> None:
        self._looks.note(pair.rule, intent.text)


def _wish(how: Shift) -> Wish:
    if how.alarms:
        found = ", ".join(how.alarms)
        raise InvalidInput("alarms", found, "none where we move the weights ourselves: no alarm would be obeyed")
    if isinstance(how, BlueGreen):
        return Wish((), 0, how.bake_minutes)
    return Wish(how.steps, how.hold_minutes, how.bake_minutes)
