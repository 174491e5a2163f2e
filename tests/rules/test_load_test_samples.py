"""Samples, in lines or rows, are counted in bounded memory; what is cut off, foreign or odd among them shows."""

import gzip
import json
import tracemalloc
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.load_test import Format, Kept, LoadTestResult, read
from rules.load_test_points import MOST_PARTS, unix_seconds, without_secrets
from rules.load_test_quantiles import BUCKETS, Durations

DATA = Path(__file__).parent.parent / "data" / "k6"
NDJSON = gzip.decompress((DATA / "v0.57.0.fail.ndjson.gz").read_bytes())
LINES = NDJSON.splitlines(keepends=True)
CSV = gzip.decompress((DATA / "v0.57.0.small.csv.gz").read_bytes())
HEADER = CSV.splitlines(keepends=True)[0]


def point(metric: str, value: object, time: str = "2026-11-22T19:09:40.1Z", **tags: str) -> bytes:
    told = {"metric": metric, "type": "Point", "data": {"time": time, "value": value, "tags": tags}}
    return json.dumps(told, separators=(",", ":")).encode() + b"\n"


def request(
    milliseconds: float, *, failed: int = 0, time: str = "2026-11-22T19:09:40.1Z", **tags: str
) -> Iterator[bytes]:
    yield point("http_reqs", 1, time, **tags)
    yield point("http_req_duration", milliseconds, time, **tags)
    yield point("http_req_failed", failed, time, **tags)


def read_requests(*requests: Iterable[bytes]) -> LoadTestResult:
    return read(line for it in requests for line in it)


# ------------------------------------------------------------------------------------------------- NDJSON


def test_scenarios_and_endpoints_are_parts() -> None:
    result = read([NDJSON])
    checkout, items = result.part("scenario:checkout"), result.part("name:ListItems")
    assert checkout
    assert (checkout.measures.requests, checkout.measures.errors) == (18, 6)
    assert items
    assert (items.measures.requests, items.measures.errors) == (21, 0)
    assert items.measures.max_ms == 4.903164


def test_the_release_is_told_by_the_samples_tag() -> None:
    assert read([NDJSON]).release == "2026.11.1"
    both = read_requests(request(5, release="a"), request(5, release="b"))
    assert both.release is None
    assert "more than one tag `release`" in both.problems[0]


def test_thresholds_are_there_and_unknown() -> None:
    found = read([NDJSON]).thresholds
    assert {it.kept for it in found} == {Kept.UNKNOWN}
    assert "http_req_duration p(95)<1" in map(str, found)
    assert "http_req_duration{scenario:checkout}" in map(str, found)
    assert "http_req_duration{expected_response:true}" not in map(str, found)


def test_a_definition_with_its_metric_first_is_none_of_the_lines_left_out() -> None:
    told = {"metric": "vus", "type": "Metric", "data": {"thresholds": ["max<9"], "submetrics": None, "x": {"y": {}}}}
    lines = [point("vus", 1), point("vus", 2), json.dumps(told).encode() + b"\n"]
    assert [str(it) for it in read(lines).thresholds] == ["vus max<9"]


def test_other_orders_and_spaces_are_read_too() -> None:
    usual = read([NDJSON])
    sorted_keys = [json.dumps(json.loads(it), sort_keys=True).encode() + b"\n" for it in LINES]
    assert read(sorted_keys) == usual
    type_first = [
        it.replace(b'","type":"Point"', b'"').replace(b'{"metric"', b'{"type":"Point","metric"', 1) for it in LINES
    ]
    assert read(it if b"Metric" not in old else old for it, old in zip(type_first, LINES, strict=True)) == usual


def test_a_sample_with_metadata_counts() -> None:
    lines = [it.replace(b"}}}\n", b'},"metadata":{"trace_id":"1"}}}\n') for it in LINES]
    assert read(lines) == read([NDJSON])


