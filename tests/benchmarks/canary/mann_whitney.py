"""A Kayenta-style judge: whether a metric's samples are shifted upwards, by ranks, for many runs at once.

Written from the documented behaviour of NetflixACAJudge: the 98 % confidence interval of the Hodges-Lehmann shift (the
median of all differences between a canary sample and a control sample) must lie above a quarter of that shift, and the
canary's mean above the control's. Two groups, errors and latency, weigh 50 each and 75 points are needed, so that one
metric that is High fails the canary, and so does one without any data.

The interval is that of the normal approximation, read from the sorted differences instead of searched for as a root:
exact where many samples are the same number, as error rates of thin traffic are. That is in its favour.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from rules.canary_arrays import Flags, Floats, Whole

Metrics = tuple[Floats, Floats]
"""(error rates, percentiles): runs x samples, NaN where removed."""


@dataclass(frozen=True, slots=True)
class KayentaPolicy:
    tolerance: float = 0.25
    confidence: float = 0.98
    allowed_increase: float = 1.0
    """Of the mean: 1 is no demand."""


def rejects(new: Metrics, control: Metrics, policy: KayentaPolicy) -> Flags:
    """By run whether the canary fails."""
    fails = np.zeros(len(new[0]), dtype=bool)
    for mine, theirs in zip(new, control, strict=True):
        no_data = np.isnan(mine).all(axis=1) | np.isnan(theirs).all(axis=1)
        fails |= no_data
        fails[~no_data] |= high(mine[~no_data], theirs[~no_data], policy)
    return fails


def high(mine: Floats, theirs: Floats, policy: KayentaPolicy) -> Flags:
    """By run whether `mine` is significantly and considerably larger than `theirs`."""
    z = NormalDist().inv_cdf((1 + policy.confidence) / 2)
    low, estimate = shift(mine, theirs, z)
    base = _mean(theirs)
    ratio = np.where(base > 0, _mean(mine) / np.maximum(base, 1e-300), np.inf)
    return (low > policy.tolerance * np.abs(estimate)) & (ratio >= policy.allowed_increase)


def shift(mine: Floats, theirs: Floats, z: float) -> tuple[Floats, Floats]:
    """(lower end of the confidence interval, Hodges-Lehmann estimate)."""
    pairs = mine.shape[1] * theirs.shape[1]
    differences = np.sort((mine[:, :, None] - theirs[:, None, :]).reshape(len(mine), pairs), axis=1)
    m, n = ((~np.isnan(it)).sum(axis=1) for it in (mine, theirs))
    below = np.floor(m * n / 2 - z * np.sqrt(m * n * (m + n + 1) / 12) - 0.5).astype(np.int64)
    low = np.where(below >= 0, _at(differences, np.maximum(below, 0)), -np.inf)
    return low, (_at(differences, (m * n - 1) // 2) + _at(differences, m * n // 2)) / 2


def _at(values: Floats, position: Whole) -> Floats:
    found: Floats = values[np.arange(len(values)), np.minimum(position, values.shape[1] - 1)]
    return found


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    mean: Floats = np.where(known, values, 0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return mean
