"""Who wrote the change: asked of the source's history, from what runs in the target up to the release."""

from collections.abc import Iterator

from prefect import get_run_logger

from rules.authorship import (
    Authors,
    Baseline,
    baseline,
    cannot_know,
    check_authors,
    check_versions,
    last_served,
    no_repository,
    recorded_versions,
)
from rules.errors import Declined
from rules.releases import versions_of
from rules.vocabulary import Finding, Release, Service
from tasks.kinds import asking
from tasks.promotions import Promotion


@asking("find the authors")
def find_authors(promotion: Promotion, release: Release) -> tuple[frozenset[str], tuple[Finding, ...]]:
    """Names, addresses and logins of everybody who wrote a part of the change, and whether all are known."""
    repository, environment = promotion.catalogue.history.repository, promotion.target.environment.name
    if not repository:
        return frozenset(), (no_repository(),)
    before = what_runs(promotion)
    if too_many := check_versions(before, environment):
        return frozenset(), (too_many,)
    try:
        found = tuple(written(promotion, repository, before, release.version))
    except Declined as refused:  # a gate that is not met, told with all others
        return frozenset(), (cannot_know(str(refused)),)
    finding = check_authors(found, before, release.version, environment, repository)
    get_run_logger().info(finding.sentence)
    return frozenset(name for authors in found for name in authors.names), (finding,)


def written(promotion: Promotion, repository: str, before: Baseline, version: str) -> Iterator[Authors]:
    """The commits since each version that runs; where that is not known of all, the newest ones too."""
    history = promotion.application.history
    for base in before.versions:
        yield history.authors(repository, base, version)
    if not before.is_whole:
        yield history.newest(repository, version)


def what_runs(promotion: Promotion) -> Baseline:
    """The versions that run in the target; of a service that is down, the one that was promoted there last."""
    environment = promotion.target.environment.name
    states = promotion.target.containers.states(promotion.services, environment)
    carried = {
        service.id: {digest: versions(promotion, service, digest) for digest in states[service.id].digests}
        for service in promotion.services
        if service.id in states
    }
    served = last_served(promotion.application.ledger.records(), environment)
    return baseline(promotion.services, carried, served)


def versions(promotion: Promotion, service: Service, digest: str) -> frozenset[str]:
    """The versions that an image carries by its tags; of one without, what the ledger promoted it as."""
    image = promotion.application.images.find(service.repository, digest)
    by_tags = versions_of(image) if image else frozenset()
    return by_tags or recorded_versions(promotion.application.ledger.records(), service.id, digest)
