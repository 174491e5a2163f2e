"""One canary while it runs: its numbers read and judged, its past written down, people asked and told.

What moves traffic forward is in the ledger before it is done. What takes it back is done even if the ledger does not
answer: that is remembered here, and written down as soon as it can be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from prefect import get_run_logger

from rules import holds
from rules.canary_memory import Happening, Memory, recall, remember
from rules.canary_pages import Phase
from rules.catalogue import RolloutPolicy
from rules.errors import Outage
from rules.judgements import Judgement
from rules.plans import Plan
from rules.records import Record, chain
from rules.rollouts import Deployment, DeploymentStatus, Move, Observation, Step
from rules.vocabulary import Controller, Service
from tasks.canary_numbers import Numbers, Times
from tasks.canary_records import event_of, observed
from tasks.promotions import Promotion
from tasks.telling_canaries import Moment, Telling
from tasks.waves import Question, Wave

ALL = 100.0
MARGIN_SECONDS = 20.0
"""An answer must arrive so long before ECS takes the traffic back by itself."""
FORWARD = {Happening.STARTED, Happening.CLEARED}


@dataclass(frozen=True, slots=True)
class Debt:
    """What happened and is not in the ledger yet."""

    happened: Happening
    sentence: str
    details: dict[str, Any]


class Canary:
    """Judges every look at a deployment that goes by canary. Leave it when the roll-out has ended."""

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
        self._version = plan.release.version
        self._heard = wave.answers(service.id)
        self._begin("")

    def _begin(self, deployment: str) -> None:
        """Nothing of what was known of another deployment is true of this one."""
        catalogue = self._promotion.catalogue
        self._numbers = Numbers(self._promotion.target, self._service, catalogue.judge)
        self._telling = Telling(self._promotion, self._version, self._service, self._numbers.source.words)
        self._memory = Memory(self._service.id, deployment)
        self._judgement: Judgement | None = None
        self._sampled_at: datetime | None = None
        self._answered: tuple[float, str] | None = None
        self._debts: list[Debt] = []
        self._told: set[Phase] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._telling.close()

    def __call__(self, seen: Observation, policy: RolloutPolicy) -> Step:
        """The next step, as `rules.rollouts.next_step` gives it for blue-green."""
        forward = _forward(seen)
        if forward is None:
            self._notice_return(seen)
            return holds.next_step_of_canary(seen, policy, self._view(0.0))
        self._take_over(forward)
        self._notice(forward)
        if beside := self._wave.failed_beside(self._service.id):
            self._abort(beside)
        self._sample(forward)
        self._hear()  # last, so that a word spoken while the numbers were read counts
        step = self._not_twice(holds.next_step_of_canary(seen, policy, self._view(forward.weight)), forward)
        self._prepare(step, forward)
        return step

    # --- the past --------------------------------------------------------------------------------------------

    def _take_over(self, deployment: Deployment) -> None:
        if self._memory.deployment != deployment.arn:
            past = self._recalled(deployment.arn)
            self._telling.close()
            self._begin(deployment.arn)
            self._memory = past
        self._pay_debts()

    def _recalled(self, deployment: str) -> Memory:
        memory = recall(self._promotion.application.ledger.records(), self._service.id, deployment)
        for debt in self._debts:
            memory = remember(memory, self._provisional(debt))
        return memory

    def _provisional(self, debt: Debt) -> Record:
        of = (self._service.id, self._memory.deployment)
        event = event_of(self._promotion, self._plan_hash, of, debt.happened, debt.sentence, **debt.details)
        return chain(None, event, self._now())

    def _happened(self, happened: Happening, sentence: str, **details: Any) -> None:
        """In the ledger and in mind. Only what moves traffic forward must be in the ledger first."""
        of = (self._service.id, self._memory.deployment)
        try:
            record = observed(self._promotion, self._plan_hash, of, happened, sentence, **details)
        except Outage:
            if happened in FORWARD:
                raise
            self._debts.append(Debt(happened, sentence, details))
            record = self._provisional(self._debts[-1])
        self._memory = remember(self._memory, record)

    def _pay_debts(self) -> None:
        of = (self._service.id, self._memory.deployment)
        while self._debts:
            debt = self._debts[0]
            try:
                observed(self._promotion, self._plan_hash, of, debt.happened, debt.sentence, **debt.details)
            except Outage:
                return
            self._debts.pop(0)

    def _abort(self, why: str) -> None:
        if not self._memory.aborted:
            self._happened(Happening.ABORTED, why, why=why)

    # --- what is seen ----------------------------------------------------------------------------------------

    def _notice(self, deployment: Deployment) -> None:
        """Writes down which steps the traffic has reached."""
        if deployment.weight > 0 and self._memory.started_at is None:
            self._start(deployment)
        for step in self._policy.steps:
            # At the step itself only when ECS waits there, so that the record can say until when.
            here = deployment.weight > step or deployment.pause is not None or not self._waits
            if step <= deployment.weight and step not in self._memory.reached and here:
                self._reach(step, deployment)
        if deployment.weight >= ALL:
            self._telling.stands(deployment, None)
            self._tell_once(Phase.ARRIVED, "")

    def _start(self, deployment: Deployment) -> None:
        reference = self._numbers.reference_ms(deployment, self._now())
        sentence = f"The first visitors of {self._service.id} meet the new version."
        self._happened(Happening.STARTED, sentence, reference_ms=reference)
        self._telling.tell(Phase.STARTED, sentence, self._moment())

    def _reach(self, step: int, deployment: Deployment) -> None:
        back_at = deployment.pause.expires_at if deployment.pause else None
        who = "the next run that looks" if self._service.controller is Controller.LISTENER else "Amazon ECS"
        alone = f" Without a word of ours {who} takes it back at {back_at:%H:%M:%S} UTC." if back_at else ""
        sentence = f"{self._service.id} has {step} % of the traffic on the new version and is judged.{alone}"
        self._happened(Happening.REACHED, sentence, step=step)
        self._telling.stands(deployment, self._now())
        self._telling.tell(Phase.JUDGED, sentence, self._moment())

    def _notice_return(self, seen: Observation) -> None:
        """Whoever takes it back, people hear of it once: the judge, a person, an alarm, a neighbour, its time."""
        ended = seen.followed
        if ended and ended.arn == self._memory.deployment and ended.status is not DeploymentStatus.SUCCESSFUL:
            self._wave.withdraw(self._service.id)
            self._tell_once(Phase.RETURNED, self._memory.aborted or ended.reason)

    def _not_twice(self, step: Step, deployment: Deployment) -> Step:
        """A new pause at the weight at which we have answered one is a weight that lags behind."""
        if step.move is not Move.CONTINUE or deployment.pause is None:
            return step
        here = (deployment.weight, deployment.pause.hook)
        if self._answered and self._answered[0] == here[0] and self._answered != here:
            return Step(Move.WAIT, f"{self._service.id}: more than {step.weight:g} % is on its way", step.weight)
        self._answered = here
        return step

    # --- the numbers -----------------------------------------------------------------------------------------

    def _sample(self, deployment: Deployment) -> None:
        now, started = self._now(), self._memory.started_at
        due = self._sampled_at is None or now - self._sampled_at >= timedelta(seconds=self._policy.sample_seconds)
        if started is None or deployment.weight <= 0 or not due:
            return
        self._sampled_at = now
        reached = self._memory.reached.values()
        times = Times(started, max(reached, default=started), min(reached, default=now))
        before = self._judgement
        self._judgement = self._numbers.judge(deployment, times, self._memory.reference_ms, now)
        if before is None or before.decision is not self._judgement.decision:
            logger, told = get_run_logger(), self._judgement
            logger.info("%s: %s: %s", self._service.id, told.decision.value, told.sentence)
        self._telling.stands(deployment, times.stage, asked=self._wave.asks(self._service.id))
        self._telling.picture(self._moment())

    def _moment(self) -> Moment:
        started = self._memory.started_at
        stages = [((at - started).total_seconds(), float(step)) for step, at in self._memory.reached.items() if started]
        return Moment(self._telling.standing, self._judgement, self._numbers.reading, sorted(stages))

    def _view(self, weight: float) -> holds.Canary:
        return self._memory.view(self._policy, self._judgement, weight, self._now(), waits=self._waits)

    # --- people ----------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        """What a person said meanwhile is in the ledger."""
        if (answers := self._wave.answers(self._service.id)) != self._heard:
            self._memory = self._recalled(self._memory.deployment)
            self._heard = answers

    def _prepare(self, step: Step, deployment: Deployment) -> None:
        """What must be known before the step is taken. Of what is only due nothing is decided."""
        if step.move is not Move.ASK:
            self._wave.withdraw(self._service.id)  # the judge has made up its mind meanwhile
        if step.move is Move.CONTINUE and deployment.due:
            return
        if step.move is Move.CONTINUE and self._memory.started_at is None:
            self._start(deployment)
        elif step.move is Move.CONTINUE and (held := self._view(deployment.weight).held_at(deployment.weight)):
            self._happened(Happening.CLEARED, step.why, step=held)
            self._telling.tell(Phase.MOVING, step.why, self._moment())
        elif step.move is Move.STOP:
            self._abort(step.why)
            self._tell_once(Phase.RETURNED, step.why)
        elif step.move is Move.ASK and not self._wave.asks(self._service.id):
            self._ask(step, deployment)

    def _ask(self, step: Step, deployment: Deployment) -> None:
        if deployment.pause is None:
            return
        until = deployment.pause.expires_at - timedelta(seconds=MARGIN_SECONDS)
        self._telling.stands(deployment, None)
        question = Question(
            service=self._service.id,
            deployment=deployment.arn,
            step=self._view(deployment.weight).held_at(deployment.weight) or round(deployment.weight),
            # Never one that was used before: Prefect would give the old answer to it.
            key=f"{self._service.id}-{uuid4().hex}",
            page=self._telling.question(step.why, self._moment(), until),
            until=until,
        )
        if self._wave.ask(question, self._heard):
            self._happened(Happening.ASKED, step.why, step=question.step)
            self._telling.tell(Phase.ASKED, step.why, self._moment())

    def _tell_once(self, phase: Phase, why: str) -> None:
        if phase not in self._told:
            self._told.add(phase)
            self._telling.tell(phase, why, self._moment())


def _forward(seen: Observation) -> Deployment | None:
    ongoing = seen.ongoing
    ours = ongoing is not None and ongoing.target_task_definition == seen.task_definition
    return ongoing if ours and ongoing and not ongoing.status.going_back else None
