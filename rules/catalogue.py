"""The catalogue as types: what is promoted, from where to where, under which policy.

`blocks/catalogue.py` reads it from TOML; the field names are the TOML keys. Durations carry their unit in
the name. Defaults stand beside the field, with the reason where it is not plain.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from rules.production_policies import (
    ApprovalPolicy,
    EmergencyPolicy,
    EvidencePolicy,
    HistoryPolicy,
    Person,
    TicketPolicy,
    WindowPolicy,
)
from rules.validation_policies import ValidationPolicy
from rules.vocabulary import Environment, Service, Waiver


class KeyAction(StrEnum):
    """What happens to a parameter of the source environment when its release is promoted."""

    COPY = "copy"
    """The target gets the source's value."""
    KEEP = "keep"
    """The target has a value of its own, which must exist, and is not touched."""
    REQUIRE = "require"
    """As keep, for keys that the source need not have: the target must have a value."""
    MAP = "map"
    """The target gets the value that the catalogue gives for it."""
    IGNORE = "ignore"
    """Not promoted, and not missed when absent."""


@dataclass(frozen=True, slots=True)
class KeyRule:
    """The action for all keys (relative to the environment's root) that a pattern covers.

    `*` matches within one level, `**` across levels, as in `.gitignore`. The first matching rule wins.
    """

    pattern: str
    action: KeyAction
    values: dict[str, str] = field(default_factory=dict)
    """For `map`: the value by target environment."""


@dataclass(frozen=True, slots=True)
class ConfigurationPolicy:
    rules: tuple[KeyRule, ...] = ()
    max_changes: int = 50
    """More changes than this in one promotion make the plan unsafe: a wrong pattern shows itself so."""
    forbidden_in_target: tuple[str, ...] = ()
    """Further words that must not be in a promoted value; the source environment's name always is one."""


@dataclass(frozen=True, slots=True)
class FlagPolicy:
    """Which flags travel with a release. Divergence between environments is normal, so this is opt-in."""

    project: str = ""
    keys: tuple[str, ...] = ()
    """Flags promoted by key (`*` patterns allowed)."""
    tags: tuple[str, ...] = ()
    """Flags promoted because they carry one of these tags."""
    approval_wait_minutes: float = 60
    """How long a promotion waits, without holding the lock, for approvals given in the flag service."""

    @property
    def enabled(self) -> bool:
        return bool(self.project and (self.keys or self.tags))


@dataclass(frozen=True, slots=True)
class StabilityPolicy:
    minutes: float = 120
    """Every service of the source must have run its revision this long (the story's two hours)."""


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    bake_minutes: float = 5
    """Both revisions stay up this long after all traffic moved, so that going back is one call."""
    start_minutes: float = 15
    """A new revision that is not serving after this long is abandoned."""
    max_failed_tasks: int = 3
    """So many stopped tasks of the new revision end the roll-out before `start_minutes` do."""
    total_minutes: float = 60
    settle_minutes: float = 3
    """After a deployment's success its digest must be seen serving, alone, within this time: reads lag behind."""
    poll_seconds: float = 5
    snapshot_minutes: float = 60
    """The database's snapshot must be complete within this time, or nothing is changed."""


@dataclass(frozen=True, slots=True)
class CanaryPolicy:
    steps: tuple[int, ...] = (10, 50)
    """Percent of the traffic at which the new version is held and judged. 100 follows by itself."""
    window_minutes: float = 5
    """So long it is judged at each step before it may go on; when it is worse it comes back at once."""
    extensions: int = 3
    """So many further windows are waited for evidence before a person is asked."""
    hold_minutes: float = 60
    """Nobody, and no process of ours, goes on for so long: then ECS by itself gives all traffic to the old version."""
    codedeploy_minutes: float = 10
    """By AWS CodeDeploy: so long the new version stays at its one step, whatever the judge says. Whole minutes."""
    sample_seconds: float = 15
    """The numbers are read, and judged, this often."""


class MetricSource(StrEnum):
    """Where the numbers come from by which a canary is judged."""

    LOAD_BALANCER = "load_balancer"
    """Amazon's own metrics of an application load balancer: one number a minute, nothing to be configured."""
    CLOUDWATCH = "cloudwatch"
    """The application's own metrics in CloudWatch, down to one number a second."""
    PROMETHEUS = "prometheus"


class LatencyUnit(StrEnum):
    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"


