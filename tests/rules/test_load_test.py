"""A load test's verdict: limits, parts, growth, k6's own word, the real files."""

from dataclasses import replace
from math import inf, nan
from pathlib import Path

import pytest

from rules.errors import InvalidInput
from rules.load_test import (
    GATE,
    Format,
    Kept,
    Limits,
    LoadTestResult,
    Measures,
    Part,
    PartLimits,
    Threshold,
    judge,
    read,
)
from rules.vocabulary import Finding, Verdict
from rules.waivers import may_be_waived

DATA = Path(__file__).parent.parent / "data" / "k6"
PASSED, INCONCLUSIVE, FAILED = Verdict.PASSED, Verdict.INCONCLUSIVE, Verdict.FAILED
QUICK = Measures(1000, 2, 0.002, 20.0, 120.0, 200.0, 400.0)
GOOD = LoadTestResult(Format.HANDLE_SUMMARY, QUICK, 60.0, 0, 900, 0)
CROSSED = Threshold("http_req_duration", "p(95)<1", Kept.NO)
UNKNOWN = Threshold("http_req_duration", "p(95)<1", Kept.UNKNOWN)
HELD = Threshold("http_req_duration", "p(95)<1", Kept.YES)


def measured(**changes: float | None) -> LoadTestResult:
    return replace(GOOD, total=replace(QUICK, **changes))  # type: ignore[arg-type]  # one helper for every measure


def with_part(selector: str, measures: Measures) -> LoadTestResult:
    return replace(GOOD, parts=(Part(selector, measures),))


def verdict(result: LoadTestResult, limits: Limits | None = None, exit_code: int | None = None) -> Verdict:
    return judge(result, limits, exit_code=exit_code).verdict


# ------------------------------------------------------------------------------------------------- limits


def test_a_good_result_passes_and_says_what_was_measured() -> None:
    assert judge(GOOD) == Finding(
        "load",
        PASSED,
        "The load test kept its limits: p95 120 ms, 0.2 % failed, 1000 requests, 60 s.",
        "p95 120 ms, 0.2 % failed, 1000 requests, 60 s",
        "p95 below 500 ms, below 1 % failed, 100 requests and 10 s or more",
    )
    assert may_be_waived(GATE)


def test_slow_is_failed_in_one_sentence() -> None:
    found = judge(measured(p95_ms=612.4))
    assert found.verdict is FAILED
    assert found.sentence == "The load test had a p95 of 612.4 ms; below 500 ms is allowed."


def test_errors_are_failed_in_one_sentence() -> None:
    found = judge(measured(errors=20, error_rate=0.02))
    assert found.verdict is FAILED
    assert found.sentence == "The load test had 2 % failed requests (20 of 1000); below 1 % is allowed."


def test_at_the_limit_is_not_below_it() -> None:
    assert verdict(measured(p95_ms=500.0)) is FAILED
    assert verdict(measured(p95_ms=499.9)) is PASSED
    assert verdict(measured(error_rate=0.01)) is FAILED


def test_a_limit_of_nothing_allows_nothing() -> None:
    assert verdict(measured(errors=0, error_rate=0.0), Limits(error_rate=0)) is PASSED
    assert verdict(GOOD, Limits(error_rate=0)) is FAILED


@pytest.mark.parametrize(
    "unknown",
    [
        measured(p95_ms=None),
        measured(error_rate=None),
        measured(requests=None),
        replace(GOOD, seconds=None),
        replace(GOOD, dropped_iterations=None),
        replace(GOOD, checks_failed=None),
        replace(GOOD, problems=("Its last line (7) is cut off: k6 did not end by itself.",)),
        LoadTestResult(Format.NDJSON, Measures()),
    ],
)
def test_what_is_unknown_never_passes(unknown: LoadTestResult) -> None:
    assert verdict(unknown) is INCONCLUSIVE
    assert verdict(unknown, exit_code=0) is INCONCLUSIVE


def test_too_little_load_proves_nothing() -> None:
    few = judge(measured(requests=99))
    assert (few.verdict, few.sentence) == (INCONCLUSIVE, "The load test made 99 requests; 100 or more are needed.")
    short = judge(replace(GOOD, seconds=3.5))
    assert (short.verdict, short.sentence) == (
        INCONCLUSIVE,
        "The load test ran for 3.5 seconds; 10 or more are needed.",
    )
    assert verdict(measured(requests=0), Limits(minimum_requests=0)) is INCONCLUSIVE


def test_over_a_limit_outweighs_too_little() -> None:
    found = judge(measured(p95_ms=700.0, requests=99))
    assert found.verdict is FAILED
    assert found.sentence.startswith("The load test had a p95")


