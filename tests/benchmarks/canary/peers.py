"""Rules by which others decide, written from their documentation. Not their programs: the same rules on our samples.

Each takes what a poll sees and gives, by run, the second at which it rolls back; infinity where it does not. All are
given the same two limits: 1 % errors and a 95th percentile of 500 ms.

- *Polling*: the story that asked for this product: any sample of 30 s over a limit.
- *Argo Rollouts* (analysis, `failureLimit: 3`): a metric whose measurements failed more than 3 times fails the run. An
  empty result is made to pass, as users do (`isNaN(result) || ...`); otherwise thin traffic ends as an error.
- *Flagger* (`threshold: 5`): a check in which any metric is out of range or has no data is failed, and the fifth rolls
  back. Its checks are every 30 s here, not every 60 s as by default: in its favour.
- *CloudWatch* (what CodeDeploy and ECS listen to): an alarm per metric, 2 of 3 periods of 60 s over the limit, missing
  data ignored.
- *Kayenta*: see `mann_whitney`. At the end of each stage that has an old version beside it, over the 10 samples of
  the stage. Its control is a third group as large as the canary, as its authors recommend, or all of production
  (`/production`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rules.canary_arrays import Flags, Floats
from rules.catalogue import JudgePolicy
from tests.benchmarks.canary.mann_whitney import KayentaPolicy, rejects
from tests.benchmarks.canary.scenarios import SAMPLE, STAGES
from tests.benchmarks.canary.simulation import LIMIT_MS, Runs, Samples, samples, shares, thinned

PERIOD = 60
LIMITS = JudgePolicy()
FAILURE_LIMIT = 3
FLAGGER_THRESHOLD = 5
NEVER = np.inf


@dataclass(frozen=True, slots=True)
class Polled:
    """The same runs as polls see them."""

    new: Samples
    """By 30 s."""
    old: Samples
    control: Samples
    """A third group, which gets as much traffic as the canary and runs the old version."""
    minutes: Samples
    """The new version by 60 s."""


Rule = Callable[[Polled], Floats]


def polled(runs: Runs, random: np.random.Generator) -> Polled:
    old = samples(runs.old, SAMPLE, runs.tick, random)
    begins = runs.old.t[:: round(SAMPLE / runs.tick)]
    part = shares(begins)
    laws = runs.old.p95[round(SAMPLE / runs.tick / 2) :: round(SAMPLE / runs.tick)]
    control = thinned(old, np.where(part < 1, part / np.maximum(1 - part, 1e-9), 0), laws, random)
    new = samples(runs.new, SAMPLE, runs.tick, random)
    return Polled(new, old, control, samples(runs.new, PERIOD, runs.tick, random))


def failing(seen: Samples) -> tuple[Flags, Flags]:
    """(too many errors, too slow), False where there is no data."""
    return seen.error_rate > LIMITS.max_error_rate, seen.p95 > LIMIT_MS


def first(hit: Flags, seconds: float) -> Floats:
    """The end of the first window of which `hit` is true."""
    return np.where(hit.any(axis=1), (np.argmax(hit, axis=1) + 1) * seconds, NEVER)


def polling(seen: Polled) -> Floats:
    errors, slow = failing(seen.new)
    return first(errors | slow, SAMPLE)


def argo(seen: Polled) -> Floats:
    counted = [np.cumsum(it, axis=1) > FAILURE_LIMIT for it in failing(seen.new)]
    return first(counted[0] | counted[1], SAMPLE)


def flagger(seen: Polled) -> Floats:
    errors, slow = failing(seen.new)
    return first(np.cumsum(errors | slow | (seen.new.n == 0), axis=1) >= FLAGGER_THRESHOLD, SAMPLE)


def cloudwatch(seen: Polled) -> Floats:
    alarms = [_of_three(it) for it in failing(seen.minutes)]
    return first(alarms[0] | alarms[1], PERIOD)


def _of_three(breached: Flags) -> Flags:
    before = np.pad(breached, ((0, 0), (2, 0)))
    return (before[:, 2:].astype(int) + before[:, 1:-1] + before[:, :-2]) >= 2


def kayenta(seen: Polled, control: Samples, policy: KayentaPolicy) -> Floats:
    """At the ends of the stages with both versions."""
    at = np.full(len(seen.new.n), NEVER)
    for begin, end, share in STAGES:
        if share < 1:
            stage = slice(begin // SAMPLE, end // SAMPLE)
            parts = [_part(it, stage) for it in (seen.new, control)]
            at = np.where(np.isinf(at) & rejects(parts[0], parts[1], policy), end, at)
    return at


def _part(of: Samples, stage: slice) -> tuple[Floats, Floats]:
    """(error rates, percentiles). No requests is no errors (`replace`), but no percentile (`remove`)."""
    return np.nan_to_num(of.error_rate[:, stage]), of.p95[:, stage]


def kayenta_same_size(seen: Polled) -> Floats:
    return kayenta(seen, seen.control, KayentaPolicy())


def kayenta_beside_production(seen: Polled) -> Floats:
    return kayenta(seen, seen.old, KayentaPolicy())


POLLING, ARGO, FLAGGER, CLOUDWATCH = "polling", "Argo 3", "Flagger 5", "CloudWatch 2/3"
KAYENTA, KAYENTA_PRODUCTION = "Kayenta", "Kayenta/production"
PEERS: dict[str, Rule] = {
    POLLING: polling,
    ARGO: argo,
    FLAGGER: flagger,
    CLOUDWATCH: cloudwatch,
    KAYENTA: kayenta_same_size,
    KAYENTA_PRODUCTION: kayenta_beside_production,
}
