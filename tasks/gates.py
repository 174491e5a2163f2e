"""The gates of a promotion: each asks, applies a rule and returns findings. None of them raises a refusal."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from prefect import get_run_logger

from blocks.doors import Doors
from rules.errors import PromotionError
from rules.plans import Plan
from rules.probing import HealthAnswer, judge_health, judge_smoke, judge_soak
from rules.records import EventKind
from rules.stability import check_stability
from rules.vocabulary import Finding, Service, Verdict, unmet
from rules.why_not import why_not_page
from tasks.artifacts import artifact_key, publish_findings, publish_markdown
from tasks.evidence import record_validated
from tasks.feature_flags import verify_flags
from tasks.kinds import asking
from tasks.promotions import Promotion, refuse
from tasks.records import write
from tasks.rollouts import arrival


@asking("check stability")
def check_stable(promotion: Promotion) -> tuple[Finding, ...]:
    """Every service of the source has run its revision, undisturbed, as long as policy asks."""
    doors = promotion.source
    states = doors.containers.states(promotion.services, doors.environment.name)
    now = datetime.now(UTC)
    return check_stability(promotion.services, states, promotion.catalogue.stability, now, doors.environment.name)


@asking("check health")
def check_health(promotion: Promotion, doors: Doors) -> Finding:
    """Every service says UP, each by its own health path."""
    policy = promotion.catalogue.health

    def look(service: Service) -> tuple[HealthAnswer, ...]:
        return doors.probes.settled_health(service.health_path, policy.attempts, policy.pause_seconds)

    # Side by side: an ill environment is told after the patience for one service, not for all in turn.
    with ThreadPoolExecutor(max_workers=len(promotion.services)) as pool:
        looks = list(pool.map(look, promotion.services))
    return judge_health({service.id: seen for service, seen in zip(promotion.services, looks, strict=True)})


@asking("smoke test")
def check_smoke(promotion: Promotion, doors: Doors) -> tuple[Finding, ...]:
    """What users call answers, with content and in time: once each, then often enough to see a fault in one of five."""
    policy = promotion.catalogue.health
    paths = list(dict.fromkeys(path for service in promotion.services for path in service.smoke_paths))
    once = judge_smoke(doors.probes.sample(paths, 1), policy)
    if once.blocks:
        return (once,)
    return (once, judge_soak(doors.probes.sample(paths, policy.soak_samples), policy))


def check_source(promotion: Promotion) -> tuple[Finding, ...]:
    """The source is stable, healthy, and does what users need of it."""
    source = promotion.source
    stable = check_stable.submit(promotion)
    health = check_health.submit(promotion, source)
    smoke = check_smoke.submit(promotion, source)
    return (*stable.result(), health.result(), *smoke.result())


@asking("check digests")
def check_digests(promotion: Promotion, plan: Plan) -> tuple[Finding, ...]:
    """Every service serves the release's image, with all its tasks."""
    return arrival(promotion, plan.release.digests)


def check_arrived(promotion: Promotion, plan: Plan) -> tuple[Finding, ...]:
    """After the roll-out: the digests serve, every service is healthy, users are served, flags are as planned.

    What was found is evidence of the release in this environment, for the promotion to the next one.
    """
    target = promotion.target
    findings = (
        *check_digests(promotion, plan),
        check_health(promotion, target),
        *check_smoke(promotion, target),
        verify_flags(promotion, plan),
    )
    record_validated(promotion, plan.target, plan.release, findings, plan.hash)
    conclude(promotion, plan, findings, "arrival", f"{plan.release.version} in {target.environment.name}")
    if unmet(findings):
        raise NotArrived(plan, findings)
    return findings


def refuse_unless_met(promotion: Promotion, plan: Plan | None, findings: tuple[Finding, ...]) -> Plan:
    """Publishes and records all findings. The plan when every gate is met, else a refusal that lists the unmet."""
    conclude(promotion, plan, findings, "gates", f"Gates of {promotion}")
    may_not = plan is None or bool(unmet(findings))
    if promotion.terms and (promotion.dry_run or may_not):
        publish_why_not(promotion, findings)
    if plan is None or may_not:
        raise refuse(promotion, findings)
    return plan


def publish_why_not(promotion: Promotion, findings: tuple[Finding, ...]) -> None:
    """On a page: in the table of findings one would have to scroll aside to see who may leave a gate out."""
    key = artifact_key(promotion.application.name, promotion.target.environment.name, "why not")
    catalogue = promotion.catalogue
    page = why_not_page(findings, catalogue.emergency, catalogue.people)
    publish_markdown(key, page, f"Why {promotion} may not begin, or that it may")


def conclude(  # noqa: PLR0917 - what a table of findings is about
    promotion: Promotion, plan: Plan | None, findings: tuple[Finding, ...], key: str, title: str, where: str = ""
) -> None:
    """The findings as a table in the UI and as a record of the environment, which is the target unless told."""
    environment, against = where or promotion.target.environment.name, unmet(findings)
    excused = sum(1 for finding in findings if finding.waived)
    sentence = f"{title}: {len(findings)} findings, " + (f"{excused} excused, " if excused else "")
    sentence += f"{len(against)} unmet." if against else "none stands in the way."
    emergency = promotion.catalogue.emergency if promotion.terms else None
    publish_findings(artifact_key(promotion.application.name, environment, key), findings, sentence, emergency)
    for finding in findings:
        if finding.verdict is not Verdict.PASSED:
            words = "excused" if finding.waived else "in the way"
            get_run_logger().warning("%s (%s, %s): %s", finding.gate, finding.verdict, words, finding.sentence)
    get_run_logger().info(sentence)
    write(
        promotion.application.ledger,
        EventKind.FINDINGS,
        environment,
        sentence,
        plan.hash if plan else "",
        findings=findings,
    )


class NotArrived(PromotionError):
    """The roll-out ended well and what serves is not what it should be."""

    def __init__(self, plan: Plan, findings: tuple[Finding, ...]) -> None:
        reasons = " ".join(f"[{finding.gate}] {finding.sentence}" for finding in unmet(findings))
        super().__init__(f"{plan.release.version} does not serve well in {plan.target}: {reasons}")
