"""One canary while it runs: its numbers read and judged, its past written down, its picture drawn."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from prefect import get_run_logger

from rules import holds
from rules.canary_memory import Happening, Memory, recall, remember
from rules.canary_pages import Phase
from rules.catalogue import RolloutPolicy
from rules.judgements import Judgement
from rules.plans import Plan
from rules.rollouts import Deployment, Move, Observation, Step
from rules.vocabulary import Controller, Service
from tasks.canary_numbers import Numbers
from tasks.canary_records import observed
from tasks.promotions import Promotion
from tasks.telling_canaries import Telling
from tasks.waves import Question, Wave

ALL = 100.0
MARGIN_SECONDS = 20.0
"""An answer must arrive so long before ECS takes the traffic back by itself."""


class Canary:
    """Judges every look at a deployment that goes by canary. What it does is first in the ledger, then in the world."""

    def __init__(
        self,
        promotion: Promotion,
        plan: Plan,
        service: Service,
        wave: Wave,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._promotion, self._plan_hash, self._service, self._wave, self._now = (
            promotion, plan.hash, service, wave, now,
        )  # fmt: skip
        self._policy = promotion.catalogue.canary
        self._waits = service.controller is not Controller.CODEDEPLOY
        self._numbers = Numbers(promotion.target, service, promotion.catalogue.judge)
        self._telling = Telling(promotion, plan.release.version, service, self._numbers)
        self._memory = Memory(service.id, "")
        self._judgement: Judgement | None = None
        self._sampled_at: datetime | None = None
        self._heard = wave.answers(service.id)
        self._arrived = False

    def __call__(self, seen: Observation, policy: RolloutPolicy) -> Step:
        """The next step, as `rules.rollouts.next_step` gives it for blue-green."""
        forward = _forward(seen)
        if forward is None:
            return holds.next_step_of_canary(seen, policy, self._view(0.0))
        self._recall(forward)
        self._notice(forward)
        self._sample(forward)
        self._hear(forward)  # last, so that a word spoken while the numbers were read counts
        step = holds.next_step_of_canary(seen, policy, self._view(forward.weight))
        self._prepare(step, forward)
        return step

    # --- the past --------------------------------------------------------------------------------------------

    def _recall(self, deployment: Deployment) -> None:
        if self._memory.deployment != deployment.arn:
            self._remember_all(deployment.arn)

    def _remember_all(self, deployment: str) -> None:
        self._memory = recall(self._promotion.application.ledger.records(), self._service.id, deployment)

    def _happened(self, happened: Happening, sentence: str, **details: Any) -> None:
        of = (self._service.id, self._memory.deployment)
        record = observed(self._promotion, self._plan_hash, of, happened, sentence, **details)
        self._memory = remember(self._memory, record)

    def _notice(self, deployment: Deployment) -> None:
        """Writes down which steps the traffic has reached."""
        if deployment.weight > 0 and self._memory.started_at is None:
            self._start(deployment)
        for step in self._policy.steps:
            # At the step itself only when ECS waits there, so that the record can say until when.
            here = deployment.weight > step or deployment.pause is not None or not self._waits
            if step <= deployment.weight and step not in self._memory.reached and here:
                self._reach(step, deployment)

        if deployment.weight >= ALL and not self._arrived:
            self._arrived = True
            self._telling.stands(deployment, None)
            self._telling.tell(Phase.ARRIVED, "", self._judgement)

    def _reach(self, step: int, deployment: Deployment) -> None:
        back_at = deployment.pause.expires_at if deployment.pause else None
        alone = f" Without a word of ours Amazon ECS takes it back at {back_at:%H:%M:%S} UTC." if back_at else ""
        sentence = f"{self._service.id} has {step} % of the traffic on the new version and is judged.{alone}"
        self._happened(Happening.REACHED, sentence, step=step)
        self._telling.stands(deployment, self._now())
        self._telling.tell(Phase.JUDGED, sentence, self._judgement)

    def _start(self, deployment: Deployment) -> None:
        reference = self._numbers.reference_ms(deployment, self._now())
        sentence = f"The first visitors of {self._service.id} meet the new version."
        self._happened(Happening.STARTED, sentence, reference_ms=reference)
        self._telling.tell(Phase.STARTED, sentence, None)

    # --- the numbers -----------------------------------------------------------------------------------------

    def _sample(self, deployment: Deployment) -> None:
        now, started = self._now(), self._memory.started_at
        due = self._sampled_at is None or now - self._sampled_at >= timedelta(seconds=self._policy.sample_seconds)
        if started is None or deployment.weight <= 0 or not due:
            return
        self._sampled_at = now
        before = self._judgement
        stage = max(self._memory.reached.values(), default=started)
        self._judgement = self._numbers.judge(deployment, started, stage, self._memory.reference_ms, now)
        if before is None or before.decision is not self._judgement.decision:
            get_run_logger().info(
                "%s: %s: %s", self._service.id, self._judgement.decision.value, self._judgement.sentence
            )
        self._telling.stands(deployment, stage)
        self._telling.picture(self._judgement, self._stages(started))

    def _stages(self, started: datetime) -> tuple[tuple[float, float], ...]:
        """(seconds since the start, percent) of each step that was reached."""
        reached = sorted(self._memory.reached.items())
        return tuple(((at - started).total_seconds(), float(step)) for step, at in reached)

    def _view(self, weight: float) -> holds.Canary:
        return self._memory.view(self._policy, self._judgement, weight, self._now(), waits=self._waits)

    # --- people ----------------------------------------------------------------------------------------------

    def _hear(self, deployment: Deployment) -> None:
        """What a person said meanwhile is in the ledger."""
        if (answers := self._wave.answers(self._service.id)) != self._heard:
            self._heard = answers
            self._remember_all(deployment.arn)

    def _prepare(self, step: Step, deployment: Deployment) -> None:
        """What must be known before the step is taken."""
        if step.move is not Move.ASK:
            self._wave.withdraw(self._service.id)  # the judge has made up its mind meanwhile
        if step.move is Move.CONTINUE and deployment.weight == 0:
            if self._memory.started_at is None:
                self._start(deployment)
        elif step.move is Move.CONTINUE:
            held = self._view(deployment.weight).held_at(deployment.weight)
            if held is not None:
                self._happened(Happening.CLEARED, step.why, step=held)
                self._telling.tell(Phase.MOVING, step.why, self._judgement)
        elif step.move is Move.STOP and not self._memory.aborted:
            self._happened(Happening.ABORTED, step.why, why=step.why)
            self._telling.tell(Phase.RETURNED, step.why, self._judgement)
        elif step.move is Move.ASK and not self._wave.asks(self._service.id):
            self._ask(step, deployment)

    def _ask(self, step: Step, deployment: Deployment) -> None:
        expires = deployment.pause.expires_at if deployment.pause else self._now() + timedelta(minutes=1)
        self._telling.stands(deployment, None)
        question = Question(
            service=self._service.id,
            deployment=deployment.arn,
            step=self._view(deployment.weight).held_at(deployment.weight) or round(deployment.weight),
            # Prefect takes lower-case letters, digits and dashes.
            key=f"{self._service.id}-{self._memory.questions + 1}-{sha256(deployment.arn.encode()).hexdigest()[:12]}",
            page=self._telling.question(step.why, self._judgement),
            seconds=max((expires - self._now()).total_seconds() - MARGIN_SECONDS, 1.0),
        )
        if self._wave.ask(question, self._heard):
            self._happened(Happening.ASKED, step.why, step=question.step)
            self._telling.tell(Phase.ASKED, step.why, self._judgement)


def _forward(seen: Observation) -> Deployment | None:
    ongoing = seen.ongoing
    ours = ongoing is not None and ongoing.target_task_definition == seen.task_definition
    return ongoing if ours and ongoing and not ongoing.status.going_back else None
