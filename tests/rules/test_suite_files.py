"""What JUnit, Bruno and Playwright leave behind, read; and that no damage to a file makes it pass."""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.suite_files import read
from rules.suites import CaseResult, Outcome, SuitePolicy, SuiteResult, judge
from rules.vocabulary import Verdict

DATA = Path(__file__).parent.parent / "data" / "suites"
JUNIT, BRUNO, PLAYWRIGHT = ((DATA / name).read_bytes() for name in ("junit.xml", "bruno.json", "playwright.json"))
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
VERSION = "3f2a1bc"


def outcomes(result: SuiteResult) -> list[Outcome]:
    return [case.outcome for case in result.cases]


def verdict(document: bytes) -> Verdict:
    """As if the place of the file told what it does not."""
    result = read(document)
    placed = replace(result, version=result.version or VERSION, at=result.at or NOW)
    return judge([placed], SuitePolicy(), VERSION, NOW).verdict


def test_junit_with_nested_suites() -> None:
    result = read(JUNIT)
    assert (result.name, result.version, result.contradictions) == ("event-management", VERSION, ())
    assert result.at == datetime(2026, 3, 2, 11, tzinfo=UTC)
    assert outcomes(result) == [Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED, Outcome.PASSED]
    assert result.cases[1] == CaseResult("EventsTest.creates", Outcome.FAILED, "expected 201", 300.0)


def test_bruno() -> None:
    result = read(BRUNO)
    assert (result.version, result.at, result.contradictions) == ("", None, ())
    assert [case.name for case in result.cases] == [
        "events/list / lists events",
        "events/list / res.status eq 200",
        "events/create / creates",
    ]
    assert result.cases[2].message == "expected 500 to equal 201"
    assert read(orjson.dumps(orjson.loads(BRUNO)[0])) == result


def test_playwright_with_a_flaky_test() -> None:
    result = read(PLAYWRIGHT)
    assert (result.version, result.contradictions) == ("3f2a1bc" + "0" * 33, ())
    assert result.at == datetime(2026, 3, 2, 11, tzinfo=UTC)
    assert outcomes(result) == [Outcome.PASSED, Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED]
    assert [case.flaky for case in result.cases] == [False, True, False, False]
    assert result.cases[1].name == "chromium / login.spec.ts / with a wrong password / is refused"


@pytest.mark.parametrize("document", [JUNIT, BRUNO, PLAYWRIGHT])
def test_the_examples_fail(document: bytes) -> None:
    assert verdict(document) is Verdict.FAILED


def test_what_passes_passes() -> None:
    junit = b'<testsuite name="a" tests="1" failures="0"><testcase name="x"/></testsuite>'
    assert verdict(junit) is Verdict.PASSED
    report = orjson.loads(BRUNO)
    del report[0]["results"][1]
    report[0]["summary"] |= {"totalRequests": 1, "failedRequests": 0, "totalTests": 1, "failedTests": 0}
    assert verdict(orjson.dumps(report)) is Verdict.PASSED
    browser = orjson.loads(PLAYWRIGHT)
    del browser["suites"][0]["suites"]
    browser["stats"] |= {"skipped": 0, "unexpected": 0, "flaky": 0}
    assert verdict(orjson.dumps(browser)) is Verdict.PASSED


@pytest.mark.parametrize(
    ("case", "outcome"),
    [
        ("<testcase/>", Outcome.PASSED),
        ("<testcase><error/></testcase>", Outcome.ERRORED),
        ("<testcase><failure/><error/></testcase>", Outcome.ERRORED),
        ("<testcase><skipped/><failure/></testcase>", Outcome.FAILED),
        ('<testcase status="fail"/>', Outcome.FAILED),
        ('<testcase status="run" result="completed"/>', Outcome.PASSED),
        ('<testcase status="notrun"/>', Outcome.SKIPPED),
        ('<testcase time="1,234.5"/>', Outcome.PASSED),
        ('<testcase xmlns="urn:x"><failure/></testcase>', Outcome.FAILED),
    ],
)
def test_junit_cases_with_missing_or_other_attributes(case: str, outcome: Outcome) -> None:
    assert outcomes(read(f"<testsuite>{case}</testsuite>".encode())) == [outcome]


def test_a_junit_case_that_was_tried_again_is_flaky() -> None:
    [case] = read(b'<testsuite><testcase name="x"><flakyFailure/></testcase></testsuite>').cases
    assert case.flaky


