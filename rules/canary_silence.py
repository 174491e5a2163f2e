"""Silence: no request of the canary is known for a while although there should be some. It is never health."""

import numpy as np

from rules.canary_arrays import Flags, Floats
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
    gap = until - heard
    expected = np.where(ever, _rate(grid, heard, served) * gap, np.inf)
    return np.where((gap >= policy.silence_seconds) & (expected >= EXPECTED), heard, np.nan)


def _rate(grid: Grid, heard: Floats, served: Flags) -> Floats:
    """The canary's own requests per second in the five minutes before it was last heard."""
    if not grid.ticks.size:
        return np.zeros(len(heard))
    lately = grid.ticks >= (heard - LATELY_SECONDS)[:, None]
    first = np.where(served & lately, grid.ticks, np.inf).min(axis=1)
    requests = np.where(lately, grid.new.n, 0.0).sum(axis=1)
    rate: Floats = requests / np.maximum(heard - first, grid.width)
    return rate
