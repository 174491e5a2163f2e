"""Real outputs of k6 in every format are read, each with what its format hides, inverts or leaves out."""

import gzip
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from rules.errors import InvalidInput
from rules.load_test import Format, Kept, LoadTestResult, read

DATA = Path(__file__).parent.parent / "data" / "k6"


def file(name: str) -> bytes:
    return (DATA / name).read_bytes()


def read_file(name: str) -> LoadTestResult:
    with (DATA / name).open("rb") as lines:
        return read(lines)


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file(name))
    return found


def read_document(it: object) -> LoadTestResult:
    return read([json.dumps(it).encode()])


def kept(result: LoadTestResult) -> dict[str, Kept]:
    return {str(it): it.kept for it in result.thresholds}


EXPORT, HANDLED, MACHINE = (
    "v0.57.0.fail.summary-export.json",
    "v0.57.0.hs_fail.json",
    "v1.8.1.mr.summary-export.json",
)
SAMPLES = "v0.57.0.fail.ndjson.gz"

# ------------------------------------------------------------------------------------------------- what all tell


@pytest.mark.parametrize(
    ("name", "form"),
    [
        (EXPORT, Format.SUMMARY_EXPORT),
        ("v1.8.1.pass.summary-export.json", Format.SUMMARY_EXPORT),
        (HANDLED, Format.HANDLE_SUMMARY),
        ("v1.8.1.hs_pass.json", Format.HANDLE_SUMMARY),
        (MACHINE, Format.MACHINE_READABLE),
        (SAMPLES, Format.NDJSON),
    ],
)
def test_every_format_tells_the_same_counts_of_the_same_script(name: str, form: Format) -> None:
    result = read_file(name)
    assert (result.format, result.requests, result.errors) == (form, 41, 6)
    assert result.error_rate == pytest.approx(6 / 41)
    assert (result.checks_passed, result.checks_failed, result.dropped_iterations) == (60, 6, 0)
    assert result.seconds == pytest.approx(2.01, abs=0.02)
    assert result.p95_ms == pytest.approx(51.2, abs=1)
    assert result.problems == ()


def test_samples_give_the_percentiles_of_the_same_runs_summary_never_lower_and_at_most_half_a_percent_higher() -> None:
    exact, counted = read_file(EXPORT), read_file(SAMPLES)
    assert exact.p95_ms
    assert counted.p95_ms
    assert exact.p50_ms
    assert counted.p50_ms
    assert exact.p95_ms <= counted.p95_ms <= exact.p95_ms * 1.005
    assert exact.p50_ms <= counted.p50_ms <= exact.p50_ms * 1.005
    assert counted.max_ms == exact.max_ms


@pytest.mark.parametrize("name", [EXPORT, HANDLED, MACHINE])
def test_plain_and_gzip_lines_and_pieces_are_the_same(name: str) -> None:
    plain = file(name)
    packed = gzip.compress(plain)
    whole = read([plain])
    assert read(plain.splitlines(keepends=True)) == whole
    assert read([packed]) == whole
    assert read(packed[at : at + 1] for at in range(len(packed))) == whole
    assert read([b"\xef\xbb\xbf" + plain]) == whole


