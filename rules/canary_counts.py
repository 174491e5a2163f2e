"""From requests to counts, and from counts to grids: what the judge looks at.

A *count* says of one service, one version ("old" or "new") and one tick of time how many requests there were, how
many failed, how many took longer than the limit (`slow`) and longer than the old version's own 95th percentile
(`slow_ref`). Counts add: those of two load balancers, tasks or shards are simply put below each other. Percentiles do
not, which is why there are none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rules.canary_arrays import Flags, Floats, Whole
from rules.catalogue import JudgePolicy
from rules.errors import InvalidInput

ARMS = ("old", "new")
KEYS = ["service", "arm", "t"]
NUMBERS = ["n", "errors", "slow", "slow_ref"]
COLUMNS = [*KEYS, *NUMBERS]

DEFAULT_TICK = 5.0
LONGEST_TICK = 60.0
"""A tick's width is the smallest step between the ticks seen, within these: one row alone does not tell it."""
ROUNDING = 1e-6
"""Counts extrapolated by a metrics store are no whole numbers; so much more than all requests is still all."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of one version: rows are services, columns are times."""

    n: Floats
    errors: Floats
    slow: Floats
    slow_ref: Floats


@dataclass(frozen=True, slots=True)
class Grid:
    """All counts of one look, as arrays of services x ticks."""

    services: tuple[str, ...]
    ticks: Floats
    """Beginning of each tick in seconds since the canary started; none below 0."""
    new: Tally
    old: Tally
    past: Tally
    """The old version by whole segments, those before the canary too."""
    past_segments: Whole
    """Number of each segment of `past`: 0 begins when the canary does."""
    width: Floats
    """Of a tick, in seconds, by service."""
    spoke_until: float
    """End of the last tick that any service has a row for; minus infinity without rows."""


