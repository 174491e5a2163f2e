"""What a load test must keep, by our own measure: the same for every format, whatever the script's thresholds are."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite

from rules.errors import InvalidInput
from rules.load_test_results import LoadTestResult


@dataclass(frozen=True, slots=True)
class PartLimits:
    """Of one scenario or endpoint, in place of those of the whole. None: that of the whole."""

    p95_ms: float | None = None
    error_rate: float | None = None
    minimum_requests: int = 1

    def __post_init__(self) -> None:
        _look_at(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """Values must be below the upper limits, and not below the minima. An upper limit of 0 allows 0."""

    p95_ms: float = 500.0
    """Milliseconds within which 95 % of the requests are answered."""
    error_rate: float = 0.01
    """Share of requests that fail, 0 to 1."""
    check_failures: float = 0.01
    """Share of the script's checks that fail, 0 to 1. k6 itself ends well even if every check fails."""
    minimum_requests: int = 100
    minimum_seconds: float = 10.0
    parts: Mapping[str, PartLimits] = field(default_factory=dict)
    """By selector: `name:ListItems`, `scenario:checkout`. Each of these must be in the result. A scenario or endpoint
    that is not named here keeps the limits of the whole, if it has `part_requests` or more."""
    part_requests: int = 20
    last: LoadTestResult | None = None
    """The last run of the same script that passed. None: there is none to compare with."""
    p95_growth: float = 1.5
    """p95 by that of the last run, of the whole and of each scenario and endpoint that both have."""
    growth_ms: float = 20.0
    """By less than this p95 may grow, however often that is the last one: 2 ms after 1 ms is no regression."""
    dropped_iterations: int | None = None
    """Iterations that k6 may have been unable to begin. None: any number, it is only told."""
    release: str = ""
    """The tag `release` that the samples must carry. Empty: whoever ran k6 knows which release it was."""
    needs_thresholds: bool = False
    """Whether the script must have thresholds of its own, and the file say that they were kept."""

    def __post_init__(self) -> None:
        _look_at(self)


def _look_at(limits: Limits | PartLimits) -> None:
    """Every number is one: nothing is above a limit that is not a number."""
    for it in fields(limits):
        value = getattr(limits, it.name)
        if isinstance(value, float | int) and not (isfinite(value) and value >= 0):
            raise InvalidInput(f"The load test's limit {it.name}", value, "a number of 0 or more")


def within(value: float, limit: float) -> bool:
    return value < limit or value == limit == 0