def test_failed_checks_fail_although_k6_lets_them() -> None:
    found = judge(replace(GOOD, checks_passed=90, checks_failed=10))
    assert (found.verdict, found.sentence) == (FAILED, "10 of 100 checks failed (10 %); below 1 % is allowed.")
    assert verdict(replace(GOOD, checks_passed=None, checks_failed=None)) is PASSED


def test_dropped_iterations_are_told_and_may_be_limited() -> None:
    dropped = replace(GOOD, dropped_iterations=50)
    assert "50 iterations dropped" in judge(dropped).measured
    assert verdict(dropped, Limits(dropped_iterations=49)) is INCONCLUSIVE
    assert verdict(dropped, Limits(dropped_iterations=50)) is PASSED


def test_samples_of_another_release_prove_nothing() -> None:
    assert verdict(replace(GOOD, release="a1"), Limits(release="a1")) is PASSED
    assert verdict(replace(GOOD, release="b2"), Limits(release="a1")) is INCONCLUSIVE
    assert verdict(GOOD, Limits(release="a1")) is INCONCLUSIVE


@pytest.mark.parametrize("nonsense", [nan, inf, -1.0])
def test_a_limit_that_allows_everything_is_refused(nonsense: float) -> None:
    with pytest.raises(InvalidInput, match="limit p95_ms"):
        Limits(p95_ms=nonsense)
    with pytest.raises(InvalidInput, match="limit error_rate"):
        PartLimits(error_rate=nonsense)


def test_a_measure_that_is_no_number_does_not_pass() -> None:
    assert verdict(measured(p95_ms=nan)) is FAILED
    assert verdict(measured(error_rate=nan)) is FAILED


# ------------------------------------------------------------------------------------------------- parts


SLOW = replace(QUICK, p95_ms=900.0)


def test_a_slow_endpoint_is_not_hidden_by_many_quick_ones() -> None:
    found = judge(with_part("name:Report", SLOW))
    assert (found.verdict, found.sentence) == (FAILED, "name:Report had a p95 of 900 ms; below 500 ms is allowed.")
    assert verdict(with_part("scenario:report", replace(QUICK, error_rate=0.5))) is FAILED


def test_an_endpoint_has_limits_of_its_own() -> None:
    own = Limits(parts={"name:Report": PartLimits(p95_ms=1000)})
    assert verdict(with_part("name:Report", SLOW), own) is PASSED
    assert verdict(with_part("name:Report", replace(SLOW, p95_ms=1000.0)), own) is FAILED
    assert verdict(with_part("name:Report", replace(SLOW, error_rate=0.02)), own) is FAILED


def test_an_endpoint_with_limits_of_its_own_must_be_there_and_known() -> None:
    own = Limits(parts={"name:Report": PartLimits(minimum_requests=50)})
    missing = judge(GOOD, own)
    assert missing.verdict is INCONCLUSIVE
    assert missing.sentence == "name:Report has limits of its own, and the load test tells nothing of it."
    for unknown in (replace(QUICK, p95_ms=None), replace(QUICK, error_rate=None), replace(QUICK, requests=49)):
        assert verdict(with_part("name:Report", unknown), own) is INCONCLUSIVE


def test_a_few_requests_of_an_endpoint_and_foreign_selections_are_not_judged_by_default() -> None:
    assert verdict(with_part("name:Setup", replace(SLOW, requests=19))) is PASSED
    assert verdict(with_part("group:::shop", SLOW)) is PASSED


# ------------------------------------------------------------------------------------------------- growth


def test_growth_is_limited_to_that_of_the_last_run_that_passed() -> None:
    assert verdict(measured(p95_ms=180.0), Limits(last=GOOD)) is PASSED
    found = judge(measured(p95_ms=181.0), Limits(last=GOOD))
    told = "The load test had a p95 of 181 ms after 120 ms in the last run that passed; 1.5 times as much is allowed."
    assert (found.verdict, found.sentence) == (FAILED, told)


def test_a_little_growth_of_a_little_is_none() -> None:
    assert verdict(measured(p95_ms=4.0), Limits(last=measured(p95_ms=1.0))) is PASSED


def test_growth_of_an_endpoint_is_seen() -> None:
    last = with_part("name:Report", replace(QUICK, p95_ms=100.0))
    assert verdict(with_part("name:Report", replace(QUICK, p95_ms=400.0)), Limits(last=last)) is FAILED
    assert verdict(with_part("name:Other", replace(QUICK, p95_ms=400.0)), Limits(last=last)) is PASSED


