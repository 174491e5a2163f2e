"""The last load test that passed is what the next one of the same script is compared with."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from rules.load_test import Limits, judge
from rules.load_test_memory import MOST_PARTS, last_passed, remembered
from rules.load_test_results import Format, LoadTestResult, Measures, Part
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Finding, Verdict

AT = datetime(2026, 11, 23, tzinfo=UTC)
RESULT = LoadTestResult(
    Format.NDJSON,
    Measures(1000, 0, 0.0, p95_ms=120.0),
    60.0,
    0,
    parts=(Part("name:List", Measures(400, 0, 0.0, p95_ms=100.0)), Part("group:x", Measures(1))),
)
PASSED = Finding("load", Verdict.PASSED, "Quick.")


def ledger(*told: tuple[LoadTestResult, Finding, str, str]) -> Sequence[Record]:
    records: list[Record] = []
    for result, finding, script, environment in told:
        event = Event("run", "", environment, EventKind.LOAD_TESTED, "Told.", remembered(result, finding, script))
        records.append(chain(records[-1] if records else None, event, AT))
    return records


def test_the_last_that_passed_is_found_as_it_was() -> None:
    slower = replace(RESULT, total=replace(RESULT.total, p95_ms=140.0))
    failed = replace(PASSED, verdict=Verdict.FAILED)
    found = last_passed(
        ledger((RESULT, PASSED, "a.js", "dev"), (slower, PASSED, "a.js", "dev"), (RESULT, failed, "a.js", "dev")),
        "dev",
        "a.js",
    )
    assert found is not None
    assert found.p95_ms == 140
    assert [it.selector for it in found.parts] == ["name:List"]


def test_another_script_or_environment_is_no_past() -> None:
    records = ledger((RESULT, PASSED, "a.js", "dev"))
    assert last_passed(records, "staging", "a.js") is None
    assert last_passed(records, "dev", "b.js") is None


def test_what_is_remembered_is_what_growth_is_judged_by() -> None:
    last = last_passed(ledger((RESULT, PASSED, "a.js", "dev")), "dev", "a.js")
    slow = replace(RESULT, total=replace(RESULT.total, p95_ms=300.0))
    assert judge(slow, Limits()).verdict is Verdict.PASSED
    assert judge(slow, Limits(last=last)).verdict is Verdict.FAILED


def test_only_the_busiest_parts_are_remembered() -> None:
    parts = tuple(Part(f"name:{n}", Measures(n, p95_ms=1.0)) for n in range(200))
    found = last_passed(ledger((replace(RESULT, parts=parts), PASSED, "a.js", "dev")), "dev", "a.js")
    assert found is not None
    assert (len(found.parts), found.parts[0].selector) == (MOST_PARTS, "name:199")
