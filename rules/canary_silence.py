"""Silence: no request of the canary is known for a while although there should be some. It is never health."""

import numpy as np

from rules.canary_arrays import Floats
from rules.canary_counts import Grid
from rules.catalogue import JudgePolicy

LATELY_SECONDS = 300.0
EXPECTED = 7.0
"""So many requests missed are no chance: where 7 are expected none comes once in 1100 times."""


def silent_since(grid: Grid, until: float, policy: JudgePolicy) -> Floats:
    """By service since when it has been silent, in seconds since the canary started; NaN where it is not.

    Silent is who had no request for `silence_seconds` before `until`, and whose own traffic of the last five minutes
    would have made at least 7 in that time: thin traffic has gaps. Who never had a request is silent from 0 on.
    """
    served = grid.new.n > 0
    ever = served.any(axis=1)
    last = served.shape[1] - 1 - np.argmax(served[:, ::-1], axis=1) if grid.ticks.size else np.zeros(len(served), int)
    heard = np.where(ever, grid.ticks[last] + grid.width, 0.0) if grid.ticks.size else np.zeros(len(served))
    gap = np.maximum(until - heard, 0.0)
    expected = np.where(ever, _rate(grid, heard, policy.silence_seconds) * gap, np.inf)
    return np.where((gap >= policy.silence_seconds) & (expected >= EXPECTED), heard, np.nan)


def _rate(grid: Grid, heard: Floats, least_seconds: float) -> Floats:
    """The canary's own requests per second in the five minutes before it was last heard.

    A first request or two, soon after the start, are not read as heavy traffic: hence the least length.
    """
    lately = grid.ticks >= (heard - LATELY_SECONDS)[:, None]
    requests = np.where(lately, grid.new.n, 0.0).sum(axis=1)
    rate: Floats = requests / np.clip(heard, least_seconds, max(LATELY_SECONDS, least_seconds))
    return rate
