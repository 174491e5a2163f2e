"""The judge of a canary: counts in, verdicts out.

It counts bad requests and keeps score. There is no polling of percentages and no percentile: each request that
failed or was too slow moves the score of four questions (`Question`), and a score that passes 400:1 sends the
roll-out back at that moment. A healthy version is sent back in at most 1 of 100 whole roll-outs however often it is
looked at (`alpha`); one that has not shown enough is never promoted. ADR 9 tells why, and what this cannot see.

    counts = aggregate(requests, policy)            # or from a metrics store
    verdicts = judge(counts, policy, until=300)     # one row per service and question
    decisions = fold(verdicts, policy=policy)       # one decision per service, with its sentence

Pure: no clock, no I/O, no randomness. The same counts give the same verdicts whatever their order; counts of shards
are put below each other. Services do not influence each other, but for the time until which the source spoke.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import pandas as pd

from rules.canary_arrays import Floats, Whole, share
from rules.canary_bounds import at_most, band, visible
from rules.canary_counts import Grid, aggregate, grid, renewed
from rules.canary_decisions import Decision, Judgement, fold
from rules.canary_running import Question, Running, all_running, limit_of, line, tolerance_of
from rules.canary_scores import SIZES
from rules.canary_silence import silent_since
from rules.catalogue import JudgePolicy

__all__ = ["Decision", "Judgement", "Question", "aggregate", "fold", "judge", "renewed", "trace"]


def judge(
    counts: pd.DataFrame,
    policy: JudgePolicy,
    until: float | None = None,
    *,
    since: float = 0.0,
    services: Iterable[str] = (),
) -> pd.DataFrame:
    """One row per service and question, services in alphabetical order.

    - `counts`: see `rules.canary_counts`; rows of the old version with t below 0 teach how bursty it is.
    - `until`: seconds since the canary started up to which the source has data by now; without it the end of the
      last tick of all rows. What is missing before it is silence.
    - `since`: beginning of the stage; evidence for going on must come from it. Scores always run from 0.
    - `services`: those that must have an answer even if no row speaks of them.

    Columns: `service, test, verdict, at_s, n_canary, bad_canary, rate, low, high, limit, evidence`, and `n_old,
    bad_old` (the old version beside it), `visible` (the smallest rate over the limit that would have been found by
    now; NaN: none), `left_out` (ticks that do not count for it). `at_s` is the end of the first tick at which the
    line was passed, when silence began, or up to when it was seen. `evidence` is log10 of the odds.
    Raises `InvalidInput`.
    """
    seen = grid(counts, policy, services)
    end = seen.spoke_until if until is None else float(until)
    silent = silent_since(seen, end, policy)
    rows = [_verdicts(it, seen, policy, since=since, silent=silent, end=end) for it in all_running(seen, policy)]
    table = pd.concat(rows, ignore_index=True)
    return table.sort_values("position", kind="stable", ignore_index=True).drop(columns="position")


def _verdicts(
    it: Running, seen: Grid, policy: JudgePolicy, *, since: float, silent: Floats, end: float
) -> pd.DataFrame:
    """One question's rows, with the counts at the moment of the verdict."""
    worse = it.crossed >= 0
    at = np.where(worse, it.crossed, len(seen.ticks) - 1)
    n, bad, old_n, old_bad, tempered = (_pick(a, at) for a in (it.n, it.bad, it.old_n, it.old_bad, it.tempered))
    limit = _limits(it, old_bad, old_n, policy)
    low, high = band(bad, n)
    verdict = _verdict(it, seen, policy, since)
    verdict[~np.isnan(silent)] = Decision.HOLD
    verdict[worse] = Decision.ROLL_BACK
    ends = seen.ticks[at] + seen.width if seen.ticks.size else np.zeros(len(at))
    price = line(policy) + np.log(2 * len(SIZES))
    shown = visible(tempered, limit_of(it.question, policy), price)
    columns = {
        "service": np.array(seen.services, dtype=object),
        "test": it.question.value,
        "verdict": verdict,
        "at_s": np.where(worse, ends, np.where(np.isnan(silent), max(end, 0.0), silent)),
        "n_canary": n,
        "bad_canary": bad,
        "rate": share(bad, n, np.nan),
        "low": low,
        "high": high,
        "limit": limit,
        "evidence": _pick(it.evidence, at) / np.log(10),
        "n_old": old_n,
        "bad_old": old_bad,
        "visible": np.full(len(at), np.nan) if it.question.to_old else shown,
        "left_out": it.left_out.sum(axis=1),
    }
    return pd.DataFrame({"position": np.arange(len(at)), **columns})


def _verdict(it: Running, seen: Grid, policy: JudgePolicy, since: float) -> npt.NDArray[np.object_]:
    """What a question says where it is neither passed nor silent. A comparison passes if there was anything to it."""
    stage = int(np.searchsorted(seen.ticks, since - 1e-9))
    n, bad = (
        a[:, -1] - (a[:, stage - 1] if stage else 0.0) if a.shape[1] else np.zeros(len(a)) for a in (it.n, it.bad)
    )
    if it.question.to_old:
        fine = n > 0
    else:
        refuted = policy.promote_factor * limit_of(it.question, policy)
        fine = (n > 0) & (at_most(bad, n, refuted) <= policy.promote_alpha)
    verdict = np.full(len(fine), Decision.NOT_ENOUGH_DATA, dtype=object)
    verdict[fine] = Decision.PROMOTE
    return verdict


def trace(counts: pd.DataFrame, policy: JudgePolicy, until: float | None = None) -> pd.DataFrame:
    """The running series of each service and question, for the chart: one row per tick of its requests.

    Columns: `service, test, t` (end of the tick), `n, bad` (all that count so far), `evidence` (log10 of the odds),
    `rate, low, high, limit`. `until` cuts off what came later. Raises `InvalidInput`.
    """
    seen = grid(counts, policy)
    table = pd.concat([_series(it, seen, policy) for it in all_running(seen, policy)], ignore_index=True)
    return table if until is None else table[table["t"] <= until].reset_index(drop=True)


def _series(it: Running, seen: Grid, policy: JudgePolicy) -> pd.DataFrame:
    some = (seen.new.n > 0) | (seen.old.n > 0)
    service, tick = np.nonzero(some)
    n, bad = it.n[some], it.bad[some]
    low, high = band(bad, n)
    return pd.DataFrame(
        {
            "service": np.array(seen.services, dtype=object)[service],
            "test": it.question.value,
            "t": seen.ticks[tick] + seen.width[service],
            "n": n,
            "bad": bad,
            "evidence": it.evidence[some] / np.log(10),
            "rate": share(bad, n, np.nan),
            "low": low,
            "high": high,
            "limit": _limits(it, it.old_bad[some], it.old_n[some], policy),
        }
    )


def _limits(it: Running, old_bad: Floats, old_n: Floats, policy: JudgePolicy) -> Floats:
    """The limit as a rate: the policy's, or the tolerated multiple of the old version's rate beside it."""
    if it.question.to_old:
        return tolerance_of(it.question, policy) * share(old_bad, old_n, np.nan)
    return np.full_like(old_n, limit_of(it.question, policy))


def _pick(values: Floats, at: Whole) -> Floats:
    return values[np.arange(len(at)), at] if values.shape[1] else np.zeros(len(at))
