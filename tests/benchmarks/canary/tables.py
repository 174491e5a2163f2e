"""The printed tables. Each row is one line; what was asked for stands beside what was reached."""

import math
from collections.abc import Iterable, Iterator, Sequence

from tests.benchmarks.canary import tuning
from tests.benchmarks.canary.goals import Cells, Goal
from tests.benchmarks.canary.limits import RATE, SHARE, Row
from tests.benchmarks.canary.measuring import OURS, Cell, Found, bound
from tests.benchmarks.canary.peers import PEERS
from tests.benchmarks.canary.scenarios import SCENARIOS, STAGES, Kind, of_kind
from tests.benchmarks.canary.speed import GOAL_MS, Speed

DECIDERS = (*PEERS, OURS)


def table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """As text that is a Markdown table too."""
    lines = [list(head), *map(list, rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * it for it in widths])
    body = ("| " + " | ".join(it.ljust(w) for it, w in zip(line, widths, strict=True)) + " |" for line in lines)
    return "\n".join([f"### {title}", "", *([note, ""] if note else []), *body, ""])


def rates_of(cells: Cells) -> list[float]:
    return sorted({rate for _, rate in cells})


def false_rollbacks(cells: Cells) -> str:
    """2.1: mean over the healthy scenarios and the worst of them."""
    rates = rates_of(cells)

    def shown(decider: str, rate: float) -> str:
        shares = [_share(cells[it.name, rate].found[decider]) for it in of_kind(Kind.HEALTHY)]
        return f"{_percent(sum(shares) / len(shares))} ({_percent(max(shares))})"

    rows = [[it, *(shown(it, rate) for rate in rates)] for it in DECIDERS]
    note = "Percent of the runs, mean over the nine healthy scenarios, the worst of them in brackets. Goal: worst <= 1."
    return table("False roll-backs", ["", *(f"{it:g} rps" for it in rates)], rows, note)


def false_by_scenario(cells: Cells) -> str:
    rates = rates_of(cells)

    def shown(name: str, rate: float) -> str:
        ours = cells[name, rate].found[OURS]
        return f"{ours.rolled_back}/{ours.runs} (<= {bound(ours.rolled_back, ours.runs):.2%})"

    rows = [[it.name, it.what, *(shown(it.name, rate) for rate in rates)] for it in of_kind(Kind.HEALTHY)]
    note = "Runs, and what they do not refute with 95 % confidence (Clopper-Pearson, one side)."
    return table("Our false roll-backs by scenario", ["", "", *(f"{it:g} rps" for it in rates)], rows, note)


def detection(cells: Cells) -> str:
    """2.2."""
    rows = [
        [it.name, f"{rate:g}", *(_found(cells[it.name, rate].found[name]) for name in DECIDERS)]
        for it in SCENARIOS
        if it.kind is not Kind.HEALTHY and not it.silent
        for rate in rates_of(cells)
    ]
    note = (
        "Median seconds from the onset to the roll-back / mean bad requests served by the canary until then; "
        "m: percent missed, e: percent rolled back before anything was wrong."
    )
    return table("Detection", ["", "rps", *DECIDERS], rows, note)


def _found(found: Found) -> str:
    parts = [f"{found.delay:.0f}/{found.bad:.0f}"] if not math.isnan(found.delay) else ["-"]
    if found.missed > 0:
        parts.append(f"m{_percent(found.missed)}")
    if found.early:
        parts.append(f"e{_percent(found.early / found.runs)}")
    return " ".join(parts)


def going_on(cells: Cells) -> str:
    """What the judge says at the end of each stage."""
    rates = rates_of(cells)
    rows = [[it.name, *(_said(cells[it.name, rate]) for rate in rates)] for it in SCENARIOS]
    stages = "/".join(f"{int(share * 100)} %" for _, _, share in STAGES)
    note = (
        f"Percent of the runs that may go on at the ends of the stages ({stages}); h: held there (silence). The rest "
        "is extended, then a person is asked; or it was rolled back before. Wanted: 0 for E+5%, E100%, Lx3, silent."
    )
    return table("PROMOTE", ["", *(f"{it:g} rps" for it in rates)], rows, note)


