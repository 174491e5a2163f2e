"""What happens to a canary, written down. A live run and the next one remember it from here."""

from typing import Any

from rules.canary_memory import Answer, Happening
from rules.records import EventKind, Record
from tasks.promotions import Promotion
from tasks.records import write
from tasks.waves import Question


def observed(
    promotion: Promotion,
    plan_hash: str,
    of: tuple[str, str],
    happened: Happening,
    sentence: str,
    /,
    **details: Any,
) -> Record:
    """`of`: the service and its deployment."""
    service, deployment = of
    return write(
        promotion.application.ledger,
        EventKind.ROLLOUT_OBSERVED,
        promotion.target.environment.name,
        sentence,
        plan_hash,
        service=service,
        deployment=deployment,
        happened=happened,
        **details,
    )


def said(promotion: Promotion, plan_hash: str, question: Question, answer: Answer, comment: str) -> None:
    """A person's word, and what follows from it."""
    of, words = (question.service, question.deployment), f": {comment}" if comment else ""
    sentence = f"{question.service} at {question.step} %: a person said {answer.value}{words}."
    details = {"step": question.step, "answer": answer, "comment": comment}
    observed(promotion, plan_hash, of, Happening.ANSWERED, sentence, **details)
    if answer is Answer.ABORT:
        observed(promotion, plan_hash, of, Happening.ABORTED, sentence, why=sentence)