def test_a_last_run_that_tells_nothing_is_no_measure() -> None:
    assert verdict(GOOD, Limits(last=measured(p95_ms=None))) is INCONCLUSIVE


# ------------------------------------------------------------------------------------------------- k6's own word


@pytest.mark.parametrize("code", [97, 104, 105, 107, 108, 109, 110, 255, -9, 1, 137])
def test_any_other_exit_code_is_an_errored_run_whatever_was_measured(code: int) -> None:
    for result in (GOOD, measured(p95_ms=900.0), replace(GOOD, thresholds=(CROSSED,))):
        found = judge(result, exit_code=code)
        assert found.verdict is INCONCLUSIVE
        assert found.sentence.startswith(f"The load test errored: k6 ended with {code}, ")


def test_99_is_failed_where_the_file_agrees_or_cannot_tell() -> None:
    assert verdict(replace(GOOD, thresholds=(CROSSED,)), exit_code=99) is FAILED
    assert verdict(replace(GOOD, format=Format.CSV), exit_code=99) is FAILED
    assert verdict(replace(GOOD, format=Format.NDJSON, thresholds=(UNKNOWN,)), exit_code=99) is FAILED


def test_exit_code_and_file_that_disagree_are_an_errored_run() -> None:
    for result, code in ((replace(GOOD, thresholds=(HELD,)), 99), (replace(GOOD, thresholds=(CROSSED,)), 0)):
        found = judge(result, exit_code=code)
        assert found.verdict is INCONCLUSIVE
        assert "They are not of one run" in found.sentence


def test_a_crossed_threshold_fails_without_an_exit_code() -> None:
    found = judge(replace(GOOD, thresholds=(CROSSED, HELD)))
    assert (found.verdict, found.sentence) == (
        FAILED,
        "Thresholds of the script did not hold: http_req_duration p(95)<1.",
    )


def test_unknown_thresholds_are_known_by_the_exit_code_where_the_format_never_tells() -> None:
    samples = replace(GOOD, format=Format.NDJSON, thresholds=(UNKNOWN,))
    assert verdict(samples) is INCONCLUSIVE
    assert verdict(samples, exit_code=0) is PASSED
    assert verdict(replace(GOOD, thresholds=(UNKNOWN,)), exit_code=0) is INCONCLUSIVE


def test_a_script_without_thresholds_is_judged_by_ours_unless_it_must_have_some() -> None:
    assert verdict(GOOD, exit_code=0) is PASSED
    needed = Limits(needs_thresholds=True)
    assert verdict(GOOD, needed, 0) is INCONCLUSIVE
    assert verdict(replace(GOOD, thresholds=(HELD,)), needed, 0) is PASSED
    assert verdict(replace(GOOD, format=Format.NDJSON, thresholds=(UNKNOWN,)), needed, 0) is INCONCLUSIVE


# ------------------------------------------------------------------------------------------------- real files


LOOSE = Limits(error_rate=0.2, check_failures=0.2, minimum_requests=40, minimum_seconds=2)
CODES = {
    "v0.57.0.abort.summary-export.json": (108, INCONCLUSIVE),
    "v0.57.0.checkfail.summary-export.json": (0, FAILED),
    "v0.57.0.csvtime.csv": (0, INCONCLUSIVE),
    "v0.57.0.fail.ndjson.gz": (99, FAILED),
    "v0.57.0.fail.summary-export.json": (99, FAILED),
    "v0.57.0.hs_fail.json": (99, FAILED),
    "v0.57.0.hs_pass.json": (0, PASSED),
    "v0.57.0.nodata2.summary-export.json": (99, FAILED),
    "v0.57.0.nothr.summary-export.json": (0, PASSED),
    "v0.57.0.pass.summary-export.json": (0, PASSED),
    "v0.57.0.small.csv.gz": (0, INCONCLUSIVE),
    "v1.8.1.hs_pass.json": (0, PASSED),
    "v1.8.1.mr.summary-export.json": (0, PASSED),
    "v1.8.1.pass.summary-export.json": (0, PASSED),
}


@pytest.mark.parametrize("name", sorted(CODES))
def test_real_runs_have_their_verdicts(name: str) -> None:
    code, expected = CODES[name]
    with (DATA / name).open("rb") as lines:
        assert verdict(read(lines), LOOSE, code) is expected


def test_every_real_file_is_judged() -> None:
    assert {it.name for it in DATA.iterdir()} - {"README.md", "v0.57.0.exitcodes.txt"} == set(CODES)
