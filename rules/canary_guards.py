"""What keeps the scores honest where requests are not independent: incidents, bursts, cold starts.

The scores' promise holds for independent requests. Real errors come in bursts and hit both versions together; without
these guards a judge of this kind rolls back most healthy canaries of a bursty service with much traffic (ADR 9).
Each guard only ever lowers a score, or allows it what it would have had without guards.
"""

import numpy as np
import numpy.typing as npt

from rules.catalogue import JudgePolicy

Floats = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

SIGNIFICANT = 4.77
"""Half of 3.09 squared: what a likelihood ratio's logarithm exceeds with a chance of 1 in 1000."""
BREAKING_BAD = 5
BREAKING_SHARE = 0.5
"""Half of the requests bad, and five of them, is no burst that a service lives with."""


def trailing(values: Floats, ticks: Floats, seconds: float) -> Floats:
    """Sums over the ticks that began within the last `seconds`, this one included: services x ticks."""
    total = np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
    first = np.searchsorted(ticks, ticks - seconds + 1e-9, side="right")
    return total[:, 1:] - total[:, first]


def over(bad: Floats, n: Floats, limit: float) -> Flags:
    """Whether the share of bad requests is significantly (1 in 1000) above the limit."""
    share = np.clip(bad / np.maximum(n, 1e-300), 1e-300, 1 - 1e-16)
    surprise = bad * np.log(share / limit) + (n - bad) * np.log((1 - share) / (1 - limit))
    return (bad >= 2) & (share > limit) & (surprise > SIGNIFICANT)  # noqa: PLR2004  one request proves nothing


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
        self._known = _running((n > 0).astype(np.float64))
        share = np.where(n > 0, bad / np.maximum(n, 1e-300), 0.0)
        self._worst = np.maximum.accumulate(np.concatenate([np.zeros((len(n), 1)), share], axis=1), axis=1)
        self._rate, self._squared_cv = self._moments(np.where(learnt, bad, 0.0), np.where(learnt, n, 0.0), learnt)

    def _moments(self, bad: Floats, n: Floats, learnt: Flags) -> tuple[Floats, Floats]:
        """Mean rate, and its variance between segments beyond chance in squares of the mean, by running sums."""
        count, bads, ns = _running(learnt.astype(np.float64)), _running(bad), _running(n)
        rate = np.where(ns > 0, bads / np.maximum(ns, 1e-300), self._limit)
        spread = _running(bad**2) - 2 * rate * _running(bad * n) + rate**2 * _running(n**2)
        unbiased = spread * count / np.maximum(count - 1, 1)
        expected = rate**2 * _running(n**2)
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
    bad: Floats, n: Floats, old: Floats, limit: float, bursts: Bursts, ticks: Floats, policy: JudgePolicy
) -> Flags:
    """Where one segment is enough: so bad, lately, that no burst of this service explains it.

    `bad`, `n` of the new version and `old`, the old one's share, are trailing ones: services x ticks. Either nothing
    at all works, or half fails, or, when the old version's bursts are known, it is far worse than the worst of them.
    """
    share = bad / np.maximum(n, 1e-300)
    worse = share >= policy.breaking_factor * old
    nothing_works = (bad >= policy.least_bad) & (bad >= n)
    bar = policy.breaking_factor * np.maximum(bursts.worst(ticks), limit)
    bar = np.minimum(np.where(bursts.known(ticks), bar, 1.0), BREAKING_SHARE)
    return worse & (nothing_works | ((bad >= BREAKING_BAD) & (share >= bar)))


def _running(values: Floats) -> Floats:
    """Sums of all columns before each, and of all: one column more than `values`."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1)], axis=1)
