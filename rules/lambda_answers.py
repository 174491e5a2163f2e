"""Checks that only reach their targets from inside the VPC: a Lambda function runs them and tells what it saw.

    request(release) ──invoked──▶ function ──JSON──▶ read ──▶ SuiteResult ──▶ judge ──▶ Finding

The function must give the release back: an answer that names none, or another, is about something else. What AWS
reports of a function that broke (`FunctionError`) says nothing about the release, good or bad.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from rules.errors import InvalidInput
from rules.suites import GATE, CaseResult, Outcome, SuitePolicy, SuiteResult
from rules.suites import judge as judge_suites
from rules.vocabulary import Finding, Verdict

OK = 200
"""Status of a synchronous invocation (`RequestResponse`); an asynchronous one answers 202, and tells nothing."""
MESSAGE = 500
EXCERPT = 120
SHAPE = '{"release": …, "at": …, "total": …, "cases": [{"name": …, "outcome": …}, …]}'


@dataclass(frozen=True, slots=True)
class LambdaAnswer:
    """What `Invoke` of AWS Lambda returned."""

    function: str
    status: int
    """`StatusCode`; 0 where the function could not be invoked."""
    payload: bytes = b""
    function_error: str = ""
    """`FunctionError`: `Handled` or `Unhandled`; empty: there was none."""
    request_id: str = ""
    """By which the function's log can be found."""


def request(suite: str, version: str, environment: str) -> bytes:
    """The payload of the invocation: which suite, for which release (a Git SHA), in which environment."""
    return orjson.dumps({"suite": suite, "release": version, "environment": environment})


def judge(answer: LambdaAnswer, policy: SuitePolicy, version: str, now: datetime, gate: str = GATE) -> Finding:
    """As `rules.suites.judge`, for one function. INCONCLUSIVE where the function broke or answered something else."""
    if broken := _broken(answer):
        return _unknown(answer, gate, broken)
    try:
        result = read(answer)
    except InvalidInput as error:
        return _unknown(answer, gate, f"{answer.function} gave an answer that cannot be read: {error}")
    return judge_suites([result], policy, version, now, gate)


def read(answer: LambdaAnswer) -> SuiteResult:
    """The function's cases. Raises InvalidInput where its payload has not the shape.

    `release` is the Git SHA it was invoked with, `at` ISO 8601 with a zone, `total` the number of its cases, and a
    case has `name`, `outcome` (passed, failed, skipped, errored), and may have `message` and `milliseconds`.
    """
    if broken := _broken(answer):
        raise InvalidInput(f"The answer of {answer.function}", broken, SHAPE)
    told = _object(answer)
    cases = tuple(_case(it, answer.function) for it in _list(told, answer.function))
    contradictions = tuple(_contradictions(told, cases))
    name, version = f"function {answer.function}", told.get("release")
    said = version if isinstance(version, str) else ""
    return SuiteResult(name, cases, said, _time(told.get("at")), contradictions, answer.request_id)


def _broken(answer: LambdaAnswer) -> str:
    if answer.function_error:
        return f"{answer.function} broke ({answer.function_error}): {_excerpt(answer.payload)}"
    if answer.status != OK:
        return f"{answer.function} was not carried out: status {answer.status}, allowed is {OK}"
    return ""


def _unknown(answer: LambdaAnswer, gate: str, why: str) -> Finding:
    remedy = "look at the function's log, mend it, and run again"
    sentence = f"{why.rstrip('.')}."
    return Finding(gate, Verdict.INCONCLUSIVE, sentence, "no cases", SHAPE, answer.request_id, could_be_met=remedy)


def _object(answer: LambdaAnswer) -> Mapping[str, Any]:
    try:
        told = orjson.loads(answer.payload)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise InvalidInput(f"The answer of {answer.function}", _excerpt(answer.payload), SHAPE)
    return told


def _list(told: Mapping[str, Any], function: str) -> list[Any]:
    cases = told.get("cases")
    if not isinstance(cases, list):
        raise InvalidInput(f"cases of {function}", type(cases).__name__, SHAPE)
    return cases


def _case(told: Any, function: str) -> CaseResult:
    name = told.get("name") if isinstance(told, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise InvalidInput(f"A case of {function}", str(told)[:EXCERPT], "an object with a name and an outcome")
    outcome = told.get("outcome")
    if outcome not in tuple(Outcome):
        raise InvalidInput(f"The outcome of {name!r} of {function}", outcome, ", ".join(Outcome))
    took = told.get("milliseconds", 0)
    is_time = isinstance(took, int | float) and math.isfinite(took) and took >= 0
    message = str(told.get("message") or "")[:MESSAGE]
    return CaseResult(name, Outcome(outcome), message, float(took) if is_time else 0.0, bool(told.get("flaky")))


def _contradictions(told: Mapping[str, Any], cases: tuple[CaseResult, ...]) -> list[str]:
    total = told.get("total")
    if isinstance(total, bool) or total != len(cases):
        return [f"it claims {str(total)[:EXCERPT]} cases, and shows {len(cases)}"]
    return []


def _time(told: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None


def _excerpt(payload: bytes) -> str:
    return payload[:EXCERPT].decode("utf-8", "replace") or "nothing"