@pytest.mark.parametrize("cut", [1, 2, 3, 40, 150])
def test_a_last_line_that_is_cut_off_is_a_problem(cut: int) -> None:
    result = read([NDJSON.removesuffix(b"\n")[:-cut]])
    assert result.problems == ("Its last line (645) is cut off: k6 did not end by itself.",)
    assert result.requests == 41


def test_a_file_that_ends_between_the_samples_of_a_request_is_not_whole() -> None:
    lines = [*request(5), *request(5)]
    assert read(lines).problems == ()
    assert "not whole" in read(lines[:-1]).problems[0]
    assert "not whole" in read(lines[:-2]).problems[0]


def test_lines_that_are_no_samples_are_a_problem_and_the_others_count() -> None:
    odd = [b"oops\n", b"[]\n", b'{"type":"Other"}\n', point("checks", -1), point("checks", "1"), point("checks", None)]
    result = read([*request(5), *odd, *request(5)])
    assert result.requests == 2
    assert result.problems == ("It has 6 lines that are neither a metric nor a sample of k6, the first is line 4.",)


def test_no_word_on_failures_leaves_them_unknown() -> None:
    result = read([point("http_reqs", 1), point("http_req_duration", 5)])
    assert (result.requests, result.errors, result.error_rate) == (1, None, None)


def test_dropped_iterations_and_checks_are_counted() -> None:
    result = read([point("dropped_iterations", 3), point("checks", 1), point("checks", 0), *request(5)])
    assert (result.dropped_iterations, result.checks_passed, result.checks_failed) == (3, 1, 1)


def test_the_duration_is_from_the_first_sample_to_the_last_in_any_zone_and_order() -> None:
    times = ("2026-11-22T20:09:41.5+01:00", "2026-11-22T19:09:40.123456789Z", "2026-11-22T19:10:40.5Z")
    assert read_requests(*(request(5, time=it) for it in times)).seconds == pytest.approx(60.376544, abs=1e-5)


def test_a_time_that_cannot_be_read_makes_the_duration_unknown() -> None:
    assert read_requests(request(5), request(5, time="yesterday")).seconds is None
    assert read_requests(request(5), request(5, time="2026-11-22T19:09:40")).seconds is None
    assert read_requests(request(5), request(5, time="1926-11-22T19:09:40Z")).seconds is None


# ------------------------------------------------------------------------------------------------- names


def test_names_lose_what_an_address_may_hide() -> None:
    assert without_secrets("https://me:hunter2@shop/items?token=hunter2#x") == "https://shop/items"
    assert without_secrets("ListItems") == "ListItems"
    result = read_requests(request(5, name="http://shop/a?key=hunter2"), request(6, name="http://shop/a?key=b"))
    assert [(it.selector, it.measures.requests) for it in result.parts] == [("name:http://shop/a", 2)]


def test_more_names_than_can_be_told_apart_are_a_problem_and_count_in_the_whole() -> None:
    result = read_requests(*(request(5, name=f"/items/{it}") for it in range(MOST_PARTS + 10)))
    assert result.requests == MOST_PARTS + 10
    assert len(result.parts) == MOST_PARTS
    assert "same tag `name`" in result.problems[0]


# ------------------------------------------------------------------------------------------------- CSV


def test_rows_are_counted_as_lines_are() -> None:
    result = read([CSV])
    assert (result.format, result.requests, result.errors, result.thresholds) == (Format.CSV, 3, 0, ())
    assert result.max_ms == 44.409844
    assert {it.selector for it in result.parts} == {"scenario:default", "name:http://127.0.0.1:18801/"}


def test_rows_have_their_times_in_any_of_k6s_ways() -> None:
    assert (DATA / "v0.57.0.csvtime.csv").read_bytes().count(b"2026-11-22T19:09:55.") > 3
    assert read([(DATA / "v0.57.0.csvtime.csv").read_bytes()]).seconds == pytest.approx(0.09, abs=0.001)
    for digits in ("1795374595", "1795374595000", "1795374595000000", "1795374595000000000"):
        assert unix_seconds(digits) == 1795374595
    assert unix_seconds("17953745950") is None


