"""The last load test that passed, as the ledger has it: what the next one of the same script is compared with."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from rules.load_test_results import Format, LoadTestResult, Measures, Part
from rules.records import EventKind, Record
from rules.vocabulary import Finding, Verdict

MOST_PARTS = 50
"""Of the scenarios and endpoints, those with most requests are remembered."""


def remembered(result: LoadTestResult, finding: Finding, script: str) -> dict[str, Any]:
    """The details of a record: the script's name (its address, or its hash), the verdict, and what was measured."""
    parts = [it for it in result.parts if it.is_scenario_or_endpoint]
    parts.sort(key=lambda it: -(it.measures.requests or 0))
    return {
        "script": script,
        "verdict": finding.verdict,
        "format": result.format,
        "seconds": result.seconds,
        "total": _known(result.total),
        "parts": {it.selector: _known(it.measures) for it in parts[:MOST_PARTS]},
    }


def last_passed(records: Iterable[Record], environment: str, script: str) -> LoadTestResult | None:
    """The newest result of that script in that environment that passed; None: there is none to compare with."""
    told = (it.event for it in records if it.event.kind is EventKind.LOAD_TESTED)
    same = [it.details for it in told if it.environment == environment and it.details.get("script") == script]
    passed = [it for it in same if it.get("verdict") == Verdict.PASSED]
    return _result(passed[-1]) if passed else None


def _known(measures: Measures) -> dict[str, float]:
    return {name: value for name, value in asdict(measures).items() if value is not None}


def _result(details: Mapping[str, Any]) -> LoadTestResult:
    parts = tuple(Part(selector, Measures(**known)) for selector, known in details["parts"].items())
    return LoadTestResult(Format(details["format"]), Measures(**details["total"]), details["seconds"], parts=parts)
