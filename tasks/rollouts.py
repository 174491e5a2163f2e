"""Traffic moves: blue-green or by canary, one service a task, services of one wave side by side."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

from prefect import get_run_logger
from prefect.futures import PrefectFuture

from blocks.shifts import BlueGreen, Canary, Shift
from rules.arrival import check_arrival
from rules.plans import Plan
from rules.records import EventKind
from rules.rollouts import Step, next_step
from rules.vocabulary import Controller, Finding, Service, Strategy, Verdict, worst
from tasks.artifacts import Progress, artifact_key
from tasks.deciding import decide
from tasks.following import Follower, Judge, Order
from tasks.kinds import acting
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
        while not _all_over(futures):
            if question := wave.open_question():
                decide(promotion, plan.hash, wave, question)
            _tell_failures(wave, futures)
            time.sleep(LOOK_SECONDS)
    except BaseException as error:  # a cancelled run, too, must not go back while its followers go forward
        wave.fail("the run", str(error) or type(error).__name__)
        _wait_until_over(futures)
        raise
    for future in futures.values():
        future.result()


def _all_over(futures: Mapping[str, PrefectFuture[Step]]) -> bool:
    return all(future.state.is_final() for future in futures.values())


def _wait_until_over(futures: Mapping[str, PrefectFuture[Step]]) -> None:
    deadline = time.monotonic() + STANDING_DOWN_SECONDS
    while not _all_over(futures) and time.monotonic() < deadline:
        time.sleep(LOOK_SECONDS)


def _tell_failures(wave: Wave, futures: Mapping[str, PrefectFuture[Step]]) -> None:
    """Whatever ended a service's task, the others of its wave go back with it."""
    for service, future in futures.items():
        if future.state.is_failed() or future.state.is_crashed():
            wave.fail(service, future.state.message or "its task failed")


@acting("roll out")
def roll_out(promotion: Promotion, plan: Plan, service: Service, wave: Wave) -> Step:
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
    judge = judge_of(promotion, plan, service, wave)
    step = follower(promotion, service, wave).follow(order, shift(promotion, service), judge)
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


def shift(promotion: Promotion, service: Service) -> Shift:
    """How the service's traffic is to move in this environment."""
    name, rollout, canary = promotion.target.environment.name, promotion.catalogue.rollout, promotion.catalogue.canary
    alarms = tuple(alarm.format(environment=name) for alarm in service.alarms)
    if promotion.strategy_of(service) is Strategy.CANARY:
        by_codedeploy = service.controller is Controller.CODEDEPLOY
        held = canary.codedeploy_minutes if by_codedeploy else canary.hold_minutes
        return Canary(canary.steps, held, rollout.bake_minutes, alarms)
    return BlueGreen(rollout.bake_minutes, alarms)


def judge_of(promotion: Promotion, plan: Plan, service: Service, wave: Wave) -> Judge:
    if promotion.strategy_of(service) is Strategy.CANARY:
        from tasks.canaries import Canary as Judged  # pandas and the chart are for those who have a canary

        return Judged(promotion, plan, service, wave)
    return next_step


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
