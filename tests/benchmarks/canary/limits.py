"""How many requests the judge needs, beside how many any judge needs.

A test that is wrong with a chance of `alpha` at most, and surely right in the end, needs on average at least
ln(1 / alpha) / KL requests, KL being what one request tells about the truth against the limit (Wald 1945).
"""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rules.canary import Decision, judge
from rules.canary_running import Question
from tests.benchmarks.canary.latencies import below
from tests.benchmarks.canary.ours import POLICY, counts_of
from tests.benchmarks.canary.scenarios import TICK, Course, Kind, Scenario, Version
from tests.benchmarks.canary.simulation import LIMIT_MS, simulate

RATE, SHARE = 100, 0.1
FINE = 0.2
"""Ticks of about two requests: what the judge itself needs, without the grain of the ticks."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    version: Version
    question: Question
    truth: float
    end: float
    """So many seconds are simulated by ticks of 5 s ..."""
    fine_end: float
    """... and so many by fine ones; 0: too long for that."""


@dataclass(frozen=True, slots=True)
class Price:
    """Mean canary requests to a roll-back; NaN where a run of a hundred, or more, had none."""

    judge: float
    """By whichever question spoke first."""
    alone: float
    """By the question about the limit alone."""


@dataclass(frozen=True, slots=True)
class Row:
    case: Case
    floor: float
    ticks: Price
    fine: Price | None


def _errors(rate: float, end: float, fine_end: float) -> Case:
    return Case(f"{rate * 100:.3g} % errors", Version(errors=Course(rate)), Question.ERRORS, rate, end, fine_end)


def _slow(p95: float, end: float, fine_end: float) -> Case:
    truth = float(1 - below(LIMIT_MS, np.array([p95]))[0])
    version = Version(p95=Course(p95))
    return Case(f"p95 {p95:g} ms ({truth * 100:.1f} % slow)", version, Question.SLOW, truth, end, fine_end)


CASES = (
    _errors(0.012, 14_400, 0),
    _errors(0.02, 1800, 1200),
    _errors(0.052, 600, 180),
    _errors(0.2, 300, 60),
    _errors(1.0, 300, 60),
    _slow(550, 1500, 0),
    _slow(700, 600, 240),
    _slow(900, 600, 120),
)


def floor_of(case: Case) -> float:
    limit = POLICY.max_slow_share if case.question.about_slowness else POLICY.max_error_rate
    return math.log(1 / POLICY.alpha) / divergence(case.truth, limit)


def divergence(truth: float, limit: float) -> float:
    """What one request tells on average, in nats."""
    told = truth * math.log(truth / limit)
    return told if truth >= 1 else told + (1 - truth) * math.log((1 - truth) / (1 - limit))


def measure(case: Case, runs: int, seed: int, *, fine: bool = True) -> Row:
    """`fine`: with fine ticks too, where the case allows them."""
    random = np.random.default_rng([seed, CASES.index(case)])
    ticks = _price(case, runs, random, TICK, case.end)
    finely = _price(case, runs, random, FINE, case.fine_end) if fine and case.fine_end else None
    return Row(case, floor_of(case), ticks, finely)


def _price(case: Case, runs: int, random: np.random.Generator, tick: float, end: float) -> Price:
    """In portions: fine ticks are many."""
    portion = max(1, round(200_000 / (end / tick)))
    sizes = [min(portion, runs - begin) for begin in range(0, runs, portion)]
    verdicts = [_verdicts(case, size, random, tick, end) for size in sizes]
    first = [it.sort_values("at_s").groupby("service")["n_canary"].first() for it in verdicts]
    alone = [it[it["test"] == case.question.value]["n_canary"] for it in verdicts]
    return Price(_mean(first, runs), _mean(alone, runs))


def _verdicts(case: Case, runs: int, random: np.random.Generator, tick: float, end: float) -> pd.DataFrame:
    scenario = Scenario(case.name, Kind.BAD, "", case.version)
    drawn = simulate(scenario, RATE, runs, random, tick=tick, end=end, share=SHARE)
    verdicts = judge(counts_of(drawn, slice(0, runs), end), POLICY, end)
    return verdicts[verdicts["verdict"] == Decision.ROLL_BACK]


def _mean(portions: list[pd.Series], runs: int) -> float:
    found = pd.concat(portions)
    return float(found.mean()) if len(found) >= 0.99 * runs else math.nan
