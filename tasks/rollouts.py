"""Traffic moves: blue-green by Amazon ECS, one service a task, services of one wave side by side."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prefect import get_run_logger
from prefect.futures import wait

from blocks.containers import Containers
from blocks.shifts import BlueGreen
from rules.arrival import check_arrival
from rules.catalogue import RolloutPolicy
from rules.errors import Outage, RolloutFailed
from rules.plans import Plan
from rules.records import EventKind
from rules.rollouts import Move, Observation, Step, next_step
from rules.vocabulary import Finding, Service, Verdict, worst
from tasks.artifacts import Progress, artifact_key
from tasks.kinds import acting
from tasks.promotions import Promotion
from tasks.records import write

OUTAGE_MINUTES = 5.0
"""So long a roll-out that is under way is followed through an outage of ECS's API; ECS goes on by itself meanwhile."""

Judge = Callable[[Observation, RolloutPolicy], Step]


@dataclass(frozen=True, slots=True)
class Order:
    """One service on its way to one image."""

    service: str
    name: str
    """Generated name in ECS."""
    container: str
    task_definition: str
    digest: str
    ours: frozenset[str] = frozenset()
    """On the way back: the task definitions that our runs may have begun to deploy."""


class Follower:
    """Follows one service to the end of its roll-out, from whatever is there. Clock and pause are passed in."""

    def __init__(
        self,
        containers: Containers,
        policy: RolloutPolicy,
        report: Callable[[Step], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._containers, self._policy, self._report, self._clock, self._pause = (
            containers,
            policy,
            report,
            clock,
            pause,
        )

    def follow(self, order: Order, how: BlueGreen, judge: Judge = next_step) -> Step:
        """Takes step after step until the judge says DONE (returned) or FAIL (raised)."""
        began = answered = self._clock()
        deployment: str | None = None
        ended: float | None = None
        stopped_because = ""
        while True:
            try:
                now = self._clock()
                seen = self._look(order, deployment, (now - began) / 60, (now - (ended or now)) / 60)
                if seen.followed:
                    deployment = seen.followed.arn
                    ended = ended or (None if seen.followed.status.ongoing else now)
                step = judge(seen, self._policy)
                self._report(step)
                if step.move is Move.DONE:
                    return step
                if step.move is Move.FAIL:
                    # ECS only says that it was stopped; we know why.
                    raise RolloutFailed(order.service, stopped_because or step.why)
                if step.move is Move.STOP:
                    stopped_because = stopped_because or step.why
                deployment = self._act(step, order, how, seen) or deployment
                answered = self._clock()
            except Outage:
                if (self._clock() - answered) / 60 > OUTAGE_MINUTES:
                    raise
            self._pause(self._policy.poll_seconds)

    def _look(self, order: Order, deployment: str | None, minutes: float, ended_minutes: float) -> Observation:
        now = self._containers.look(order.name, order.container)
        followed = now.ongoing  # which also adopts what a run that died left
        if deployment and (followed is None or followed.arn != deployment):
            followed = self._containers.deployment(deployment)
        elif followed and followed.target_task_definition != order.task_definition:
            followed = None
        return Observation(
            service=order.service,
            digest=order.digest,
            task_definition=order.task_definition,
            serving=now.serving,
            steady=now.steady,
            followed=followed,
            ongoing=now.ongoing,
            minutes=minutes,
            ended_minutes=ended_minutes,
            ours=order.ours,
        )

    def _act(self, step: Step, order: Order, how: BlueGreen, seen: Observation) -> str | None:
        if step.move is Move.START:
            return self._containers.start(order.name, order.task_definition, how)
        if step.move is Move.STOP and seen.ongoing is not None:
            self._containers.stop(seen.ongoing.arn)
        return None


def roll_out_in_waves(promotion: Promotion, plan: Plan) -> None:
    """Wave after wave; a wave that does not arrive ends the roll-out and nothing of the next one starts."""
    for number, wave in enumerate(promotion.catalogue.waves(), start=1):
        moving = [service for service in wave if service.id in {one.service for one in plan.services}]
        futures = [
            roll_out.with_options(task_run_name=f"roll out {one.id}").submit(promotion, plan, one) for one in moving
        ]
        wait(futures)
        get_run_logger().info("wave %d: %s", number, ", ".join(service.id for service in moving))
        for future in futures:
            future.result()


@acting("roll out")
def roll_out(promotion: Promotion, plan: Plan, service: Service) -> Step:
    """One service to the release's image. Adopts a roll-out that a dead run left; does nothing where it has arrived."""
    doors, digest = promotion.target, plan.release.digests[service.id]
    state = doors.containers.state(service, doors.environment.name)
    image = f"{promotion.application.registry_url}/{service.repository}@{digest}"
    definition = doors.containers.definitions.register(state.task_definition, service.container, image)
    write(
        promotion.application.ledger,
        EventKind.ROLLOUT_INTENT,
        doors.environment.name,
        f"About to roll out {service.id} {plan.release.version}.",
        plan.hash,
        service=service.id,
        before={"task_definition": state.task_definition, "digests": sorted(state.digests)},
        after={"task_definition": definition, "digest": digest},
    )
    order = Order(service.id, state.name, service.container, definition, digest)
    step = follower(promotion, service.id).follow(order, blue_green(promotion, service))
    write(
        promotion.application.ledger,
        EventKind.ROLLOUT_SUCCEEDED,
        doors.environment.name,
        step.why,
        plan.hash,
        service=service.id,
    )
    return step


def arrival(
    promotion: Promotion,
    digests: Mapping[str, str],
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Finding, ...]:
    """A finding for each service: whether it serves its digest. A task short (autoscaling) is given a moment."""
    environment, policy = promotion.target.environment.name, promotion.catalogue.rollout
    deadline = clock() + policy.settle_minutes * 60
    while True:
        findings = check_arrival(
            promotion.target.containers.states(promotion.services, environment), digests, environment
        )
        if worst(finding.verdict for finding in findings) is not Verdict.INCONCLUSIVE or clock() >= deadline:
            return findings
        pause(policy.poll_seconds)


def blue_green(promotion: Promotion, service: Service) -> BlueGreen:
    name = promotion.target.environment.name
    alarms = tuple(alarm.format(environment=name) for alarm in service.alarms)
    return BlueGreen(promotion.catalogue.rollout.bake_minutes, alarms)


def follower(promotion: Promotion, service: str) -> Follower:
    key = artifact_key(promotion.application.name, promotion.target.environment.name, "rollout", service)
    logger, progress = get_run_logger(), Progress(key, f"{service}: new revision")
    said: list[str] = [""]

    def report(step: Step) -> None:
        progress.show(step.weight, step.why)
        if step.why != said[-1]:
            logger.info(step.why)
            said.append(step.why)

    return Follower(promotion.target.containers, promotion.catalogue.rollout, report)
