"""Regression checks over HTTP as the catalogue declares them, and whether an answer is what a check expects.

    Scenario ──allowed in the environment?──▶ Check ──filled with what earlier steps found──▶ request
                                                └──answer──▶ CaseResult, values for the next step

Production only ever gets what reads: a check is sent there when its method cannot write and its owner says so too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import orjson

from rules.errors import InvalidInput
from rules.suites import CaseResult, Outcome
from rules.vocabulary import Role

READING = ("GET", "HEAD")
METHODS = (*READING, "POST", "PUT", "PATCH", "DELETE")
STATUSES = range(100, 600)
SHOWN = 60
"""Characters of a found value in a message."""
_PLACE = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Check:
    """One request and what its answer must be.

    `{name}` in `path` and `body` stands for what an earlier step extracted.
    """

    name: str
    method: str
    path: str
    """From the root of the environment's API: `/api/v1/events`."""
    read_only: bool = False
    """Its owner says that it changes nothing."""
    statuses: tuple[int, ...] = (200,)
    values: Mapping[str, Any] = field(default_factory=dict)
    """JSON values by pointer (RFC 6901): `{ "/status" = "UP" }`."""
    contains: tuple[str, ...] = ()
    """Texts that must be in the body."""
    most_ms: float = 5_000
    authentication: str = ""
    """Name of the secret that it needs; empty: none."""
    extracts: Mapping[str, str] = field(default_factory=dict)
    """For the next steps: pointers into the answer, by the names that they get."""
    body: str = ""
    """JSON to send."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """Checks one after the other: a workflow. What comes after a step that failed is not carried out."""

    name: str
    checks: tuple[Check, ...]


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back."""

    status: int
    """HTTP status; 0 where nothing answered."""
    milliseconds: float
    body: bytes = b""
    complete: bool = True
    """False where the body was longer than what was kept."""
    error: str = ""
    """Why nothing answered."""


def judge_answer(check: Check, answer: HttpAnswer) -> CaseResult:
    """FAILED with every fault of the answer; ERRORED where nothing answered or the check itself is not sound."""
    if wrong := problem(check):
        return CaseResult(check.name, Outcome.ERRORED, f"The check is not sound: {wrong}")
    if not answer.status:
        why = answer.error or "no reason was given"
        return CaseResult(
            check.name, Outcome.ERRORED, f"{_request(check)} was not answered: {why}", answer.milliseconds
        )
    faults = list(_faults(check, answer))
    outcome = Outcome.FAILED if faults else Outcome.PASSED
    message = f"{_request(check)}: {'; '.join(faults)}" if faults else ""
    return CaseResult(check.name, outcome, message, answer.milliseconds)


def not_reached(check: Check, failed: str) -> CaseResult:
    """For the steps after the one that failed."""
    return CaseResult(check.name, Outcome.SKIPPED, f"not carried out, because {failed} did not pass")


def allowed_in(checks: Iterable[Check], role: Role) -> tuple[Check, ...]:
    """The checks that may be sent to an environment of that role: to production, those only that cannot write."""
    return tuple(check for check in checks if role is not Role.PRODUCTION or _only_reads(check))


def scenarios_allowed_in(scenarios: Iterable[Scenario], role: Role) -> tuple[Scenario, ...]:
    """The scenarios that may be. One that writes in any step is left out whole: its other steps would miss that one."""
    return tuple(it for it in scenarios if len(allowed_in(it.checks, role)) == len(it.checks))


def extracted(check: Check, answer: HttpAnswer) -> dict[str, str]:
    """The values that a passed answer gives to the next steps. Raises InvalidInput where one is not there."""
    document = _document(answer) if check.extracts else None
    found = {name: _at(document, pointer) for name, pointer in check.extracts.items()}
    for name, value in found.items():
        if not _is_scalar(value):
            raise InvalidInput(f"{name} of the check {check.name!r}", _shown(value), "a text or a whole number")
    return {name: str(value) for name, value in found.items()}


