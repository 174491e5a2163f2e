"""What counts as healthy, as answering and as staying so."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import HealthPolicy
from rules.probing import (
    HealthAnswer,
    SmokeAnswer,
    judge_health,
    judge_service,
    judge_smoke,
    judge_soak,
    percentile,
    says_up,
    unseen_share,
)
from rules.vocabulary import Verdict

POLICY = HealthPolicy(smoke_slow_seconds=2, soak_samples=20)
UP = HealthAnswer("/health", 200, up=True, milliseconds=12, body_excerpt='{"status":"UP"}')
DOWN = HealthAnswer("/health", 503, up=False, milliseconds=12, body_excerpt='{"status":"DOWN"}')
FINE = SmokeAnswer("/api/events", 200, 20, "application/json", '{"events":[]}', is_json=True)


def test_all_services_up_is_healthy() -> None:
    finding = judge_health({"events": [UP], "speakers": [UP]})
    assert (finding.verdict, finding.measured) == (Verdict.PASSED, "2 of 2 UP")


def test_one_service_down_is_not_healthy_and_is_named() -> None:
    finding = judge_health({"events": [UP], "speakers": [DOWN, DOWN]})
    assert finding.verdict is Verdict.FAILED
    assert 'speakers is not UP after 2 looks: HTTP 503 {"status":"DOWN"}' in finding.sentence


def test_no_service_is_no_pass() -> None:
    assert judge_health({}).verdict is Verdict.INCONCLUSIVE


def test_a_service_nobody_looked_at_is_no_pass() -> None:
    assert judge_health({"events": [UP], "speakers": []}).verdict is Verdict.INCONCLUSIVE


def test_a_service_that_comes_up_late_passes_and_is_told() -> None:
    finding = judge_service("events", [DOWN, UP])
    assert finding.verdict is Verdict.PASSED
    assert "after 1 looks at which it was not" in finding.sentence
    assert "2 looks" in finding.measured


def test_a_service_that_went_down_again_fails() -> None:
    assert judge_service("events", [UP, DOWN]).verdict is Verdict.FAILED


def test_a_service_without_an_answer_fails() -> None:
    silent = HealthAnswer("/health", 0, up=False, milliseconds=5, body_excerpt="ConnectError: refused")
    assert "no answer ConnectError: refused" in judge_service("events", [silent]).sentence


@pytest.mark.parametrize("body", ["", "UP", "<html>", '{"status":"DOWN"}', '{"status":null}', "[]", "{", '{"up":true}'])
def test_only_an_actuator_answer_says_up(body: str) -> None:
    assert not says_up(body)
    assert says_up('{"status":"UP","groups":["liveness"]}')


@given(st.text())
def test_no_body_breaks_the_judgement(body: str) -> None:
    says_up(body)
    judge_smoke([replace(FINE, body=body)], POLICY)


def test_answers_with_content_in_time_pass() -> None:
    assert judge_smoke([FINE, FINE], POLICY).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(replace(FINE, status=503), "HTTP 503", id="503"),
        pytest.param(replace(FINE, status=404), "HTTP 404", id="404"),
        pytest.param(replace(FINE, status=0, body="refused"), "no answer (refused)", id="silence"),
        pytest.param(replace(FINE, body='{"status":"DOWN"}'), "HTTP 200 and status DOWN", id="DOWN with 200"),
        pytest.param(replace(FINE, body=""), "an empty answer", id="empty"),
        pytest.param(replace(FINE, body=" \n"), "an empty answer", id="blank"),
        pytest.param(
            replace(FINE, body="<html>", is_json=False, content_type="text/html"), "not JSON but text/html", id="HTML"
        ),
        pytest.param(replace(FINE, status=302, location="/login"), "redirected to /login", id="login page"),
        pytest.param(replace(FINE, milliseconds=2600), "took 2.6 s, allowed are 2 s", id="slow"),
    ],
)
def test_an_answer_that_is_none_fails(answer: SmokeAnswer, words: str) -> None:
    finding = judge_smoke([FINE, answer], POLICY)
    assert finding.verdict is Verdict.FAILED
    assert f"/api/events: {words}" in finding.sentence
    assert finding.measured == "1 of 2 as they should be"


def test_another_systems_status_word_is_no_fault() -> None:
    assert judge_smoke([replace(FINE, body='{"status":"published"}')], POLICY).verdict is Verdict.PASSED


def test_a_page_need_not_be_json() -> None:
    page = replace(FINE, body="<html>", is_json=False, json_expected=False)
    assert judge_smoke([page], POLICY).verdict is Verdict.PASSED


def test_no_smoke_check_is_no_pass() -> None:
    finding = judge_smoke([], POLICY)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "smoke_paths" in finding.sentence


def test_a_clean_soak_passes_and_says_what_it_could_not_see() -> None:
    finding = judge_soak([FINE] * 20, POLICY)
    assert finding.verdict is Verdict.PASSED
    assert "fewer than 13.9% of the requests could hide" in finding.sentence


def test_one_failure_in_twenty_is_too_many() -> None:
    finding = judge_soak([FINE] * 19 + [replace(FINE, status=500)], POLICY)
    assert finding.verdict is Verdict.FAILED
    assert "1 of 20 requests failed, first with: HTTP 500" in finding.sentence


def test_one_failure_in_two_hundred_is_within_the_limit() -> None:
    assert judge_soak([FINE] * 199 + [replace(FINE, status=500)], POLICY).verdict is Verdict.PASSED


def test_a_slow_twentieth_fails_and_one_slow_request_does_not() -> None:
    slow = replace(FINE, milliseconds=3000)
    assert judge_soak([FINE] * 18 + [slow] * 2, POLICY).verdict is Verdict.FAILED
    assert judge_soak([FINE] * 19 + [slow], POLICY).verdict is Verdict.PASSED


@pytest.mark.parametrize("samples", [0, 1, 19])
def test_too_few_requests_are_not_judged(samples: int) -> None:
    assert judge_soak([FINE] * samples, POLICY).verdict is Verdict.INCONCLUSIVE


def test_no_requests_are_no_pass_even_when_none_are_asked_for() -> None:
    assert judge_soak([], HealthPolicy(soak_samples=0)).verdict is Verdict.INCONCLUSIVE


@given(st.lists(st.floats(0, 1e6), min_size=1))
def test_a_percentile_is_one_of_the_values(values: list[float]) -> None:
    assert percentile(values, 95) in values
    assert percentile(values, 100) == max(values)


def test_larger_samples_hide_less() -> None:
    assert unseen_share(20) > unseen_share(200) > unseen_share(2000)
