"""Exact chances and bands of a share, without a statistics library: whole arrays at once."""

import numpy as np

from rules.canary_arrays import TINY, Floats, share

BAND_ALPHA = 0.05
"""A band that is never left by the true rate, at any time, in 95 % of roll-outs. It decides nothing."""
HALVINGS = 50
LEAST_FOR_SERIES = 8
"""From here on four terms of Stirling's series are exact to about 1e-12."""
CLOSE_ENOUGH = 1e-13
"""The last factor of the continued fraction differs from 1 by less."""


def log_gamma(x: Floats) -> Floats:
    """Logarithm of Gamma(x) for x > 0 to about 1e-12: shifted above 8, then Stirling's series."""
    shift = np.zeros_like(x)
    for _ in range(LEAST_FOR_SERIES):
        small = x < LEAST_FOR_SERIES
        shift = shift - np.where(small, np.log(np.maximum(x, TINY)), 0.0)
        x = np.where(small, x + 1, x)
    series = 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5) - 1 / (1680 * x**7)
    result: Floats = shift + (x - 0.5) * np.log(x) - x + 0.5 * np.log(2 * np.pi) + series
    return result


def at_most(bad: Floats, n: Floats, rate: float) -> Floats:
    """Chance of at most `bad` bad requests out of `n` when each is bad with chance `rate` (binomial; 1 if n is 0)."""
    good = np.maximum(n - bad, TINY)
    chance = _incomplete_beta(good, bad + 1.0, 1.0 - rate)
    return np.where(n - bad <= 0, 1.0, chance)


def _incomplete_beta(a: Floats, b: Floats, x: float) -> Floats:
    """Regularised incomplete beta function by its continued fraction, from the side where that converges fast."""
    front = log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * np.log(x) + b * np.log1p(-x)
    near = x < (a + 1) / (a + b + 2)
    p, q, at = np.where(near, a, b), np.where(near, b, a), np.where(near, x, 1 - x)
    tail = np.exp(front) * _fraction(p, q, at) / p
    chance: Floats = np.where(near, tail, 1 - tail)
    return chance


def _fraction(a: Floats, b: Floats, x: Floats) -> Floats:
    """The continued fraction of the incomplete beta function (Lentz's method)."""
    c = np.ones_like(a)
    d = 1 / _away(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, 300):
        for factor in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1 / _away(1 + factor * d)
            c = _away(1 + factor / c)
            total = total * d * c
        if np.all(np.abs(d * c - 1) < CLOSE_ENOUGH):
            break
    return total


def _away(value: Floats) -> Floats:
    return np.where(np.abs(value) < TINY, TINY, value)


def band(bad: Floats, n: Floats) -> tuple[Floats, Floats]:
    """The rates that `bad` of `n` do not refute, however often one looks: (low, high), (0, 1) without requests.

    All rates against which a mixture of all rates (Jeffreys' prior) has not reached 20:1, found by halving.
    """
    half = np.full_like(n, 0.5)
    mixed = log_gamma(bad + half) + log_gamma(n - bad + half) - log_gamma(n + 1) - np.log(np.pi)
    line = mixed - np.log(1 / BAND_ALPHA)
    rate = share(bad, n, otherwise=0.5)
    low = _edge(bad, n, line, rate, np.zeros_like(n))
    high = _edge(bad, n, line, rate, np.ones_like(n))
    return np.where(bad > 0, low, 0.0), np.where(bad < n, high, 1.0)


def _edge(bad: Floats, n: Floats, line: Floats, inside: Floats, outside: Floats) -> Floats:
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        fits = bad * np.log(np.maximum(middle, TINY)) + (n - bad) * np.log(np.maximum(1 - middle, TINY)) > line
        inside, outside = np.where(fits, middle, inside), np.where(fits, outside, middle)
    return inside


def visible(n: Floats, limit: float, nats: float) -> Floats:
    """The smallest share above `limit` that `n` requests are expected to show by `nats`; NaN where none is."""
    low, high = np.full_like(n, limit), np.ones_like(n)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        seen = n * _divergence(middle, limit) >= nats
        low, high = np.where(seen, low, middle), np.where(seen, middle, high)
    return np.where(n * _divergence(np.ones_like(n), limit) >= nats, high, np.nan)


def _divergence(rate: Floats, limit: float) -> Floats:
    """Nats that one request tells on average if the truth is `rate` and the limit is supposed."""
    other = np.maximum(1 - rate, TINY)
    result: Floats = rate * np.log(rate / limit) + other * np.log(other / (1 - limit))
    return result
