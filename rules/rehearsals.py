"""What a rehearsal of database migrations proved: on a copy of the target's schema with rows in every table.

Rehearsal ──a script failed, a statement of the running version no longer works──▶ FAILED
    ├──a table without rows, a script that did not run, nothing tried──────────▶ INCONCLUSIVE
    └──all ran, all still works────────────────────────────────────────────────▶ PASSED
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from rules.messages import cut
from rules.schema_changes import SchemaChange
from rules.vocabulary import Finding, Verdict

GATE = "migrations/rehearsal"
ALLOWED = "all pending scripts run on rows in every table, and all statements of the running version still work"
MOST_NAMED = 3
SAID = 300
"""Characters of what PostgreSQL said, in a sentence."""
DATA = ("22", "23")
"""Classes of SQLSTATE that speak of rows: values that do not fit, and rules that rows break."""


@dataclass(frozen=True, slots=True)
class ScriptFailure:
    sentence: str
    """PostgreSQL's own, with its detail."""
    sqlstate: str = ""
    line: int = 0
    """Of the statement, counted from 1; 0: not known."""

    @property
    def is_about_data(self) -> bool:
        """Whether it can fail on rows only: on an empty table it would have passed."""
        return self.sqlstate.startswith(DATA)


@dataclass(frozen=True, slots=True)
class ScriptRun:
    name: str
    seconds: float
    failure: ScriptFailure | None = None


@dataclass(frozen=True, slots=True)
class BrokenStatement:
    """A statement that worked before the scripts, and does not after them."""

    statement: str
    """What it does, without its values: `INSERT into public.orders (id, note)`."""
    sentence: str
    sqlstate: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What was done, and what came of it."""

    scripts: tuple[ScriptRun, ...] = ()
    """In their order, up to the first that failed."""
    tables: int = 0
    """That the target has, without partitions and the migrations' history."""
    rows: int = 0
    unfilled: Mapping[str, str] = field(default_factory=dict)
    """Why a table has no row, by its name."""
    statements: int = 0
    """Of the running version: tried before the scripts, and again after them."""
    broken: tuple[BrokenStatement, ...] = ()
    changes: tuple[SchemaChange, ...] = ()
    """What the scripts changed in the schema."""
    problem: str = ""
    """Why nothing was rehearsed."""

    @property
    def seconds(self) -> float:
        return sum(it.seconds for it in self.scripts)

    @property
    def failed(self) -> ScriptRun | None:
        return next((it for it in self.scripts if it.failure), None)


def judge(rehearsal: Rehearsal, pending: Sequence[str], *, is_new: bool = False, gate: str = GATE) -> Finding:
    """Whether the pending scripts may be applied to the target, as far as a rehearsal can tell.

    Args:
        rehearsal: what was done.
        pending: names of the scripts that must have been rehearsed, in their order.
        is_new: nothing was ever applied to the target, so it may be without any table.
        gate: the name of the finding.

    """
    against = [*_failures(rehearsal), *_broken(rehearsal)]
    doubts = _doubts(rehearsal, pending, is_new=is_new)
    verdict = Verdict.FAILED if against else Verdict.INCONCLUSIVE if doubts else Verdict.PASSED
    said = " ".join([*against, *doubts]) or _proved(rehearsal)
    remedy = "" if verdict is Verdict.PASSED else _remedy(rehearsal, bool(against))
    return Finding(gate, verdict, said, _measured(rehearsal), ALLOWED, could_be_met=remedy)


def _failures(rehearsal: Rehearsal) -> list[str]:
    found = []
    for run in rehearsal.scripts:
        if it := run.failure:
            where = f", at line {it.line}" if it.line else ""
            how = "fails on data" if it.is_about_data else "fails"
            code = f" (SQLSTATE {it.sqlstate})" if it.sqlstate else ""
            found.append(f"{run.name} {how}{where}: {_one_line(it.sentence)}{code}.")
    return found


def _broken(rehearsal: Rehearsal) -> list[str]:
    broken = rehearsal.broken
    if not broken:
        return []
    told = list(dict.fromkeys(f"{it.statement}: {_one_line(it.sentence)}" for it in broken))
    more = f"; and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    count = f"{len(broken)} of {_counted(rehearsal.statements, 'statement')}"
    return [f"After the scripts {count} of the running version no longer work: {'; '.join(told[:MOST_NAMED])}{more}."]


def _doubts(rehearsal: Rehearsal, pending: Sequence[str], *, is_new: bool) -> list[str]:
    if rehearsal.problem:
        return [f"Nothing was rehearsed: {_one_line(rehearsal.problem)}."]
    doubts = [f"{name} has no rows, so nothing is known of it: {_one_line(why)}." for name, why in _first(rehearsal)]
    ran = [it.name for it in rehearsal.scripts]
    if not rehearsal.failed and ran != list(pending):
        doubts.append(f"Rehearsed were {_named(ran)}, pending are {_named(pending)}.")
    if pending and not rehearsal.tables and not is_new:
        doubts.append("The target has no table, so nothing was tried on data.")
    if rehearsal.tables > len(rehearsal.unfilled) and not (rehearsal.failed or rehearsal.statements):
        doubts.append("No statement of the running version was tried.")
    return doubts


def _first(rehearsal: Rehearsal) -> Iterable[tuple[str, str]]:
    unfilled = sorted(rehearsal.unfilled.items())
    more = len(unfilled) - MOST_NAMED
    return [*unfilled[:MOST_NAMED], *([(f"Besides, {_counted(more, 'table')}", "as those")] if more > 0 else [])]


def _proved(rehearsal: Rehearsal) -> str:
    if not rehearsal.scripts:
        return "No script is pending."
    statements = _counted(rehearsal.statements, "statement")
    return f"{_measured(rehearsal)}; {statements} of the running version still work."


def _measured(rehearsal: Rehearsal) -> str:
    scripts, tables = _counted(len(rehearsal.scripts), "script"), _counted(rehearsal.tables, "table")
    return f"{scripts} on {tables} with {_counted(rehearsal.rows, 'row')} in {rehearsal.seconds:.1f} s"


def _remedy(rehearsal: Rehearsal, is_against: bool) -> str:
    failure = rehearsal.failed.failure if rehearsal.failed else None
    if failure and not failure.is_about_data:
        return "mend the script"
    if failure:
        return "mend the rows first, in a script before it, or let the script deal with them"
    if is_against:
        return "do it in two releases: first what the running version can live with, the rest when it has gone"
    return "rehearse again when the scratch server has what was lacking, or with a masked sample of rows"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return (", ".join(names[:MOST_NAMED]) or "none") + (f" and {more} more" if more > 0 else "")


def _one_line(text: str) -> str:
    return cut(" ".join(text.split()), SAID).rstrip(".")
