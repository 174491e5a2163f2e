"""What the server said about a migration that failed, as an error that people can act on.

The server's DETAIL, HINT and CONTEXT are left out, and quoted values in its message on bad data too: they may be rows.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import psycopg

from blocks.migration_scripts import Statement, excerpt, masked
from rules.errors import Declined, Outage, PromotionError

SYSTEM = "PostgreSQL"
LOCK_NOT_AVAILABLE, DEADLOCK, NOT_SERIALIZABLE, CANCELED = "55P03", "40P01", "40001", "57014"
WORTH_ANOTHER_TRY = frozenset({LOCK_NOT_AVAILABLE, DEADLOCK, NOT_SERIALIZABLE})
"""Others were in the way. What was done is rolled back, and the same may succeed a moment later."""
BAD_DATA = "22"
"""The class of errors whose messages quote the value that did not fit."""
PASSING = ("08", "53", "55P03", "57", "58", "40")
"""Classes of errors that a moment later may be over: connections, resources, locks, operators, the system."""
QUOTED_VALUE = re.compile(r'(?<=: ).*|"[^"]*"', re.DOTALL)


class MigrationFailed(PromotionError):
    """A script of ours failed in the database. `line`: of the failing statement; 0: it was the end, the commit."""

    def __init__(self, script: str, line: int, sqlstate: str, said: str, standing: str) -> None:
        self.script, self.line, self.sqlstate, self.said = script, line, sqlstate, said
        where = f"in line {line}" if line else "at its end, the commit"
        super().__init__(f"Migration {script} failed {where}: {said} (SQLSTATE {sqlstate}). {standing}")


class Broken(Exception):
    """A statement failed; what that means is for the caller to say. `line` as in MigrationFailed."""

    def __init__(self, statement: Statement | None, error: psycopg.Error, *, lost: bool) -> None:
        self.statement, self.error, self.lost = statement, error, lost
        self.line = statement.line if statement else 0
        self.sqlstate = error.sqlstate or "none"
        super().__init__(type(error).__name__)


def failed(script: str, broken: Broken, placeholders: Mapping[str, str], standing: str) -> MigrationFailed:
    """The error for people. `standing`: what of the script is in the database now, and what to do."""
    said = what_was_said(broken.error, placeholders)
    line = _line(broken)
    advice = f"{standing}{_advice(broken.sqlstate)}"
    return MigrationFailed(script, line, broken.sqlstate, said, advice)


def what_was_said(error: psycopg.Error, placeholders: Mapping[str, str]) -> str:
    """The server's message without values of rows, and the objects it names."""
    diag = error.diag
    said = diag.message_primary or f"the connection was lost ({error})"
    if (error.sqlstate or "").startswith(BAD_DATA):
        said = QUOTED_VALUE.sub("(a value)", said)
    named = {
        "schema": diag.schema_name,
        "table": diag.table_name,
        "column": diag.column_name,
        "constraint": diag.constraint_name,
    }
    objects = ", ".join(f"{kind} {name}" for kind, name in named.items() if name and name not in said)
    return masked(excerpt(said), placeholders) + (f" [{objects}]" if objects else "")


@contextmanager
def answering(doing: str) -> Iterator[None]:
    """Tell what the server says to our own questions: Declined for lack of permission and such, Outage otherwise."""
    try:
        yield
    except psycopg.Error as error:
        said = what_was_said(error, {})
        if error.sqlstate and not error.sqlstate.startswith(PASSING):
            raise Declined(SYSTEM, doing, 0, f"{said} (SQLSTATE {error.sqlstate})") from None
        raise Outage(SYSTEM, doing, said) from None


def _line(broken: Broken) -> int:
    """The line that the server points to within the statement, else the one where the statement begins."""
    position = broken.error.diag.statement_position
    if broken.statement is None or position is None:
        return broken.line
    return broken.line + broken.statement.text.count("\n", 0, int(position) - 1)


def _advice(sqlstate: str) -> str:
    if sqlstate == LOCK_NOT_AVAILABLE:
        return " Others held a lock for longer than we let traffic wait behind us; run again when there is less of it."
    if sqlstate == CANCELED:
        return " It was cancelled, or took longer than the policy's statement timeout."
    return ""
