"""From the four verdicts of a service to one decision and one sentence."""

import numpy as np
import pandas as pd

from rules.canary_words import sentence
from rules.catalogue import JudgePolicy
from rules.judgements import Decision, Judgement

__all__ = ["Decision", "Judgement", "fold"]


def fold(verdicts: pd.DataFrame, policy: JudgePolicy | None = None) -> dict[str, Judgement]:
    """One judgement per service. One ROLL_BACK suffices, the earliest speaks; then HOLD; both limits must PROMOTE.

    A comparison that could not be made (no old version beside it) does not hold a canary back, but is said.
    """
    policy = policy or JudgePolicy()
    return {str(name): _judgement(str(name), rows, policy) for name, rows in verdicts.groupby("service", sort=True)}


def _judgement(service: str, rows: pd.DataFrame, policy: JudgePolicy) -> Judgement:
    decision = _decision(rows)
    row = _speaks(rows, decision)
    compared = bool((rows["n_old"] > 0).any())
    return Judgement(
        service=service,
        decision=decision,
        sentence=sentence(decision.value, rows.set_index("test").to_dict("index"), str(row["test"]), policy),
        at_s=float(row["at_s"]),
        test=str(row["test"]) if decision is Decision.ROLL_BACK else "",
        n_canary=float(row["n_canary"]),
        bad_canary=float(row["bad_canary"]),
        evidence=float(rows["evidence"].max()),
        compared=compared,
    )


def _decision(rows: pd.DataFrame) -> Decision:
    said = set(rows["verdict"])
    limits = set(rows.loc[~rows["test"].str.endswith("_to_old"), "verdict"])
    for decision in (Decision.ROLL_BACK, Decision.HOLD):
        if decision in said:
            return decision
    return Decision.PROMOTE if limits == {Decision.PROMOTE} else Decision.NOT_ENOUGH_DATA


def _speaks(rows: pd.DataFrame, decision: Decision) -> "pd.Series[object]":
    """The verdict that the sentence is about: the earliest, and of these the strongest."""
    same = rows[rows["verdict"] == decision]
    if decision is Decision.ROLL_BACK:
        return same.sort_values(["at_s", "evidence"], ascending=[True, False], kind="stable").iloc[0]
    limits = same[~same["test"].str.endswith("_to_old")]
    return limits.iloc[int(np.argmax(limits["test"] == "errors"))]
