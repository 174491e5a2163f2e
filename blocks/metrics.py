"""The door to the numbers by which a canary is judged, whoever keeps them: CloudWatch or Prometheus."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

import pandas as pd

from rules.rollouts import Arm
from rules.telemetry import Source
from rules.vocabulary import Finding, Service


class Metrics(Protocol):
    """Counts of two versions of one service. Raises Outage rather than give numbers that are known to lack some."""

    @property
    def source(self) -> Source:
        """How fine the numbers are, and how late."""
        ...

    def counts(  # noqa: PLR0917 - who, when and which limits: none of it has a default
        self,
        service: Service,
        environment: str,
        arms: Mapping[str, Arm],
        started: datetime,
        since: datetime,
        until: datetime,
        slow_ms: float,
        reference_ms: float,
    ) -> pd.DataFrame:
        """Columns `service, arm, t, n, errors, slow, slow_ref`, one row for each version and tick with requests.

        Args:
            service: as in the catalogue.
            environment: its name.
            arms: "old" and "new".
            started: when traffic first went to the new version: `t` = 0 (s).
            since: from when the numbers are wanted; before `started` it is the old version's history.
            until: now; later ticks are not there, the running one is as far as it goes.
            slow_ms: a request slower than this counts in `slow`.
            reference_ms: one slower than this in `slow_ref`. None does where this is infinite.

        """
        ...

    def reference_ms(
        self, service: Service, environment: str, arm: Arm, until: datetime, minutes: float
    ) -> float | None:
        """95th percentile (ms) of all requests of these minutes together, by the source itself. None: too few."""
        ...

    def preflight(
        self, services: Sequence[Service], environment: str, arms: Mapping[str, Mapping[str, Arm]], now: datetime
    ) -> tuple[Finding, ...]:
        """Whether there are numbers to judge each service by: one finding a service.

        `arms` are "old" (and "new", not looked at: it cannot have numbers yet) by the service's id.
        """
        ...
