"""The validation suite on its own: how such a run begins and ends. It changes nothing, so it is told as a rehearsal."""

from typing import Any

from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from blocks.doors import Application, Doors, open_application
from rules.errors import InvalidInput, Refused
from rules.records import Event, EventKind
from rules.releases import is_sha
from rules.vocabulary import Finding, Release, unmet
from tasks.artifacts import publish_end
from tasks.gates import conclude
from tasks.kinds import asking
from tasks.promotions import Promotion
from tasks.records import write
from tasks.validating import told_waivers, validate


@asking("begin")
def begin_validation(application: str, environment: str, version: str) -> Promotion:
    """Opens the doors of the environment and of the one after it, and writes down that the look began."""
    if version and not is_sha(version):
        raise InvalidInput("version", version, "a Git SHA of 7 to 40 hexadecimal digits, or nothing for what runs")
    opened = open_application(application)
    source = opened.environment(environment)
    promotion = Promotion(opened, source, _next(opened, source), version or None, dry_run=True)
    write(
        opened.ledger,
        EventKind.STARTED,
        environment,
        f"Validation of {application} in {environment} started" + (f" for {version}." if version else "."),
        source="",
        requested=version,
        catalogue=opened.catalogue.sha256,
        dry_run=True,
    )
    return promotion


def _next(opened: Application, source: Doors) -> Doors:
    """The doors of the next environment in the chain; after the last one there is none, and it stands for itself."""
    chain, name = opened.catalogue.chain, source.environment.name
    if name not in chain or name == chain[-1]:
        return source
    return opened.environment(chain[chain.index(name) + 1])


def validate_anew(promotion: Promotion, release: Release | None) -> tuple[Finding, ...]:
    """Every gate, whatever was found before; nothing where there is no release, which is a finding by itself."""
    if release is None:
        return ()
    return (*validate(promotion, promotion.source, release), *told_waivers(promotion, release))


def refuse_unless_valid(promotion: Promotion, release: Release | None, findings: tuple[Finding, ...]) -> Release:
    """Publishes and records all findings. The release when every gate is met, else a refusal that lists the unmet."""
    name = promotion.source.environment.name
    conclude(promotion, None, findings, "validation", f"Validation of {promotion.application.name} in {name}", name)
    if release is None or unmet(findings):
        raise Refused(f"Validation of {promotion.application.name} in {name}", findings)
    return release


def validation_completed(promotion: Promotion, release: Release, findings: tuple[Finding, ...]) -> State[Any]:
    """The good end: recorded, and announced to nobody, because nothing happened."""
    name, excused = promotion.source.environment.name, sum(1 for it in findings if it.waived)
    sentence = f"{release.version} is validated in {name}: {len(findings)} findings, "
    sentence += f"none in the way, {excused} excused." if excused else "none in the way."
    event = Event(str(flow_run.id), "", name, EventKind.COMPLETED, sentence, {"dry_run": True})
    promotion.application.ledger.append(event)
    publish_end(promotion.application, event.run_id)
    return Completed(message=sentence)
