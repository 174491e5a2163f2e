"""Verdicts as sentences that a release manager understands, numbers in requests and percent."""

import math
from collections.abc import Mapping
from typing import Any

from rules.canary_running import Question
from rules.catalogue import JudgePolicy
from rules.judgements import Decision

Row = Mapping[Any, Any]
Rows = Mapping[Question, Row]
"""The verdicts of one service."""


def sentence(decision: Decision, rows: Rows, question: Question, policy: JudgePolicy) -> str:
    """`question`: the one that decided, where one did."""
    if decision is Decision.HOLD:
        return _silent(rows[question], policy)
    if decision is Decision.ROLL_BACK:
        said, do = f"{_found(rows[question], question, policy)} {_odds(question, policy)}", " Roll back."
    elif decision is Decision.PROMOTE:
        said, do = f"{_seen(rows, policy)} {_refuted(policy)}", " It may go on."
    elif rows[Question.ERRORS]["n_canary"] <= 0:
        return _seen(rows, policy)
    else:
        said, do = f"{_seen(rows, policy)} {_too_few(rows, policy)}", ""
    return said + _left_out(rows[question], question, policy) + _alone(rows) + do


def _found(row: Row, question: Question, policy: JudgePolicy) -> str:
    told = f"Of {_number(row['n_canary'])} canary requests {_number(row['bad_canary'])} {_bad(question, policy)}"
    if question.to_old:
        told += f", of {_number(row['n_old'])} of the old version at the same time {_number(row['bad_old'])}"
    return told + ";"


def _bad(question: Question, policy: JudgePolicy) -> str:
    if question is Question.SLOW:
        return f"took longer than {policy.slow_ms:g} ms"
    return "were slower than the old version's 95th percentile" if question.about_slowness else "failed"


def _odds(question: Question, policy: JudgePolicy) -> str:
    once = f"would look this bad in fewer than 1 of {len(Question) / policy.alpha:g} roll-outs."
    if question is Question.ERRORS:
        return f"a version within its {_percent(policy.max_error_rate)} budget {once}"
    if question is Question.SLOW:
        return f"a version of which at most {_percent(policy.max_slow_share)} are that slow {once}"
    if question is Question.ERRORS_TO_OLD:
        return f"a version that fails at most {policy.error_tolerance:g} times as often as the old one {once}"
    return f"a version that is slow at most {policy.slow_tolerance:g} times as often as the old one {once}"


def _silent(row: Row, policy: JudgePolicy) -> str:
    if row["at_s"] > 0:
        since = f"No canary request has been seen since {row['at_s']:g} s after its start"
    else:
        since = "Not one canary request has been seen"
    return (
        f"{since}, for {policy.silence_seconds:g} s or longer. Silence is not health: held. "
        "See whether the new version runs and gets traffic, and whether the metrics arrive."
    )


def _seen(rows: Rows, policy: JudgePolicy) -> str:
    errors, slow = rows[Question.ERRORS], rows[Question.SLOW]
    if errors["n_canary"] <= 0:
        return "No canary request has been counted yet."
    told = f"Of {_number(errors['n_canary'])} canary requests {_number(errors['bad_canary'])} failed"
    if slow["n_canary"] <= 0:
        return f"{told}; none yet counts for slowness."
    return f"{told}; of {_number(slow['n_canary'])} {_number(slow['bad_canary'])} {_bad(Question.SLOW, policy)}."


def _refuted(policy: JudgePolicy) -> str:
    times, chance = policy.promote_factor, _percent(1 - policy.promote_alpha)
    errors, slow = _percent(times * policy.max_error_rate), _percent(times * policy.max_slow_share)
    return (
        f"Fewer than {errors} failures and {slow} slow ones are shown with {chance} certainty; nothing points to worse."
    )


def _too_few(rows: Rows, policy: JudgePolicy) -> str:
    parts = [
        _visible(rows[Question.ERRORS]["visible"], "failures"),
        _visible(rows[Question.SLOW]["visible"], "slow requests"),
    ]
    return (
        f"Too little to show that it stays within {policy.promote_factor:g} times its limits. "
        f"What could have been found with so few: {', '.join(parts)}."
    )


def _visible(rate: float, what: str) -> str:
    return f"no rate of {what} at all" if math.isnan(rate) else f"{what} from {_percent(rate)} on"


def _left_out(row: Row, question: Question, policy: JudgePolicy) -> str:
    if row["left_out"] and question is Question.ERRORS:
        return f" Not counted: {row['left_out']:g} ticks in which the old version itself was over its limit."
    if row["left_out"] and question.about_slowness:
        return f" Not counted: its first {policy.warm_up_seconds:g} s, and what hit both versions."
    return ""


def _alone(rows: Rows) -> str:
    if any(it["n_old"] > 0 for it in rows.values()):
        return ""
    return " The old version had no requests beside it: judged by the limits alone."


def _number(value: float) -> str:
    """A count as it is read: whole, thousands apart by a narrow gap that does not break."""
    if value == 0:
        return "none"
    return f"{round(value):,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
