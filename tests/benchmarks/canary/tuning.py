"""Peers at their best: each rule with many settings, of which the best that is seldom wrong is chosen.

Settings qualify by the first half of the runs (at most 1 % false roll-backs in every healthy scenario) and are
scored by the second half; of those that qualify the best is taken for each scenario by itself, in the peers' favour.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

from rules.canary_arrays import Floats, Whole
from tests.benchmarks.canary.mann_whitney import KayentaPolicy
from tests.benchmarks.canary.peers import Polled, failing, first, kayenta
from tests.benchmarks.canary.scenarios import END, SAMPLE

RATES = (10, 100)
MOST_FALSE = 0.01
COUNTS = range(1, 25)
KAYENTAS = tuple(
    KayentaPolicy(tolerance, confidence, increase)
    for tolerance, confidence, increase in product((0.25, 0.5, 0.75), (0.95, 0.98, 0.995), (1.0, 1.25, 1.5))
)
FAMILIES = ("in a row", "in total", "Kayenta")


@dataclass(frozen=True, slots=True)
class Best:
    """Of one family in one scenario."""

    setting: str
    """Empty: no setting qualifies."""
    detected: float
    delay: float
    """Mean seconds, those not detected counted to the end."""


def moments(seen: Polled) -> dict[str, Floats]:
    """By setting when it rolls back."""
    errors, slow = failing(seen.new)
    wrong = errors | slow
    total: Whole = np.cumsum(wrong, axis=1, dtype=np.int64)
    row: Whole = total - np.maximum.accumulate(np.where(wrong, 0, total), axis=1)
    found = {f"{m} in a row": first(row >= m, SAMPLE) for m in COUNTS}
    found |= {f"{m} in total": first(total >= m, SAMPLE) for m in COUNTS}
    return found | {_name(it): kayenta(seen, seen.control, it) for it in KAYENTAS}


def _name(policy: KayentaPolicy) -> str:
    increase = f", x{policy.allowed_increase:g}" if policy.allowed_increase > 1 else ""
    return f"Kayenta {policy.tolerance:g}, {policy.confidence:.3g}{increase}"


def qualifying(healthy: Iterable[Mapping[str, Floats]]) -> list[str]:
    """Settings that are seldom wrong in every healthy scenario, by the first half of the runs."""
    cells = list(healthy)
    return [name for name in cells[0] if all(_false(it[name]) <= MOST_FALSE for it in cells)]


def _false(at: Floats) -> float:
    return float(np.isfinite(at[: len(at) // 2]).mean())


def best(family: str, qualified: Iterable[str], tuned: Mapping[str, Floats], onset: float) -> Best:
    """The setting that finds most, and of those the soonest, by the second half of the runs."""
    scored = [(name, *score(tuned[name], onset)) for name in qualified if family in name]
    if not scored:
        return Best("", 0.0, END - onset)
    return Best(*max(scored, key=lambda it: (round(it[1], 2), -it[2])))


def score(at: Floats, onset: float) -> tuple[float, float]:
    """(share detected, mean delay in seconds) in the second half of the runs; early ones left out."""
    half = at[len(at) // 2 :]
    half = half[half > onset]
    if not len(half):
        return 0.0, END - onset
    return float(np.isfinite(half).mean()), float((np.minimum(half, END) - onset).mean())
