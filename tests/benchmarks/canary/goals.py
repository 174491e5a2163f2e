"""What the judge was asked to reach, and what it did reach in this run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.canary.limits import Row
from tests.benchmarks.canary.measuring import OURS, Cell, Found, bound
from tests.benchmarks.canary.peers import PEERS
from tests.benchmarks.canary.scenarios import Kind
from tests.benchmarks.canary.speed import GOAL_MS, Speed

Cells = Mapping[tuple[str, float], Cell]
BREAKING = ("E+5%", "E100%", "Lx3", "leak_err", "leak_lat", "late_E+5%")
RATIO_CASES = ("2 % errors", "5.2 % errors", "20 % errors")
MOST_RATIO = 2.0


@dataclass(frozen=True, slots=True)
class Goal:
    what: str
    target: str
    reached: str
    met: bool
    peer: str = ""
    """The best of the others, by the same measure."""


def goals(cells: Cells, rows: Sequence[Row], speed: Speed) -> list[Goal]:
    found = [
        *_false(cells),
        *_misses(cells),
        *_within(cells, "E100%", 5, rates=[it for it in (10, 100, 1000) if ("E100%", it) in cells]),
        *_within(cells, "E+5%", 40, most_bad=25),
        *_within(cells, "Lx3", 70),
        *_within(cells, "L+50%", 75, least=0.99),
        *_within(cells, "E+5%_missing50", 80, least=0.99),
        *_silent(cells),
        *(_ratio(it) for it in rows if it.case.name in RATIO_CASES),
    ]
    judged = Goal("100 services x 180 ticks", f"<= {GOAL_MS} ms", f"{speed.ms:.0f} ms", speed.ms <= GOAL_MS)
    return [*found, judged]


def _false(cells: Cells) -> Iterable[Goal]:
    healthy = [it for it in cells.values() if it.scenario.kind is Kind.HEALTHY]
    for rate in sorted({it.rate for it in healthy}):
        of_rate = [it for it in healthy if it.rate == rate]
        worst = max(of_rate, key=lambda it: it.found[OURS].rolled_back / it.found[OURS].runs)
        ours = worst.found[OURS]
        peers = {name: max(_share(it.found[name]) for it in of_rate) for name in PEERS}
        best = min(peers, key=lambda it: peers[it])
        upper = bound(ours.rolled_back, ours.runs)
        reached = f"{ours.rolled_back}/{ours.runs} ({worst.scenario.name}), at most {upper:.2%} with 95 % confidence"
        yield Goal(f"false roll-back, worst, {rate:g} rps", "<= 1 %", reached, upper <= 0.01, _peer(best, peers[best]))


def _share(found: Found) -> float:
    return found.rolled_back / found.runs


def _peer(name: str, share: float) -> str:
    return f"{name}: {share:.1%}"


def _misses(cells: Cells) -> Iterable[Goal]:
    some = [(name, it.rate, it) for (name, _), it in cells.items() if name in BREAKING and it.rate >= 10]
    if some:
        name, rate, worst = max(some, key=lambda it: it[2].found[OURS].missed)
        missed = worst.found[OURS].missed
        reached = f"{missed:.1%}" + (f" ({name}, {rate:g} rps)" if missed else "")
        yield Goal("missed of " + ", ".join(BREAKING) + ", >= 10 rps", "<= 1 %", reached, missed <= 0.01)


def _within(
    cells: Cells, name: str, seconds: float, *, rates: Sequence[float] = (100,), most_bad: float | None = None,
    least: float = 0.0,
) -> Iterable[Goal]:  # fmt: skip
    """Median delay, bad requests, share found."""
    for rate in rates:
        if (name, rate) in cells:
            cell = cells[name, rate]
            ours = cell.found[OURS]
            target = [f"<= {seconds:g} s"]
            reached = [f"{ours.delay:g} s", f"{ours.bad:.0f} bad", f"{1 - ours.missed:.0%} found"]
            met = ours.delay <= seconds and 1 - ours.missed >= least
            if most_bad is not None:
                target.append(f"<= {most_bad:g} bad")
                met = met and ours.bad <= most_bad
            if least:
                target.append(f">= {least:.0%} found")
            yield Goal(f"{name}, {rate:g} rps", ", ".join(target), ", ".join(reached), met, _soonest(cell))


def _soonest(cell: Cell) -> str:
    """The peer that is soonest and sees at least 99 % of the runs."""
    seeing = {name: cell.found[name] for name in PEERS if cell.found[name].missed <= 0.01}
    if not seeing:
        return "none finds 99 %"
    name = min(seeing, key=lambda it: seeing[it].delay)
    return f"{name}: {seeing[name].delay:g} s, {seeing[name].bad:.0f} bad"


def _silent(cells: Cells) -> Iterable[Goal]:
    silent = [it for (name, _), it in cells.items() if name == "silent"]
    if silent:
        promoted, runs = sum(max(it.promoted) for it in silent), sum(it.found[OURS].runs for it in silent)
        peers = {name: sum(it.found[name].runs - it.found[name].rolled_back for it in silent) / runs for name in PEERS}
        through = ", ".join(f"{name}: {share:.0%}" for name, share in peers.items() if share > 0)
        yield Goal("silent canary let go on", "0", f"{promoted}/{runs}", promoted == 0, through)


def _ratio(row: Row) -> Goal:
    """Of the one question whose floor it is: the whole judge also compares, which can be below this floor."""
    coarse, whole = row.ticks.alone / row.floor, row.ticks.judge / row.floor
    fine = row.fine.alone / row.floor if row.fine is not None else coarse
    reached = f"{fine:.2f} (5-s ticks: {coarse:.2f}, with all four questions {whole:.2f})"
    return Goal(f"requests to decide / limit, {row.case.name}", f"<= {MOST_RATIO}", reached, fine <= MOST_RATIO)
