"""What was found of a release in an environment, good or bad, goes into the ledger, where the next promotion looks."""

from prefect import get_run_logger

from rules.records import EventKind
from rules.vocabulary import Finding, Release, unmet
from tasks.kinds import acting
from tasks.promotions import Promotion
from tasks.records import write


@acting("record the validation")
def record_validated(
    promotion: Promotion, environment: str, release: Release, findings: tuple[Finding, ...], plan_hash: str = ""
) -> None:
    """One record in the name of the environment that was looked at, which may be another than the run's target."""
    against = unmet(findings)
    sentence = f"{release.version} was validated in {environment}: {len(findings)} findings, "
    sentence += f"{len(against)} unmet." if against else "none stands in the way."
    details = {"version": release.version, "digests": dict(release.digests), "findings": findings}
    write(promotion.application.ledger, EventKind.VALIDATED, environment, sentence, plan_hash, **details)
    get_run_logger().info(sentence)
