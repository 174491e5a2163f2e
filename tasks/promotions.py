"""How a promotion begins: doors opened, release pinned, plan made."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

from prefect import get_run_logger
from prefect.runtime import flow_run

from blocks.doors import Application, Doors, open_application
from rules.arrival import check_target
from rules.catalogue import Catalogue
from rules.configuration import ConfigurationPlan
from rules.errors import InvalidInput, Refused
from rules.feature_flags import FlagPlan
from rules.migration_plans import MigrationPlan
from rules.plans import Plan, check_image_changes, service_changes
from rules.production_policies import Emergency, Terms
from rules.records import EventKind
from rules.releases import ServiceState, check_running, is_sha, pin
from rules.run_pages import plan_page
from rules.strategies import check_strategies
from rules.traffic import check_traffic
from rules.vocabulary import Finding, Release, Role, Service, Strategy, Verdict
from rules.waivers import waived
from tasks.artifacts import artifact_key, publish_markdown
from tasks.configuration import plan_configuration_change
from tasks.feature_flags import plan_flag_change
from tasks.kinds import asking
from tasks.migration_plans import plan_migrations
from tasks.records import write


class Promotion:
    """One promotion under way: its doors and its name. Not a dataclass: Prefect walks through those."""

    def __init__(
        self,
        application: Application,
        source: Doors,
        target: Doors,
        version: str | None,
        *,
        strategy: Strategy | None = None,
        services: tuple[Service, ...] = (),
        terms: Terms | None = None,
        dry_run: bool = False,
    ) -> None:
        """`strategy`: for all, instead of what the catalogue says of each service. `services`: those alone.

        `terms`: what a promotion to production was asked for with. `dry_run`: nothing outside is changed.
        """
        self.application, self.source, self.target, self.requested = application, source, target, version
        self.strategy, self._services = strategy, services
        self.terms, self.dry_run = terms, dry_run
        self.run_id = str(flow_run.id or "")

    @property
    def catalogue(self) -> Catalogue:
        return self.application.catalogue

    @property
    def services(self) -> tuple[Service, ...]:
        return self._services or self.target.services

    @property
    def emergency(self) -> Emergency | None:
        return self.terms.emergency if self.terms else None

    @property
    def images_only(self) -> bool:
        """Whether configuration and feature flags stay as they are: a roll-out from an environment to itself."""
        return self.source is self.target

    def strategy_of(self, service: Service) -> Strategy:
        """How the service is rolled out in the target."""
        return self.strategy or service.strategy_in(self.target.environment.name)

    def __str__(self) -> str:
        if self.images_only:
            return f"{self.application.name} in {self.target.environment.name}"
        return f"{self.application.name} from {self.source.environment.name} to {self.target.environment.name}"


@asking("begin")
def begin(application: str, role: Role, version: str) -> Promotion:
    """Opens every door that the promotion needs and writes down that it started. No version is what runs."""
    if version and not is_sha(version):
        raise InvalidInput("version", version, "a Git SHA of 7 to 40 hexadecimal digits, or nothing for what runs")
    opened = open_application(application)
    source, target = opened.step_to(role)
    promotion = Promotion(opened, source, target, version or None)
    write(
        opened.ledger,
        EventKind.STARTED,
        target.environment.name,
        f"Promotion of {promotion} started" + (f" for {version}." if version else "."),
        source=source.environment.name,
        requested=version,
        catalogue=opened.catalogue.sha256,
        started_at=datetime.now(UTC).isoformat(),
    )
    return promotion


@asking("pin the release that runs")
def pin_release(promotion: Promotion) -> tuple[Release | None, tuple[Finding, ...]]:
    """The release that runs in the source, by digest, or the findings that say why there is none."""
    environment = promotion.source.environment.name
    states = promotion.source.containers.states(promotion.services, environment)
    running = check_running(promotion.services, states, environment)
    if any(finding.verdict is not Verdict.PASSED for finding in running):
        return None, running
    images = {
        service.id: promotion.application.images.find(service.repository, next(iter(states[service.id].digests)))
        for service in promotion.services
    }
    release, finding = pin(states, images, promotion.requested, environment)
    get_run_logger().info(finding.sentence)
    return release, (*running, finding)


@asking("plan")
def plan_promotion(promotion: Promotion, release: Release | None) -> tuple[Plan | None, tuple[Finding, ...]]:
    """Everything that would change, hashed, and what makes it unsafe. Reads both environments; writes nothing.

    Without a release there is no plan; configuration and flags are judged all the same, to tell all reasons at once.
    """
    configuration, flags = plan_beside_images(promotion)
    strategies = {it.id: promotion.strategy_of(it) for it in promotion.services}
    findings = check_strategies(promotion.services, strategies, promotion.catalogue.canary)
    if not promotion.images_only:
        findings = (*findings, *configuration.findings(), *flags.findings())
    if release is None:
        return None, findings
    migrations, pending = plan_beside_release(promotion, release)
    findings = (*findings, *pending)
    target = promotion.target.environment.name
    states = promotion.target.containers.states(promotion.services, target)
    plan = Plan(
        application=promotion.application.name,
        source=promotion.source.environment.name,
        target=target,
        release=release,
        services=service_changes(
            promotion.services, release, {id_: state.digests for id_, state in states.items()}, strategies
        ),
        configuration=configuration,
        flags=flags,
        catalogue_sha256=promotion.catalogue.sha256,
        migrations=migrations,
        terms=promotion.terms,
    )
    ready = (*check_target(states, release.digests, target), *check_balancers(promotion, states))
    return plan, (*ready, *findings, check_image_changes(plan))


def plan_beside_release(promotion: Promotion, release: Release) -> tuple[MigrationPlan, tuple[Finding, ...]]:
    """The migrations that the release brings; none where only images move. Waivers of today excuse what was found."""
    if promotion.images_only:
        return MigrationPlan(), ()
    plan, findings = plan_migrations(promotion.application, promotion.target, release)
    today = datetime.now(UTC).date()
    return plan, waived(findings, promotion.catalogue.waivers, release.version, today)


def plan_beside_images(promotion: Promotion) -> tuple[ConfigurationPlan, FlagPlan]:
    """What would change beside the images; nothing where only images move."""
    source, target, catalogue = promotion.source, promotion.target, promotion.catalogue
    if promotion.images_only:
        name = target.environment.name
        return ConfigurationPlan(name, name, target.environment.parameter_path, (), 0), FlagPlan(name, name)
    records = promotion.application.ledger.records()
    configuration = plan_configuration_change(source, target, catalogue, records)
    return configuration, plan_flag_change(promotion.application.flags, source, target, catalogue)


def check_balancers(promotion: Promotion, states: Mapping[str, ServiceState]) -> tuple[Finding, ...]:
    """Whether the load balancers of the target send traffic where ECS believes that it goes."""
    balanced = [(it, states[it.id]) for it in promotion.services if it.load_balanced and it.id in states]
    looks = [(state, promotion.target.traffic(service, state.name)) for service, state in balanced]
    seen = {state.service: replace(look, moving=state.deploying) for state, look in looks if look is not None}
    return check_traffic(promotion.services, seen, promotion.target.environment.name)


def publish_plan(promotion: Promotion, plan: Plan | None) -> None:
    """The plan as a page in the UI (secrets masked) and as a record, before anybody acts on it."""
    if plan is None:
        return
    title = f"Plan {plan.hash}: {plan.release.version} from {plan.source} to {plan.target}"
    publish_markdown(artifact_key(plan.application, plan.target, "plan"), plan_page(plan.table()), title)
    write(
        promotion.application.ledger,
        EventKind.PLAN,
        plan.target,
        f"{title}.",
        plan.hash,
        version=plan.release.version,
        digests=dict(plan.release.digests),
        changes=plan.table(),
        catalogue=plan.catalogue_sha256,
    )


def refuse(promotion: Promotion, findings: tuple[Finding, ...]) -> Refused:
    return Refused(f"Promotion of {promotion}", findings)
