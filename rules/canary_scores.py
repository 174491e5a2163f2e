"""Running scores: how much likelier are these counts if the new version is worse than if it is not.

Each score is a likelihood ratio against "not worse", mixed over how much worse it may be (`SIZES`, `RATIOS`) and
since when (`start_weights`). If the new version is not worse, the chance that such a score ever passes a line of
400 is at most 1 in 400, however often one looks (Ville's inequality). ADR 9 has the derivation.
"""

import numpy as np

from rules.canary_arrays import TINY, Floats, Whole, share

SIZES = (1.25, 1.7, 2.5, 4.5, 9.0, 20.0, 60.0)
"""Times the limit. As few as leave nothing between two neighbours more than about a tenth slower to find."""
RATIOS = (1.15, 1.35, 1.7, 2.4, 4.0, 8.0, 25.0)
"""Times the tolerated ratio to the old version."""
LIKELIEST = 0.99
"""No size supposes that more than this share is bad: one good request would refute it for ever."""
FIRST_STARTS = 30
"""Segments over which the first half of the later starts' budget is spread: 15 minutes of 30 s."""


def start_weights(segments: Whole) -> Floats:
    """Prior weight of "worse since the beginning of this segment" for increasing segment numbers of data.

    Half of the budget is on segment 0. The other half is spread: half of it over the next 30 segments, half of the
    rest over the following 60, and so on, so that it never runs out. Segments without data hand theirs to the next.
    """
    if not segments.size:
        return np.zeros(0)
    until = np.arange(int(segments[-1]) + 1)
    block = np.floor(np.log2(np.maximum(until - 1, 0) / FIRST_STARTS + 1))
    weight = np.where(until == 0, 0.5, 0.25 / FIRST_STARTS / 4.0**block)
    summed = np.cumsum(weight)[segments]
    return np.diff(summed, prepend=0.0)


def against_limit(bad: Floats, n: Floats, limit: float) -> Floats:
    """Log likelihood ratio of each cell for each size: services x ticks x sizes. `bad` and `n` may be tempered."""
    worse = np.unique(np.minimum(limit * np.array(SIZES), LIKELIEST))
    hit, miss = np.log(worse / limit), np.log((1 - worse) / (1 - limit))
    factors: Floats = bad[..., None] * hit + (n - bad)[..., None] * miss
    return factors


def against_old(bad: tuple[Floats, Floats], n: tuple[Floats, Floats], tolerance: float, temper: Floats) -> Floats:
    """As `against_limit`, (new, old): each bad request is a coin that shows which version it came from.

    Where one of the versions had no request there is nothing to compare, and the score stands still.
    """
    both = (n[0] > 0) & (n[1] > 0)
    seen_by_new = np.where(both, share(n[0], n[0] + n[1]), 0.0)
    ratios = tolerance * np.array(RATIOS)
    weight = np.where(both, 1.0 / temper, 0.0)
    new, every = bad[0] * weight, (bad[0] + bad[1]) * weight
    expected = np.log1p((ratios - 1) * seen_by_new[..., None]) - np.log1p((tolerance - 1) * seen_by_new)[..., None]
    factors: Floats = new[..., None] * np.log(RATIOS) - every[..., None] * expected
    return factors


def scores(factors: Floats, segment_of: Whole, weights: Floats, most: float) -> Floats:
    """Natural log of the running mixture: services x ticks.

    `segment_of` is each tick's position among the segments with data, `weights` their starts' weights; one segment
    gives a component at most `most` (infinity: no cap), which only ever lowers a score that is too good. The budget
    of the starts yet to come stands at 1, so that a score begins at 0.
    """
    services, ticks, sizes = factors.shape
    if not ticks:
        return np.zeros((services, 0))
    running = np.cumsum(factors, axis=1)
    begins = np.searchsorted(segment_of, np.arange(len(weights)))
    before = np.where((begins > 0)[:, None], running[:, begins - 1], 0.0)
    closed = np.zeros_like(before)
    closed[:, 1:] = np.cumsum(np.minimum(np.diff(before, axis=1), most), axis=1)
    started = np.logaddexp.accumulate(np.log(weights)[:, None] - closed, axis=1)
    within = np.minimum(running - before[:, segment_of], most)
    mixed = (closed + started)[:, segment_of] + within
    not_yet = np.log(np.maximum(1 - np.cumsum(weights), TINY))[segment_of]
    score: Floats = np.logaddexp(log_sum(mixed) - np.log(sizes), not_yet)
    return score


def log_sum(values: Floats) -> Floats:
    """log(sum(exp(values))) over the last axis."""
    top = values.max(axis=-1)
    total: Floats = top + np.log(np.exp(values - top[..., None]).sum(axis=-1))
    return total
