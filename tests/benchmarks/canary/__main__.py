"""`python -m tests.benchmarks.canary`: the benchmark of the judge. See docs/canary-benchmark.md."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.benchmarks.canary import limits, speed, tables, tuning
from tests.benchmarks.canary.goals import Cells, goals
from tests.benchmarks.canary.measuring import Cell, cell, runs_of
from tests.benchmarks.canary.scenarios import RATES, SCENARIOS

PLOTS = Path(".state/bench-canary")
SEEDS, SHORT_SEEDS = 5000, 300


@dataclass(frozen=True, slots=True)
class Task:
    name: str
    rate: float
    runs: int
    seed: int

    def __call__(self) -> Cell:
        return cell(self.name, self.rate, self.runs, self.seed)


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.canary", description=__doc__)
    parser.add_argument("--seeds", type=int, help=f"runs of each healthy cell (default {SEEDS}); others get a fifth")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="requests per second")
    parser.add_argument("--seed", type=int, default=1, help="the first random number's")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--short", action="store_true", help=f"about a minute: {SHORT_SEEDS} runs")
    parser.add_argument("--plots", type=Path, default=PLOTS, help="folder for the two plots (SVG)")
    chosen = parser.parse_args(arguments)
    chosen.seeds = chosen.seeds or (SHORT_SEEDS if chosen.short else SEEDS)
    return chosen


def tasks(seeds: int, rates: Sequence[float], seed: int) -> Iterator[Task]:
    for rate in rates:
        yield from (Task(it.name, rate, runs_of(it, seeds), seed) for it in SCENARIOS)


def run(work: Executor, chosen: argparse.Namespace, say: Callable[[str], None]) -> None:
    runs = runs_of(next(it for it in SCENARIOS if it.onset), chosen.seeds)
    plots = work.submit(_plots, chosen.plots, max(20, runs // 10), chosen.seed)
    rows = work.map(partial(limits.measure, runs=runs, seed=chosen.seed), limits.CASES)
    cells: Cells = {
        (it.scenario.name, it.rate): it
        for it in work.map(Task.__call__, tasks(chosen.seeds, chosen.rates, chosen.seed))
    }
    measured, rows_found = speed.measure(chosen.seed), list(rows)
    for text in (
        tables.false_rollbacks(cells),
        tables.false_by_scenario(cells),
        tables.detection(cells),
        tables.going_on(cells),
        *(tables.tuned(cells, it) for it in tuning.RATES if it in chosen.rates),
        tables.physical_limit(rows_found),
        tables.throughput(measured),
        tables.summary(goals(cells, rows_found, measured)),
    ):
        say(text)
    say("Plots: " + ", ".join(map(str, plots.result())))


def _plots(folder: Path, runs: int, seed: int) -> list[Path]:
    from tests.benchmarks.canary import plots  # matplotlib is slow to import

    return plots.write(folder, runs, seed)


def main(arguments: Sequence[str] | None = None) -> None:
    chosen = options(arguments)
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    with ProcessPoolExecutor(chosen.processes) as work:
        run(work, chosen, say)
    say(f"Seed {chosen.seed}, {chosen.seeds} runs of each healthy cell, {time.monotonic() - began:.0f} s.")


if __name__ == "__main__":
    main()
