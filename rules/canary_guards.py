"""What keeps the scores honest where requests are not independent: incidents, bursts, cold starts.

The scores' promise holds for independent requests. Real errors come in bursts and hit both versions together; without
these guards a judge of this kind rolls back most healthy canaries of a bursty service with much traffic (ADR 9).
Each guard only ever lowers a score, or allows it what it would have had without guards.
"""

from dataclasses import dataclass

import numpy as np

from rules.canary_arrays import Flags, Floats, Whole, share, sums_before
from rules.catalogue import JudgePolicy

SIGNIFICANT = 4.77
"""Half of 3.09 squared: what a likelihood ratio's logarithm exceeds with a chance of 1 in 1000."""
BREAKING_BAD = 4
BREAKING_SHARE = 0.5
"""Half of the requests bad, and four of them, is no burst that a service lives with."""
INCIDENT_PARTS = (1 / 6, 1 / 3, 1.0)
WINDOWS = (1, 2, 4)
"""Bursts are looked for in windows of so many segments: one that lasts two minutes is small in each half minute."""
LEAST_WINDOWS = 8
"""Fewer windows than this tell nothing about how windows differ."""


def trailing(values: Floats, ticks: Floats, seconds: float) -> Floats:
    """Sums over the ticks that began within the last `seconds`, this one included: services x ticks."""
    total = sums_before(values)
    first = np.searchsorted(ticks, ticks - seconds + 1e-9, side="right")
    return total[:, 1:] - total[:, first]


def over(bad: Floats, n: Floats, limit: float) -> Flags:
    """Whether the share of bad requests is significantly (1 in 1000) above the limit."""
    rate = np.clip(share(bad, n), 1e-300, 1 - 1e-16)
    surprise = bad * np.log(rate / limit) + (n - bad) * np.log((1 - rate) / (1 - limit))
    return (bad > 1) & (rate > limit) & (surprise > SIGNIFICANT)


def shared_incident(bad: Floats, n: Floats, limit: float, ticks: Floats, seconds: float) -> Flags:
    """While the old version itself is over its limit a limit says nothing about the new one.

    Looked for in this tick and in the last sixth, third and whole of a segment: what is sudden shows in the short
    ones, what is slight in the long ones.
    """
    incident = over(bad, n, limit)
    for part in INCIDENT_PARTS:
        lately = [trailing(it, ticks, seconds * part) for it in (bad, n)]
        incident |= over(lately[0], lately[1], limit)
    return incident


def warming_up(n: Floats, ticks: Floats, seconds: float) -> Flags:
    """Ticks that begin less than `seconds` after that of the new version's first request."""
    begun = np.where((n > 0).any(axis=1), ticks[np.argmax(n > 0, axis=1)] if ticks.size else 0.0, np.inf)
    return ticks < (begun + seconds)[:, None]


@dataclass(frozen=True, slots=True)
class Spread:
    """How the old version's bad rate varied between windows of `length` segments, after each number of windows."""

    length: int
    windows: Whole
    rate: Floats
    """Mean: services x (windows + 1)."""
    squared_cv: Floats
    """Variance beyond chance, in squares of the mean."""

    def excess(self, requests: Floats, segment: Whole) -> Floats:
        """Variance of the bad ones of `requests` a segment, beyond chance, in times of that by chance.

        Known from the windows that had ended when `segment` (by tick) began.
        """
        at = np.searchsorted((self.windows + 1) * self.length, segment, side="right")
        return self.squared_cv[:, at] * self.rate[:, at] * requests * self.length