def test_samples_are_the_same_in_any_pieces() -> None:
    packed = file(SAMPLES)
    plain = gzip.decompress(packed)
    whole = read([packed])
    assert read([plain]) == whole
    assert read(plain[at : at + 7] for at in range(0, len(plain), 7)) == whole
    half = plain.index(b"\n", len(plain) // 2) + 1
    assert read([gzip.compress(plain[:half]) + gzip.compress(plain[half:])]) == whole


def test_the_script_and_what_setup_returned_are_not_kept() -> None:
    machine = document(MACHINE)
    machine["config"]["script"] = "const key = 'hunter2'"
    export = document(EXPORT) | {"setup_data": {"token": "hunter2"}}
    assert "hunter2" not in repr(read_document(machine)) + repr(read_document(export))


# ------------------------------------------------------------------------------------------------- summary export


def test_a_summary_exports_threshold_is_true_where_it_was_crossed() -> None:
    found = kept(read_file(EXPORT))
    assert found["http_req_duration p(95)<1"] is Kept.NO
    assert found["http_req_duration avg<1500"] is Kept.YES
    assert found["checks{scenario:checkout} rate>0.5"] is Kept.YES


def test_a_summary_exports_duration_follows_from_its_rates() -> None:
    assert read_file(EXPORT).seconds == pytest.approx(41 / 20.431906075823452)


def test_the_passes_of_http_req_failed_are_the_failed_requests() -> None:
    export = document(EXPORT)
    assert export["metrics"]["http_req_failed"]["passes"] == 6
    assert read_file(EXPORT).errors == 6


def test_a_threshold_without_a_sample_is_unknown_although_k6_counts_it_as_kept() -> None:
    found = kept(read_file("v0.57.0.nodata2.summary-export.json"))
    assert found["http_req_duration p(95)<100"] is Kept.UNKNOWN
    assert found["checks rate>0.9"] is Kept.UNKNOWN
    assert found["c_none count>5"] is Kept.NO
    assert found["t_none min>5"] is Kept.NO


def test_a_duration_of_nothing_is_unknown_not_zero() -> None:
    result = read_file("v0.57.0.nodata2.summary-export.json")
    assert (result.p95_ms, result.max_ms, result.error_rate, result.errors) == (None, None, None, None)


def test_a_run_without_requests_has_none() -> None:
    result = read_file("v0.57.0.abort.summary-export.json")
    assert (result.requests, result.p95_ms, result.error_rate) == (None, None, None)


def test_failed_checks_are_told_where_no_threshold_is() -> None:
    result = read_file("v0.57.0.checkfail.summary-export.json")
    assert (result.checks_passed, result.checks_failed, result.thresholds) == (0, 2, ())


def test_a_percentile_that_the_script_did_not_ask_for_is_unknown() -> None:
    export = document(EXPORT)
    assert read_file(EXPORT).p99_ms is None
    export["metrics"]["http_req_duration"] |= {"p(99)": 53.0, "p(99.9)": 53.1, "count": 41}
    assert read_document(export).p99_ms == 53.0


def test_p95_is_unknown_where_it_was_left_out() -> None:
    export = document(EXPORT)
    del export["metrics"]["http_req_duration"]["p(95)"]
    assert read_document(export).p95_ms is None


def test_a_selection_keeps_its_key_whatever_stands_in_it() -> None:
    export = document(EXPORT)
    odd = "name:a,b{c}:d"
    export["metrics"][f"http_req_duration{{{odd}}}"] = export["metrics"]["http_req_duration"]
    part = read_document(export).part(odd)
    assert part
    assert part.measures.p95_ms == 50.81411


def test_a_summarys_selections_are_parts_but_for_the_successful_requests() -> None:
    assert [it.selector for it in read_file(EXPORT).parts] == [
        "group:::shop::pay",
        "name:ListItems,method:GET",
        "scenario:checkout",
    ]


# ------------------------------------------------------------------------------------------------- the other summaries


def test_handle_summarys_threshold_is_ok_where_it_was_kept() -> None:
    found = kept(read_file(HANDLED))
    assert found["http_req_duration p(95)<1"] is Kept.NO
    assert found["http_req_duration avg<1500"] is Kept.YES
    assert set(kept(read_file("v0.57.0.hs_pass.json")).values()) == {Kept.YES}


def test_a_threshold_that_cannot_be_read_is_unknown() -> None:
    handled = document(HANDLED)
    handled["metrics"]["http_req_duration"]["thresholds"] = {"p(95)<1": None, "avg<1": {"ok": "false"}}
    handled["metrics"]["checks"]["thresholds"] = ["rate>0.9"]
    found = kept(read_document(handled))
    assert {found[it] for it in ("http_req_duration p(95)<1", "http_req_duration avg<1", "checks")} == {Kept.UNKNOWN}


def test_the_machine_readable_summary_spells_its_percentiles_in_two_ways_and_may_have_none() -> None:
    machine = document(MACHINE)
    values = next(it for it in machine["results"]["metrics"] if it["name"] == "http_req_duration")["values"]
    values["p(95)"] = values.pop("p95")
    assert read_document(machine).p95_ms == 52.022102
    values["p(95)"] = None
    assert read_document(machine).p95_ms is None


def test_the_machine_readable_summary_tells_no_thresholds() -> None:
    assert read_file(MACHINE).thresholds == ()


# ------------------------------------------------------------------------------------------------- contradictions


def changed(change: Callable[[dict[str, Any]], object]) -> LoadTestResult:
    export = deepcopy(document(EXPORT)["metrics"])
    change(export)
    return read_document(document(EXPORT) | {"metrics": export})


def test_values_that_contradict_each_other_are_a_problem() -> None:
    assert changed(lambda it: it["http_req_duration"].update({"p(95)": 0.5})).problems
    assert changed(lambda it: it["http_req_failed"].update({"value": 0})).problems
    assert changed(lambda it: it["http_req_failed"].update({"passes": 0, "value": 0})).problems
    assert changed(lambda it: it["http_reqs"].update({"count": 410})).problems


@pytest.mark.parametrize("nonsense", [None, "5", -1, True, [], {}, 1e300])
def test_a_value_that_cannot_be_measured_is_unknown(nonsense: object) -> None:
    assert changed(lambda it: it["http_req_duration"].update({"p(95)": nonsense})).p95_ms is None
    assert changed(lambda it: it["http_req_failed"].update({"passes": nonsense})).error_rate is None
    assert changed(lambda it: it["http_reqs"].update({"count": nonsense})).requests is None


# ------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n\n",
        b"{}",
        b"[]",
        b"null",
        b'"metrics"',
        b"<html>not found</html>",
        b'{"metrics": {}}',
        b'{"metrics": {"a": 1}, "root_group": {}}',
        b'{"results": [], "metadata": {}}',
        b"\x1f\x8b\x08nonsense",
        b"\x00\x01\x02",
        file(EXPORT)[:-2],
        file(MACHINE)[:500],
    ],
)
def test_what_is_no_result_of_k6_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidInput, match="load test's result"):
        read([content])


def test_text_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'str'"):
        read(["{}"])  # type: ignore[list-item]  # the mistake that is tested
    with pytest.raises(InvalidInput, match="'int'"):
        read(b"{}")  # type: ignore[arg-type]  # as above


def test_a_summary_in_an_archive_that_was_cut_off_is_refused_or_has_a_problem() -> None:
    packed = gzip.compress(file(EXPORT))
    assert "cut off" in read([packed[:-4]]).problems[0]
    with pytest.raises(InvalidInput, match="breaks off"):
        read([packed[:-200]])


def test_an_archive_that_was_damaged_is_refused() -> None:
    packed = bytearray(gzip.compress(file(EXPORT)))
    packed[-6] ^= 1
    with pytest.raises(InvalidInput, match="damaged gzip"):
        read([bytes(packed)])
