"""What a release is validated with: where results are, who makes them, and what they must keep. Part of the catalogue.

The field names are the TOML keys below `[validation]`. An *address* is `s3://bucket/key`, or a path below the
project's folder; `{version}`, `{environment}` and `{service}` in it stand for what is looked at.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.load_test_limits import Limits, PartLimits
from rules.scan_policies import ScanPolicy
from rules.suite_checks import Scenario
from rules.suites import Quarantine, SuitePolicy
from rules.waivers import WAIVABLE

GATES = WAIVABLE
"""The validation suite. Each is declared in the catalogue or left out there, with the reason."""


@dataclass(frozen=True, slots=True)
class SuiteResults:
    """Results that a suite of the team's own has left: JUnit XML, Bruno's JSON or Playwright's."""

    name: str
    result: str
    """Address of the file. One without `{version}` must itself say of which commit it is."""


@dataclass(frozen=True, slots=True)
class FunctionSuite:
    """Checks that only reach their targets from inside the VPC: an AWS Lambda function that carries them out."""

    name: str
    function: str
    """Name or ARN; `{environment}` stands for the environment's name."""
    repeatable: bool = False
    """Whether it may be invoked again when no answer came: it changes nothing, or the same thing."""


@dataclass(frozen=True, slots=True)
class RegressionPolicy:
    scenarios: tuple[Scenario, ...] = ()
    """Checks over HTTP, workflow by workflow. Production gets only those that read."""
    suites: tuple[SuiteResults, ...] = ()
    functions: tuple[FunctionSuite, ...] = ()
    hours: float = 24
    """Results older than this say nothing."""
    least_passed: int = 1
    quarantine: tuple[Quarantine, ...] = ()

    @property
    def is_declared(self) -> bool:
        return bool(self.scenarios or self.suites or self.functions)

    def as_suite_policy(self) -> SuitePolicy:
        names = (*(it.name for it in self.scenarios), *(it.name for it in self.suites))
        required = (*names, *(f"function {it.name}" for it in self.functions))
        return SuitePolicy(required, self.hours, self.least_passed, self.quarantine)


@dataclass(frozen=True, slots=True)
class LoadPolicy:
    """The load test: a script that k6 runs, or a result that k6 left somewhere."""

    script: str = ""
    """Address of the script. It finds BASE_URL, RELEASE and ENVIRONMENT in `__ENV`."""
    result: str = ""
    """Address of a result, instead of a script: any of k6's five formats, plain or gzip."""
    program: str = "k6"
    """Name, or path, of k6 on the worker."""
    minutes: float = 15
    """k6 is ended after so long."""
    hours: float = 24
    """A result that was written longer ago says nothing."""
    environments: tuple[str, ...] = ()
    """Where the script may be run; empty: anywhere but in production."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """More for the script's `__ENV`. No secrets: they would stand in the list of processes."""
    p95_ms: float = 500
    error_rate: float = 0.01
    check_failures: float = 0.01
    minimum_requests: int = 100
    minimum_seconds: float = 10
    p95_growth: float = 1.5
    """By so many times p95 may exceed that of the last run of the same script that passed."""
    growth_ms: float = 20
    """Growth by less than this is none."""
    part_requests: int = 20
    parts: Mapping[str, PartLimits] = field(default_factory=dict)
    """Own limits of scenarios and endpoints: `"name:Checkout" = { p95_ms = 800 }`."""

    @property
    def is_declared(self) -> bool:
        return bool(self.script or self.result)

    def limits(self) -> Limits:
        return Limits(
            p95_ms=self.p95_ms,
            error_rate=self.error_rate,
            check_failures=self.check_failures,
            minimum_requests=self.minimum_requests,
            minimum_seconds=self.minimum_seconds,
            parts=self.parts,
            part_requests=self.part_requests,
            p95_growth=self.p95_growth,
            growth_ms=self.growth_ms,
        )


@dataclass(frozen=True, slots=True)
class SchemaPolicy:
    """The database of the environment beside that of the next one: block documents `promotion-database/…`."""

    compare: bool = False

    @property
    def is_declared(self) -> bool:
        return self.compare


@dataclass(frozen=True, slots=True)
class MigrationPolicy:
    """Flyway scripts that the release brings, applied before its traffic."""

    scripts: str = ""
    """Address of the folder with the scripts of the release."""
    placeholders: Mapping[str, str] = field(default_factory=dict)
    """For `${…}` in scripts. A value may have `{environment}`."""
    table: str = "flyway_schema_history"
    schema: str = "public"
    minutes: float = 30
    """A script that takes longer is ended, and its transaction rolled back."""
    lock_seconds: float = 5
    """So long a statement waits for a lock. Whoever comes after it waits behind it."""
    rows: int = 20
    """In each table of the rehearsal."""

    @property
    def is_declared(self) -> bool:
        return bool(self.scripts)


@dataclass(frozen=True, slots=True)
class ScanSource:
    """Where one scan comes from: a file that a scanner left, a scanner that is run, or the registry's own scan."""

    name: str
    result: str = ""
    """Address of the file. With `{service}` there is one for each service."""
    command: tuple[str, ...] = ()
    """Program and arguments; `{result}` stands for the file that it writes, `{url}` for the environment's address."""
    registry: bool = False
    """The findings that Amazon ECR has of each image, by its digest."""
    exit_codes: tuple[int, ...] = (0, 1)
    """With which the program ends when it has scanned, whatever it found."""
    minutes: float = 15


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """The scans, and what they may find."""

    scans: tuple[ScanSource, ...] = ()
    policy: ScanPolicy = field(default_factory=ScanPolicy)

    @property
    def is_declared(self) -> bool:
        return bool(self.scans)


@dataclass(frozen=True, slots=True)
class ValidationPolicy:
    regression: RegressionPolicy = field(default_factory=RegressionPolicy)
    load: LoadPolicy = field(default_factory=LoadPolicy)
    security: SecurityPolicy = field(default_factory=SecurityPolicy)
    schema: SchemaPolicy = field(default_factory=SchemaPolicy)
    migrations: MigrationPolicy = field(default_factory=MigrationPolicy)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a gate is not asked, by its name. It stands in every table, and never as passed."""

    def is_declared(self, gate: str) -> bool:
        return bool(getattr(self, gate).is_declared)
