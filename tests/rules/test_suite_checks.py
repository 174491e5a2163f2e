"""What a declared HTTP check accepts, and what production never gets."""

from dataclasses import replace
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.suite_checks import (
    METHODS,
    Check,
    HttpAnswer,
    Scenario,
    allowed_in,
    extracted,
    filled,
    judge_answer,
    not_reached,
    problem,
    scenarios_allowed_in,
)
from rules.suites import Outcome
from rules.vocabulary import Role

READS = Check("events are listed", "GET", "/api/v1/events", read_only=True)
WRITES = Check("an event is created", "POST", "/api/v1/events", statuses=(201,), extracts={"event": "/id"})
FINE = HttpAnswer(200, 40, b'{"status": "UP", "count": 1, "items": [{"a/b": null}], "on": true}')


def test_an_answer_as_expected_passes() -> None:
    values = {"/status": "UP", "/count": 1, "/items/0/a~1b": None, "/on": True, "/items": [{"a/b": None}]}
    result = judge_answer(replace(READS, values=values, contains=("UP",)), FINE)
    assert (result.outcome, result.message, result.milliseconds) == (Outcome.PASSED, "", 40)


@pytest.mark.parametrize(
    ("check", "answer", "said"),
    [
        (READS, replace(FINE, status=302), "GET /api/v1/events: status 302, allowed is 200"),
        (replace(READS, statuses=(200, 204)), replace(FINE, status=503), "status 503, allowed is 200 or 204"),
        (READS, replace(FINE, milliseconds=5001), "5001 ms, allowed are 5000 ms"),
        (READS, replace(FINE, milliseconds=float("nan")), "nan ms"),
        (replace(READS, contains=("DOWN",)), FINE, "'DOWN' is not in the body"),
        (replace(READS, values={"/status": "DOWN"}), FINE, "/status is 'UP', allowed is 'DOWN'"),
        (replace(READS, values={"/on": 1}), FINE, "/on is True, allowed is 1"),
        (replace(READS, values={"/count": True}), FINE, "/count is 1, allowed is True"),
        (replace(READS, values={"/items/1": None}), FINE, "/items/1 is not there"),
        (replace(READS, values={"/items/-1": None}), FINE, "not there"),
        (replace(READS, values={"/nothing": None}), FINE, "not there"),
        (replace(READS, values={"/status": "UP"}), replace(FINE, body=b"<html>"), "6 bytes of something else"),
        (replace(READS, values={"/status": "UP"}), replace(FINE, complete=False), "longer than what was kept"),
        (replace(READS, extracts={"x": "/items"}), FINE, "which the next step needs as x"),
    ],
)
def test_an_answer_that_is_not_as_expected_fails(check: Check, answer: HttpAnswer, said: str) -> None:
    result = judge_answer(check, answer)
    assert result.outcome is Outcome.FAILED
    assert said in result.message


def test_all_faults_are_told_at_once() -> None:
    check = replace(READS, values={"/status": "DOWN"}, most_ms=10)
    assert judge_answer(check, replace(FINE, status=500)).message.count(";") == 2


def test_no_answer_is_an_error() -> None:
    result = judge_answer(READS, HttpAnswer(0, 0, error="connection refused"))
    assert result.outcome is Outcome.ERRORED
    assert "was not answered: connection refused" in result.message


@pytest.mark.parametrize(
    "check",
    [
        replace(READS, method="get"),
        replace(READS, method="TRACE"),
        replace(WRITES, read_only=True),
        replace(READS, path="events"),
        replace(READS, path="//elsewhere.test/"),
        replace(READS, statuses=()),
        replace(READS, statuses=(0,)),
        replace(READS, method="HEAD", contains=("UP",)),
        replace(READS, values={"status": "UP"}),
        replace(READS, contains=("",)),
        replace(READS, most_ms=0),
        replace(READS, most_ms=float("nan")),
    ],
)
def test_a_check_that_is_not_sound_never_passes(check: Check) -> None:
    assert problem(check)
    assert judge_answer(check, FINE).outcome is Outcome.ERRORED


def test_production_gets_only_what_reads_and_says_so() -> None:
    unmarked = replace(READS, read_only=False)
    head = replace(READS, method="HEAD")
    everything = (READS, WRITES, unmarked, head, replace(WRITES, read_only=True))
    assert allowed_in(everything, Role.PRODUCTION) == (READS, head)
    assert allowed_in(everything, Role.STAGING) == everything


@given(st.sampled_from([*METHODS, "get", "Head", "OPTIONS", ""]), st.booleans())
def test_nothing_that_may_write_is_sent_to_production(method: str, marked: bool) -> None:
    allowed = allowed_in([replace(READS, method=method, read_only=marked)], Role.PRODUCTION)
    assert bool(allowed) is (marked and method in {"GET", "HEAD"})


def test_a_scenario_that_writes_in_one_step_is_left_out_whole() -> None:
    reading, writing = Scenario("read", (READS,)), Scenario("write", (WRITES, READS))
    assert scenarios_allowed_in([reading, writing], Role.PRODUCTION) == (reading,)
    assert scenarios_allowed_in([reading, writing], Role.INTEGRATION) == (reading, writing)


def test_a_step_uses_what_an_earlier_one_found() -> None:
    values = extracted(WRITES, HttpAnswer(201, 9, b'{"id": "a/b?c"}'))
    step = replace(READS, path="/api/v1/events/{event}", body='{"event": "{event}"}')
    after = filled(step, values)
    assert (after.path, after.body) == ("/api/v1/events/a%2Fb%3Fc", '{"event": "a/b?c"}')
    assert not_reached(step, WRITES.name).outcome is Outcome.SKIPPED


@pytest.mark.parametrize("body", [b"", b"{}", b'{"id": null}', b'{"id": true}', b'{"id": ""}', b'{"id": [1]}'])
def test_what_cannot_be_extracted_is_refused_and_fails_the_step(body: bytes) -> None:
    answer = HttpAnswer(201, 9, body)
    assert judge_answer(WRITES, answer).outcome is Outcome.FAILED
    with pytest.raises(InvalidInput):
        extracted(WRITES, answer)


@pytest.mark.parametrize("values", [{}, {"event": ".."}, {"event": "."}, {"event": ""}])
def test_a_place_is_not_left_empty_nor_filled_with_what_leads_elsewhere(values: dict[str, str]) -> None:
    with pytest.raises(InvalidInput):
        filled(replace(READS, path="/api/{event}/x"), values)


@given(st.text(min_size=1).filter(lambda it: it.strip(".") and it.isprintable()))
def test_a_value_never_leaves_its_place(value: str) -> None:
    after = filled(replace(READS, path="/a/{v}/b", body='{"v": "{v}"}'), {"v": value})
    assert after.path.count("/") == 3
    assert not set(after.path) & set("?#\\ ")
    assert orjson.loads(after.body) == {"v": value}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(JSON, JSON)
def test_a_value_passes_only_where_both_are_the_same_json(found: Any, wanted: Any) -> None:
    result = judge_answer(replace(READS, values={"": wanted}), HttpAnswer(200, 1, orjson.dumps(found)))
    options = orjson.OPT_SORT_KEYS
    same = orjson.dumps(found, option=options) == orjson.dumps(wanted, option=options)
    assert (result.outcome is Outcome.PASSED) is same


@given(st.binary(max_size=40), st.integers(0, 999))
def test_no_answer_crashes(body: bytes, status: int) -> None:
    check = replace(READS, values={"/a/0": 1}, extracts={"x": "/b"})
    assert judge_answer(check, HttpAnswer(status, 1, body)).outcome is not Outcome.PASSED
