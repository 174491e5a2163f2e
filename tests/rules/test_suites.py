"""When the results of regression suites let a release pass, and when they say nothing."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.suites import CaseResult, Outcome, Quarantine, SuitePolicy, SuiteResult, judge, same_release
from rules.vocabulary import Verdict

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TODAY = date(2026, 3, 2)
VERSION = "3f2a1bc"
FULL = "3f2a1bc" + "0" * 33
GOOD = CaseResult("events.list", Outcome.PASSED)
BAD = CaseResult("events.create", Outcome.FAILED, "expected 201, was 500.")
BROKEN = replace(BAD, name="cache.ping", outcome=Outcome.ERRORED)
FLAKY = CaseResult("login", Outcome.PASSED, flaky=True)
SKIPPED = CaseResult("later", Outcome.SKIPPED)
SUITE = SuiteResult("api", (GOOD, GOOD), VERSION, NOW - timedelta(hours=1), evidence="s3://results/api.xml")
POLICY = SuitePolicy()
QUARANTINE = Quarantine("events.create", "anna-meier", "Known since the new calendar", TODAY + timedelta(days=3))


def test_tests_of_this_release_that_passed_lately_pass() -> None:
    finding = judge([SUITE], POLICY, FULL, NOW)
    assert finding.verdict is Verdict.PASSED
    assert finding.sentence == "2 tests of api passed."
    assert (finding.gate, finding.measured, finding.evidence) == ("regression", "2 passed", "s3://results/api.xml")


@pytest.mark.parametrize("bad", [BAD, BROKEN])
def test_one_failure_among_many_fails(bad: CaseResult) -> None:
    finding = judge([replace(SUITE, cases=(*[GOOD] * 99, bad))], POLICY, VERSION, NOW)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence == f"1 of 100 tests failed: {bad.name}. {bad.name}: expected 201, was 500."


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (replace(SUITE, cases=()), "api has no tests."),
        (replace(SUITE, cases=(SKIPPED, SKIPPED)), "api skipped all of its 2 tests."),
        (replace(SUITE, version=""), "does not say which commit"),
        (replace(SUITE, version="aaaaaaa"), "ran against aaaaaaa, not against 3f2a1bc"),
        (replace(SUITE, version="3f2a1b"), "ran against 3f2a1b, not"),
        (replace(SUITE, at=None), "does not say when"),
        (replace(SUITE, at=datetime(2026, 3, 2, 12)), "does not say when"),  # noqa: DTZ001 - a time without a zone is the case
        (replace(SUITE, at=NOW - timedelta(hours=25)), "ran 25 h ago"),
        (replace(SUITE, at=NOW + timedelta(hours=1)), "1 h in the future"),
        (replace(SUITE, contradictions=("it claims 3 tests, and shows 2",)), "contradicts itself: it claims 3 tests"),
        (replace(SUITE, cases=(GOOD, FLAKY)), "1 tests passed only when tried again: login."),
    ],
)
def test_what_proves_nothing_is_inconclusive_alone_and_beside_a_good_suite(result: SuiteResult, said: str) -> None:
    for results in ([result], [result, SUITE], [SUITE, result]):
        finding = judge(results, POLICY, VERSION, NOW)
        assert finding.verdict is Verdict.INCONCLUSIVE
        assert said in finding.sentence


def test_no_result_and_a_missing_suite_are_inconclusive() -> None:
    assert judge([], POLICY, VERSION, NOW).verdict is Verdict.INCONCLUSIVE
    finding = judge([SUITE], replace(POLICY, required=("api", "browser")), VERSION, NOW)
    assert (finding.verdict, finding.sentence) == (Verdict.INCONCLUSIVE, "There is no result of browser.")


def test_failures_of_another_commit_say_nothing_and_those_in_a_contradictory_file_fail() -> None:
    other = replace(SUITE, cases=(BAD,), version="aaaaaaa")
    assert judge([other], POLICY, VERSION, NOW).verdict is Verdict.INCONCLUSIVE
    odd = replace(SUITE, cases=(BAD,), contradictions=("it claims 3 tests, and shows 1",))
    assert judge([odd], POLICY, VERSION, NOW).verdict is Verdict.FAILED


def test_a_quarantined_test_does_not_count_and_is_told_with_who_and_why() -> None:
    finding = judge([replace(SUITE, cases=(GOOD, BAD))], replace(POLICY, quarantine=(QUARANTINE,)), VERSION, NOW)
    assert finding.verdict is Verdict.PASSED
    assert finding.sentence == (
        "1 tests of api passed. events.create is in quarantine by anna-meier until 5 March 2026: "
        "Known since the new calendar."
    )


def test_a_flaky_test_passes_by_quarantine_only() -> None:
    flaky = replace(SUITE, cases=(GOOD, FLAKY))
    assert (
        judge([flaky], replace(POLICY, quarantine=(replace(QUARANTINE, test="login"),)), VERSION, NOW).verdict
        is Verdict.PASSED
    )


@pytest.mark.parametrize(
    "quarantine",
    [
        replace(QUARANTINE, expires=TODAY - timedelta(days=1)),
        replace(QUARANTINE, expires=TODAY + timedelta(days=31)),
        replace(QUARANTINE, person=" "),
        replace(QUARANTINE, reason=""),
        replace(QUARANTINE, test="events"),
        replace(QUARANTINE, test="events.*"),
        replace(QUARANTINE, test=""),
    ],
)
def test_a_quarantine_that_is_over_or_not_whole_or_of_another_test_excuses_nothing(quarantine: Quarantine) -> None:
    finding = judge([replace(SUITE, cases=(GOOD, BAD))], replace(POLICY, quarantine=(quarantine,)), VERSION, NOW)
    assert finding.verdict is Verdict.FAILED


def test_one_that_is_over_is_told() -> None:
    over = replace(QUARANTINE, expires=TODAY - timedelta(days=1))
    finding = judge([replace(SUITE, cases=(GOOD, BAD))], replace(POLICY, quarantine=(over,)), VERSION, NOW)
    assert "The quarantine of events.create excuses nothing: it ended on 1 March 2026." in finding.sentence


def test_a_suite_in_quarantine_as_a_whole_proves_nothing() -> None:
    finding = judge([replace(SUITE, cases=(BAD,))], replace(POLICY, quarantine=(QUARANTINE,)), VERSION, NOW)
    assert finding.verdict is Verdict.INCONCLUSIVE


def test_fewer_passed_tests_than_the_policy_asks_for_are_inconclusive() -> None:
    assert judge([SUITE], replace(POLICY, least_passed=3), VERSION, NOW).verdict is Verdict.INCONCLUSIVE
    assert judge([replace(SUITE, cases=())], replace(POLICY, least_passed=0), VERSION, NOW).blocks


def test_long_names_and_many_failures_stay_one_sentence_on_one_line() -> None:
    cases = tuple(replace(BAD, name=f"test {number}\n" + "x" * 500) for number in range(1000))
    sentence = judge([replace(SUITE, cases=cases)], POLICY, VERSION, NOW).sentence
    assert "and 997 more" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 1_000


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (VERSION, FULL, True),
        (FULL, VERSION, True),
        ("", VERSION, False),
        ("3f2a1b", FULL, False),
        ("aaaaaaa", FULL, False),
    ],
)
def test_short_and_full_names_of_a_commit_are_the_same(one: str, other: str, same: bool) -> None:
    assert same_release(one, other) is same


CASES = st.builds(CaseResult, st.sampled_from(["a", "b"]), st.sampled_from(Outcome), flaky=st.booleans())
SUITES = st.builds(
    SuiteResult,
    st.just("api"),
    st.lists(CASES, max_size=4).map(tuple),
    st.sampled_from([VERSION, FULL, "aaaaaaa", ""]),
    st.sampled_from([NOW, NOW - timedelta(days=3), NOW + timedelta(days=1), None]),
    st.sampled_from([(), ("it claims more",)]),
)


@given(st.lists(SUITES, max_size=3), SUITES)
def test_another_result_never_makes_a_release_pass_that_did_not_unless_there_was_none(
    results: list[SuiteResult], more: SuiteResult
) -> None:
    before, after = (judge(it, POLICY, VERSION, NOW) for it in (results, [*results, more]))
    if after.verdict is Verdict.PASSED:
        assert not results or before.verdict is Verdict.PASSED


@given(st.lists(SUITES, max_size=3))
def test_a_pass_means_that_every_case_passed_or_was_skipped(results: list[SuiteResult]) -> None:
    if judge(results, POLICY, VERSION, NOW).verdict is Verdict.PASSED:
        cases = [case for result in results for case in result.cases]
        assert not [case for case in cases if case.is_bad]
        assert [case for case in cases if case.outcome is Outcome.PASSED]
