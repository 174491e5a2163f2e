"""What a promotion would do to the target's database: the release's scripts, and those of them that are pending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rules.migration_scripts import Script
from rules.vocabulary import Finding, Verdict

GATE = "migrations"


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """`scripts`: all that the release brings, in their order. `pending`: those that the target has not run."""

    scripts: tuple[Script, ...] = ()
    pending: tuple[Script, ...] = ()
    undo: tuple[Script, ...] = ()

    def fingerprint(self) -> Mapping[str, int]:
        """What the plan's hash covers: what is desired, whatever of it is there already."""
        return {it.name: it.checksum for it in (*self.scripts, *self.undo)}

    def table(self) -> list[dict[str, str]]:
        """One row a pending script, as people read it."""
        note = "the database, before traffic moves"
        return [
            {"what": "migration", "name": it.name, "now": "pending", "then": "applied", "note": note}
            for it in self.pending
        ]


def nothing_pending(plan: MigrationPlan, target: str) -> Finding:
    sentence = f"{target} has run all {len(plan.scripts)} migrations of the release."
    return Finding(GATE, Verdict.PASSED, sentence, "0 pending")


def check_brought(applied: Sequence[str], scripts: Sequence[Script], target: str) -> tuple[Finding, ...]:
    """What the target ran and the release does not bring: a release from before it, or a script that was deleted.

    `applied`: names of the scripts that are in force there.
    """
    known = {it.name for it in scripts}
    missing = [name for name in applied if name not in known]
    if not missing:
        return ()
    sentence = (
        f"{target} has run {', '.join(missing[:3])}{' and more' if missing[3:] else ''}, which this release lacks."
    )
    remedy = "bring the script back, or promote a release that has it"
    return (Finding(GATE, Verdict.FAILED, sentence, f"{len(missing)} unknown", "none", could_be_met=remedy),)
