"""Reads what test runners leave behind: JUnit XML, Bruno's JSON, Playwright's JSON.

    bytes ──first character, keys──▶ its format ──▶ cases ──counted against what the file itself claims──▶ SuiteResult

A file that claims other numbers than its cases show is read, with its contradictions: it proves nothing, and whoever
looks must see why. Shapes: the JUnit form of Ant and Surefire; Bruno's reporter `--reporter-json`; the types of
Playwright's JSON reporter.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import defusedxml.ElementTree
import orjson
from defusedxml import DefusedXmlException

from rules.errors import InvalidInput
from rules.releases import is_sha
from rules.suites import CaseResult, Outcome, SuiteResult

LARGEST = 50_000_000
"""Bytes of a file."""
DEEPEST = 60
"""Suites within suites."""
MESSAGE = 500
ALLOWED = "JUnit XML, Bruno's JSON or Playwright's JSON"
COMMIT_NAMES = ("commit", "commit.sha", "git.commit", "git.commit.id", "git.sha", "revision", "version", "release")
"""Properties of a JUnit file that may name the commit; only a Git SHA is taken for one."""
SEPARATOR = " / "


def read(document: bytes) -> SuiteResult:
    """The result in a file, whichever of the three formats it has. Raises InvalidInput where it has none of them.

    A time without a zone is taken as UTC, which is what most writers of JUnit XML mean; several times: the oldest.
    """
    text = document.removeprefix(b"\xef\xbb\xbf").strip()
    if not text or len(text) > LARGEST:
        raise InvalidInput("A test result", f"{len(text)} bytes", f"1 to {LARGEST} bytes of {ALLOWED}")
    if text.startswith(b"<"):
        return _junit(_xml(text))
    found = _json(text)
    if isinstance(found, dict) and "suites" in found:
        return _playwright(found)
    runs = found if isinstance(found, list) else [found]
    if runs and all(isinstance(run, dict) and "summary" in run for run in runs):
        return _bruno(runs)
    raise InvalidInput("A test result", _excerpt(text), ALLOWED)


def _xml(text: bytes) -> Element:
    try:
        root: Element = defusedxml.ElementTree.fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidInput(
            "A test result", f"{type(error).__name__}: {error}", "well-formed XML without a DTD"
        ) from None
    return root


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidInput("A test result", f"{_excerpt(text)} ({error})", ALLOWED) from None


# JUnit XML


def _junit(root: Element) -> SuiteResult:
    if _tag(root) not in ("testsuites", "testsuite"):
        raise InvalidInput("The root of a test result", _tag(root), "testsuites or testsuite")
    suites = list(_suites(root, 0))
    cases = [_junit_case(it) for it in root.iter() if _tag(it) == "testcase"]
    named = root.get("name") or next((it.get("name") for it in suites if it.get("name")), None)
    return SuiteResult(
        named or "JUnit",
        tuple(cases),
        _junit_version(root),
        _oldest(it.get("timestamp") for it in suites),
        tuple(wrong for suite in suites for wrong in _junit_contradictions(suite)),
    )


def _suites(element: Element, depth: int) -> Iterator[Element]:
    if depth > DEEPEST:
        raise InvalidInput("The depth of a test result", f"more than {DEEPEST}", f"at most {DEEPEST} suites in another")
    yield element
    for child in element:
        if _tag(child) == "testsuite":
            yield from _suites(child, depth + 1)


def _junit_case(element: Element) -> CaseResult:
    children = [_tag(child) for child in element]
    outcome = _junit_outcome(element, children)
    message = next((_message_of(it) for it in element if _tag(it) in ("failure", "error", "skipped")), "")
    flaky = outcome is Outcome.PASSED and any(it in ("flakyFailure", "flakyError") for it in children)
    name = ".".join(filter(None, (element.get("classname"), element.get("name"))))
    seconds = _number(element.get("time")) or 0.0
    return CaseResult(name or "a test without a name", outcome, message, max(0.0, seconds * 1000), flaky)


def _junit_outcome(element: Element, children: Sequence[str]) -> Outcome:
    """The worst that it says: by its children, or by the attributes that some writers use beside or instead of them."""
    said = {(element.get(name) or "").lower() for name in ("status", "result")}
    if "error" in children or said & {"error", "errored"}:
        return Outcome.ERRORED
    if "failure" in children or said & {"fail", "failed", "failure", "timedout", "interrupted"}:
        return Outcome.FAILED
    if "skipped" in children or said & {"skip", "skipped", "notrun", "disabled", "suppressed", "pending"}:
        return Outcome.SKIPPED
    return Outcome.PASSED


def _message_of(element: Element) -> str:
    return (element.get("message") or (element.text or "").strip())[:MESSAGE]


def _junit_version(root: Element) -> str:
    """The commit that its properties name; two that differ are none."""
    found = {
        (it.get("value") or it.text or "").strip()
        for it in root.iter()
        if _tag(it) == "property" and (it.get("name") or "").lower() in COMMIT_NAMES
    }
    shas = {it for it in found if is_sha(it)}
    return shas.pop() if len(shas) == 1 else ""


def _junit_contradictions(suite: Element) -> Iterator[str]:
    """Writers count a suite's own cases, or those of the suites in it too; one of the two must agree."""
    direct = [it for it in suite if _tag(it) == "testcase"]
    whole = [it for it in suite.iter() if _tag(it) == "testcase"]
    tellings = [[_junit_case(it).outcome for it in cases] for cases in (direct, whole)]
    counted: dict[str, Callable[[list[Outcome]], int]] = {
        "tests": len,
        "failures": lambda outcomes: outcomes.count(Outcome.FAILED),
        "errors": lambda outcomes: outcomes.count(Outcome.ERRORED),
    }
    name = suite.get("name") or _tag(suite)
    for attribute, count in counted.items():
        claimed = suite.get(attribute)
        if claimed is not None and _number(claimed) not in {float(count(it)) for it in tellings}:
            yield f"{name} claims {claimed} {attribute}, and shows {count(tellings[1])}"
    if (skipped := _skipped(suite)) is not None and skipped not in {it.count(Outcome.SKIPPED) for it in tellings}:
        yield f"{name} claims {skipped:g} skipped, and shows {tellings[1].count(Outcome.SKIPPED)}"


