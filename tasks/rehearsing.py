"""The migrations gate: what is pending is reviewed, and rehearsed on a scratch database with rows in every table."""

from dataclasses import replace

from blocks.databases import schema_at
from blocks.doors import Doors
from blocks.migration_scripts import prepare
from blocks.rehearsals import RehearsalLimits, rehearse
from rules.errors import InvalidInput
from rules.migration_plans import GATE, MigrationPlan
from rules.rehearsals import judge
from rules.vocabulary import Finding, Release, Verdict
from tasks.kinds import asking
from tasks.migration_plans import placeholders_of, plan_migrations
from tasks.promotions import Promotion

REHEARSAL = f"{GATE}/rehearsal"


@asking("rehearse migrations")
def check_migrations(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """The review of what the release would bring to the next environment, and how it went on a copy of that one.

    `doors`: of where the release runs, which has its migrations already; only the next environment is looked at.
    """
    target = promotion.target
    plan, findings = plan_migrations(promotion.application, target, release)
    if not plan.pending:
        return findings
    try:
        return (*findings, _rehearsed(promotion, plan))
    except InvalidInput as trouble:
        sentence = f"Nothing was rehearsed. {trouble}"
        remedy = f"register a scratch database beside that of {doors.environment.name}"
        return (*findings, Finding(REHEARSAL, Verdict.INCONCLUSIVE, sentence, "nothing", could_be_met=remedy))


def _rehearsed(promotion: Promotion, plan: MigrationPlan) -> Finding:
    policy, target = promotion.catalogue.validation.migrations, promotion.target
    values = placeholders_of(policy, target.environment.name)
    scripts = [
        prepare(it.name, it.sql, values if it.replaces_placeholders else None, in_transaction=it.in_transaction)
        for it in plan.pending
    ]
    limits = RehearsalLimits(policy.rows, policy.minutes * 60, policy.schema, policy.table)
    rehearsal = rehearse(promotion.application.scratch, target.database.url, scripts, limits, schema_at)
    is_new = len(plan.pending) == len(plan.scripts)
    return replace(judge(rehearsal, [it.name for it in plan.pending], is_new=is_new), gate=REHEARSAL)