def aggregate(
    requests: pd.DataFrame,
    policy: JudgePolicy,
    *,
    tick_seconds: float = DEFAULT_TICK,
    reference_ms: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """Counts from one row a request: `service`, `arm`, `at` (s since the canary started), `seconds`, `failed`.

    `reference_ms` is by service what `slow_ref` means: the old version's own 95th percentile, frozen before the
    canary. Where it is not given it is taken from the requests with `at` below 0, and without these it is the limit
    itself. A request that failed fast is still an error; one that failed slowly is both. Raises `InvalidInput`.
    """
    _require(requests, ["service", "arm", "at", "seconds", "failed"])
    _finite(requests, ["at", "seconds"])
    if not (np.isfinite(tick_seconds) and tick_seconds > 0):
        raise InvalidInput("tick_seconds", tick_seconds, "a number above 0")
    codes, services = _codes(requests["service"])
    arms = _arm_codes(requests)
    at, seconds = (requests[name].to_numpy(np.float64) for name in ("at", "seconds"))
    before = (arms == 0) & (at < 0)
    limits = _references(codes, services, seconds, before, given=reference_ms or {}, policy=policy)
    bad = {
        "errors": requests["failed"].to_numpy(bool),
        "slow": seconds > policy.slow_ms / 1000,
        "slow_ref": seconds > limits[codes] if len(limits) else seconds > 0,
    }
    ticks = np.floor(at / tick_seconds).astype(np.int64)
    first = int(ticks.min()) if ticks.size else 0
    span = int(ticks.max()) - first + 1 if ticks.size else 1
    cells, counted = _counted((codes * 2 + arms) * span + (ticks - first), len(services) * 2 * span, bad)
    keys = {
        "service": np.asarray(services, dtype=object)[cells // (2 * span)],
        "arm": np.array(ARMS, dtype=object)[cells // span % 2],
        "t": (cells % span + first) * tick_seconds,
    }
    return pd.DataFrame({**keys, **counted})


def _counted(cell: Whole, size: int, bad: Mapping[str, Flags]) -> tuple[Whole, dict[str, Whole]]:
    """One pass per number over the requests' cells: those with requests, and what is in them."""
    n = np.bincount(cell, minlength=size)
    some = np.flatnonzero(n)
    return some, {"n": n[some]} | {name: np.bincount(cell[it], minlength=size)[some] for name, it in bad.items()}


def _references(
    codes: Whole,
    services: Sequence[str],
    seconds: Floats,
    before: Flags,
    *,
    given: Mapping[str, float],
    policy: JudgePolicy,
) -> Floats:
    """By service, in seconds, what `slow_ref` means."""
    limits = np.array([given.get(it, np.nan) for it in services], dtype=np.float64) / 1000
    for code in np.flatnonzero(np.isnan(limits)):
        past = seconds[before & (codes == code)]
        limits[code] = np.quantile(past, 0.95) if past.size else policy.slow_ms / 1000
    return limits


def renewed(known: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """`known` where `fresh` says nothing of the same service, arm and t: for sources that correct themselves."""
    stale = pd.MultiIndex.from_frame(known[KEYS]).isin(pd.MultiIndex.from_frame(fresh[KEYS]))
    return pd.concat([known[~stale], fresh], ignore_index=True)


def grid(counts: pd.DataFrame, policy: JudgePolicy, services: Iterable[str] = ()) -> Grid:
    """The counts as arrays. The rows' order means nothing; rows of one service, arm and t add up.

    Rows of the new version with t below 0 are left out: it had no traffic yet. `services` are those that must have an
    answer though no row may speak of them. Raises `InvalidInput` for what cannot be a count.
    """
    checked(counts)
    found, known = _codes(counts["service"])
    names = sorted({*known, *services})
    place = {name: code for code, name in enumerate(names)}
    codes = np.array([place[name] for name in known], dtype=np.int64)[found]
    arms = _arm_codes(counts)
    t = counts["t"].to_numpy(np.float64).round(3)
    values = {name: counts[name].to_numpy(np.float64) for name in NUMBERS}
    width = _widths(codes, arms, t, len(names))
    ticks = np.unique(t[t >= 0])
    column = np.searchsorted(ticks, t)
    during = t >= 0
    new, old = (_tally(codes, column, values, during & (arms == arm), (len(names), len(ticks))) for arm in (1, 0))
    segment = np.floor(t / policy.segment_seconds).astype(np.int64)
    segments = np.unique(segment[arms == 0])
    column = np.searchsorted(segments, segment)
    past = _tally(codes, column, values, arms == 0, (len(names), len(segments)))
    spoke = float((t + width[codes]).max()) if t.size else -np.inf
    return Grid(tuple(names), ticks, new, old, past, segments, width, spoke)


def checked(counts: pd.DataFrame) -> None:
    """Raises `InvalidInput`, which names column or row, unless these are counts."""
    _require(counts, COLUMNS)
    _finite(counts, ["t", *NUMBERS])
    n = counts["n"].to_numpy(np.float64)
    for name in NUMBERS:
        value = counts[name].to_numpy(np.float64)
        wrong = (value < 0) | (value > n * (1 + ROUNDING))
        if wrong.any():
            row = counts.iloc[int(np.flatnonzero(wrong)[0])]
            where = f"{name} of {row['service']} ({row['arm']}) at t={row['t']:g}"
            raise InvalidInput(where, float(row[name]), f"0 to n, which is {row['n']:g}")


def _tally(codes: Whole, column: Whole, values: Mapping[str, Floats], rows: Flags, shape: tuple[int, int]) -> Tally:
    cell = codes[rows] * shape[1] + column[rows]

    def summed(name: str) -> Floats:
        total = np.bincount(cell, values[name][rows], minlength=shape[0] * shape[1])
        return total.reshape(shape).astype(np.float64, copy=False)

    return Tally(summed("n"), summed("errors"), summed("slow"), summed("slow_ref"))


def _widths(codes: Whole, arms: Whole, t: Floats, services: int) -> Floats:
    """By service the smallest step between two ticks of one version."""
    order = np.lexsort((t, arms, codes))
    codes, arms, t = codes[order], arms[order], t[order]
    step = np.diff(t)
    same = (np.diff(codes) == 0) & (np.diff(arms) == 0) & (step > 0)
    width = np.full(services, np.inf)
    np.minimum.at(width, codes[1:][same], step[same])
    return np.where(np.isinf(width), DEFAULT_TICK, np.minimum(width, LONGEST_TICK))


def _arm_codes(rows: pd.DataFrame) -> Whole:
    codes, names = _codes(rows["arm"])
    strange = [name for name in names if name not in ARMS]
    if strange:
        raise InvalidInput("arm", strange[0], "old or new")
    places = np.array([ARMS.index(name) for name in names], dtype=np.int64)
    return places[codes] if len(places) else np.zeros(0, dtype=np.int64)


def _codes(column: "pd.Series[str]") -> tuple[Whole, list[str]]:
    """A number for each row and the names by number; those of a categorical column are ready."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        codes, names = column.cat.codes.to_numpy(), column.cat.categories
    else:
        codes, names = pd.factorize(column)
    if (codes < 0).any():
        raise InvalidInput(f"column {column.name}", None, "a name in every row")
    return codes.astype(np.int64, copy=False), [str(name) for name in names]


def _require(rows: pd.DataFrame, names: Iterable[str]) -> None:
    missing = [name for name in names if name not in rows.columns]
    if missing:
        raise InvalidInput("columns", list(rows.columns), f"a table with {', '.join(names)}; {missing[0]} is missing")


def _finite(rows: pd.DataFrame, names: Iterable[str]) -> None:
    for name in names:
        value = rows[name].to_numpy(np.float64, na_value=np.nan)
        if not np.isfinite(value).all():
            found = value[~np.isfinite(value)][0]
            raise InvalidInput(f"column {name}", float(found), "a finite number in every row")
