"""What the history says about one script, before it is run or undone: to do, done already, or refused."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from blocks.migration_table import Applied
from rules.errors import InvalidInput, Refused
from rules.vocabulary import Finding, Verdict

BASELINES = frozenset({"BASELINE", "SQL_BASELINE", "INIT"})
"""`INIT` is what Flyway before version 3 wrote."""
UNDOES, BASELINES_ITSELF = "U", "B"
"""First letters of the names of scripts that undo, and of those that stand for all before them."""
LONGEST_VERSION = 50
"""What the history's column takes."""
REMEDY_FOR_FAILED = (
    "look what of it is in the database, finish it or take it back by hand, delete the row"
    " (as Flyway's `repair` does), and run again"
)


class MigrationScript(Protocol):
    """A script as it lies in the release."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str | None: ...
    @property
    def description(self) -> str: ...
    @property
    def checksum(self) -> int: ...
    @property
    def sql(self) -> str: ...
    @property
    def in_transaction(self) -> bool | None:
        """`executeInTransaction` of its `.conf`; None where that says nothing."""

    @property
    def replaces_placeholders(self) -> bool:
        """`placeholderReplacement` of its `.conf`."""


def version_key(version: str) -> tuple[int, ...]:
    """Versions in Flyway's order: 1.10 after 1.9, and 1.0 the same as 1. Raises InvalidInput."""
    parts = version.replace("_", ".").split(".")
    if len(version) > LONGEST_VERSION or not all(part.isascii() and part.isdigit() for part in parts):
        raise InvalidInput("the version of a migration", version, "numbers with dots between them: 2.14.1")
    numbers = [int(part) for part in parts]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def in_force(rows: Iterable[Applied]) -> dict[tuple[int, ...], Applied]:
    """By version, what was applied and neither undone nor deleted since."""
    found: dict[tuple[int, ...], Applied] = {}
    for row in sorted(rows, key=lambda row: row.installed_rank):
        if row.version is None or row.type == "SCHEMA":
            continue
        if row.type.startswith("UNDO_") or row.type == "DELETE":
            found.pop(version_key(row.version), None)
        else:
            found[version_key(row.version)] = row
    return found


def done_already(rows: Sequence[Applied], script: MigrationScript, *, out_of_order: bool) -> Applied | None:
    """The row because of which the script is not run; None: it is to be run. Raises Refused."""
    if script.name.startswith(UNDOES):
        raise InvalidInput("a migration to be applied", script.name, "V…, R… or B…", "Undo with it.")
    refuse_failed(rows, script.name)
    if script.version is None:
        return _same_repeatable(rows, script)
    key, now = version_key(script.version), in_force(rows)
    if script.name.startswith(BASELINES_ITSELF) and now:
        return now[max(now)]  # as Flyway has it: a baseline script is for databases that have nothing yet
    baseline = max((version for version, row in now.items() if row.type in BASELINES), default=())
    if baseline and key <= baseline:
        return now[baseline]
    if key in now:
        return _unchanged(now[key], script)
    later = max((version for version in now if version > key), default=())
    if later and not out_of_order:
        raise _out_of_order(script, now[later])
    return None


def undone_already(rows: Sequence[Applied], script: MigrationScript) -> Applied | None:
    """The row that says that the script was undone; None: it is to be undone now. Raises Refused."""
    if not script.name.startswith(UNDOES):
        raise InvalidInput("a migration to undo with", script.name, "one whose name begins with U")
    refuse_failed(rows, script.name)
    key, now = version_key(script.version or ""), in_force(rows)
    if key not in now:
        return _undoing(rows, script, key)
    row, last = now[key], now[max(now)]
    if row.type in BASELINES:
        raise _refused(script, f"Version {row.version} is a baseline: what was there before it.", "baseline", "SQL", "")
    if last is not row:
        sentence = f"Version {last.version} ({last.script}) was applied on top of version {row.version}."
        raise _refused(script, sentence, f"{last.version} on top", "the highest version", f"undo {last.version} first")
    return None


def refuse_failed(rows: Iterable[Applied], name: str) -> None:
    """Nothing more is done on top of a script that failed half-way. Raises Refused."""
    for row in rows:
        if not row.success:
            sentence = f"{row.script} failed half-way before (rank {row.installed_rank}), and nobody has cleared it up."
            finding = _finding(sentence, "success = false", "a history without failed rows", REMEDY_FOR_FAILED)
            raise Refused(f"Migration {name}", [finding])


def _same_repeatable(rows: Sequence[Applied], script: MigrationScript) -> Applied | None:
    same = [row for row in rows if row.version is None and row.description == script.description]
    last = max(same, key=lambda row: row.installed_rank, default=None)
    run_so = last is not None and last.type == "SQL" and last.checksum == script.checksum
    return last if run_so else None


def _unchanged(row: Applied, script: MigrationScript) -> Applied:
    if row.checksum == script.checksum and row.type == "SQL":
        return row
    sentence = (
        f"{script.name} is not what was applied as version {row.version} on {row.installed_on:%Y-%m-%d}"
        f" by {row.installed_by} ({row.script}): a script that has run must never be edited."
    )
    remedy = "bring back the script as it was, and put the change into a new one"
    raise _refused(script, sentence, f"{script.checksum} (SQL)", f"{row.checksum} ({row.type})", remedy)


def _out_of_order(script: MigrationScript, later: Applied) -> Refused:
    sentence = f"{script.name} comes before version {later.version}, which is applied already."
    remedy = "give it a version that is higher than all applied, or allow `out_of_order`"
    return _refused(script, sentence, str(script.version), f"above {later.version}", remedy)


def _undoing(rows: Iterable[Applied], script: MigrationScript, key: tuple[int, ...]) -> Applied:
    for row in sorted(rows, key=lambda row: -row.installed_rank):
        if row.version is not None and row.type.startswith("UNDO_") and version_key(row.version) == key:
            return row
    sentence = f"Version {script.version} was never applied, so that there is nothing to undo."
    raise _refused(script, sentence, "not applied", "an applied version", "")


def _refused(script: MigrationScript, sentence: str, measured: str, allowed: str, remedy: str) -> Refused:
    return Refused(f"Migration {script.name}", [_finding(sentence, measured, allowed, remedy)])


def _finding(sentence: str, measured: str, allowed: str, remedy: str) -> Finding:
    return Finding("migrations", Verdict.FAILED, sentence, measured, allowed, could_be_met=remedy)
