"""What a Lambda function that runs checks must answer, to speak for a release."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.lambda_answers import LambdaAnswer, judge, read, request
from rules.suites import Outcome, SuitePolicy
from rules.vocabulary import Finding, Verdict

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
VERSION = "3f2a1bc"
TOLD: dict[str, Any] = {
    "release": VERSION,
    "at": "2026-03-02T11:59:00Z",
    "total": 2,
    "cases": [
        {"name": "the database answers", "outcome": "passed", "milliseconds": 12},
        {"name": "the cache answers", "outcome": "passed"},
    ],
}
ANSWER = LambdaAnswer("batbern-staging-checks", 200, orjson.dumps(TOLD), request_id="8a1c")
BAD_CASE = {"name": "the cache answers", "outcome": "failed", "message": "timeout after 3 s"}


def answering(**changes: Any) -> LambdaAnswer:
    return replace(ANSWER, payload=orjson.dumps(TOLD | changes))


def judged(answer: LambdaAnswer, gate: str = "regression") -> Finding:
    return judge(answer, SuitePolicy(), VERSION, NOW, gate)


def test_the_function_is_told_the_release() -> None:
    asked = orjson.loads(request("connectivity", VERSION, "staging"))
    assert asked == {"suite": "connectivity", "release": VERSION, "environment": "staging"}


def test_cases_that_passed_pass() -> None:
    finding = judged(ANSWER, "smoke")
    assert (finding.gate, finding.verdict, finding.evidence) == ("smoke", Verdict.PASSED, "8a1c")
    assert finding.sentence == "2 tests of function batbern-staging-checks passed."
    assert read(ANSWER).cases[0].milliseconds == 12


def test_a_case_that_failed_fails() -> None:
    finding = judged(answering(cases=[TOLD["cases"][0], BAD_CASE]))
    assert finding.verdict is Verdict.FAILED
    assert "the cache answers: timeout after 3 s." in finding.sentence


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (replace(ANSWER, function_error="Unhandled"), "batbern-staging-checks broke (Unhandled): "),
        (replace(ANSWER, status=202), "was not carried out: status 202"),
        (replace(ANSWER, status=0), "status 0"),
        (replace(ANSWER, payload=b""), "cannot be read"),
        (replace(ANSWER, payload=b"null"), "cannot be read"),
        (replace(ANSWER, payload=b'{"statusCode": 200, "body": "{}"}'), "cannot be read"),
        (answering(release="aaaaaaa"), "ran against aaaaaaa, not against 3f2a1bc"),
        (answering(release=None), "does not say which commit"),
        (answering(release=3), "does not say which commit"),
        (answering(at="yesterday"), "does not say when"),
        (answering(at="2026-03-02T11:59:00"), "does not say when"),
        (answering(at="2026-02-02T11:59:00Z"), "which is too long"),
        (answering(total=3), "it claims 3 cases, and shows 2"),
        (answering(total=None), "it claims None cases"),
        (answering(total=True, cases=TOLD["cases"][:1]), "it claims True cases"),
        (answering(cases=[], total=0), "has no tests"),
        (answering(cases=None), "cannot be read"),
        (answering(cases=[{"name": "x"}], total=1), "cannot be read"),
        (answering(cases=[{"name": "x", "outcome": "ok"}], total=1), "cannot be read"),
        (answering(cases=[{"name": "x", "outcome": ["passed"]}], total=1), "cannot be read"),
        (answering(cases=[{"name": " ", "outcome": "passed"}], total=1), "cannot be read"),
        (answering(cases=[{"name": "x", "outcome": "skipped"}], total=1), "skipped all"),
        (answering(cases=[{"name": "x", "outcome": "passed", "flaky": True}], total=1), "only when tried again"),
    ],
)
def test_an_answer_that_proves_nothing_is_inconclusive(answer: LambdaAnswer, said: str) -> None:
    finding = judged(answer)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert said in finding.sentence


def test_a_broken_function_is_not_read() -> None:
    with pytest.raises(InvalidInput):
        read(replace(ANSWER, function_error="Handled"))


@given(st.data())
def test_no_damage_crashes_or_makes_a_failed_answer_pass(data: st.DataObject) -> None:
    payload = answering(cases=[TOLD["cases"][0], BAD_CASE]).payload
    begin = data.draw(st.integers(0, len(payload)))
    end = data.draw(st.integers(begin, min(len(payload), begin + 40)))
    put = data.draw(st.binary(max_size=3) | st.sampled_from([b"0", b"null", b"{}", b"[]", b"1e999"]))
    assert judged(replace(ANSWER, payload=payload[:begin] + put + payload[end:])).verdict is not Verdict.PASSED


@given(st.recursive(st.none() | st.integers(-9, 9) | st.text(max_size=4), st.lists, max_leaves=5))
def test_no_value_of_a_case_crashes(value: Any) -> None:
    for key in ("name", "outcome", "message", "milliseconds", "flaky"):
        answer = answering(cases=[{"name": "x", "outcome": "failed"} | {key: value}], total=1)
        assert judged(answer).blocks


def test_outcomes_are_the_words_of_the_suites() -> None:
    cases = [{"name": it.value, "outcome": it.value} for it in Outcome]
    assert [case.outcome for case in read(answering(cases=cases, total=4)).cases] == list(Outcome)
