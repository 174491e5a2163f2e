"""From the points that a metrics system gives to the counts that a canary is judged by.

Percentiles are never averaged, and never kept: requests, errors and requests slower than a limit are counted, and
counts add. Points come late, twice, in any order, or not at all; what lacks is never taken for good news:

- a request counts when it is known how it ended: it was timed, or it failed;
- a tick in which more than a few requests have neither is left out, so that a canary whose times are missing is
  seen as silent and not as fast;
- with a load balancer's metrics a request that was handed to a target and is still without an answer when the tick
  is settled has failed: the load balancer answered it with 502 or 504 itself, or the visitor left. Requests that
  found no target at all (503, an empty target group) are counted by no target group and so by neither version:
  where they are many, the version has no requests, which is silence.
"""

import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import pandas as pd

OLD, NEW = "old", "new"
COLUMNS = ("service", "arm", "t", "n", "errors", "slow", "slow_ref")
POINT_COLUMNS = ("arm", "measure", "at", "value")
MOST_UNKNOWN = 0.05
"""Of a tick's requests may be untimed without making the others doubtful: requests in flight as the tick ends."""


class Measure(StrEnum):
    """What one point says of one version and one tick. All are numbers of requests."""

    REQUESTS = "requests"
    ERRORS = "errors"
    TIMED = "timed"
    """Requests whose time is known."""
    SLOW = "slow"
    """Requests slower than the limit."""
    SLOW_REF = "slow_ref"
    """Requests slower than the old version's own 95th percentile before the canary."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where numbers come from, and how fine and how late they are."""

    name: str
    resolution_seconds: float
    delay_seconds: float
    """So long after its end a tick may still change."""
    untimed_fail: bool = False
    """Whether a request without a time is one without an answer, and so has failed."""

    @property
    def words(self) -> str:
        """For the sentence of a verdict."""
        return f"{self.name}, one number every {self.resolution_seconds:g} s, complete {self.delay_seconds:g} s later"

    def until(self, started: datetime, now: datetime) -> float:
        """Seconds since the canary's start up to which the numbers are complete; negative before any are."""
        settled = math.floor((now.timestamp() - self.delay_seconds) / self.resolution_seconds)
        return settled * self.resolution_seconds - started.timestamp()


def no_counts() -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype=_TYPES.get(column, "int64")) for column in COLUMNS})


_TYPES = {"service": "str", "arm": "str", "t": "float64"}


def tidy(points: pd.DataFrame, service: str, source: Source, started: datetime, until: datetime) -> pd.DataFrame:
    """Counts of one service from points in any order, with gaps and repetitions.

    Args:
        points: columns `arm` ("old", "new"), `measure` (Measure), `at` (epoch s of the tick's beginning), `value`.
        service: goes into the column `service`.
        source: its ticks and its delay.
        started: when traffic first went to the new version; `t` = 0.
        until: when the points were read.

    Returns:
        Columns `service, arm, t, n, errors, slow, slow_ref`, sorted; `t` in seconds, negative before the canary.
        Ticks without a known request have no row.

    """
    ticks = _by_tick(points)
    if ticks.empty:
        return no_counts()
    settled = ticks["at"] + source.resolution_seconds + source.delay_seconds <= until.timestamp()
    counted = _counted(ticks, settled & source.untimed_fail)
    timed = _since_start(counted.assign(arm=ticks["arm"], t=ticks["at"] - started.timestamp()), source)
    known = timed[timed["n"] > 0].assign(service=service)
    return known.sort_values(["arm", "t"], ignore_index=True)[list(COLUMNS)]


def _by_tick(points: pd.DataFrame) -> pd.DataFrame:
    """One row for each version and tick, one column for each measure, 0 where there is no point."""
    sound = points[np.isfinite(points["value"].astype(float)) & (points["value"] >= 0)]
    # The numbers of a tick only grow while its parts come in, so of several points the largest is the last.
    table = sound.pivot_table(index=["arm", "at"], columns="measure", values="value", aggfunc="max", observed=True)
    # An interpolated count (CloudWatch's trimmed count) may have a fraction.
    return table.reindex(columns=[str(it) for it in Measure]).fillna(0.0).round().reset_index()


def _counted(ticks: pd.DataFrame, failing: "pd.Series[bool]") -> pd.DataFrame:
    """Counts a tick; n = 0 where nothing can be said. In `failing` ticks a request without a time has failed."""
    requests = ticks[[Measure.REQUESTS, Measure.TIMED, Measure.ERRORS]].max(axis=1)
    explained = np.minimum(requests, ticks[Measure.TIMED] + ticks[Measure.ERRORS])
    clear = explained >= (1 - MOST_UNKNOWN) * requests
    n = np.where(failing, requests, np.where(clear, explained, 0.0))
    unanswered = np.where(failing, requests - ticks[Measure.TIMED], 0.0)
    bad = {"errors": ticks[Measure.ERRORS] + unanswered, "slow": ticks[Measure.SLOW], "slow_ref": ticks["slow_ref"]}
    counts = {"n": n, **{name: np.minimum(n, values) for name, values in bad.items()}}
    return pd.DataFrame(counts, index=ticks.index).astype("int64")


def _since_start(ticks: pd.DataFrame, source: Source) -> pd.DataFrame:
    """The tick in which the canary started belongs to it, for both versions alike, so that they are compared."""
    straddling = (ticks["t"] < 0) & (ticks["t"] > -source.resolution_seconds)
    moved = ticks.assign(t=ticks["t"].mask(straddling, 0.0))
    return moved[(moved["arm"] == OLD) | (moved["t"] >= 0)]
