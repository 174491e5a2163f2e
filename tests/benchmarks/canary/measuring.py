"""Every scenario at every rate, by every decider: what is kept of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from rules.canary_arrays import Flags, Floats
from tests.benchmarks.canary import tuning
from tests.benchmarks.canary.ours import judged
from tests.benchmarks.canary.peers import PEERS, polled
from tests.benchmarks.canary.scenarios import END, SCENARIOS, Kind, Scenario
from tests.benchmarks.canary.simulation import Runs, simulate

OURS = "ours"
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Found:
    """What one decider did in the runs of one cell."""

    runs: int
    rolled_back: int
    early: int
    """Of them before anything was wrong."""
    delay: float
    """Median seconds from the onset to the roll-back, to the end where there was none; early ones left out."""
    bad: float
    """Mean bad requests that the canary served until then."""
    at: Floats
    """By run, in seconds; infinity: never."""

    @property
    def missed(self) -> float:
        """Share of the runs that were not rolled back, of those not rolled back early."""
        late = self.runs - self.early
        return (self.runs - self.rolled_back) / late if late else math.nan


@dataclass(frozen=True, slots=True)
class Cell:
    scenario: Scenario
    rate: float
    found: Mapping[str, Found]
    promoted: tuple[int, ...]
    """Runs that the judge let go on, by stage."""
    held: tuple[int, ...]
    tuned: Mapping[str, Floats]
    """When each setting of the peers would have rolled back, by run; empty where it is not compared."""


def cell(name: str, rate: float, runs: int, seed: int) -> Cell:
    """Simulates and judges one scenario at one rate. The same arguments give the same cell."""
    position = [it.name for it in SCENARIOS].index(name)
    scenario = SCENARIOS[position]
    random = np.random.default_rng([seed, position, int(rate)])
    drawn = simulate(scenario, rate, runs, random)
    seen, ours = polled(drawn, random), judged(drawn)
    moments = {peer: rule(seen) for peer, rule in PEERS.items()} | {OURS: ours.at}
    return Cell(
        scenario,
        rate,
        {decider: found(at, drawn) for decider, at in moments.items()},
        tuple(map(int, ours.promoted.sum(axis=0))),
        tuple(map(int, ours.held.sum(axis=0))),
        tuning.moments(seen) if rate in tuning.RATES else {},
    )


def found(at: Floats, runs: Runs) -> Found:
    onset = runs.scenario.onset
    ever: Flags = np.isfinite(at)
    early = ever & (at <= onset)
    delay = np.where(ever, at, END) - onset
    last = np.where(ever, np.ceil(at / runs.tick) - 1, runs.new.n.shape[1] - 1).astype(np.int64)
    bad = np.cumsum(runs.new.bad, axis=1)[np.arange(len(at)), last]
    some = not early.all()
    return Found(
        runs=len(at),
        rolled_back=int(ever.sum()),
        early=int(early.sum()),
        delay=float(np.median(delay[~early])) if some else math.nan,
        bad=float(bad[~early].mean()) if some else math.nan,
        at=at,
    )


def bound(hits: int, runs: int) -> float:
    """The largest chance that `hits` of `runs` do not refute: Clopper and Pearson, one side, 95 %."""
    low, high = hits / runs, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(hits, runs, middle) > 1 - CONFIDENCE else (low, middle)
    return high


def _at_most(hits: int, runs: int, chance: float) -> float:
    if chance >= 1:
        return 1.0 if hits >= runs else 0.0
    ways = (math.lgamma(runs + 1) - math.lgamma(k + 1) - math.lgamma(runs - k + 1) for k in range(hits + 1))
    odds = math.log(chance), math.log1p(-chance)
    return math.fsum(math.exp(way + k * odds[0] + (runs - k) * odds[1]) for k, way in enumerate(ways))


def runs_of(scenario: Scenario, seeds: int) -> int:
    """Rare events need more runs than medians do."""
    return seeds if scenario.kind is Kind.HEALTHY else max(20, seeds // 5)
