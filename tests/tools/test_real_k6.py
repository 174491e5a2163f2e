"""A real k6 against a real server: what it writes, in each format, is what we read."""

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rules import load_test
from rules.load_test import Format, Limits, LoadTestResult
from rules.vocabulary import Verdict

if TYPE_CHECKING:
    from subprocess import CompletedProcess

RunK6 = Callable[..., int]
"""Folder, script, target and options to k6's exit code."""

SCRIPT = """
import http from 'k6/http';
import { check } from 'k6';
export const options = {
  scenarios: { steady: {
    executor: 'constant-arrival-rate', rate: 40, timeUnit: '1s', duration: '2s', preAllocatedVUs: 40,
    gracefulStop: '2s',
  } },
  thresholds: { http_req_duration: ['p(95)<250'], http_req_failed: ['rate<0.1'] },
  summaryTrendStats: ['avg', 'min', 'med', 'max', 'p(95)', 'p(99)'],
};
export default function () {
  const answer = http.get(__ENV.TARGET, { tags: { name: 'page' } });
  check(answer, { 'an answer': (it) => it.status !== 0 });
}
"""
HANDLED = "export function handleSummary(data) { return { 'handled.json': JSON.stringify(data) }; }\n"
OUTPUTS = ("--out", "json=samples.json", "--out", "json=samples.json.gz", "--out", "csv=samples.csv")
LIMITS = Limits(p95_ms=250, minimum_requests=60, minimum_seconds=1.5)
BROKEN = "export default function () { nothing.of.the.kind(); }\n"
ABORTED = "import exec from 'k6/execution';\nexport default function () { exec.test.abort('no'); }\n"
ROUNDED_MS = 0.001
"""k6's CSV has microseconds."""


@dataclass(frozen=True, slots=True)
class Ran:
    exit_code: int
    results: dict[str, LoadTestResult]
    durations: list[float]
    """Of every request, in milliseconds, sorted."""


@pytest.fixture(scope="session")
def run_k6(k6: Path, run: "Callable[..., CompletedProcess[bytes]]") -> RunK6:
    def run_script(folder: Path, script: str, target: str, *options: str) -> int:
        (folder / "script.js").write_text(script)
        quiet = ("--quiet", "--no-color", "--no-usage-report", "--address", "127.0.0.1:0")
        return run(folder, k6, "run", *quiet, "-e", f"TARGET={target}", *options, "script.js").returncode

    return run_script


