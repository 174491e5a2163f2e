"""The words of this project, as types. The README's glossary is this list in prose.

Every word has one meaning everywhere: in code, in the catalogue, in records and in messages.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum


class Role(StrEnum):
    """What an environment is for. Policy asks the role, never the environment's name."""

    INTEGRATION = "integration"
    STAGING = "staging"
    PRODUCTION = "production"


class Strategy(StrEnum):
    """How traffic moves from the old revision of a service to the new one."""

    ROLLING = "rolling"
    BLUE_GREEN = "blue_green"
    CANARY = "canary"


class Controller(StrEnum):
    """Who moves the traffic: Amazon ECS itself, AWS CodeDeploy, or we ourselves by the weights of a listener rule."""

    ECS = "ecs"
    CODEDEPLOY = "codedeploy"
    LISTENER = "listener"


@dataclass(frozen=True, slots=True)
class Environment:
    """A place a release can be."""

    name: str
    role: Role
    account: str
    """The AWS account, twelve digits."""
    region: str
    role_arn: str
    """The IAM role that a promotion takes on in this account."""
    cluster: str
    parameter_path: str
    """Root of the environment's parameters, with both slashes: `/batbern/dev/`."""
    flag_environment: str
    """The environment's key in the feature flag service."""
    database: str = ""
    """Identifier of the RDS instance that is snapshotted before a change; empty: there is none."""


@dataclass(frozen=True, slots=True)
class Service:
    """One deployable: what ECS, the registry and the probes call it."""

    id: str
    ecs_service: str
    """Name, or prefix of a generated name. `{environment}` stands for the environment's name."""
    repository: str
    container: str
    """Name of the container that carries the release's image."""
    health_path: str
    smoke_paths: tuple[str, ...] = ()
    wave: int = 1
    """Services of a lower wave are rolled out first; one wave together."""
    strategy: Strategy = Strategy.BLUE_GREEN
    strategies: Mapping[str, Strategy] = field(default_factory=dict)
    """By environment, where it is not `strategy`: `{ production = "canary" }`."""
    controller: Controller = Controller.ECS
    codedeploy_application: str = ""
    """For the controller `codedeploy`. `{environment}` as in `ecs_service`; so in the next."""
    codedeploy_group: str = ""
    ecs_service_beside: str = ""
    """For the controller `listener`: the second ECS service, as in `ecs_service`. One of the two has the traffic."""
    stays_without_us: bool = False
    """For the controller `listener`, whose owner must say so: where our process dies, the weights stay as they are."""
    load_balanced: bool = False
    """Whether a load balancer's listener rule carries its traffic (else Service Connect)."""
    alarms: tuple[str, ...] = ()
    """CloudWatch alarms that roll the deployment back. `{environment}` as in `ecs_service`."""

    def strategy_in(self, environment: str) -> Strategy:
        return self.strategies.get(environment, self.strategy)


class Verdict(StrEnum):
    """A gate's answer. `worst` folds many into one: failed beats inconclusive beats passed."""

    PASSED = "passed"
    INCONCLUSIVE = "inconclusive"
    FAILED = "failed"

    @property
    def badness(self) -> int:
        return (Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED).index(self)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of the verdicts. No verdict at all is INCONCLUSIVE: no data is never a pass."""
    return max(verdicts, key=lambda verdict: verdict.badness, default=Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One gate's answer: what was measured, what was allowed, in one sentence a release manager understands."""

    gate: str
    verdict: Verdict
    sentence: str
    measured: str = ""
    allowed: str = ""
    evidence: str = ""
    """A link or an identifier under which the proof can be looked at."""
    waived: str = ""
    """Why this finding does not block although it did not pass. The verdict stays what it is."""
    could_be_met: str = ""
    """When, or by what, a gate that is not met could be met: `Monday 23 November, 09:00 CET`."""

    @property
    def blocks(self) -> bool:
        return self.verdict is not Verdict.PASSED and not self.waived


def unmet(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings that stand in the way. No findings at all are one: no data is never a pass."""
    found = tuple(findings)
    if not found:
        return (Finding("gates", Verdict.INCONCLUSIVE, "No gate gave an answer."),)
    return tuple(finding for finding in found if finding.blocks)


@dataclass(frozen=True, slots=True)
class Image:
    """A container image as the registry knows it."""

    repository: str
    digest: str
    """`sha256:` and 64 hexadecimal digits: what runs, whatever the tags say later."""
    tags: tuple[str, ...] = ()
    pushed_at: datetime | None = None


def short(digest: str) -> str:
    """A digest as people read it: `sha256:` and twelve digits."""
    return digest[:19]


@dataclass(frozen=True, slots=True)
class Release:
    """Everything of one version that moves together. Configuration and flags join it in the plan."""

    version: str
    """The Git SHA, as the image tags give it (7 to 40 hexadecimal digits)."""
    digests: Mapping[str, str] = field(default_factory=dict)
    """Image digest by service id."""


@dataclass(frozen=True, slots=True)
class Waiver:
    """One named gate of one release excused: by whom, why, until when."""

    gate: str
    version: str
    """The release's Git SHA, 7 to 40 hexadecimal digits."""
    person: str
    reason: str
    expires: date
    """The last day on which it holds."""
