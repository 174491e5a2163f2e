"""What a canary must know of its own past, from the ledger: so a run that takes over a dead one goes on as it would.

Each thing that happens is written down first and remembered from what was written, in a live run as in the next.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from rules.catalogue import CanaryPolicy
from rules.holds import Canary
from rules.judgements import Judgement
from rules.records import EventKind, Record


class Happening(StrEnum):
    STARTED = "started"
    """The first visitors are sent to the new version."""
    REACHED = "reached"
    """A step of the policy has its share of the traffic."""
    CLEARED = "cleared"
    """It may go on from a step."""
    ASKED = "asked"
    ANSWERED = "answered"
    ABORTED = "aborted"


class Answer(StrEnum):
    """What a person may say of a canary that the judge cannot decide. The default of every form is to abort."""

    ABORT = "abort"
    EXTEND = "extend"
    PROMOTE = "promote"


@dataclass(frozen=True, slots=True)
class Said:
    step: int
    answer: Answer
    at: datetime


@dataclass(frozen=True, slots=True)
class Memory:
    """One canary's past. `deployment` is its ARN or id: another deployment of the service has another past."""

    service: str
    deployment: str
    started_at: datetime | None = None
    reference_ms: float | None = None
    """The old version's own p95 before the start, against which both are measured."""
    reached: Mapping[int, datetime] = field(default_factory=dict)
    cleared: frozenset[int] = frozenset()
    answers: tuple[Said, ...] = ()
    questions: int = 0
    aborted: str = ""

    def view(
        self, policy: CanaryPolicy, judgement: Judgement | None, weight: float, now: datetime, *, waits: bool = True
    ) -> Canary:
        """What the rules of the next step are told. `waits`: see `Canary`."""
        view = Canary(policy, waits, judgement, self.cleared, aborted=self.aborted)
        step = view.held_at(weight) or round(weight)
        extended = [it.at for it in self.answers if it.step == step and it.answer is Answer.EXTEND]
        return replace(
            view,
            held_minutes=_minutes(self.reached.get(step, now), now),
            granted=len(extended),
            excused_minutes=_minutes(max(extended), now) if extended else None,
            trusted=any(it.step == step and it.answer is Answer.PROMOTE for it in self.answers),
            trusted_before=self._said(Answer.PROMOTE),
        )

    def _said(self, answer: Answer) -> bool:
        return any(it.answer is answer for it in self.answers)


def recall(records: Iterable[Record], service: str, deployment: str) -> Memory:
    """The past of one canary from the ledger's records, in their order."""
    memory = Memory(service, deployment)
    for record in records:
        memory = remember(memory, record)
    return memory


def remember(memory: Memory, record: Record) -> Memory:
    """The memory with one record more. Records of other deployments, and of other kinds, change nothing."""
    details = record.event.details
    if record.event.kind is not EventKind.ROLLOUT_OBSERVED or details.get("deployment") != memory.deployment:
        return memory
    return _with(memory, Happening(details["happened"]), details, record.at)


def _with(memory: Memory, happened: Happening, details: Mapping[str, Any], at: datetime) -> Memory:
    match happened:
        case Happening.STARTED:
            reference = memory.reference_ms if memory.started_at else details.get("reference_ms")
            return replace(memory, started_at=memory.started_at or at, reference_ms=reference)
        case Happening.REACHED:
            return replace(memory, reached={details["step"]: at, **memory.reached})
        case Happening.CLEARED:
            return replace(memory, cleared=memory.cleared | {details["step"]})
        case Happening.ASKED:
            return replace(memory, questions=memory.questions + 1)
        case Happening.ANSWERED:
            said = Said(details["step"], Answer(details["answer"]), at)
            return replace(memory, answers=(*memory.answers, said))
        case Happening.ABORTED:
            return replace(memory, aborted=memory.aborted or details["why"])


def _minutes(since: datetime, now: datetime) -> float:
    return (now - since).total_seconds() / 60
