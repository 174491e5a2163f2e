"""The numbers of one canary: read afresh from its start at every look, so that late ones are in, and judged."""

import math
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Reading:
    """What was counted, and what the judge made of it. None: nothing was read yet."""

    counts: pd.DataFrame | None = None
    verdicts: pd.DataFrame | None = None
    trace: pd.DataFrame | None = None


NOTHING_READ = Reading()


@dataclass(frozen=True, slots=True)
class Times:
    """The moments that matter to the judge."""

    started: datetime
    """Counting begins."""
    stage: datetime
    """Evidence for going on must be of this stage."""
    visible: datetime
    """Since when the new version is known to have traffic: before that it could not be seen."""


class Numbers:
    """Of one service in one environment."""

    def __init__(self, doors: Doors, service: Service, policy: JudgePolicy) -> None:
        self._metrics, self._environment, self._service, self._policy = (
            doors.metrics, doors.environment.name, service, policy,
        )  # fmt: skip
        self.source = doors.metrics.source
        self.reading = NOTHING_READ
        self._answered_at: datetime | None = None
        self._last: Judgement | None = None

    def reference_ms(self, deployment: Deployment, now: datetime) -> float | None:
        """The old version's own p95 before the canary, in milliseconds; None when nobody can tell."""
        if deployment.old is None:
            return None
        return self._metrics.reference_ms(self._service, self._environment, deployment.old, now, HISTORY_MINUTES)

    def judge(self, deployment: Deployment, times: Times, reference_ms: float | None, now: datetime) -> Judgement:
        """The judgement of this moment. A source that does not answer is not a version that does well: HOLD."""
        try:
            counts = self._read(deployment, times.started, reference_ms, now)
        except Outage as trouble:
            return self._without_numbers(trouble, times.started, now)
        until, since = self.source.until(times.started, now), (times.stage - times.started).total_seconds()
        verdicts = judge(counts, self._policy, until, since=since, services=[self._service.id])
        self.reading = Reading(counts, verdicts, trace(counts, self._policy, until))
        self._answered_at = now
        self._last = self._patient(fold(verdicts, policy=self._policy)[self._service.id], times, until)
        return self._last

    def _read(
        self, deployment: Deployment, started: datetime, reference_ms: float | None, now: datetime
    ) -> pd.DataFrame:
        since = started - timedelta(minutes=HISTORY_MINUTES)
        slow = self._policy.slow_ms
        return self._metrics.counts(
            self._service, self._environment, arms_of(deployment), started, since, now, slow, reference_ms or math.inf
        )

    def _patient(self, judgement: Judgement, times: Times, until: float) -> Judgement:
        """Traffic may come minutes after it was asked for, and until then there is nothing to be seen."""
        visible = until - (times.visible - times.started).total_seconds()
        if judgement.decision is not Decision.HOLD or visible >= self._policy.silence_seconds:
            return judgement
        return Judgement(self._service.id, Decision.NOT_ENOUGH_DATA, "No request of the new version is known yet.")

    def _without_numbers(self, trouble: Outage, started: datetime, now: datetime) -> Judgement:
        since = self._answered_at or started
        silent = (now - since).total_seconds()
        if self._last is not None and silent < self._policy.silence_seconds:
            return self._last
        decision = Decision.HOLD if silent >= self._policy.silence_seconds else Decision.NOT_ENOUGH_DATA
        return Judgement(self._service.id, decision, f"No numbers for {silent:.0f} s: {trouble}.")


def arms_of(deployment: Deployment) -> dict[str, Arm]:
    """The two versions, by the names that the judge gives them."""
    return {name: arm for name, arm in (("old", deployment.old), ("new", deployment.new)) if arm is not None}