def _skipped(suite: Element) -> float | None:
    claims = [_number(suite.get(it)) for it in ("skipped", "disabled") if suite.get(it) is not None]
    return math.nan if None in claims else sum(it for it in claims if it is not None) if claims else None


def _tag(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


# Bruno

_CHECKS = {
    "testResults": "Tests",
    "assertionResults": "Assertions",
    "preRequestTestResults": "PreRequestTests",
    "postResponseTestResults": "PostResponseTests",
}
"""Lists of a request's checks, and how the summary calls their numbers: `totalTests`, `passedTests`, `failedTests`."""
_BRUNO = {"pass": Outcome.PASSED, "fail": Outcome.FAILED, "skipped": Outcome.SKIPPED}


def _bruno(runs: Sequence[Mapping[str, Any]]) -> SuiteResult:
    """One iteration, or a list of them. Bruno names neither the commit nor the time: the place of the file must."""
    cases = [case for run in runs for request in _objects(run.get("results")) for case in _bruno_cases(request)]
    wrong = [it for run in runs for it in _bruno_contradictions(run)]
    return SuiteResult("Bruno", tuple(cases), contradictions=tuple(wrong))


def _bruno_cases(request: Mapping[str, Any]) -> Iterator[CaseResult]:
    """Every check of a request; and the request itself where it was skipped, or went wrong."""
    name = _text(request.get("path") or request.get("suitename") or request.get("name")) or "a request without a name"
    checks = [_bruno_check(name, it) for key in _CHECKS for it in _objects(request.get(key))]
    status = _text(request.get("status")).lower()
    if status == "skipped" or request.get("skipped") is True:
        yield CaseResult(name, Outcome.SKIPPED, _text(request.get("skipReason") or request.get("error")))
    elif request.get("error") or (status not in ("", "pass") and not any(it.is_bad for it in checks)):
        yield CaseResult(name, Outcome.ERRORED, _text(request.get("error")) or f"Its status is {status}")
    yield from checks


def _bruno_check(request: str, check: Mapping[str, Any]) -> CaseResult:
    told = check.get("description") or f"{_text(check.get('lhsExpr'))} {_text(check.get('rhsExpr'))}".strip()
    outcome = _BRUNO.get(_text(check.get("status")), Outcome.ERRORED)
    return CaseResult(
        f"{request}{SEPARATOR}{_text(told) or 'a check without a name'}", outcome, _text(check.get("error"))
    )


def _bruno_contradictions(run: Mapping[str, Any]) -> Iterator[str]:
    summary = run["summary"] if isinstance(run["summary"], dict) else {}
    requests = _objects(run.get("results"))
    bad_requests = sum(any(it.is_bad for it in _bruno_cases(request)) for request in requests)
    yield from _differing(summary, {"totalRequests": len(requests)})
    claimed_bad = [_number(summary.get(it)) for it in ("failedRequests", "errorRequests") if it in summary]
    if claimed_bad and (None in claimed_bad or sum(it or 0 for it in claimed_bad) != bad_requests):
        yield f"it claims {claimed_bad} failed requests, and shows {bad_requests}"
    for key, word in _CHECKS.items():
        outcomes = [_bruno_check("", it).outcome for request in requests for it in _objects(request.get(key))]
        passed = outcomes.count(Outcome.PASSED)
        shown = {f"total{word}": len(outcomes), f"passed{word}": passed, f"failed{word}": len(outcomes) - passed}
        yield from _differing(summary, shown)
    if not any(f"total{word}" in summary for word in _CHECKS.values()):
        yield "its summary counts no tests"


# Playwright

_PLAYWRIGHT = {
    "expected": Outcome.PASSED,
    "unexpected": Outcome.FAILED,
    "flaky": Outcome.PASSED,
    "skipped": Outcome.SKIPPED,
}


def _playwright(report: Mapping[str, Any]) -> SuiteResult:
    stats = report["stats"] if isinstance(report.get("stats"), dict) else {}
    tests = list(_tests(report["suites"], (), 0))
    cases = [_playwright_case(name, test) for name, test in tests]
    outside = [
        CaseResult("outside of the tests", Outcome.ERRORED, _text(it.get("message")))
        for it in _objects(report.get("errors"))
    ]
    statuses = [_text(test.get("status")) for _, test in tests]
    shown = {status: statuses.count(status) for status in _PLAYWRIGHT}
    wrong = [*_differing(stats, shown), *(f"its statistics lack {it}" for it in shown if it not in stats)]
    wrong += [told for name, test in tests for told in _playwright_contradictions(name, test)]
    at = _oldest([stats.get("startTime")])
    return SuiteResult("Playwright", (*cases, *outside), _playwright_version(report), at, tuple(wrong))


def _tests(suites: Any, titles: tuple[str, ...], depth: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if depth > DEEPEST:
        raise InvalidInput("The depth of a test result", f"more than {DEEPEST}", f"at most {DEEPEST} suites in another")
    for suite in _objects(suites):
        inside = (*titles, _text(suite.get("title")))
        for spec in _objects(suite.get("specs")):
            for test in _objects(spec.get("tests")):
                project = _text(test.get("projectName"))
                yield SEPARATOR.join(filter(None, (project, *inside, _text(spec.get("title"))))), test
        yield from _tests(suite.get("suites"), inside, depth + 1)


def _playwright_case(name: str, test: Mapping[str, Any]) -> CaseResult:
    results = _objects(test.get("results"))
    outcome = _PLAYWRIGHT.get(_text(test.get("status")), Outcome.ERRORED)
    wanted = _text(test.get("expectedStatus")) or "passed"
    again = any(_text(it.get("status")) not in (wanted, "skipped") for it in results[:-1])
    flaky = outcome is Outcome.PASSED and (test.get("status") == "flaky" or again)
    errors = [_text(error.get("message")) for it in results for error in _objects([it.get("error")])]
    took = sum(_number(it.get("duration")) or 0.0 for it in results)
    return CaseResult(name or "a test without a name", outcome, next(iter(errors), ""), max(0.0, took), flaky)


def _playwright_contradictions(name: str, test: Mapping[str, Any]) -> Iterator[str]:
    """A test that counts as good must show a last try that ended as it was meant to."""
    if _text(test.get("status")) not in ("expected", "flaky"):
        return
    last = next((_text(it.get("status")) for it in reversed(_objects(test.get("results")))), "nothing")
    wanted = _text(test.get("expectedStatus")) or "passed"
    if last != wanted or wanted == "skipped":
        yield f"{name} counts as {_text(test.get('status'))}, and ended with {last} where {wanted} was meant"


def _playwright_version(report: Mapping[str, Any]) -> str:
    """Playwright's own metadata of the commit: `gitCommit.hash`, `ci.commitHash`, or `revision.id` of its elders."""
    metadata = _within(_within(report, "config"), "metadata")
    candidates = (
        _within(metadata, "gitCommit").get("hash"),
        _within(metadata, "ci").get("commitHash"),
        metadata.get("revision.id"),
    )
    shas = {_text(it) for it in candidates if is_sha(_text(it))}
    return shas.pop() if len(shas) == 1 else ""


# Values from outside


def _objects(value: Any) -> list[Mapping[str, Any]]:
    """The objects of a list. Nothing is an empty one; what is no list, or holds anything else, is refused."""
    items = [] if value is None else value
    if not isinstance(items, list) or not all(it is None or isinstance(it, dict) for it in items):
        raise InvalidInput("A list of a test result", _excerpt(str(value).encode()), "a list of objects")
    return [it for it in items if it is not None]


def _within(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}


def _text(value: Any) -> str:
    return "" if value is None else str(value)[:MESSAGE]


def _number(value: Any) -> float | None:
    """A finite number, or none: `1,234.5` and booleans are none."""
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _differing(claims: Mapping[str, Any], shown: Mapping[str, int]) -> list[str]:
    pairs = [(key, claims[key], count) for key, count in shown.items() if key in claims]
    return [
        f"it claims {_text(claim)} {key}, and shows {count}" for key, claim, count in pairs if _number(claim) != count
    ]


def _oldest(times: Iterable[Any]) -> datetime | None:
    """The oldest of those that can be read; one that cannot makes the age unknown."""
    given = [_text(it) for it in times if it]
    try:
        read_ = [datetime.fromisoformat(it) for it in given]
        return min((it if it.tzinfo else it.replace(tzinfo=UTC) for it in read_), default=None)
    except (ValueError, OverflowError):
        return None


def _excerpt(text: bytes) -> str:
    return text[:40].decode("utf-8", "replace")
