"""What keeps the scores honest where requests are not independent: incidents, bursts, cold starts.

The scores' promise holds for independent requests. Real errors come in bursts and hit both versions together; without
these guards a judge of this kind rolls back most healthy canaries of a bursty service with much traffic (ADR 9).
Each guard only ever lowers a score, or allows it what it would have had without guards.
"""

import numpy as np

from rules.canary_arrays import Flags, Floats, Whole, share, sums_before
from rules.catalogue import JudgePolicy

SIGNIFICANT = 4.77
"""Half of 3.09 squared: what a likelihood ratio's logarithm exceeds with a chance of 1 in 1000."""
BREAKING_BAD = 4
BREAKING_SHARE = 0.5
"""Half of the requests bad, and four of them, is no burst that a service lives with."""


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
    """While the old version itself is over its limit (this tick, or lately) a limit says nothing about the new one."""
    lately = over(trailing(bad, ticks, seconds), trailing(n, ticks, seconds), limit)
    return over(bad, n, limit) | lately


def warming_up(n: Floats, ticks: Floats, seconds: float) -> Flags:
    """Ticks that begin less than `seconds` after that of the new version's first request."""
    begun = np.where((n > 0).any(axis=1), ticks[np.argmax(n > 0, axis=1)] if ticks.size else 0.0, np.inf)
    return ticks < (begun + seconds)[:, None]


class Bursts:
    """How bursty the old version is known to be before each tick, learnt from its segments that had ended by then.

    Segments before the canary all count. Of those beside it an incident does not: there it is the mask's business.
    Before `history_segments` are known, the policy's `burstiness` stands in for those that are missing.
    """

    def __init__(self, bad: Floats, n: Floats, segments: Whole, limit: float, policy: JudgePolicy) -> None:
        """`bad`, `n`: services x segments of the old version."""
        self._limit, self._policy, self._segments = limit, policy, segments
        incident = over(bad, n, limit) & (segments >= 0)
        learnt = (n > 0) & ~incident
        self._known = sums_before((n > 0).astype(np.float64))
        rates = np.concatenate([np.zeros((len(n), 1)), share(bad, n)], axis=1)
        self._worst = np.maximum.accumulate(rates, axis=1)
        self._rate, self._squared_cv = self._moments(np.where(learnt, bad, 0.0), np.where(learnt, n, 0.0), learnt)

    def _moments(self, bad: Floats, n: Floats, learnt: Flags) -> tuple[Floats, Floats]:
        """Mean rate, and its variance between segments beyond chance in squares of the mean, by running sums."""
        count, bads, ns = sums_before(learnt.astype(np.float64)), sums_before(bad), sums_before(n)
        rate = share(bads, ns, otherwise=self._limit)
        spread = sums_before(bad**2) - 2 * rate * sums_before(bad * n) + rate**2 * sums_before(n**2)
        unbiased = spread * count / np.maximum(count - 1, 1)
        expected = rate**2 * sums_before(n**2)
        beyond = np.maximum(unbiased - rate * ns, 0.0) / np.where(expected > 0, expected, np.inf)
        missing = np.maximum(self._policy.history_segments - count, 0.0)
        return rate, (missing * self._policy.burstiness + count * beyond) / np.maximum(count + missing, 1.0)

    def _before(self, ticks: Floats) -> Whole:
        """How many of the segments had ended when the segment of each tick began."""
        current = np.floor(ticks / self._policy.segment_seconds)
        return np.searchsorted(self._segments, current).astype(np.int64)

    def temper(self, requests: Floats, ticks: Floats) -> Floats:
        """What to divide evidence by: the variance of a segment's bad requests in times of that by chance alone.

        `requests`: how many of them share one burst, extrapolated to a segment: services x ticks.
        """
        at = self._before(ticks)
        return 1.0 + self._squared_cv[:, at] * self._rate[:, at] * requests

    def known(self, ticks: Floats) -> Flags:
        return self._known[:, self._before(ticks)] >= self._policy.history_segments

    def worst(self, ticks: Floats) -> Floats:
        """The largest share of bad requests that any segment of the old version had."""
        return self._worst[:, self._before(ticks)]


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
