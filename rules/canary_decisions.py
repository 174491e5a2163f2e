"""From the four verdicts of a service to one decision and one sentence."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from rules.canary_running import Question
from rules.canary_words import sentence
from rules.catalogue import JudgePolicy
from rules.judgements import Decision, Judgement

__all__ = ["Decision", "Judgement", "fold"]

Rows = Mapping[Question, Mapping[Any, Any]]
"""The verdicts of one service."""


def fold(verdicts: pd.DataFrame, policy: JudgePolicy | None = None) -> dict[str, Judgement]:
    """One judgement per service. One ROLL_BACK suffices, the earliest speaks; then HOLD; both limits must PROMOTE.

    A comparison that could not be made (no old version beside it) does not hold a canary back, but is said.
    """
    by_service: dict[str, dict[Question, Mapping[Any, Any]]] = {}
    for row in verdicts.to_dict("records"):
        by_service.setdefault(row["service"], {})[Question(row["test"])] = row
    return {service: _judgement(service, rows, policy or JudgePolicy()) for service, rows in by_service.items()}


def _judgement(service: str, rows: Rows, policy: JudgePolicy) -> Judgement:
    decision = _decision(rows)
    question = _speaks(rows) if decision is Decision.ROLL_BACK else Question.ERRORS
    row = rows[question]
    return Judgement(
        service=service,
        decision=decision,
        sentence=sentence(decision, rows, question, policy),
        at_s=float(row["at_s"]),
        test=question.value if decision is Decision.ROLL_BACK else "",
        n_canary=float(row["n_canary"]),
        bad_canary=float(row["bad_canary"]),
        evidence=max(float(it["evidence"]) for it in rows.values()),
        compared=any(it["n_old"] > 0 for it in rows.values()),
    )


def _decision(rows: Rows) -> Decision:
    said = {it["verdict"] for it in rows.values()}
    for decision in (Decision.ROLL_BACK, Decision.HOLD):
        if decision in said:
            return decision
    limits = {rows[it]["verdict"] for it in Question if not it.to_old}
    return Decision.PROMOTE if limits == {Decision.PROMOTE} else Decision.NOT_ENOUGH_DATA


def _speaks(rows: Rows) -> Question:
    """The question that passed the line first; of several at once the one with the strongest evidence."""
    passed = [it for it in Question if rows[it]["verdict"] == Decision.ROLL_BACK]
    return min(passed, key=lambda it: (rows[it]["at_s"], -rows[it]["evidence"]))