@dataclass(frozen=True, slots=True)
class MetricsPolicy:
    """How requests, errors and slow requests of one version of a service are counted.

    In templates `{service}` is the service's id, `{environment}` the environment's name and `{task_definition}`
    the version's `family:revision`; something must tell the two versions apart.
    """

    source: MetricSource = MetricSource.LOAD_BALANCER
    resolution_seconds: int = 60
    """Length of a tick. A load balancer's metrics have none shorter than a minute."""
    delay_seconds: float = 60
    """So long after its end a tick may still grow. Before that what lacks is late, afterwards it is missing."""
    unanswered_fail: bool = True
    """For `load_balancer`: a request that was handed to a target and got no answer from it is an error. To visitors
    it is (502, 504), except to those who left before: switch it off where that is more than one in 200."""
    namespace: str = ""
    """For `cloudwatch`, as all up to `latency_unit`."""
    dimensions: dict[str, str] = field(default_factory=dict)
    requests: str = "Requests"
    errors: str = "Errors"
    latency: str = "Latency"
    """Every request's own time, not an average: published as Values with Counts, or by embedded metric format."""
    latency_unit: LatencyUnit = LatencyUnit.SECONDS
    requests_query: str = ""
    """For `prometheus`, as all that follow: a counter that only grows, one series a process; no rate, no sum."""
    errors_query: str = ""
    slow_query: str = ""
    """Requests slower than `{seconds}`, as a counter. With a histogram: its count less its bucket."""
    reference_query: str = ""
    """The 95th percentile in seconds over the last `{minutes}` minutes: one number."""
    buckets_seconds: tuple[float, ...] = ()
    """Borders of the histogram: only at these can slow requests be counted. Empty: at any."""


@dataclass(frozen=True, slots=True)
class JudgePolicy:
    """When a canary is worse than it may be. Why each number is what it is: docs/adr/0009."""

    max_error_rate: float = 0.01
    """The budget: at least 99 % of the requests succeed."""
    slow_ms: float = 500
    max_slow_share: float = 0.05
    """At most so many requests may take longer than `slow_ms`: the same as a 95th percentile of `slow_ms`."""
    error_tolerance: float = 1.5
    """The new version may fail so many times as often as the old one before it counts as worse."""
    slow_tolerance: float = 1.2
    """As `error_tolerance`, for requests slower than the old version's own 95th percentile."""
    alpha: float = 0.01
    """At most this share of healthy roll-outs is rolled back, however often one looks."""
    least_bad: int = 3
    """Fewer bad requests than this never roll anything back: one client's retries are no version's fault."""
    segment_seconds: float = 30
    """Bursts of trouble last about so long: one segment alone cannot decide, see `segment_nats`."""
    segment_nats: float = 4.4
    """The most that one segment can say (natural logarithm of the odds, 81:1). Two that agree pass the line."""
    breaking_factor: float = 3
    """So many times over the limit, and over the old version's worst segment, needs no second segment."""
    history_segments: int = 10
    """The old version's bursts are known once so many of its segments were seen."""
    burstiness: float = 1
    """Assumed until they are known: the variance of the bad rate between segments, in squares of its mean."""
    warm_up_seconds: float = 30
    """So long after its first request the new version's slowness is not held against it. Its errors are."""
    silence_seconds: float = 60
    """No request of the canary for so long, while there should be some, is not health: the roll-out is held."""
    promote_factor: float = 2
    """A stage goes on when this many times the limits is refuted ..."""
    promote_alpha: float = 0.05
    """... with at most this chance of being wrong."""


@dataclass(frozen=True, slots=True)
class HealthPolicy:
    attempts: int = 3
    pause_seconds: float = 5
    timeout_seconds: float = 5
    smoke_slow_seconds: float = 2
    """A smoke check slower than this fails although it answered."""
    soak_samples: int = 20
    """Requests per smoke path after traffic moved; one request cannot see a fault that hits one in five."""


@dataclass(frozen=True, slots=True)
class LockPolicy:
    wait_minutes: float = 30
    lease_seconds: float = 60
    """A lock whose holder died comes free after this long (Prefect renews it while the holder lives)."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything under review: read once per run, its hash stands in every record."""

    application: str
    chain: tuple[str, ...]
    """Environment names in the order of promotion."""
    environments: dict[str, Environment]
    services: dict[str, Service]
    registry: str
    """Name of the environment whose account holds the image repositories."""
    configuration: ConfigurationPolicy = ConfigurationPolicy()
    flags: FlagPolicy = FlagPolicy()
    stability: StabilityPolicy = StabilityPolicy()
    rollout: RolloutPolicy = RolloutPolicy()
    canary: CanaryPolicy = CanaryPolicy()
    judge: JudgePolicy = JudgePolicy()
    metrics: MetricsPolicy = MetricsPolicy()
    health: HealthPolicy = HealthPolicy()
    lock: LockPolicy = LockPolicy()
    people: dict[str, Person] = field(default_factory=dict)
    """Who may approve, by id."""
    approvals: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    windows: WindowPolicy = field(default_factory=WindowPolicy)
    tickets: TicketPolicy = field(default_factory=TicketPolicy)
    evidence: EvidencePolicy = field(default_factory=EvidencePolicy)
    emergency: EmergencyPolicy = field(default_factory=EmergencyPolicy)
    history: HistoryPolicy = field(default_factory=HistoryPolicy)
    validation: ValidationPolicy = field(default_factory=ValidationPolicy)
    waivers: tuple[Waiver, ...] = ()
    """Gates of one release that somebody excused."""
    sha256: str = ""
    """Hash of the file that this was read from."""

    def waves(self) -> tuple[tuple[Service, ...], ...]:
        """Services grouped by wave, first wave first."""
        numbers = sorted({service.wave for service in self.services.values()})
        return tuple(
            tuple(service for service in self.services.values() if service.wave == number) for number in numbers
        )
