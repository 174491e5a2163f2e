"""Traffic moves: blue-green or by canary, one service a task, services of one wave side by side."""

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from prefect import get_run_logger
from prefect.futures import wait
from prefect.runtime import task_run

from blocks.shifts import BlueGreen, Canary, Shift
from rules.arrival import check_arrival
from rules.errors import Outage
from rules.plans import Plan
from rules.records import EventKind
from rules.rollouts import Step, next_step
from rules.vocabulary import Controller, Finding, Service, Strategy, Verdict, worst
from tasks.artifacts import Progress, artifact_key
from tasks.deciding import decide
from tasks.following import Follower, Judge, Order
from tasks.kinds import RETRIES, acting
from tasks.promotions import Promotion
from tasks.records import write
from tasks.waves import Wave

LOOK_SECONDS = 0.5
STANDING_DOWN_SECONDS = 10.0
"""So long the followers have to notice that the run gives up. A cancelled run has some thirty seconds in all."""
NUMBER = re.compile(r"\d+(\.\d+)?")


def roll_out_in_waves(promotion: Promotion, plan: Plan) -> None:
    """Wave after wave; a wave that does not arrive ends the roll-out and nothing of the next one starts."""
    for number, services in enumerate(promotion.catalogue.waves(), start=1):
        moving = [service for service in services if service.id in {one.service for one in plan.services}]
        if moving:
            get_run_logger().info("wave %d: %s", number, ", ".join(service.id for service in moving))
            roll_out_wave(promotion, plan, moving)


def roll_out_wave(promotion: Promotion, plan: Plan, moving: Sequence[Service]) -> None:
    """All services of a wave side by side; where a person must decide, the run is paused meanwhile."""
    wave = Wave()
    futures = {
        one.id: roll_out.with_options(task_run_name=f"roll out {one.id}").submit(promotion, plan, one, wave)
        for one in moving
    }
    try:
        while wait(list(futures.values()), timeout=LOOK_SECONDS).not_done:
            if question := wave.open_question():
                decide(promotion, plan.hash, wave, question)
    except BaseException as error:  # a cancelled run, too, must not go back while its followers go forward
        wave.fail("the run", str(error) or type(error).__name__)
        wait(list(futures.values()), timeout=STANDING_DOWN_SECONDS)
        raise
    for future in futures.values():
        future.result()


@acting("roll out")
def roll_out(promotion: Promotion, plan: Plan, service: Service, wave: Wave) -> Step:
    """One service to the release's image. Adopts a roll-out that a dead run left; does nothing where it has arrived."""
    try:
        return _roll_out(promotion, plan, service, wave)
    except BaseException as error:
        # An outage is tried again; after anything else the others of the wave go back with this one.
        if not isinstance(error, Outage) or int(task_run.run_count or 0) > RETRIES:
            wave.fail(service.id, str(error) or type(error).__name__)
        raise


def _roll_out(promotion: Promotion, plan: Plan, service: Service, wave: Wave) -> Step:
    doors, digest, ledger = promotion.target, plan.release.digests[service.id], promotion.application.ledger
    state = doors.containers.state(service, doors.environment.name)
    image = f"{promotion.application.registry_url}/{service.repository}@{digest}"
    definition = doors.containers.definitions.register(state.task_definition, service.container, image)
    write(
        ledger,
        EventKind.ROLLOUT_INTENT,
        doors.environment.name,
        f"About to roll out {service.id} {plan.release.version}.",
        plan.hash,
        service=service.id,
        before={"task_definition": state.task_definition, "digests": sorted(state.digests)},
        after={"task_definition": definition, "digest": digest},
    )
    order = Order(service.id, state.name, service.container, definition, digest)
    with judging(promotion, plan, service, wave, order) as judge:
        step = follower(promotion, service, wave).follow(order, shift(promotion, service), judge)
    tidy(promotion, service, state.name)
    kind = EventKind.ROLLOUT_SUCCEEDED
    write(ledger, kind, doors.environment.name, step.why, plan.hash, service=service.id)
    return step


def tidy(promotion: Promotion, service: Service, name: str) -> None:
    """Nothing of a canary stays with the service when it has ended, well or badly."""
    if service.controller is Controller.ECS:
        promotion.target.containers.tidy(name)


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


def shift(promotion: Promotion, service: Service) -> Shift:
    """How the service's traffic is to move in this environment."""
    name, rollout, canary = promotion.target.environment.name, promotion.catalogue.rollout, promotion.catalogue.canary
    alarms = tuple(alarm.format(environment=name) for alarm in service.alarms)
    if promotion.strategy_of(service) is Strategy.CANARY:
        by_codedeploy = service.controller is Controller.CODEDEPLOY
        held = canary.codedeploy_minutes if by_codedeploy else canary.hold_minutes
        return Canary(canary.steps, held, rollout.bake_minutes, alarms)
    return BlueGreen(rollout.bake_minutes, alarms)


@contextmanager
def judging(promotion: Promotion, plan: Plan, service: Service, wave: Wave, order: Order) -> Iterator[Judge]:
    """Who says what is next: the rules of blue-green, or for a canary its judge too."""
    if promotion.strategy_of(service) is Strategy.CANARY or _is_under_way_by_canary(promotion, service, order):
        from tasks.canaries import Canary as Judged  # pandas and the chart are for those who have a canary

        with Judged(promotion, plan, service, wave) as judge:
            yield judge
    else:
        yield next_step


def _is_under_way_by_canary(promotion: Promotion, service: Service, order: Order) -> bool:
    """A canary that a dead run left waits for the words of one, whatever is asked for now."""
    ongoing = promotion.target.controller(service).look(order.name, order.container).ongoing
    ours = ongoing is not None and ongoing.target_task_definition == order.task_definition
    return ours and ongoing is not None and 0 < ongoing.weight < 100  # noqa: PLR2004 - percent


def follower(promotion: Promotion, service: Service, wave: Wave | None = None) -> Follower:
    """On the way back there is no wave: there each service goes as fast as it can."""
    key = artifact_key(promotion.application.name, promotion.target.environment.name, "rollout", service.id)
    logger, progress = get_run_logger(), Progress(key, f"{service.id}: new revision")
    said: list[str] = [""]

    def report(step: Step) -> None:
        progress.show(step.weight, step.why)
        news = NUMBER.sub("#", step.why)  # a count that has grown is for the picture, not for the log
        if news != said[-1]:
            logger.info(step.why)
            said.append(news)

    return Follower(promotion.target.controller(service), promotion.catalogue.rollout, report, wave)