class Bursts:
    """How bursty the old version is known to be before each tick, learnt from its segments that had ended by then.

    Segments before the canary all count. Of those beside it an incident does not: there it is the mask's business.
    Before `history_segments` are known, the policy's `burstiness` stands in for those that are missing. Bursts longer
    than a segment show only in longer windows, which need a longer history.
    """

    def __init__(self, bad: Floats, n: Floats, segments: Whole, limit: float, policy: JudgePolicy) -> None:
        """`bad`, `n`: services x segments of the old version; `segments`: their numbers."""
        self._policy, self._segments = policy, segments
        self._known = sums_before((n > 0).astype(np.float64))
        rates = np.concatenate([np.zeros((len(n), 1)), share(bad, n)], axis=1)
        self._worst = np.maximum.accumulate(rates, axis=1)
        learnt = ~(over(bad, n, limit) & (segments >= 0))
        bad, n = np.where(learnt, bad, 0.0), np.where(learnt, n, 0.0)
        self._spreads = [_spread(bad, n, segments, length, limit, policy=policy) for length in WINDOWS]

    def _segment(self, ticks: Floats) -> Whole:
        return np.floor(ticks / self._policy.segment_seconds).astype(np.int64)

    def temper(self, requests: Floats, ticks: Floats) -> Floats:
        """What to divide evidence by: the variance of a burst's bad requests in times of that by chance alone.

        `requests`: how many of a segment one burst hits together: services x ticks.
        """
        segment = self._segment(ticks)
        excess = [it.excess(requests, segment) for it in self._spreads]
        tempers: Floats = 1.0 + np.max(excess, axis=0)
        return tempers

    def known(self, ticks: Floats) -> Flags:
        known: Flags = self._known[:, self._before(ticks)] >= self._policy.history_segments
        return known

    def worst(self, ticks: Floats) -> Floats:
        """The largest share of bad requests that any segment of the old version had."""
        return self._worst[:, self._before(ticks)]

    def _before(self, ticks: Floats) -> Whole:
        """How many of the segments had ended when the segment of each tick began."""
        return np.searchsorted(self._segments, self._segment(ticks)).astype(np.int64)


def _spread(bad: Floats, n: Floats, segments: Whole, length: int, limit: float, *, policy: JudgePolicy) -> Spread:
    """Moments by running sums. Single segments that are missing are assumed; too few longer windows say nothing."""
    windows, first = np.unique(segments // length, return_index=True)
    if len(windows):
        bad, n = np.add.reduceat(bad, first, axis=1), np.add.reduceat(n, first, axis=1)
    count = sums_before((n > 0).astype(np.float64))
    rate = share(sums_before(bad), sums_before(n), otherwise=limit)
    squares = sums_before(n**2)
    spread = sums_before(bad**2) - 2 * rate * sums_before(bad * n) + rate**2 * squares
    beyond = spread * count / np.maximum(count - 1, 1) - rate * sums_before(n)
    squared_cv = np.maximum(share(beyond, rate**2 * squares), 0.0)
    if length == 1:
        missing = np.maximum(policy.history_segments - count, 0.0)
        squared_cv = (missing * policy.burstiness + count * squared_cv) / np.maximum(count + missing, 1.0)
    else:
        squared_cv = np.where(count >= LEAST_WINDOWS, squared_cv, 0.0)
    return Spread(length, windows, rate, squared_cv)


def breaking(
    lately: tuple[Floats, Floats], old: Floats, limit: float, *, bursts: Bursts, ticks: Floats, policy: JudgePolicy
) -> Flags:
    """Where one segment is enough: so bad, lately, that no burst of this service explains it.

    `lately`: bad requests and all requests of the new version in the last segment's length; `old`: the old one's
    share in that time. Either nothing at all works, or half fails, or, when the old version's bursts are known, it is
    far worse than the worst of them.
    """
    bad, n = lately
    rate = share(bad, n)
    worse = rate >= policy.breaking_factor * old
    nothing_works = (bad >= policy.least_bad) & (bad >= n)
    bar = policy.breaking_factor * np.maximum(bursts.worst(ticks), limit)
    bar = np.minimum(np.where(bursts.known(ticks), bar, 1.0), BREAKING_SHARE)
    return worse & (nothing_works | ((bad >= BREAKING_BAD) & (rate >= bar)))
