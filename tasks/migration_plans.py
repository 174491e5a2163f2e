"""The migrations of a plan: what the release brings, what the target has run, and whether the rest may follow.

folder of the release ──▶ scripts ──less what the history says──▶ pending ──reviewed──▶ MigrationPlan, findings
"""

from collections.abc import Sequence
from typing import NamedTuple

from blocks.doors import Application, Doors
from blocks.files import NotThere, filled
from blocks.migration_standing import done_already, in_force
from blocks.migration_table import Applied, HistoryTable
from blocks.migrations import Limits, MigrationRunner
from rules.errors import InvalidInput, Refused
from rules.migration_plans import GATE, MigrationPlan, check_brought, nothing_pending
from rules.migration_scripts import Script, in_order, is_callback, script_of
from rules.migrations import Safety, judge, review_all
from rules.validation import not_asked
from rules.validation_policies import MigrationPolicy
from rules.vocabulary import Finding, Release, Verdict

SQL, CONF = ".sql", ".conf"


class Brought(NamedTuple):
    """What a release brings: scripts in their order, and those that take back."""

    scripts: tuple[Script, ...]
    undo: tuple[Script, ...]


def plan_migrations(
    application: Application, target: Doors, release: Release
) -> tuple[MigrationPlan, tuple[Finding, ...]]:
    """What would be applied, and what stands against it. Reads the target's history, and writes nothing."""
    policy = application.catalogue.validation
    if told := not_asked(GATE, policy):
        return MigrationPlan(), (told,)
    name = target.environment.name
    try:
        brought = read_scripts(application, name, release.version)
        rows = runner_of(application, target).history()
        pending = pending_of(rows, brought.scripts)
    except Refused as refusal:
        return MigrationPlan(), tuple(_named(it) for it in refusal.findings)
    except (NotThere, InvalidInput) as trouble:
        remedy = "leave the scripts there, or mend them"
        return MigrationPlan(), (Finding(GATE, Verdict.INCONCLUSIVE, str(trouble), "nothing", could_be_met=remedy),)
    plan = MigrationPlan(brought.scripts, pending, brought.undo)
    known = [row.script for row in in_force(rows).values() if row.type == "SQL"]
    return plan, (*check_brought(known, brought.scripts, name), reviewed(plan, policy.migrations, name))


def read_scripts(application: Application, environment: str, version: str) -> Brought:
    """The release's scripts. Raises NotThere, and InvalidInput for what Flyway would not take."""
    address = filled(application.catalogue.validation.migrations.scripts, version=version, environment=environment)
    folder, files = address.rstrip("/"), application.files
    names = files.listing(folder)
    found = []
    for name in names:
        if not name.endswith(SQL) or is_callback(name):
            continue
        conf = files.content(f"{folder}/{name}{CONF}") if f"{name}{CONF}" in names else b""
        found.append(script_of(name, files.content(f"{folder}/{name}"), conf))
    if callbacks := [name for name in names if is_callback(name)]:
        remedy = "Put what they do into scripts with versions."
        raise InvalidInput("The migration scripts", ", ".join(callbacks), "no callbacks: nobody would run them", remedy)
    if not found:
        raise NotThere(address, "There is no migration script in it.")
    return Brought(in_order(found), tuple(it for it in found if it.undoes))


def pending_of(rows: Sequence[Applied], scripts: Sequence[Script]) -> tuple[Script, ...]:
    """Raises Refused where the history does not let one follow: edited, out of order, failed before."""
    return tuple(it for it in scripts if done_already(rows, it, out_of_order=False) is None)


def reviewed(plan: MigrationPlan, policy: MigrationPolicy, target: str) -> Finding:
    """Whether the code that still runs in the target can live with what is pending."""
    if not plan.pending:
        return nothing_pending(plan, target)
    before = [it for it in plan.scripts if it not in plan.pending]
    return judge(review_all(plan.pending, before=before, placeholders=placeholders_of(policy, target)))


def runner_of(application: Application, target: Doors) -> MigrationRunner:
    """Who applies scripts to the target's database."""
    policy = application.catalogue.validation.migrations
    return MigrationRunner(
        target.database,
        HistoryTable(policy.schema, policy.table),
        Limits(lock_timeout=policy.lock_seconds, statement_timeout=policy.minutes * 60),
        placeholders_of(policy, target.environment.name),
    )


def placeholders_of(policy: MigrationPolicy, environment: str) -> dict[str, str]:
    return {name: value.replace("{environment}", environment) for name, value in policy.placeholders.items()}


def _named(finding: Finding) -> Finding:
    return Finding(
        GATE, finding.verdict, finding.sentence, finding.measured, finding.allowed, could_be_met=finding.could_be_met
    )


def safe_ones(plan: MigrationPlan, policy: MigrationPolicy, target: str) -> tuple[str, ...]:
    """Names of the pending scripts that alone were found to leave the code that runs now unharmed."""
    before = [it for it in plan.scripts if it not in plan.pending]
    values = placeholders_of(policy, target)
    reviews = {it.name: review_all([it], before=before, placeholders=values) for it in plan.pending}
    return tuple(name for name, review in reviews.items() if review.verdict is Safety.SAFE)
