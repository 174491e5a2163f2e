"""Database migrations are applied before traffic moves, and taken back after it has come back.

Each script runs in a transaction of its own together with its line of Flyway's history: what failed left nothing. What
had arrived before it is undone where the release brings an undo script; else it stays, which only a migration may that
was found safe for the version before. Any other needs the snapshot and a person, and this says so.
"""

from collections.abc import Mapping, Sequence

from prefect import get_run_logger

from blocks.migration_standing import in_force
from blocks.migration_table import Applied
from blocks.migrations import MigrationRunner
from rules.errors import PromotionError
from rules.migration_scripts import Script, undo_scripts
from rules.plans import Plan
from rules.records import Event, EventKind
from rules.settling import of_kind, unsettled
from tasks.kinds import acting
from tasks.migration_plans import read_scripts, runner_of, safe_ones
from tasks.promotions import Promotion
from tasks.records import write


@acting("migrate databases")
def migrate_databases(promotion: Promotion, plan: Plan) -> None:
    """Applies what is pending, script by script; what the target has run already is left alone."""
    pending, ledger = plan.migrations.pending, promotion.application.ledger
    if not pending and not _taken_over(promotion, plan):
        return
    policy = promotion.catalogue.validation.migrations
    names, version = [it.name for it in pending], plan.release.version
    safe = safe_ones(plan.migrations, policy, plan.target)
    about = f"{len(names)} migrations are about to be applied to {plan.target}: {', '.join(names) or 'none is left'}."
    # A repeatable script has been there before, by the same name: only its checksum tells whether ours arrived.
    repeated = {it.name: it.checksum for it in pending if it.repeats}
    details = {"version": version, "scripts": names, "safe": safe, "repeated": repeated}
    write(ledger, EventKind.MIGRATIONS_INTENT, plan.target, about, plan.hash, **details)
    runner = runner_of(promotion.application, promotion.target)
    told = []
    for script in pending:
        ran = runner.apply(script)
        get_run_logger().info(ran.sentence)
        told.append(ran.sentence)
    done = " ".join(told) or "All had been applied by a run before this one."
    write(ledger, EventKind.MIGRATIONS_APPLIED, plan.target, done, plan.hash, scripts=names)


def _taken_over(promotion: Promotion, plan: Plan) -> bool:
    """Whether a run that died left its intent: then this run answers for it, so that its arrival settles it."""
    left = unsettled(promotion.application.ledger.records(), plan.target)
    return any(intent.kind is EventKind.MIGRATIONS_INTENT for intent in left)


def put_back_migrations(promotion: Promotion, plan_hash: str, intents: Sequence[Event]) -> None:
    """Undoes what arrived, the last first, or says why it may stay. Raises PromotionError where it may not."""
    details = of_kind(intents, EventKind.MIGRATIONS_INTENT)
    return_migrations(promotion, plan_hash, details)


@acting("put back the database")
def return_migrations(promotion: Promotion, plan_hash: str, intents: Sequence[Mapping[str, object]]) -> None:
    """Each intent has the release's `version`, and the names of its `scripts` and of the `safe` ones among them."""
    environment = promotion.target.environment.name
    runner = runner_of(promotion.application, promotion.target)
    ours = {str(name) for it in intents for name in _names(it, "scripts")}
    safe = {str(name) for it in intents for name in _names(it, "safe")}
    undo = _undo_scripts(promotion, environment, [str(it["version"]) for it in intents])
    told = _undone(runner, ours, undo)
    rows = runner.history()
    stay = [row.script for row in in_force(rows).values() if row.script in ours]
    stay += _repeated(rows, intents)
    if unsafe := [name for name in stay if name not in safe]:
        raise PromotionError(_needs_a_person(promotion, environment, unsafe))
    if stay:
        told.append(f"{', '.join(stay)} stays: it was found safe for the version that serves again.")
    done = " ".join(told) or "No migration had arrived."
    write(promotion.application.ledger, EventKind.MIGRATIONS_PUT_BACK, environment, done, plan_hash)


def _repeated(rows: Sequence[Applied], intents: Sequence[Mapping[str, object]]) -> list[str]:
    """Repeatable scripts of ours that arrived. Nothing undoes them but what they were before, run again by hand."""
    wanted = {pair for it in intents for pair in _mapping(it, "repeated").items()}
    arrived = {(row.script, row.checksum) for row in rows if row.version is None and row.success}
    return sorted({str(name) for name, checksum in wanted if (name, checksum) in arrived})


def _undone(runner: MigrationRunner, ours: set[str], undo: Mapping[tuple[int, ...], Script]) -> list[str]:
    """The last one first, up to the first that nothing undoes."""
    told = []
    rows = in_force(runner.history())
    for version in sorted(rows, reverse=True):
        script = undo.get(version)
        if rows[version].script not in ours or script is None:
            break
        told.append(runner.undo(script).sentence)
    return told


def _undo_scripts(promotion: Promotion, environment: str, versions: Sequence[str]) -> Mapping[tuple[int, ...], Script]:
    found: dict[tuple[int, ...], Script] = {}
    for version in dict.fromkeys(versions):
        found |= undo_scripts(read_scripts(promotion.application, environment, version).undo)
    return found


def _needs_a_person(promotion: Promotion, environment: str, unsafe: Sequence[str]) -> str:
    snapshot = next(
        (
            str(it.event.details.get("snapshot", ""))
            for it in reversed(list(promotion.application.ledger.records(promotion.run_id)))
            if it.event.kind is EventKind.SNAPSHOT_TAKEN
        ),
        "",
    )
    restore = f"restore the snapshot {snapshot}" if snapshot else "restore a backup"
    return (
        f"{', '.join(unsafe)} stays in the database of {environment}: nothing undoes it, and it was not found safe for "
        f"the version that serves again. Undo it by hand, or {restore}."
    )


def _mapping(details: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = details.get(key, {})
    return found if isinstance(found, Mapping) else {}


def _names(details: Mapping[str, object], key: str) -> Sequence[object]:
    found = details.get(key, ())
    return found if isinstance(found, Sequence) else ()
