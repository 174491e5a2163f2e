"""The gates of a promotion: each asks, applies a rule and returns findings. None of them raises a refusal."""

from datetime import UTC, datetime

from rules.arrival import check_arrival, check_target
from rules.probing import judge_health, judge_smoke
from rules.stability import check_stability
from rules.vocabulary import Finding, Release, Service, Verdict
from blocks.doors import Doors
from tasks.kinds import asking
from tasks.promotions import Promotion


@asking("check stability")
def check_source_stability(promotion: Promotion) -> tuple[Finding, ...]:
    """Every service of the source has run its revision, undisturbed, as long as policy asks."""
    doors = promotion.source
    states = doors.containers.states(promotion.services, doors.environment.name)
    now = datetime.now(UTC)
    return check_stability(promotion.services, states, promotion.catalogue.stability, now, doors.environment.name)


@asking("check health")
def check_health(promotion: Promotion, doors: Doors) -> tuple[Finding, ...]:
    """Every service says UP. The environment's answer, not the name of one service."""
    policy = promotion.catalogue.health
    return tuple(
        judge_health(service.id, doors.probes.health(service.health_path, policy), doors.environment.name)
        for service in promotion.services
    )
