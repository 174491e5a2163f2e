"""Verdicts as sentences that a release manager understands, numbers in requests and percent."""

from collections.abc import Mapping
from typing import Any

from rules.catalogue import JudgePolicy

Rows = Mapping[Any, Mapping[Any, Any]]
"""The verdicts' rows of one service by question."""


def sentence(decision: str, rows: Rows, test: str, policy: JudgePolicy) -> str:
    """`test`: the question that decided."""
    row = rows[test]
    if decision == "roll_back":
        return f"{_found(row, test, policy)} {_odds(test, policy)} Roll back.{_alone(rows)}"
    if decision == "hold":
        return _silent(row, policy)
    if decision == "promote":
        return f"{_seen(rows, policy)} {_refuted(policy)} It may go on.{_alone(rows)}"
    return f"{_seen(rows, policy)} {_too_few(rows, policy)}{_alone(rows)}"


def _found(row: Mapping[Any, Any], test: str, policy: JudgePolicy) -> str:
    what = _bad(test, policy)
    told = f"Of {_number(row['n_canary'])} canary requests {_number(row['bad_canary'])} {what}"
    if test.endswith("_to_old"):
        told += f", of {_number(row['n_old'])} of the old version beside it {_number(row['bad_old'])}"
    return told + ";"


def _bad(test: str, policy: JudgePolicy) -> str:
    if test == "slow":
        return f"took longer than {policy.slow_ms:g} ms"
    return "failed" if test.startswith("errors") else "were slower than the old version's 95th percentile"


def _odds(test: str, policy: JudgePolicy) -> str:
    one_of = f"would look this bad in fewer than 1 of {4 / policy.alpha:g} roll-outs."
    if test == "errors":
        return f"a version within its {_percent(policy.max_error_rate)} budget {one_of}"
    if test == "slow":
        return f"a version of which at most {_percent(policy.max_slow_share)} are that slow {one_of}"
    times = policy.error_tolerance if test == "errors_to_old" else policy.slow_tolerance
    return f"a version at most {times:g} times as bad as the old one {one_of}"


def _silent(row: Mapping[Any, Any], policy: JudgePolicy) -> str:
    if row["at_s"] > 0:
        since = f"No canary request has been seen since {row['at_s']:g} s after its start"
    else:
        since = "Not one canary request has been seen"
    return (
        f"{since}, for {policy.silence_seconds:g} s or longer. Silence is not health: held. "
        "See whether the new version runs and gets traffic, and whether the metrics arrive."
    )


def _seen(rows: Rows, policy: JudgePolicy) -> str:
    errors, slow = rows["errors"], rows["slow"]
    told = f"Of {_number(errors['n_canary'])} canary requests {_number(errors['bad_canary'])} failed"
    if slow["n_canary"] <= 0:
        return f"{told}; none yet counts for slowness."
    return f"{told}; of {_number(slow['n_canary'])} {_number(slow['bad_canary'])} {_bad('slow', policy)}."


def _refuted(policy: JudgePolicy) -> str:
    times, chance = policy.promote_factor, _percent(1 - policy.promote_alpha)
    errors, slow = _percent(times * policy.max_error_rate), _percent(times * policy.max_slow_share)
    return (
        f"Fewer than {errors} failures and {slow} slow ones are shown with {chance} certainty; nothing points to worse."
    )


def _too_few(rows: Rows, policy: JudgePolicy) -> str:
    parts = [_visible(rows["errors"]["visible"], "failures"), _visible(rows["slow"]["visible"], "slow requests")]
    return (
        f"Too little to show that it stays within {policy.promote_factor:g} times its limits. "
        f"What could have been found with so few: {', '.join(parts)}."
    )


def _visible(rate: float, what: str) -> str:
    return f"no rate of {what} at all" if rate != rate else f"{what} from {_percent(rate)} on"  # noqa: PLR0124  NaN


def _alone(rows: Rows) -> str:
    if any(row["n_old"] > 0 for row in rows.values()):
        return ""
    return " The old version had no requests beside it: judged by the limits alone."


def _number(value: float) -> str:
    return f"{round(value):,}".replace(",", " ") if value >= 1 or value == 0 else f"{value:.2g}"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
