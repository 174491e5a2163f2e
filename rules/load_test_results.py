"""What is known of a load test after reading its result file, whatever the format. What is unknown is None, never 0.

The text of the script and what its `setup` returned have no place here: both may hold secrets.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Format(StrEnum):
    """The five ways in which k6 writes a result down."""

    SUMMARY_EXPORT = "summary export"
    """`--summary-export`, of every version."""
    HANDLE_SUMMARY = "handleSummary"
    """The object that a script's `handleSummary` is given, as JSON."""
    MACHINE_READABLE = "machine-readable summary"
    """`--new-machine-readable-summary`, of 1.5 and later."""
    NDJSON = "NDJSON"
    """`--out json=`: every sample on a line."""
    CSV = "CSV"
    """`--out csv=`: every sample in a row."""

    @property
    def tells_thresholds(self) -> bool:
        """Whether the file says of each of the script's thresholds if it was kept. The others leave that to k6's exit
        code.
        """
        return self in (Format.SUMMARY_EXPORT, Format.HANDLE_SUMMARY)

    @property
    def has_samples(self) -> bool:
        return self in (Format.NDJSON, Format.CSV)


class Kept(StrEnum):
    """Whether a threshold of the script was kept."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """Not in the file, or k6 counted it as kept although its metric has no sample."""


@dataclass(frozen=True, slots=True)
class Threshold:
    metric: str
    """As k6 spells it: `http_req_duration{scenario:checkout}`."""
    expression: str
    """`p(95)<500`; empty where the file only tells that there is one."""
    kept: Kept

    def __str__(self) -> str:
        return f"{self.metric} {self.expression}".strip()


@dataclass(frozen=True, slots=True)
class Measures:
    """Of all requests, or those of a part. Times in milliseconds; None: the file does not tell."""

    requests: int | None = None
    errors: int | None = None
    """Failed requests, as k6's `http_req_failed` counts them."""
    error_rate: float | None = None
    """Share of the requests that failed, 0 to 1."""
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    max_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The requests with certain tags."""

    selector: str
    """As k6 spells it: `scenario:checkout`, `name:ListItems`, `name:ListItems,method:GET`."""
    measures: Measures

    @property
    def is_scenario_or_endpoint(self) -> bool:
        return self.selector.startswith(("scenario:", "name:"))


@dataclass(frozen=True, slots=True)
class LoadTestResult:
    format: Format
    total: Measures
    seconds: float | None = None
    """How long the test ran. Of samples: from the first to the last one."""
    dropped_iterations: int | None = None
    """Iterations that k6 could not begin in time: the load was lower than planned."""
    checks_passed: int | None = None
    checks_failed: int | None = None
    """None: the script has no checks, or the file does not tell."""
    thresholds: tuple[Threshold, ...] = ()
    parts: tuple[Part, ...] = ()
    """Scenarios and endpoints. A summary has those only that the script has thresholds for."""
    problems: tuple[str, ...] = field(default=())
    """What was wrong with the file, a sentence each. A result with problems does not pass."""
    release: str | None = None
    """The samples' tag `release`; summaries have none."""

    @property
    def requests(self) -> int | None:
        return self.total.requests

    @property
    def errors(self) -> int | None:
        return self.total.errors

    @property
    def error_rate(self) -> float | None:
        return self.total.error_rate

    @property
    def p50_ms(self) -> float | None:
        return self.total.p50_ms

    @property
    def p95_ms(self) -> float | None:
        return self.total.p95_ms

    @property
    def p99_ms(self) -> float | None:
        return self.total.p99_ms

    @property
    def max_ms(self) -> float | None:
        return self.total.max_ms

    def part(self, selector: str) -> Part | None:
        return next((it for it in self.parts if it.selector == selector), None)