def test_columns_are_found_by_name() -> None:
    rows = b"extra_tags,metric_value,timestamp,metric_name\nrelease=7&team=web,5,1795374595,http_req_duration\n"
    rows += b"team=web&release=7,1,1795374605,http_reqs\nrelease=7,0,1795374605,http_req_failed\n"
    result = read([rows])
    assert (result.requests, result.errors, result.seconds, result.release) == (1, 0, 10, "7")
    assert not result.problems
    assert not result.parts


def test_a_check_with_commas_quotes_and_line_ends_in_its_name_is_one_row() -> None:
    columns = HEADER.count(b",") + 1
    row = b'checks,1795374595,1.000000,"has ""quoted"", and\nmore"' + b"," * (columns - 4) + b"\n"
    result = read([HEADER, row])
    assert (result.checks_passed, result.problems) == (1, ())


def test_a_row_that_is_cut_off_is_a_problem() -> None:
    assert "last row" in read([CSV[:-30]]).problems[0]
    rows = CSV.splitlines(keepends=True)
    assert "first is row 1" in read([rows[0], b"oops\n", b"http_reqs,1,x\n", *rows[1:]]).problems[0]


@pytest.mark.parametrize("value", [b"nan", b"inf", b"-1", b"", b"1e400"])
def test_a_row_with_a_value_that_cannot_be_is_a_problem(value: bytes) -> None:
    assert read([CSV.replace(b"44.409844", value, 1)]).problems


def test_rows_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(InvalidInput, match="UTF-8"):
        read([CSV, b"\xff\n"])


# ------------------------------------------------------------------------------------------------- bounded, and right


def test_memory_does_not_grow_with_the_file() -> None:
    points = [it for it in LINES if b'"Point"' in it]

    def peak(times: int) -> int:
        tracemalloc.start()
        try:
            read(line for _ in range(times) for line in points)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(30) < peak(3) + 200_000


def test_an_archive_that_unpacks_to_much_is_read_in_pieces() -> None:
    packed = gzip.compress(b"".join(request(5)) + (b" " * 1_000_000 + b"\n") * 80)
    tracemalloc.start()
    assert read([packed]).requests == 1
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert top < 20_000_000


def test_a_line_without_end_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a line of"):
        read(b"x" * (1 << 20) for _ in range(80))


DURATIONS = st.lists(st.floats(0.001, 1e7), min_size=1, max_size=60)


@given(DURATIONS, st.sampled_from([0.5, 0.95, 0.99]))
def test_a_quantile_is_never_too_low_and_at_most_half_a_percent_too_high(values: list[float], share: float) -> None:
    counted = Durations()
    for it in values:
        counted.add(it)
    rank = share * (len(values) - 1)
    low, high = sorted(values)[int(rank)], sorted(values)[min(int(rank) + 1, len(values) - 1)]
    exact = low + (high - low) * (rank - int(rank))
    (told,) = counted.quantiles((share,))
    assert told is not None
    assert exact * (1 - 1e-9) <= told <= exact * 1.005 * (1 + 1e-9)


@given(DURATIONS, DURATIONS)
def test_durations_counted_apart_and_taken_together_are_those_counted_together(
    one: list[float], other: list[float]
) -> None:
    apart, beside, together = Durations(), Durations(), Durations()
    for it in one:
        apart.add(it)
        together.add(it)
    for it in other:
        beside.add(it)
        together.add(it)
    apart.take_in(beside)
    assert apart.quantiles((0.5, 0.95, 1)) == together.quantiles((0.5, 0.95, 1))


def test_the_shortest_and_the_longest_durations_have_their_place() -> None:
    counted = Durations()
    for it in (0.0, 1e-9, 5e14):
        counted.add(it)
    assert counted.quantiles((0, 1)) == [pytest.approx(0.001, rel=0.005), 5e14]
    assert len(counted.buckets) == BUCKETS < 5100
    assert Durations().quantiles((0.5,)) == [None]
