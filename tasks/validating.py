"""A release is validated where it runs: every gate is asked, and what was found is kept as evidence.

    validated ──fresh evidence?──▶ that        ──none──▶ validate: look now, record, judge the evidence again

The gates of a validation stand in `look` and nowhere else. What is recorded is what was found; waivers excuse it when
it is read, so that one that is over excuses nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from prefect import Task, get_run_logger
from prefect.futures import PrefectFuture

from blocks.doors import Doors
from rules.arrival import check_arrival
from rules.evidence import GATE, check_evidence
from rules.validation import all_not_asked, nothing_follows
from rules.validation_policies import GATES
from rules.vocabulary import Finding, Release, Verdict
from rules.waivers import check_waivers, waived
from tasks.evidence import record_validated
from tasks.gates import check_health, check_smoke
from tasks.kinds import asking
from tasks.load_tests import check_load
from tasks.promotions import Promotion
from tasks.regression import check_regression
from tasks.rehearsing import check_migrations
from tasks.schemas import check_schema
from tasks.security import check_security

SUITE: Mapping[str, Task[[Promotion, Doors, Release], tuple[Finding, ...]]] = {
    "regression": check_regression,
    "load": check_load,
    "security": check_security,
    "schema": check_schema,
    "migrations": check_migrations,
}
BETWEEN_TWO = ("schema", "migrations")
"""Gates that compare an environment with the next one."""


def check_validated(promotion: Promotion, release: Release | None) -> tuple[Finding, ...]:
    """As `validated`; nothing where there is no release, which is a finding by itself."""
    return validated(promotion, release) if release else ()


def validated(promotion: Promotion, release: Release) -> tuple[Finding, ...]:
    """Fresh evidence that the release was validated in the source; without it, what validating it now finds."""
    waivers = told_waivers(promotion, release)
    evidence = find_evidence(promotion, release)
    if evidence.verdict is Verdict.PASSED:
        get_run_logger().info(evidence.sentence)
        return (evidence, *waivers)
    get_run_logger().warning("%s So it is validated now.", evidence.sentence)
    findings = validate(promotion, promotion.source, release)
    return (*(_part(it) for it in findings), find_evidence(promotion, release), *waivers)


def validate(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """Asks every gate of the environment behind the doors. Changes nothing; what was found becomes one record."""
    findings = look(promotion, doors, release)
    record_validated(promotion, doors.environment.name, release, findings)
    return waived(findings, promotion.catalogue.waivers, release.version, datetime.now(UTC).date())


def told_waivers(promotion: Promotion, release: Release) -> tuple[Finding, ...]:
    """What of this release is waived, so that it stands in every table."""
    return check_waivers(promotion.catalogue.waivers, release.version, datetime.now(UTC).date())


def look(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """All gates of a validation, side by side. A gate that counts stands in `rules.evidence.LOOKED_AT` too."""
    suite = ask_suite(promotion, doors, release)
    serving = check_serving.submit(promotion, doors, release)
    health = check_health.submit(promotion, doors)
    smoke = check_smoke.submit(promotion, doors)
    return (*serving.result(), health.result(), *smoke.result(), *(it for answer in suite for it in answer()))


def ask_suite(promotion: Promotion, doors: Doors, release: Release) -> list[Callable[[], tuple[Finding, ...]]]:
    """The validation suite under way: each waits for one gate's findings, in the order of `GATES`."""
    told = all_not_asked(promotion.catalogue.validation)
    if promotion.source is promotion.target:
        told |= {gate: nothing_follows(gate) for gate in BETWEEN_TWO if gate not in told}
    asked = {gate: SUITE[gate].submit(promotion, doors, release) for gate in GATES if gate not in told}
    return [_waiting(asked[gate]) if gate in asked else _told(told[gate]) for gate in GATES]


def _waiting(future: PrefectFuture[tuple[Finding, ...]]) -> Callable[[], tuple[Finding, ...]]:
    return future.result


def _told(finding: Finding) -> Callable[[], tuple[Finding, ...]]:
    return lambda: (finding,)


@asking("check what serves")
def check_serving(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """Every service serves the release's image, with all its tasks."""
    environment = doors.environment.name
    return check_arrival(doors.containers.states(promotion.services, environment), release.digests, environment)


@asking("look for evidence")
def find_evidence(promotion: Promotion, release: Release) -> Finding:
    """What the ledger says of this release in the source."""
    records, policy = promotion.application.ledger.records(), promotion.catalogue.evidence
    environment = promotion.source.environment.name
    waivers = promotion.catalogue.waivers
    return check_evidence(records, environment, release.digests, policy, datetime.now(UTC), waivers=waivers)


def _part(finding: Finding) -> Finding:
    """Named as a part of the evidence, because the runbook asks the source for its health by itself, too."""
    return replace(finding, gate=f"{GATE}/{finding.gate}")
