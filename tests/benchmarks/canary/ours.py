"""The judge of this product, put to simulated roll-outs: each run is a service of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rules.canary import Decision, Judgement, fold, judge
from rules.canary_arrays import Flags, Floats
from rules.catalogue import JudgePolicy
from tests.benchmarks.canary.scenarios import END, STAGES
from tests.benchmarks.canary.simulation import Arm, Runs

POLICY = JudgePolicy()
BATCH = 100
"""Services of one call."""


@dataclass(frozen=True, slots=True)
class Judged:
    """By run."""

    at: Floats
    """When it was rolled back, in seconds; infinity where it was not."""
    promoted: Flags
    """Runs x stages: PROMOTE at the stage's end."""
    held: Flags
    """Runs x stages: HOLD there."""


def judged(runs: Runs, stages: Sequence[tuple[float, float, float]] = STAGES) -> Judged:
    """What the judge says when each of the `stages` ends; that of the last tells when a run was rolled back.

    A roll-back's moment does not depend on when one looks, so one look at the end tells it.
    """
    looks = [_look(runs, since, until) for since, until, _ in stages]
    at = [it.at_s if it.decision is Decision.ROLL_BACK else np.inf for it in looks[-1]]
    promoted, held = (
        np.array([[it.decision is wanted for it in look] for look in looks]).T
        for wanted in (Decision.PROMOTE, Decision.HOLD)
    )
    return Judged(np.array(at), promoted, held)


def _look(runs: Runs, since: float, until: float) -> list[Judgement]:
    found: list[Judgement] = []
    for begin in range(0, len(runs), BATCH):
        which = slice(begin, min(begin + BATCH, len(runs)))
        names = [name_of(it) for it in range(which.start, which.stop)]
        verdicts = judge(counts_of(runs, which, until), POLICY, until, since=since, services=names)
        decisions = fold(verdicts, policy=POLICY)
        found += [decisions[it] for it in names]
    return found


def name_of(run: int) -> str:
    return f"run-{run:04}"


def counts_of(runs: Runs, which: slice, until: float = END) -> pd.DataFrame:
    """The counts of some runs as a metrics store hands them out: no rows of empty or lost ticks."""
    arms = ((runs.past, "old"), (runs.old, "old"), (runs.new, "new"))
    return pd.concat([_rows(arm, name, which, until) for arm, name in arms], ignore_index=True)


def _rows(arm: Arm, name: str, which: slice, until: float) -> pd.DataFrame:
    some = arm.seen[which] & (arm.n[which] > 0) & (arm.t < until)
    run, column = np.nonzero(some)
    names = np.array([name_of(it) for it in range(len(arm.n))[which]], dtype=object)
    numbers = {it: getattr(arm, it)[which][some] for it in ("n", "errors", "slow", "slow_ref")}
    return pd.DataFrame({"service": names[run], "arm": name, "t": arm.t[column], **numbers})
