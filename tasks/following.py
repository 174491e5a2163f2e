"""Following one service to the end of its roll-out, from whatever is there."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from blocks.shifts import Controller, Shift
from rules.catalogue import RolloutPolicy
from rules.errors import Outage, RolloutFailed
from rules.rollouts import Move, Observation, Step, next_step, step_beside
from tasks.waves import Wave

OUTAGE_MINUTES = 5.0
"""So long a roll-out that is under way is followed through an outage of its API; it goes on by itself meanwhile."""

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
    """Takes step after step. Clock and pause are passed in; a wave, where other services move beside this one."""

    def __init__(  # noqa: PLR0917 - the clock and the pause are passed by tests only
        self,
        controller: Controller,
        policy: RolloutPolicy,
        report: Callable[[Step], None],
        wave: Wave | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._controller, self._policy, self._report = controller, policy, report
        self._wave, self._clock, self._pause = wave or Wave(), clock, pause

    def follow(self, order: Order, how: Shift, judge: Judge = next_step) -> Step:
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
                step = self._judge(judge, seen)
                self._report(step)
                if step.move is Move.DONE and (not stopped_because or order.ours):
                    return step
                if step.move is Move.DONE:  # it arrived in the moment in which it was stopped
                    raise self._failed(order.service, f"{stopped_because} It had arrived all the same.")
                if step.move is Move.FAIL:
                    # The controller only says that it was stopped; we know why.
                    raise self._failed(order.service, stopped_because or step.why)
                if step.move is Move.STOP:
                    stopped_because = stopped_because or step.why
                    self._wave.fail(order.service, stopped_because)
                deployment = self._act(step, order, how, seen) or deployment
                answered = self._clock()
            except Outage:
                if (self._clock() - answered) / 60 > OUTAGE_MINUTES:
                    raise
            self._pause(self._policy.poll_seconds)

    def _judge(self, judge: Judge, seen: Observation) -> Step:
        beside = self._wave.failed_beside(seen.service)
        step = judge(seen, self._policy)
        return step_beside(step, seen, beside) if beside else step

    def _failed(self, service: str, why: str) -> RolloutFailed:
        self._wave.fail(service, why)
        return RolloutFailed(service, why)

    def _look(self, order: Order, deployment: str | None, minutes: float, ended_minutes: float) -> Observation:
        now = self._controller.look(order.name, order.container)
        followed = now.ongoing  # which also adopts what a run that died left
        if deployment and (followed is None or followed.arn != deployment):
            followed = self._controller.deployment(deployment)
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

    def _act(self, step: Step, order: Order, how: Shift, seen: Observation) -> str | None:
        match step.move, seen.ongoing:
            case Move.START, _:
                return self._controller.start(order.name, order.task_definition, how)
            case Move.CONTINUE, deployment if deployment is not None:
                self._controller.go_on(deployment)
            case Move.STOP, deployment if deployment is not None:
                self._controller.stop(deployment.arn)
        return None