@pytest.mark.parametrize(
    "claims",
    [
        'tests="2"',
        'failures="1"',
        'errors="1"',
        'skipped="1"',
        'tests="many"',
        'tests=""',
        'disabled="1"',
        'skipped="nan"',
    ],
)
def test_junit_counts_that_disagree_with_the_cases_prove_nothing(claims: str) -> None:
    for document in (
        f"<testsuite {claims}><testcase/></testsuite>",
        f"<testsuites {claims}><testsuite><testcase/></testsuite></testsuites>",
    ):
        assert read(document.encode()).contradictions
        assert verdict(document.encode()) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    "document",
    [
        b"<testsuites/>",
        b'<testsuite tests="0"/>',
        b'<testsuite tests="1"><testcase><skipped/></testcase></testsuite>',
        b'{"summary": {"totalTests": 0, "passedTests": 0, "failedTests": 0}, "results": []}',
        b'{"summary": {"totalTests": 5, "passedTests": 5, "failedTests": 0}}',
        b'{"summary": {}, "results": []}',
        b'{"suites": [], "stats": {"expected": 0, "unexpected": 0, "flaky": 0, "skipped": 0}}',
        b'{"suites": []}',
        b'{"suites": [], "stats": {"expected": 5, "unexpected": 0, "flaky": 0, "skipped": 0}}',
    ],
)
def test_empty_results_are_inconclusive(document: bytes) -> None:
    assert verdict(document) is Verdict.INCONCLUSIVE


def test_a_request_that_could_not_be_sent_and_an_error_outside_of_tests_fail() -> None:
    report = orjson.loads(BRUNO)
    report[0]["results"][1] |= {"error": "connect ECONNREFUSED", "testResults": []}
    assert verdict(orjson.dumps(report)) is Verdict.FAILED
    browser = orjson.loads(PLAYWRIGHT)
    del browser["suites"][0]["suites"]
    browser["stats"] |= {"skipped": 0, "unexpected": 0, "flaky": 0}
    browser["errors"] = [{"message": "the server did not start"}]
    assert verdict(orjson.dumps(browser)) is Verdict.FAILED


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b" \n",
        b"<",
        b"<html/>",
        b"null",
        b"[]",
        b"{}",
        b"[[1]]",
        b'{"suites": 3}',
        b'{"suites": [3]}',
        b'{"summary": 1, "results": "x"}',
        b"results: none",
        b"\xff\xfe<\x00",
        b'<?xml version="1.0" encoding="nonsense"?><testsuite/>',
        b'<!DOCTYPE a [<!ENTITY b "c">]><testsuite name="&b;"/>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>',
        b"<testsuite>" * 100 + b"</testsuite>" * 100,
        b'{"suites":[' * 100 + b"]}" * 100,
        b"[" * 5000,
    ],
)
def test_anything_else_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidInput):
        read(document)


@pytest.mark.parametrize("document", [JUNIT, BRUNO, PLAYWRIGHT])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_damage_crashes_or_makes_a_failed_file_pass(document: bytes, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(document)))
    end = data.draw(st.integers(begin, min(len(document), begin + 60)))
    put = data.draw(
        st.binary(max_size=3) | st.sampled_from([b"0", b"null", b"{}", b'"', b"<failure/>", b"-1", b"1e999"])
    )
    with suppress(InvalidInput):
        assert verdict(document[:begin] + put + document[end:]) is not Verdict.PASSED


NUMBERS = st.integers(-(2**53), 2**53) | st.floats()
VALUES: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=3), st.just([]), st.builds(dict), st.just([{}])
)


@pytest.mark.parametrize("document", [BRUNO, PLAYWRIGHT])
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_value_in_the_place_of_another_crashes_or_makes_a_failed_file_pass(
    document: bytes, data: st.DataObject
) -> None:
    root: dict[str, Any] = {"root": orjson.loads(document)}
    found: Any = root
    key: Any = "root"
    for _ in range(data.draw(st.integers(1, 9))):
        if not isinstance(found[key], dict | list) or not found[key]:
            break
        found = found[key]
        key = data.draw(st.sampled_from(sorted(found) if isinstance(found, dict) else range(len(found))))
    found[key] = data.draw(VALUES)
    with suppress(InvalidInput):
        assert verdict(orjson.dumps(root["root"])) is not Verdict.PASSED