def _ran(run_k6: RunK6, folder: Path, target: str) -> Ran:
    """Every format that one run writes."""
    exit_code = run_k6(folder, SCRIPT + HANDLED, target, *OUTPUTS, "--summary-export", "exported.json")
    for name in ("samples.csv", "handled.json"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    files = sorted(it for it in folder.iterdir() if it.name != "script.js")
    samples = map(json.loads, (folder / "samples.json").read_text().splitlines())
    durations = [it["data"]["value"] for it in samples if (it["type"], it["metric"]) == ("Point", "http_req_duration")]
    return Ran(exit_code, {it.name: load_test.read([it.read_bytes()]) for it in files}, sorted(durations))


@pytest.fixture(scope="module")
def runs(run_k6: RunK6, shop: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    return {name: _ran(run_k6, tmp_path_factory.mktemp(name), f"{shop}/{name}") for name in ("good", "slow", "failing")}


def _verdicts(ran: Ran, exit_code: int | None) -> dict[str, Verdict]:
    return {name: load_test.judge(it, LIMITS, exit_code=exit_code).verdict for name, it in ran.results.items()}


def test_each_format_is_known_by_its_content(runs: dict[str, Ran]) -> None:
    assert {name: it.format for name, it in runs["good"].results.items()} == {
        "exported.json": Format.SUMMARY_EXPORT,
        "handled.json": Format.HANDLE_SUMMARY,
        "handled.json.gz": Format.HANDLE_SUMMARY,
        "samples.csv": Format.CSV,
        "samples.csv.gz": Format.CSV,
        "samples.json": Format.NDJSON,
        "samples.json.gz": Format.NDJSON,
    }


@pytest.mark.parametrize("which", ["good", "slow", "failing"])
def test_all_formats_of_one_run_count_the_same(runs: dict[str, Ran], which: str) -> None:
    results, durations = runs[which].results, runs[which].durations
    exact = results["handled.json"]
    assert exact.requests == len(durations) >= LIMITS.minimum_requests
    for name, it in results.items():
        assert (it.requests, it.errors) == (exact.requests, exact.errors), name
        assert (it.checks_passed, it.checks_failed) == (exact.checks_passed, exact.checks_failed), name
        assert it.max_ms == pytest.approx(durations[-1], abs=ROUNDED_MS), name
        assert it.seconds == pytest.approx(exact.seconds, abs=1), name
        assert not it.problems, name


@pytest.mark.parametrize("which", ["good", "slow", "failing"])
def test_all_formats_of_one_run_have_one_p95(runs: dict[str, Ran], which: str) -> None:
    """k6 draws a line between two requests where the rank is between them, samples have the one at the rank."""
    results, durations = runs[which].results, runs[which].durations
    rank = 0.95 * len(durations)
    least, most = durations[int(rank) - 1] - ROUNDED_MS, durations[min(int(rank) + 1, len(durations) - 1)]
    for name, it in results.items():
        assert it.p95_ms is not None
        assert least <= it.p95_ms <= most * 1.005 + ROUNDED_MS, name
    assert results["samples.csv"].p95_ms == pytest.approx(results["samples.json"].p95_ms, rel=0.005, abs=ROUNDED_MS)
    assert results["exported.json"].p95_ms == results["handled.json"].p95_ms


def test_a_good_server_passes_in_each_format(runs: dict[str, Ran]) -> None:
    assert runs["good"].exit_code == 0
    assert set(_verdicts(runs["good"], 0).values()) == {Verdict.PASSED}


@pytest.mark.parametrize("which", ["slow", "failing"])
def test_a_slow_or_failing_server_fails_in_each_format(runs: dict[str, Ran], which: str) -> None:
    assert runs[which].exit_code == 99
    assert set(_verdicts(runs[which], 99).values()) == {Verdict.FAILED}


def test_the_share_of_failed_requests_is_that_of_the_server(runs: dict[str, Ran]) -> None:
    assert runs["failing"].results["samples.json"].error_rate == pytest.approx(2 / 3, abs=0.05)


def test_without_the_exit_code_samples_do_not_tell_that_thresholds_held(runs: dict[str, Ran]) -> None:
    verdicts = _verdicts(runs["good"], None)
    assert verdicts["handled.json"] is verdicts["exported.json"] is Verdict.PASSED
    assert verdicts["samples.json"] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("name", ["exported.json", "handled.json"])
def test_an_exit_code_of_another_run_does_not_pass(runs: dict[str, Ran], name: str) -> None:
    """A summary tells itself what did not hold."""
    for which, other in (("slow", 0), ("good", 99)):
        assert load_test.judge(runs[which].results[name], LIMITS, exit_code=other).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(("script", "said"), [(ABORTED, 108), ("this is no script", 107)])
def test_a_run_that_was_aborted_is_not_judged(run_k6: RunK6, tmp_path: Path, script: str, said: int) -> None:
    exit_code = run_k6(tmp_path, script, "", "--summary-export", "exported.json", "--out", "json=samples.json")
    assert exit_code == said
    for it in (it for it in tmp_path.iterdir() if it.name != "script.js" and it.stat().st_size):
        finding = load_test.judge(load_test.read([it.read_bytes()]), LIMITS, exit_code=exit_code)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert f"k6 ended with {said}" in finding.sentence


@pytest.mark.parametrize("exit_code", [105, 107, 108, 255])
def test_no_measurement_makes_good_what_k6_ended_with(runs: dict[str, Ran], exit_code: int) -> None:
    assert set(_verdicts(runs["good"], exit_code).values()) == {Verdict.INCONCLUSIVE}


def test_a_script_that_fails_before_its_first_request_does_not_pass(run_k6: RunK6, tmp_path: Path) -> None:
    """k6 itself ends with 0 then: exceptions of an iteration are only counted."""
    exit_code = run_k6(tmp_path, BROKEN, "", "--summary-export", "exported.json")
    result = load_test.read([(tmp_path / "exported.json").read_bytes()])
    assert exit_code == 0
    assert load_test.judge(result, LIMITS, exit_code=exit_code).verdict is Verdict.INCONCLUSIVE
