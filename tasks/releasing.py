"""A roll-out on its own: one release's images to one environment."""

from collections.abc import Sequence

from blocks.doors import open_application
from rules.errors import InvalidInput, Refused
from rules.records import EventKind
from rules.releases import choose, is_sha
from rules.vocabulary import Finding, Release, Role, Service, Strategy, Verdict
from tasks.kinds import asking
from tasks.promotions import Promotion
from tasks.records import write

AS_CATALOGUED = "as the catalogue says"


@asking("begin")
def begin_roll_out(
    application: str, environment: str, version: str, strategy: str, services: Sequence[str]
) -> Promotion:
    """Opens every door that the roll-out needs and writes down that it started."""
    if not is_sha(version):
        raise InvalidInput("version", version, "a Git SHA of 7 to 40 hexadecimal digits")
    opened = open_application(application)
    target = opened.environment(environment)
    override = None if strategy == AS_CATALOGUED else Strategy(strategy)
    chosen = _chosen(target.services, services)
    promotion = Promotion(opened, target, target, version, strategy=override, services=chosen)
    write(
        opened.ledger,
        EventKind.STARTED,
        environment,
        f"Roll-out of {promotion} started for {version}.",
        source="",
        requested=version,
        strategy=strategy,
        services=[service.id for service in promotion.services],
        catalogue=opened.catalogue.sha256,
    )
    return promotion


def _chosen(known: Sequence[Service], wanted: Sequence[str]) -> tuple[Service, ...]:
    strangers = sorted(set(wanted) - {service.id for service in known})
    if strangers:
        raise InvalidInput("services", strangers[0], f"ids of the catalogue: {', '.join(it.id for it in known)}")
    return tuple(service for service in known if service.id in wanted or not wanted)


@asking("find the release's images")
def find_release(promotion: Promotion) -> tuple[Release | None, tuple[Finding, ...]]:
    """The release by its version, pinned by digest, or the findings that say what the registry lacks."""
    images = {it.id: promotion.application.images.tagged(it.repository) for it in promotion.services}
    release, finding = choose(images, promotion.requested or "")
    return release, (finding,)


def refuse_unless_approved(promotion: Promotion) -> None:
    """An approver's word stands before every change of production, and this runbook asks nobody for it."""
    environment = promotion.target.environment
    if environment.role is Role.PRODUCTION:
        sentence = f"{environment.name} changes with an approved release only; here a dry run is possible."
        raise Refused(f"Roll-out of {promotion}", [Finding("approval", Verdict.FAILED, sentence)])
