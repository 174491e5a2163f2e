"""What happens to a canary in the 23 scenarios: error rates and latencies of both versions over 15 minutes."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import numpy as np

from rules.canary_arrays import Floats

TICK = 5
SAMPLE = 30
"""Seconds of one sample of the rules that poll."""
STAGES = ((0, 300, 0.1), (300, 600, 0.5), (600, 900, 1.0))
"""(from, to, share of the canary). In the last there is no old version beside it."""
END = STAGES[-1][1]
HISTORY = 1800
"""Seconds of the old version's past: as much as the product reads."""
RATES = (1, 10, 100, 1000)
"""Requests per second of both versions together."""

HEALTHY_ERRORS = 0.002
HEALTHY_P95 = 300.0
SIGMA = 0.6
"""Of the lognormal latency."""


class Kind(Enum):
    HEALTHY = "healthy"
    BAD = "bad"
    INSIDE = "worse, inside the limits"
    UNLABELLED = "unlabelled"


@dataclass(frozen=True, slots=True)
class Course:
    """A number over time: `before` until `since`, then in a straight line to `after` at `until`, then `after`."""

    before: float
    after: float | None = None
    since: float = 0
    until: float = 0

    def at(self, t: Floats) -> Floats:
        after = self.before if self.after is None else self.after
        way = np.where(t < self.since, 0.0, np.clip((t - self.since) / max(self.until - self.since, 1e-9), 0, 1))
        return self.before + way * (after - self.before)

    @property
    def constant(self) -> bool:
        return self.after is None


@dataclass(frozen=True, slots=True)
class Version:
    errors: Course = Course(HEALTHY_ERRORS)
    p95: Course = Course(HEALTHY_P95)
    """In milliseconds."""


@dataclass(frozen=True, slots=True)
class Blip:
    """30 seconds of errors that begin at a random tick before `before`."""

    errors: float
    both: bool
    before: float = 570


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    kind: Kind
    what: str
    new: Version = Version()
    old: Version = Version()
    onset: float = 0
    """When it begins to be worse, in seconds."""
    lost: float = 0
    """Share of the samples of 30 s that never arrive, for each version by itself."""
    bursty: bool = False
    """Error rates vary from 30 s to 30 s by a gamma law with a variation of 1, for each version by itself."""
    swing: float = 0
    """The traffic swings by this share within the 15 minutes."""
    blip: Blip | None = None
    silent: bool = False
    """No requests of the canary: in half of the runs from the start, in the others from a moment in the first 200 s."""


def _worse(name: str, errors: float, what: str, kind: Kind = Kind.BAD, **more: float) -> Scenario:
    return Scenario(name, kind, what, Version(errors=Course(errors)), **more)  # type: ignore[arg-type]  # floats only


def _slower(name: str, p95: float, what: str, kind: Kind) -> Scenario:
    return Scenario(name, kind, what, Version(p95=Course(p95)))


def _both(name: str, version: Version, what: str) -> Scenario:
    return Scenario(name, Kind.HEALTHY, what, version, version)


COLD = Version(p95=Course(3 * HEALTHY_P95, HEALTHY_P95, 30, 30))
TINY = Version(Course(1.1 * HEALTHY_ERRORS), Course(1.02 * HEALTHY_P95))
LEAK_ERRORS = Version(errors=Course(HEALTHY_ERRORS, 0.1, 120, END))
LEAK_LATENCY = Version(p95=Course(HEALTHY_P95, 3 * HEALTHY_P95, 120, END))
LATE = Version(errors=Course(HEALTHY_ERRORS, 0.052, 200, 200))
BUSY = Version(p95=Course(HEALTHY_P95, 1.3 * HEALTHY_P95, 0, END))

SCENARIOS = (
    Scenario("clean", Kind.HEALTHY, "as the old version: 0.2 % errors, p95 300 ms"),
    _both("near_err", Version(errors=Course(0.008)), "both versions fail 0.8 %"),
    _both("near_lat", Version(p95=Course(450)), "both versions have a p95 of 450 ms"),
    Scenario("shared_blip", Kind.HEALTHY, "30 s of 5 % errors in both versions", blip=Blip(0.05, both=True)),
    Scenario("cold_start", Kind.HEALTHY, "p95 900 ms in the canary's first 30 s", COLD),
    Scenario("diurnal", Kind.HEALTHY, "traffic swings by half, p95 of both grows to 390 ms", BUSY, BUSY, swing=0.5),
    Scenario("missing30", Kind.HEALTHY, "30 % of the 30-s samples are lost", lost=0.3),
    Scenario("overdisp", Kind.HEALTHY, "errors come in bursts, in each version by itself", bursty=True),
    Scenario("tiny", Kind.HEALTHY, "errors x 1.1, latency + 2 %", TINY),
    _worse("E+1%", 0.012, "1.2 % errors"),
    _worse("E+5%", 0.052, "5.2 % errors"),
    _worse("E100%", 1.0, "every request fails"),
    _slower("Lx3", 900, "p95 900 ms", Kind.BAD),
    Scenario("leak_err", Kind.BAD, "from 120 s errors grow to 10 % at 900 s", LEAK_ERRORS, onset=120),
    Scenario("leak_lat", Kind.BAD, "from 120 s p95 grows to 900 ms at 900 s", LEAK_LATENCY, onset=120),
    Scenario("late_E+5%", Kind.BAD, "5.2 % errors from 200 s on", LATE, onset=200),
    _worse("E+5%_missing50", 0.052, "5.2 % errors, half of the 30-s samples lost", lost=0.5),
    _worse("E+0.2%", 0.004, "0.4 % errors", Kind.INSIDE),
    _worse("E+0.5%", 0.007, "0.7 % errors", Kind.INSIDE),
    _slower("L+10%", 330, "p95 330 ms", Kind.INSIDE),
    _slower("L+50%", 450, "p95 450 ms", Kind.INSIDE),
    Scenario("canary_blip", Kind.UNLABELLED, "30 s of 20 % errors in the canary alone", blip=Blip(0.2, both=False)),
    Scenario("silent", Kind.UNLABELLED, "the canary has no requests", silent=True),
)


def of_kind(kind: Kind) -> Iterator[Scenario]:
    return (it for it in SCENARIOS if it.kind is kind)


def named(name: str) -> Scenario:
    return next(it for it in SCENARIOS if it.name == name)
