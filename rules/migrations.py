"""Whether the version that runs can live with a database migration: each statement judged, over the whole sequence.

    scripts applied before ──▶ what is there   pending ones ──PostgreSQL's grammar──▶ Reasons ──▶ Review ──▶ Finding

SQL that does not parse, blocks of dynamic SQL and statements that no rule knows are never SAFE.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from rules.migration_reasons import Lock, Reason, Review, Safety
from rules.migration_schema import Known
from rules.migration_statements import judged
from rules.vocabulary import Finding, Verdict

__all__ = ["GATE", "Lock", "Reason", "Review", "Safety", "judge", "review", "review_all"]

postgast: Any = import_module("postgast")
"""Imported so because its stub of the grammar's tree has fields named `None`, which mypy cannot parse."""
GATE = "migrations"
MOST_NAMED = 3
VERDICTS = {Safety.SAFE: Verdict.PASSED, Safety.REVIEW: Verdict.INCONCLUSIVE, Safety.UNSAFE: Verdict.FAILED}
NOTHING: Mapping[str, str] = MappingProxyType({})
_PLACEHOLDER = re.compile(r"\$\{([^{}\r\n]*)\}")
_BEFORE = re.compile(r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*", re.DOTALL)
CONCURRENTLY = re.compile(r"\bconcurrently\b", re.IGNORECASE)


class MigrationScript(Protocol):
    """A script of a release."""

    @property
    def name(self) -> str: ...
    @property
    def sql(self) -> str: ...
    @property
    def in_transaction(self) -> bool | None: ...


def review(
    sql: str,
    *,
    name: str = "",
    before: Sequence[str] = (),
    placeholders: Mapping[str, str] = NOTHING,
    in_transaction: bool | None = None,
) -> Review:
    """The review of one script. `before`: the texts of those that were applied before it, which tell what is there."""
    known = Known()
    for text in before:
        list(_reasons(text, "", placeholders, known))
    known.pending = True
    return _review(name, sql, placeholders, known, in_transaction)


def review_all(
    pending: Iterable[MigrationScript],
    *,
    before: Iterable[MigrationScript] = (),
    placeholders: Mapping[str, str] = NOTHING,
) -> Review:
    """The review of all pending scripts together, in their order: what one makes, the next may change."""
    known = Known()
    for script in before:
        list(_reasons(script.sql, script.name, placeholders, known))
    known.pending = True
    reviews = [_review(it.name, it.sql, placeholders, known, it.in_transaction) for it in pending]
    reasons = sorted((reason for it in reviews for reason in it.reasons), key=lambda it: -it.verdict.badness)
    empty = [it for it in reviews if not it.statements]
    said = [Reason(Safety.REVIEW, 1, "there is no statement in it", script=it.name) for it in empty]
    return Review(", ".join(it.name for it in reviews), (*reasons, *said), sum(it.statements for it in reviews))


def judge(review: Review) -> Finding:
    """One finding: UNSAFE fails, REVIEW is inconclusive. The sentence names script, line and why, the worst first."""
    against = [it for it in review.reasons if it.verdict is not Safety.SAFE]
    measured = f"{review.statements} statements, {len(against)} in the way"
    allowed = "safe for the version that runs"
    if review.verdict is Safety.SAFE:
        sentence = f"The version that runs can live with {review.name}: {review.statements} statements were looked at."
        return Finding(GATE, Verdict.PASSED, sentence, measured, allowed)
    more = f"; and {len(against) - MOST_NAMED} more" if len(against) > MOST_NAMED else ""
    sentence = f"{'; '.join(map(_told, against[:MOST_NAMED])) or 'There is no statement'}{more}."
    remedy = next((it.how for it in against if it.how), "look at it, and waive it if it is harmless")
    return Finding(GATE, VERDICTS[review.verdict], sentence, measured, allowed, could_be_met=remedy)


def _told(reason: Reason) -> str:
    lock = f" ({reason.lock})" if reason.lock else ""
    return f"{reason.script or 'The script'}, line {reason.line}: {reason.sentence}{lock}"


def _review(name: str, sql: str, placeholders: Mapping[str, str], known: Known, in_transaction: bool | None) -> Review:
    found = list(_reasons(sql, name, placeholders, known))
    reasons = [replace(it, script=name) for it in found if it is not None]
    if in_transaction is True and CONCURRENTLY.search(sql):
        sentence = "CONCURRENTLY does not run in a transaction, and its .conf asks for one"
        reasons.append(Reason(Safety.UNSAFE, 1, sentence, "executeInTransaction=false", script=name))
    ordered = tuple(sorted(reasons, key=lambda it: (-it.verdict.badness, it.line)))
    return Review(name, ordered, found.count(None))


def _reasons(sql: str, name: str, placeholders: Mapping[str, str], known: Known) -> Iterator[Reason | None]:
    """The reasons of each statement, with a None in front of them: so the statements can be counted."""
    text = sql.removeprefix("\ufeff")
    missing = sorted({it for it in _PLACEHOLDER.findall(text) if it not in placeholders})
    if missing:
        yield None
        yield Reason(Safety.REVIEW, 1, f"the placeholder {missing[0]} has no value here, not analysed", script=name)
        text = _PLACEHOLDER.sub(lambda it: placeholders.get(it[1], "placeholder"), text)
    else:
        text = _PLACEHOLDER.sub(lambda it: placeholders[it[1]], text)
    try:
        tree = MessageToDict(_parsed(text), preserving_proto_field_name=True)
    except (postgast.PgQueryError, DecodeError, ValueError, RecursionError) as error:
        words = str(error).splitlines()[0][:100] if str(error) else type(error).__name__
        yield None
        yield Reason(Safety.REVIEW, 1, f"it is not SQL that PostgreSQL's grammar knows ({words}), not analysed")
        return
    raw = text.encode()
    for it in tree.get("stmts", ()):
        yield None
        line = _line(raw, int(it.get("stmt_location", 0)))
        for kind, node in it.get("stmt", {}).items():
            for said in judged(kind, node, known):
                yield Reason(said.verdict, line, said.sentence, said.how, said.lock)


def _parsed(text: str) -> Any:
    """Raises what `_reasons` takes for SQL that is not known."""
    if "\0" in text:
        raise ValueError("it has a NUL in it")  # the grammar would read no further
    return postgast.parse(text)


def _line(raw: bytes, start: int) -> int:
    """Where the statement's first word is: before it the grammar counts space and comments."""
    rest = raw[start:].decode("utf-8", "replace")
    skipped = _BEFORE.match(rest)
    return raw[:start].count(b"\n") + rest[: skipped.end() if skipped else 0].count("\n") + 1
