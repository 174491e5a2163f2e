"""A release is validated where it runs: every gate is asked, and what was found is kept as evidence.

    validated ──fresh evidence?──▶ that        ──none──▶ validate: look now, record, judge the evidence again

The gates of a validation stand in `look` and nowhere else.
"""

from dataclasses import replace
from datetime import UTC, datetime

from prefect import get_run_logger

from blocks.doors import Doors
from rules.arrival import check_arrival
from rules.evidence import GATE, check_evidence
from rules.vocabulary import Finding, Release, Verdict
from tasks.evidence import record_validated
from tasks.gates import check_health, check_smoke, check_validation
from tasks.kinds import asking
from tasks.promotions import Promotion


def validated(promotion: Promotion, release: Release) -> tuple[Finding, ...]:
    """Fresh evidence that the release was validated in the source; without it, what validating it now finds."""
    evidence = find_evidence(promotion, release)
    if evidence.verdict is Verdict.PASSED:
        get_run_logger().info(evidence.sentence)
        return (evidence,)
    get_run_logger().warning("%s So it is validated now.", evidence.sentence)
    findings = validate(promotion, promotion.source, release)
    # What this version does not look at stands in the runbook's own list, once.
    unknown = {finding.gate for finding in check_validation()}
    return (*(_part(it) for it in findings if it.gate not in unknown), find_evidence(promotion, release))


def validate(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """Asks every gate of the environment behind the doors. Reads only; what was found becomes one record."""
    findings = look(promotion, doors, release)
    record_validated(promotion, doors.environment.name, release, findings)
    return findings


def look(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """All gates of a validation, side by side. A gate that counts stands in `rules.evidence.LOOKED_AT` too."""
    serving = check_serving.submit(promotion, doors, release)
    health = check_health.submit(promotion, doors)
    smoke = check_smoke.submit(promotion, doors)
    return (*serving.result(), health.result(), *smoke.result(), *check_validation())


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
    return check_evidence(records, environment, release.digests, policy, datetime.now(UTC))


def _part(finding: Finding) -> Finding:
    """Named as a part of the evidence, because the runbook asks the source for its health by itself, too."""
    return replace(finding, gate=f"{GATE}/{finding.gate}")
