"""What the chart of a canary shows, as plain series: few enough points to be sent to a browser, and no gap lost."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Floats = npt.NDArray[np.float64]

MOST_POINTS = 240
"""Of a line: a chart is some 900 pixels wide and several lines share its bytes."""
MOST_BARS = 150


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
    """Bars from 0 to `until`. Ticks are put together where there are more than `most`: counts add."""
    mine = counts[(counts["service"] == service) & (counts["t"] >= 0)]
    width = _tick(mine["t"].to_numpy(np.float64))
    width *= max(1.0, np.ceil(until / width / most))
    size = max(1, int(np.ceil(until / width)))
    new, old = (_summed(mine[mine["arm"] == arm], width, size) for arm in ("new", "old"))
    return Requests(np.arange(size) * width, float(width), new, old)


def _summed(rows: pd.DataFrame, width: float, size: int) -> Floats:
    place = (rows["t"].to_numpy(np.float64) // width).astype(np.int64)
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
    """The smallest step between two times; 1 where there is none."""
    steps = np.diff(np.unique(times))
    return float(steps.min()) if steps.size else 1.0
