"""The schema gate: whether what the next environment's code needs is still there once the schema is the new one."""

from collections.abc import Sequence

from rules.schema_changes import SchemaChange, Service
from rules.schemas import Schema, compare
from rules.vocabulary import Finding, Verdict

GATE = "schema"
ALLOWED = "every difference serves the code that runs there now"
MOST_NAMED = 3
VERDICTS = {Service.BREAKS: Verdict.FAILED, Service.REVIEW: Verdict.INCONCLUSIVE}


def check_schemas(old: Schema, new: Schema, old_name: str, new_name: str) -> Finding:
    """FAILED where a difference breaks the old code, INCONCLUSIVE where a person must look, else PASSED.

    A schema without a table is INCONCLUSIVE: it is another one than the services', or not let in.

    `old` is the schema of the environment `old_name` that the release is to go to, `new` that of `new_name`, where it
    runs. What the new code would miss in the old schema is no obstacle: its migrations come before it.
    """
    if bare := [name for name, it in ((old_name, old), (new_name, new)) if not it.tables]:
        return _nothing_to_compare(bare)
    changes = compare(old, new)
    against = sorted(
        (it for it in changes if it.serves_old_code.service in VERDICTS), key=lambda it: -_verdict(it).badness
    )
    measured = f"tables: {old.tables} and {new.tables}; {len(changes)} differences, {len(against)} in the way"
    evidence = f"{old_name} {old.hash[:12]}, {new_name} {new.hash[:12]}"
    if not against:
        told = f"{len(changes)} differences, and all of them serve" if changes else "No difference; it serves"
        sentence = f"The schema of {new_name} beside that of {old_name}: {told} the code that runs in {old_name}."
        return Finding(GATE, Verdict.PASSED, sentence, measured, ALLOWED, evidence)
    sentence = f"The schema of {new_name} does not serve the code that runs in {old_name}: {_named(against)}."
    remedy = "make the change in two releases: first what both can live with, and the rest when nothing needs it"
    return Finding(GATE, _verdict(against[0]), sentence, measured, ALLOWED, evidence, could_be_met=remedy)


def _nothing_to_compare(names: Sequence[str]) -> Finding:
    sentence = f"The database of {' and that of '.join(names)} shows no table, so there is nothing to compare."
    remedy = "check the address, and the schemas, of the block promotion-database"
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, "no table", "one table or more", could_be_met=remedy)


def _verdict(change: SchemaChange) -> Verdict:
    return VERDICTS[change.serves_old_code.service]


def _named(changes: Sequence[SchemaChange]) -> str:
    told = [f"{it.kind} {it.object}, {it.serves_old_code.reason}" for it in changes[:MOST_NAMED]]
    more = len(changes) - MOST_NAMED
    return "; ".join(told) + (f"; and {more} more" if more > 0 else "")
