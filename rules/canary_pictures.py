"""What the chart of a canary shows, as plain series: few enough points to be sent to a browser, and no gap lost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

MOST_POINTS = 240
"""Of a line: a chart is some 900 pixels wide and several lines share its bytes."""
MOST_BARS = 150
EXACT = 1e-6
"""Seconds by which computed times may be off."""


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of both versions in bars of equal width, in seconds since the canary started."""

    begins: Floats
    width: float
    new: Floats
    old: Floats

    @property
    def ends(self) -> float:
        return float(self.begins[-1] + self.width) if self.begins.size else 0.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without one request of the new version, longer than silence may last."""

    begins: float
    ends: float


def requests(counts: pd.DataFrame, service: str, until: float, most: int = MOST_BARS) -> Requests:
    """Bars from the tick of the start to `until`. More than `most` are put together: counts add."""
    mine = counts[(counts["service"] == service) & (counts["t"] >= 0)]
    times = mine["t"].to_numpy(np.float64)
    width = _tick(times)
    first = _first(times, width)
    width *= max(1.0, np.ceil((until - first) / width / most))
    edges = first + np.arange(max(1, int(np.ceil((until - first) / width))) + 1) * width
    new, old = (_summed(mine[mine["arm"] == arm], edges) for arm in ("new", "old"))
    return Requests(edges[:-1], float(width), new, old)


def _first(times: Floats, width: float) -> float:
    """Where the tick began in which the canary started: sources count by the clock, not from that moment on."""
    late = float(times.max() % width) if times.size else 0.0
    return late - width if EXACT < late < width - EXACT else 0.0


def _summed(rows: pd.DataFrame, edges: Floats) -> Floats:
    place = np.searchsorted(edges, rows["t"].to_numpy(np.float64) + EXACT, side="right") - 1
    size = len(edges) - 1
    inside = place < size
    sums: Floats = np.bincount(place[inside], rows["n"].to_numpy(np.float64)[inside], minlength=size).astype(np.float64)
    return sums


def gaps(counts: pd.DataFrame, service: str, until: float, longest: float) -> tuple[Gap, ...]:
    """Where the new version had no request for `longest` seconds or more, from the ticks themselves."""
    mine = counts[(counts["service"] == service) & (counts["t"] >= 0)]
    width = _tick(mine["t"].to_numpy(np.float64))
    heard = mine.loc[(mine["arm"] == "new") & (mine["n"] > 0), "t"].to_numpy(np.float64)
    heard = np.unique(heard[heard < until])
    begins, ends = np.append(0.0, heard + width), np.append(heard, until)
    return tuple(Gap(float(a), float(b)) for a, b in zip(begins, ends, strict=True) if b - a >= longest)


def old_rate(counts: pd.DataFrame, service: str, column: str, until: float) -> tuple[Floats, Floats]:
    """(seconds, share) of the old version's bad requests among all of its since the canary started."""
    mine = counts[(counts["service"] == service) & (counts["arm"] == "old") & counts["t"].between(0, until)]
    sums = mine.groupby("t")[["n", column]].sum().cumsum()
    sums = sums[sums["n"] > 0]
    t = sums.index.to_numpy(np.float64)
    share = (sums[column] / sums["n"]).to_numpy(np.float64)
    keep = places(len(t))
    return t[keep], share[keep]


def line_of(trace: pd.DataFrame, service: str, test: str) -> pd.DataFrame:
    """The running series of one question, thinned; its last point and its highest evidence always stay."""
    mine = trace[(trace["service"] == service) & (trace["test"] == test) & (trace["t"] >= 0)].sort_values("t")
    keep = places(len(mine))
    if len(mine):
        keep = np.union1d(keep, int(np.argmax(mine["evidence"].to_numpy(np.float64))))
    return mine.iloc[keep].drop(columns=["service", "test"]).astype(np.float64)


def places(size: int, most: int = MOST_POINTS) -> npt.NDArray[np.int64]:
    """Which of `size` points to keep: evenly spread, the first and the last among them."""
    if size <= most:
        return np.arange(size, dtype=np.int64)
    return np.unique(np.linspace(0, size - 1, most).round().astype(np.int64))


def _tick(times: Floats) -> float:
    """The smallest step between two times; 1 where there is none.

    A tick in which the canary starts is put at 0 (`rules.telemetry`): from there to the next is no whole tick.
    """
    later = np.unique(times[times > 0].round(3))
    if later.size < 2:  # noqa: PLR2004 - two times make a step
        return float(later[0]) if later.size else 1.0
    usual, first = float(np.diff(later).min()), float(later[0])
    return first if usual % first < EXACT else usual
