"""What happens to a canary, written down. A live run and the next one remember it from here."""

from typing import Any

from rules.canary_memory import Answer, Happening
from rules.messages import cut
from rules.records import Event, EventKind, Record
from tasks.promotions import Promotion
from tasks.waves import Question

COMMENT = 500
"""Characters of what a person wrote."""


def event_of(
    promotion: Promotion,
    plan_hash: str,
    of: tuple[str, str],
    happened: Happening,
    sentence: str,
    /,
    **details: Any,
) -> Event:
    """`of`: the service and its deployment."""
    service, deployment = of
    more = {"service": service, "deployment": deployment, "happened": happened, **details}
    environment = promotion.target.environment.name
    return Event(promotion.run_id, plan_hash, environment, EventKind.ROLLOUT_OBSERVED, sentence, more)


def observed(
    promotion: Promotion,
    plan_hash: str,
    of: tuple[str, str],
    happened: Happening,
    sentence: str,
    /,
    **details: Any,
) -> Record:
    """As `event_of`, in the ledger."""
    return promotion.application.ledger.append(event_of(promotion, plan_hash, of, happened, sentence, **details))


def said(promotion: Promotion, plan_hash: str, question: Question, answer: Answer, comment: str) -> None:
    """A person's word, and what follows from it."""
    words = f": {cut(comment, COMMENT)}" if comment else ""
    sentence = f"{question.service} at {question.step} %: a person said {answer.value}{words}."
    _answered(promotion, plan_hash, question, answer, sentence)


def unanswered(promotion: Promotion, plan_hash: str, question: Question) -> None:
    """Nobody's word is to abort."""
    sentence = f"{question.service} at {question.step} %: nobody answered until {question.until:%H:%M:%S} UTC."
    _answered(promotion, plan_hash, question, Answer.ABORT, sentence)


def _answered(promotion: Promotion, plan_hash: str, question: Question, answer: Answer, sentence: str) -> None:
    of = (question.service, question.deployment)
    observed(promotion, plan_hash, of, Happening.ANSWERED, sentence, step=question.step, answer=answer)
    if answer is Answer.ABORT:
        observed(promotion, plan_hash, of, Happening.ABORTED, sentence, why=sentence)
