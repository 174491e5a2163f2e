"""Roll-outs of one scenario, many at once: counts by tick, drawn exactly in law.

Requests arrive by a Poisson law, each fails with the version's rate and has a lognormal latency, independently. So
counts need not be made from requests: they are binomial, and percentiles of samples are order statistics.
"""

from dataclasses import dataclass

import numpy as np

from rules.canary_arrays import Flags, Floats, Whole
from tests.benchmarks.canary.latencies import below, percentiles
from tests.benchmarks.canary.scenarios import END, HISTORY, SAMPLE, STAGES, TICK, Scenario, Version

LIMIT_MS = 500.0


@dataclass(frozen=True, slots=True)
class Arm:
    """One version in all runs: runs x ticks."""

    t: Floats
    """Beginning of each tick, in seconds since the canary started."""
    n: Whole
    errors: Whole
    slow: Whole
    slow_ref: Whole
    bad: Whole
    """Failed, slow or both."""
    seen: Flags
    """The tick's numbers arrive at whoever judges."""
    p95: Floats
    """Of the latency law, by tick."""


@dataclass(frozen=True, slots=True)
class Runs:
    scenario: Scenario
    tick: float
    new: Arm
    old: Arm
    past: Arm
    """The old version before the canary."""

    def __len__(self) -> int:
        return len(self.new.n)


@dataclass(frozen=True, slots=True)
class Samples:
    """What a poll sees of one version: runs x samples. NaN: no data."""

    n: Whole
    errors: Whole
    slow: Whole
    p95: Floats

    @property
    def error_rate(self) -> Floats:
        return np.where(self.n > 0, self.errors / np.maximum(self.n, 1), np.nan)


def shares(t: Floats) -> Floats:
    """The canary's share of the traffic."""
    share = np.zeros(len(t))
    for begin, end, part in STAGES:
        share[(t >= begin) & (t < end)] = part
    return share


def simulate(
    scenario: Scenario,
    rate: float,
    runs: int,
    random: np.random.Generator,
    *,
    tick: float = TICK,
    end: float = END,
    share: float | None = None,
) -> Runs:
    """`runs` roll-outs with `rate` requests per second of both versions together.

    `share`: of the canary, all the time, instead of the stages.
    """
    draw = _Draw(scenario, runs, random)
    t, before = np.arange(0, end, tick, dtype=np.float64), np.arange(-HISTORY, 0, TICK, dtype=np.float64)
    mean = rate * tick * (1 + scenario.swing * np.sin(2 * np.pi * t / END))
    past_n = draw.requests(np.full_like(before, rate * TICK))
    reference = draw.reference(past_n)
    past = draw.arm(scenario.old, before, TICK, past_n, reference)
    part = shares(t) if share is None else np.full(len(t), share)
    new_n, old_n = draw.requests(mean * part * draw.speaking(t)), draw.requests(mean * (1 - part))
    blip = draw.blip(t)
    hits_old = scenario.blip is not None and scenario.blip.both
    new = draw.arm(scenario.new, t, tick, new_n, reference, blip=blip)
    old = draw.arm(scenario.old, t, tick, old_n, reference, blip=blip if hits_old else None)
    return Runs(scenario, tick, new, old, past)


