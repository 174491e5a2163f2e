"""The plan: everything that one promotion would change, hashed. It stands between deciding and doing.

The hash covers what is DESIRED, not the difference to what is there, so that a promotion which died half-way has
the same hash when it is planned again.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from rules.configuration import ConfigurationPlan
from rules.feature_flags import FlagPlan
from rules.migration_plans import MigrationPlan
from rules.production_policies import Terms
from rules.vocabulary import Finding, Release, Service, Strategy, Verdict, short


@dataclass(frozen=True, slots=True)
class ServiceChange:
    """One service of the target: what it runs and what it is to run."""

    service: str
    before: str
    """Digest that serves now; empty when nothing does."""
    after: str
    strategy: Strategy = Strategy.BLUE_GREEN

    @property
    def changes(self) -> bool:
        return self.before != self.after


@dataclass(frozen=True, slots=True)
class Plan:
    """What a promotion would do to its target."""

    application: str
    source: str
    target: str
    release: Release
    services: tuple[ServiceChange, ...]
    configuration: ConfigurationPlan
    flags: FlagPlan
    catalogue_sha256: str
    terms: Terms | None = None
    """Of a promotion to production: the ticket, the time, and what an emergency leaves out."""
    migrations: MigrationPlan = field(default_factory=MigrationPlan)

    @property
    def hash(self) -> str:
        """Sixteen hexadecimal digits that name this plan: to approvers, in records and in messages."""
        desired = {
            "application": self.application,
            "target": self.target,
            "version": self.release.version,
            "digests": dict(sorted(self.release.digests.items())),
            "strategies": {one.service: one.strategy for one in self.services},
            "configuration": self.configuration.fingerprint(),
            "flags": self.flags.fingerprint(),
            "migrations": self.migrations.fingerprint(),
            "catalogue": self.catalogue_sha256,
            "terms": self.terms.fingerprint() if self.terms else {},
        }
        text = json.dumps(desired, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def table(self) -> list[dict[str, str]]:
        """One row a change, as people read it: images, migrations, configuration (secrets masked), flags."""
        images = [
            {
                "what": "image",
                "name": one.service,
                "now": short(one.before) or "nothing",
                "then": short(one.after),
                "note": f"{self.release.version}, {one.strategy.replace('_', '-')}",
            }
            for one in self.services
            if one.changes
        ]
        return [*images, *self.migrations.table(), *self.configuration.table(), *self.flags.table()]


def service_changes(
    services: tuple[Service, ...],
    release: Release,
    serving: Mapping[str, frozenset[str]],
    strategies: Mapping[str, Strategy],
) -> tuple[ServiceChange, ...]:
    """The image change of every service, in the order of the roll-out."""
    ordered = sorted(services, key=lambda service: (service.wave, service.id))
    return tuple(
        ServiceChange(
            service.id,
            "+".join(sorted(serving.get(service.id, frozenset()))),
            release.digests[service.id],
            strategies[service.id],
        )
        for service in ordered
    )


def check_image_changes(plan: Plan) -> Finding:
    """Says what would move. Nothing to do is a pass: promoting twice is promoting once."""
    moving = [one.service for one in plan.services if one.changes]
    sentence = (
        f"{plan.release.version} replaces the image of {len(moving)} services in {plan.target}."
        if moving
        else f"{plan.target} already runs the images of {plan.release.version}."
    )
    return Finding("plan", Verdict.PASSED, sentence, plan.hash)


def check_same_plan(before: Plan, now: Plan | None) -> tuple[Finding, ...]:
    """Whether planning again gives the plan that was agreed on, for a target that nobody else has moved since."""
    found = now.hash if now else "no plan"
    if now is None or before.hash != found:
        sentence = "What would be promoted has changed since the plan was made; run again to plan afresh."
        return (Finding("plan unchanged", Verdict.FAILED, sentence, found, before.hash),)
    return (
        Finding("plan unchanged", Verdict.PASSED, "The plan is unchanged.", found, before.hash),
        _unmoved(before, now),
    )


def _unmoved(before: Plan, now: Plan) -> Finding:
    """Another run, that held the lock before us, may have brought a newer release."""
    agreed = {one.service: {one.before, one.after} for one in before.services}
    moved = [one.service for one in now.services if one.before not in agreed[one.service]]
    allowed = "as the plan found it"
    if moved:
        names = ", ".join(moved)
        sentence = f"Somebody else changed {names} in {now.target} since the plan was made; run again to plan afresh."
        return Finding("target unchanged", Verdict.FAILED, sentence, names, allowed)
    return Finding("target unchanged", Verdict.PASSED, f"{now.target} is as the plan found it.", "unchanged", allowed)
