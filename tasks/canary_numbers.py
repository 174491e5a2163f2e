"""The numbers of one canary: read afresh from its start at every look, so that late ones are in, and judged."""

import math
from datetime import datetime, timedelta

import pandas as pd

from blocks.doors import Doors
from rules.canary import fold, judge, trace
from rules.catalogue import JudgePolicy
from rules.errors import Outage
from rules.judgements import Decision, Judgement
from rules.rollouts import Arm, Deployment
from rules.vocabulary import Service

HISTORY_MINUTES = 30.0
"""So much of the old version's past tells how bursty its errors are, and how slow it is."""


class Numbers:
    """What was counted and what the judge made of it, at the last look."""

    def __init__(self, doors: Doors, service: Service, policy: JudgePolicy) -> None:
        self._metrics, self._environment, self._service, self.policy = (
            doors.metrics, doors.environment.name, service, policy,
        )  # fmt: skip
        self.source = doors.metrics.source
        self.counts: pd.DataFrame | None = None
        self.verdicts: pd.DataFrame | None = None
        self.trace: pd.DataFrame | None = None
        self._answered_at: datetime | None = None
        self._last: Judgement | None = None

    def reference_ms(self, deployment: Deployment, now: datetime) -> float | None:
        """The old version's own p95 before the canary, in milliseconds; None when nobody can tell."""
        if deployment.old is None:
            return None
        return self._metrics.reference_ms(self._service, self._environment, deployment.old, now, HISTORY_MINUTES)

    def judge(
        self, deployment: Deployment, started: datetime, stage: datetime, reference_ms: float | None, now: datetime
    ) -> Judgement:
        """The judgement of this moment; evidence for going on must be of this `stage`.

        A source that does not answer is not a version that does well: HOLD.
        """
        try:
            counts = self._read(deployment, started, reference_ms, now)
        except Outage as trouble:
            return self._without_numbers(trouble, started, now)
        self._answered_at, self.counts = now, counts
        until, since = self.source.until(started, now), (stage - started).total_seconds()
        self.verdicts = judge(counts, self.policy, until, since=since, services=[self._service.id])
        self.trace = trace(counts, self.policy, until)
        self._last = fold(self.verdicts, policy=self.policy)[self._service.id]
        return self._last

    def _read(
        self, deployment: Deployment, started: datetime, reference_ms: float | None, now: datetime
    ) -> pd.DataFrame:
        since = started - timedelta(minutes=HISTORY_MINUTES)
        slow = self.policy.slow_ms
        return self._metrics.counts(
            self._service, self._environment, arms_of(deployment), started, since, now, slow, reference_ms or math.inf
        )

    def _without_numbers(self, trouble: Outage, started: datetime, now: datetime) -> Judgement:
        since = self._answered_at or started
        silent = (now - since).total_seconds()
        if self._last is not None and silent < self.policy.silence_seconds:
            return self._last
        decision = Decision.HOLD if silent >= self.policy.silence_seconds else Decision.NOT_ENOUGH_DATA
        return Judgement(self._service.id, decision, f"No numbers for {silent:.0f} s: {trouble}.")


def arms_of(deployment: Deployment) -> dict[str, Arm]:
    """The two versions, by the names that the judge gives them."""
    return {name: arm for name, arm in (("old", deployment.old), ("new", deployment.new)) if arm is not None}