@dataclass(frozen=True, slots=True)
class _Draw:
    scenario: Scenario
    runs: int
    random: np.random.Generator

    def requests(self, mean: Floats) -> Whole:
        return self.random.poisson(np.broadcast_to(mean, (self.runs, mean.shape[-1])))

    def reference(self, past_n: Whole) -> Floats:
        """By run the old version's p95 in ms as measured before the canary: itself a random number."""
        n = past_n.sum(axis=1)
        law = np.full((1, 1), self.scenario.old.p95.before)
        return percentiles(self.random, n[:, None], np.zeros_like(n[:, None]), np.inf, law)

    def blip(self, t: Floats) -> Flags | None:
        if self.scenario.blip is None:
            return None
        begin = self.random.choice(t[t < self.scenario.blip.before], (self.runs, 1))
        return (t >= begin) & (t < begin + SAMPLE)

    def speaking(self, t: Floats) -> Flags:
        if not self.scenario.silent:
            return np.ones((self.runs, len(t)), dtype=bool)
        from_start = self.random.random((self.runs, 1)) < 0.5
        return t < np.where(from_start, 0, self.random.uniform(0, 200, (self.runs, 1)))

    def rates(self, version: Version, middle: Floats) -> Floats:
        """Chance that a request fails: runs x ticks."""
        rates = np.broadcast_to(version.errors.at(middle), (self.runs, len(middle)))
        if not self.scenario.bursty:
            return rates
        segment = np.floor(middle / SAMPLE).astype(np.int64)
        segment -= segment.min()
        bursts = self.random.gamma(1, 1, (self.runs, int(segment.max()) + 1))
        return np.minimum(rates * bursts[:, segment], 1.0)

    def seen(self, t: Floats) -> Flags:
        sample = np.floor(t / SAMPLE).astype(np.int64)
        sample -= sample.min()
        arrives = self.random.random((self.runs, int(sample.max()) + 1)) >= self.scenario.lost
        return arrives[:, sample]

    def arm(
        self, version: Version, t: Floats, tick: float, n: Whole, reference: Floats, *, blip: Flags | None = None
    ) -> Arm:
        """Counts of one version in the ticks that begin at `t`."""
        middle = t + tick / 2
        rates = self.rates(version, middle)
        if blip is not None and self.scenario.blip is not None:
            rates = np.where(blip, self.scenario.blip.errors, rates)
        p95 = version.p95.at(middle)
        above, above_ref = 1 - below(LIMIT_MS, p95), 1 - below(reference, p95)
        errors = self.random.binomial(n, rates)
        failed_slowly = self.random.binomial(errors, above)
        fine_but_slow = self.random.binomial(n - errors, above)
        slow = failed_slowly + fine_but_slow
        slow_ref = self._slow_ref(n, slow, np.broadcast_to(above, above_ref.shape), above_ref)
        return Arm(t, n, errors, slow, slow_ref, errors + fine_but_slow, self.seen(t), p95)

    def _slow_ref(self, n: Whole, slow: Whole, above: Floats, above_ref: Floats) -> Whole:
        """Slower than the reference, given how many are slower than the limit."""
        lower = above_ref >= above
        outside = np.where(lower, n - slow, slow)
        chance = np.where(lower, (above_ref - above) / np.maximum(1 - above, 1e-12), above_ref / above)
        drawn = self.random.binomial(outside, np.clip(chance, 0, 1))
        return np.where(lower, slow + drawn, drawn)


def samples(arm: Arm, seconds: int, tick: float, random: np.random.Generator) -> Samples:
    """Sums over windows of `seconds`, of the ticks that were seen, with the 95th percentile of each window."""
    per = round(seconds / tick)
    shape = (len(arm.n), -1, per)
    n, errors, slow = (np.where(arm.seen, it, 0).reshape(shape).sum(axis=2) for it in (arm.n, arm.errors, arm.slow))
    return Samples(n, errors, slow, percentiles(random, n, slow, LIMIT_MS, arm.p95.reshape(-1, per)))


def thinned(of: Samples, part: Floats, laws: Floats, random: np.random.Generator) -> Samples:
    """A random `part` (by sample) of the requests: a control group as large as the canary.

    `laws`: the p95 of the latency law by sample.
    """
    n = random.binomial(of.n, part)
    errors = random.hypergeometric(of.errors, of.n - of.errors, n)
    slow = random.hypergeometric(of.slow, of.n - of.slow, n)
    return Samples(n, errors, slow, percentiles(random, n, slow, LIMIT_MS, laws[:, None]))
