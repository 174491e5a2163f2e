"""How long one look takes: 100 services, 15 minutes, and as an aside half an hour of history."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rules.canary import judge
from tests.benchmarks.canary.ours import POLICY, counts_of
from tests.benchmarks.canary.scenarios import END, named
from tests.benchmarks.canary.simulation import simulate

SERVICES = 100
GOAL_MS = 200
TIMES = 5


@dataclass(frozen=True, slots=True)
class Speed:
    ms: float
    """100 services x 180 ticks x 2 versions."""
    with_history_ms: float
    """The same and 360 ticks of history."""
    yardstick_ms: float
    """pandas sums the same rows by service and version, running: what any judge must do first."""


def measure(seed: int) -> Speed:
    runs = simulate(named("clean"), 100, SERVICES, np.random.default_rng(seed))
    every = counts_of(runs, slice(0, SERVICES))
    counts = every[every["t"] >= 0].reset_index(drop=True)
    return Speed(
        _ms(lambda: judge(counts, POLICY, END)), _ms(lambda: judge(every, POLICY, END)), _ms(lambda: _sums(counts))
    )


def _sums(counts: pd.DataFrame) -> pd.DataFrame:
    ordered = counts.sort_values(["service", "arm", "t"])
    return ordered.groupby(["service", "arm"])[["n", "errors", "slow", "slow_ref"]].cumsum()


def _ms(work: Callable[[], object]) -> float:
    """Of the fastest of some, by the processor's clock: other work on the machine only ever adds."""
    spent = []
    for _ in range(TIMES):
        began = time.process_time()
        work()
        spent.append(time.process_time() - began)
    return 1000 * min(spent)