def _said(cell: Cell) -> str:
    runs = cell.found[OURS].runs
    promoted, held = ("/".join(_percent(it / runs) for it in of) for of in (cell.promoted, cell.held))
    return f"{promoted} h {held}" if any(cell.held) else promoted


def tuned(cells: Cells, rate: float) -> str:
    """2.3: everybody with the settings that are seldom wrong."""
    qualified = tuning.qualifying(cells[it.name, rate].tuned for it in of_kind(Kind.HEALTHY))

    def row(name: str) -> Iterator[str]:
        cell = cells[name, rate]
        yield name
        for family in tuning.FAMILIES:
            one = tuning.best(family, qualified, cell.tuned, cell.scenario.onset)
            setting = one.setting.removesuffix(family).removeprefix(family).strip()
            yield f"{one.detected:.0%} {one.delay:.0f} s ({setting})" if setting else "none qualifies"
        detected, delay = tuning.score(cell.found[OURS].at, cell.scenario.onset)
        yield f"{detected:.0%} {delay:.0f} s"

    rows = [list(row(it.name)) for it in SCENARIOS if it.kind in (Kind.BAD, Kind.INSIDE)]
    note = (
        "Percent detected, mean seconds (not detected: to the end). Peers with their best setting that is wrong in at "
        "most 1 % of each healthy scenario, chosen for each scenario in their favour; ours as it is."
    )
    head = ["", *(f"best {it}" for it in tuning.FAMILIES), OURS]
    return table(f"Everybody tuned to the same false roll-backs, {rate:g} rps", head, rows, note)


def physical_limit(rows: Sequence[Row]) -> str:
    """2.4."""
    per_second = RATE * SHARE

    def shown(row: Row) -> Iterator[str]:
        yield row.case.name
        yield f"{row.floor:,.1f}" if row.floor < 100 else f"{row.floor:,.0f}"
        yield f"{row.floor / per_second:,.1f} s"
        prices = [row.ticks.judge, row.ticks.alone]
        prices += [row.fine.judge, row.fine.alone] if row.fine is not None else [math.nan, math.nan]
        yield from (f"{it:,.0f}, x {it / row.floor:.2f}" if not math.isnan(it) else "-" for it in prices)

    note = (
        f"Mean canary requests to a roll-back with {RATE} rps and {SHARE:.0%} for the canary, and how many times the "
        "floor that is. 'limit alone': only the question whose floor it is; the judge also compares with the old "
        "version (0.2 % errors, p95 300 ms), which can be below this floor. Slow requests of the warm-up do not count. "
        "Goal: <= 2.0 for 2 %, 5.2 % and 20 % errors."
    )
    head = ["truth", "floor", "takes", "judge, 5-s ticks", "limit alone", "judge, 0.2-s ticks", "limit alone"]
    return table("Requests to decide beside the physical limit", head, [list(shown(it)) for it in rows], note)


def throughput(speed: Speed) -> str:
    rows = [
        ["100 services x 180 ticks x 2 versions", f"{speed.ms:.0f} ms", f"<= {GOAL_MS} ms"],
        ["the same with 30 minutes of history", f"{speed.with_history_ms:.0f} ms", ""],
        ["the same rows sorted and summed by pandas", f"{speed.yardstick_ms:.0f} ms", ""],
    ]
    return table("One look", ["", "processor time", "goal"], rows)


def summary(found: Iterable[Goal]) -> str:
    rows = [[it.what, it.target, it.reached, "met" if it.met else "MISSED", it.peer] for it in found]
    return table("Goals", ["", "goal", "reached", "", "best of the others"], rows)


def _share(found: Found) -> float:
    return found.rolled_back / found.runs


def _percent(share: float) -> str:
    """Never 0 for what happened, never 100 for what did not quite."""
    value = 100 * share
    if value in (0, 100):
        return f"{value:.0f}"
    return f"{value:.2g}" if value < 1 else f"{min(value, 99.9):.1f}" if value > 99 else f"{value:.0f}"
