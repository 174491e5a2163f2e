"""Latency laws, and percentiles of samples drawn exactly in law without drawing every request."""

import math

import numpy as np

from rules.canary_arrays import Flags, Floats, Whole
from tests.benchmarks.canary.scenarios import SIGMA

Z = np.linspace(-8, 8, 16_001)
NORMAL = np.array([0.5 * math.erfc(-z / math.sqrt(2)) for z in Z])
Z95 = 1.6448536269514722
LOG_MS = np.linspace(math.log(5), math.log(60_000), 6_000)
PERCENTILE = 0.95


def normal(z: Floats) -> Floats:
    """The normal law's distribution function, to about 1e-8."""
    return np.asarray(np.interp(z, Z, NORMAL), dtype=np.float64)


def below(ms: Floats | float, p95: Floats) -> Floats:
    """Share of the requests faster than `ms` when their 95th percentile is `p95`."""
    return normal((np.log(ms) - np.log(p95)) / SIGMA + Z95)


def rank_of(n: Whole) -> Whole:
    """Which of `n` ordered latencies is their 95th percentile: the nearest rank."""
    rank: Whole = np.ceil(PERCENTILE * n - 1e-9).astype(np.int64)
    return rank


def order_statistic(random: np.random.Generator, k: Whole, n: Whole) -> Floats:
    """The k-th smallest of n uniform numbers: Beta(k, n - k + 1)."""
    return random.beta(np.maximum(k, 1), np.maximum(n - k + 1, 1))


def percentiles(random: np.random.Generator, n: Whole, slow: Whole, limit_ms: float, laws: Floats) -> Floats:
    """95th percentiles in ms of samples (runs x samples) of which `slow` of `n` requests are known to exceed
    `limit_ms`; NaN where there is no request.

    `laws` holds the p95 of the latency law in each of a sample's ticks (samples x ticks). The requests of a sample
    are independent draws from the mixture of these laws, so the wanted order statistic is a beta variate: of those
    below the limit, or of those above it.
    """
    result = np.full(n.shape, np.nan)
    for column, p95s in enumerate(laws):
        law = _distribution(p95s)
        at_limit = float(np.interp(np.log(limit_ms), LOG_MS, law))
        rank = _ranks(random, n[:, column], slow[:, column], at_limit)
        result[:, column] = np.exp(np.interp(rank, law, LOG_MS))
    result[n == 0] = np.nan
    return result


def _distribution(p95s: Floats) -> Floats:
    """At `LOG_MS`, of the mixture of laws. Most laws stay: those that are the same are reckoned once."""
    different, times = np.unique(p95s, return_counts=True)
    each = below(np.exp(LOG_MS)[:, None], different)
    result: Floats = each @ (times / times.sum())
    return result


def _ranks(random: np.random.Generator, n: Whole, slow: Whole, at_limit: float) -> Floats:
    """Where in the law the 95th percentile lies, 0 to 1, given how many requests are above the limit."""
    fast, k = n - slow, rank_of(n)
    is_fast: Flags = k <= fast
    within = np.where(is_fast, fast, slow)
    drawn = order_statistic(random, np.where(is_fast, k, k - fast), within)
    return np.where(is_fast, drawn * at_limit, at_limit + drawn * (1 - at_limit))