def filled(check: Check, values: Mapping[str, str]) -> Check:
    """The check with its places filled in. Raises InvalidInput where a value is missing, or would change the path."""
    for name in _PLACE.findall(check.path) + _PLACE.findall(check.body):
        if name not in values:
            raise InvalidInput(
                f"{{{name}}} of the check {check.name!r}", "nothing", "a value that an earlier step extracts"
            )
    for name in _PLACE.findall(check.path):
        # An answer must not lead a request elsewhere: dots are segments of their own, and no quoting disarms them.
        if not values[name].strip("."):
            raise InvalidInput(f"{{{name}}} of the check {check.name!r}", values[name], "more than dots, in a path")
    path = _PLACE.sub(lambda it: quote(values[it[1]], safe=""), check.path)
    body = _PLACE.sub(lambda it: orjson.dumps(values[it[1]]).decode()[1:-1], check.body)
    return replace(check, path=path, body=body)


def problem(check: Check) -> str:
    """Why a check cannot be carried out or judged; empty when it can."""
    pointers = (*check.values, *check.extracts.values())
    wrong = {
        f"its method is {check.method!r}, allowed are {', '.join(METHODS)}": check.method not in METHODS,
        f"{check.method} is not read-only": check.read_only and check.method not in READING,
        f"its path {check.path!r} does not begin with one slash": not re.match(r"/(?![/\\])", check.path),
        "it allows no status": not check.statuses,
        f"its statuses are {check.statuses}": any(it not in STATUSES for it in check.statuses),
        "an answer to HEAD has no body": check.method == "HEAD" and bool(pointers or check.contains),
        f"its pointers are {pointers}": any(it and not it.startswith("/") for it in pointers),
        "an empty text is in every body": not all(check.contains),
        f"it allows {check.most_ms:g} ms": not check.most_ms > 0,
    }
    return "; ".join(words for words, is_wrong in wrong.items() if is_wrong)


def _only_reads(check: Check) -> bool:
    return check.read_only and check.method in READING


def _faults(check: Check, answer: HttpAnswer) -> Iterable[str]:
    if answer.status not in check.statuses:
        yield f"status {answer.status}, allowed is {' or '.join(map(str, check.statuses))}"
    # Written so that a time that is no number is a fault too.
    if not 0 <= answer.milliseconds <= check.most_ms:
        yield f"{answer.milliseconds:.0f} ms, allowed are {check.most_ms:.0f} ms"
    yield from _missing_texts(check, answer)
    if check.values or check.extracts:
        yield from _wrong_values(check, answer)


def _missing_texts(check: Check, answer: HttpAnswer) -> Iterable[str]:
    cut_off = "" if answer.complete else " in the part that was kept"
    return [f"{text!r} is not in the body{cut_off}" for text in check.contains if text.encode() not in answer.body]


def _wrong_values(check: Check, answer: HttpAnswer) -> Iterable[str]:
    try:
        document = _document(answer)
    except InvalidInput as error:
        yield str(error)
        return
    for pointer, wanted in check.values.items():
        found = _at(document, pointer)
        if not _same(found, wanted):
            yield f"{pointer or 'the document'} is {_shown(found)}, allowed is {_shown(wanted)}"
    for name, pointer in check.extracts.items():
        if not _is_scalar(_at(document, pointer)):
            yield f"{pointer}, which the next step needs as {name}, is no text or whole number"


class _Nothing:
    """What a pointer finds where there is nothing; null is a value."""

    def __repr__(self) -> str:
        return "not there"


_NOTHING = _Nothing()


def _document(answer: HttpAnswer) -> Any:
    if not answer.complete:
        raise InvalidInput("The body", "longer than what was kept", "JSON that is small enough to keep")
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        raise InvalidInput("The body", f"{len(answer.body)} bytes of something else", "JSON") from None


def _at(document: Any, pointer: str) -> Any:
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict):
            found = found.get(key, _NOTHING)
        elif isinstance(found, list) and _INDEX.fullmatch(key) and int(key) < len(found):
            found = found[int(key)]
        else:
            return _NOTHING
    return found


def _same(found: Any, wanted: Any) -> bool:
    """Equal as JSON: Python's `True == 1` is not."""
    if isinstance(found, bool) or isinstance(wanted, bool):
        return found is wanted
    if isinstance(found, dict) and isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in found)
    if isinstance(found, list) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return bool(found == wanted)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool) and value != ""


def _request(check: Check) -> str:
    return f"{check.method} {check.path}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
