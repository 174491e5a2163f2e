"""The judge: what it decides, and that nothing but the counts decides it."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.canary import Decision, Judgement, fold, judge, renewed, trace
from rules.canary_running import Question
from rules.catalogue import JudgePolicy
from rules.errors import InvalidInput

POLICY = JudgePolicy()
COLUMNS = [
    *("service", "test", "verdict", "at_s", "n_canary", "bad_canary", "rate", "low", "high", "limit", "evidence"),
    *("n_old", "bad_old", "visible", "left_out"),
]


def ticks(
    arm: str, start: float, end: float, n: float, *, width: float = 5.0, service: str = "events", **bad: float
) -> pd.DataFrame:
    """Rows of one version that all say the same."""
    t = np.arange(start, end, width)
    counted = {"errors": 0.0, "slow": 0.0, "slow_ref": 0.0} | bad
    return pd.DataFrame({"service": service, "arm": arm, "t": t, "n": n, **counted})


def healthy(seconds: float = 300, n: float = 50, width: float = 5.0, service: str = "events") -> pd.DataFrame:
    """A tenth of the traffic on the new version; both slower than p95 as often as ever; ten minutes of history."""
    old, new, of = 9 * n, n, {"width": width, "service": service}
    return pd.concat(
        [
            ticks("old", -600, seconds, old, **of, errors=old * 0.002, slow=old * 0.01, slow_ref=old * 0.05),
            ticks("new", 0, seconds, new, **of, errors=new * 0.002, slow=new * 0.01, slow_ref=new * 0.05),
        ],
        ignore_index=True,
    )


def with_bad(counts: pd.DataFrame, column: str, share: float, since: float = 0, arm: str = "new") -> pd.DataFrame:
    worse = counts.copy()
    rows = (worse["arm"] == arm) & (worse["t"] >= since)
    worse.loc[rows, column] = worse.loc[rows, "n"] * share
    return worse


def decide(counts: pd.DataFrame, until: float | None = None, policy: JudgePolicy = POLICY) -> Judgement:
    (judgement,) = fold(judge(counts, policy, until), policy=policy).values()
    return judgement


def by_test(counts: pd.DataFrame, policy: JudgePolicy = POLICY) -> Mapping[str, Mapping[str, float]]:
    table: Mapping[str, Mapping[str, float]] = judge(counts, policy).set_index("test").to_dict("index")
    return table


def test_a_healthy_canary_may_go_on() -> None:
    judgement = decide(healthy(), 300)
    assert judgement.decision is Decision.PROMOTE
    assert judgement.sentence.startswith("Of 3\N{NARROW NO-BREAK SPACE}000 canary requests 6 failed; of 2")
    assert "Fewer than 2 % failures and 10 % slow ones are shown with 95 % certainty" in judgement.sentence


def test_a_dead_canary_comes_back_within_its_first_tick() -> None:
    judgement = decide(with_bad(healthy(n=5), "errors", 1.0))
    assert (judgement.decision, judgement.at_s) == (Decision.ROLL_BACK, 5)


def test_three_failures_of_three_requests_suffice() -> None:
    dead = pd.concat([healthy(60, n=3), ticks("new", 60, 65, 3)])
    dead = dead[(dead["arm"] == "old") | (dead["t"] == 0)]
    assert decide(with_bad(dead, "errors", 1.0), 10).decision is Decision.ROLL_BACK


def test_two_failures_of_two_requests_do_not() -> None:
    two = pd.concat([ticks("old", -600, 5, 45), ticks("new", 0, 5, 2, errors=2)])
    assert decide(two).decision is Decision.NOT_ENOUGH_DATA


def test_five_percent_of_errors_come_back_within_forty_seconds() -> None:
    judgement = decide(with_bad(healthy(), "errors", 0.052))
    assert judgement.decision is Decision.ROLL_BACK
    assert judgement.at_s <= 40
    assert judgement.bad_canary <= 25


def test_three_times_the_latency_comes_back_soon_after_the_warm_up() -> None:
    slow = with_bad(with_bad(healthy(), "slow", 0.25), "slow_ref", 0.45)
    judgement = decide(slow)
    assert judgement.decision is Decision.ROLL_BACK
    assert 30 < judgement.at_s <= 70


def test_a_slow_first_half_minute_is_a_cold_start() -> None:
    counts = healthy()
    cold = (counts["arm"] == "new") & (counts["t"] < 30)
    counts.loc[cold, ["slow", "slow_ref"]] = 20.0
    assert decide(counts, 300).decision is Decision.PROMOTE


def test_errors_of_the_first_half_minute_count() -> None:
    counts = with_bad(healthy(30), "errors", 0.2)
    assert decide(counts).decision is Decision.ROLL_BACK


def test_a_request_that_fails_fast_is_an_error() -> None:
    """The more it fails the faster it is: none slow, a fifth failed."""
    counts = with_bad(with_bad(with_bad(healthy(), "errors", 0.2), "slow", 0.0), "slow_ref", 0.0)
    judgement = decide(counts)
    assert (judgement.decision, Question(judgement.test).about_slowness) == (Decision.ROLL_BACK, False)


def test_worse_than_the_old_version_within_the_limits_comes_back() -> None:
    judgement = decide(with_bad(healthy(n=500), "errors", 0.008))
    assert (judgement.decision, judgement.test) == (Decision.ROLL_BACK, "errors_to_old")
    assert "of the old version at the same time" in judgement.sentence
    assert "1.5 times as often as the old one would look this bad in fewer than 1 of 400" in judgement.sentence


def test_a_little_worse_than_the_old_version_is_tolerated() -> None:
    assert decide(with_bad(healthy(n=500), "errors", 0.0022), 300).decision is Decision.PROMOTE


def test_what_hits_both_versions_is_not_the_new_ones_fault() -> None:
    counts = healthy(n=500)
    incident = (counts["t"] >= 100) & (counts["t"] < 130)
    counts.loc[incident, "errors"] = counts.loc[incident, "n"] * 0.2
    judgement = decide(counts, 300)
    assert judgement.decision is Decision.PROMOTE
    assert "in which the old version itself was over its limit" in judgement.sentence


def test_during_an_incident_of_the_old_version_the_new_one_can_still_be_far_worse() -> None:
    counts = with_bad(with_bad(healthy(n=500), "errors", 0.05, arm="old"), "errors", 0.6)
    assert decide(counts).test == "errors_to_old"


def test_one_burst_alone_does_not_decide_where_the_old_version_has_such_bursts() -> None:
    counts = healthy()
    past = (counts["arm"] == "old") & (counts["t"] >= -300) & (counts["t"] < -270)
    counts.loc[past, "errors"] = counts.loc[past, "n"] * 0.05
    burst = (counts["arm"] == "new") & (counts["t"] >= 60) & (counts["t"] < 90)
    counts.loc[burst, "errors"] = 3.0
    assert decide(counts, 300).decision is not Decision.ROLL_BACK
    assert decide(with_bad(counts, "errors", 0.06, since=60), 300).decision is Decision.ROLL_BACK


def test_a_regression_that_begins_late_is_found_as_fast() -> None:
    late = with_bad(healthy(900), "errors", 0.052, since=600)
    assert 600 < decide(late).at_s <= 640


def test_six_requests_tell_nothing_and_it_is_said_what_they_could_have_told() -> None:
    judgement = decide(pd.concat([ticks("old", -600, 300, 45), ticks("new", 0, 300, 1, width=50)]), 300)
    assert judgement.decision is Decision.NOT_ENOUGH_DATA
    assert "What could have been found with so few: failures from" in judgement.sentence


def test_a_silent_canary_is_held() -> None:
    counts = healthy()
    counts = counts[(counts["arm"] == "old") | (counts["t"] < 100)]
    judgement = decide(counts, 300)
    assert (judgement.decision, judgement.at_s) == (Decision.HOLD, 100)
    assert "since 100 s after its start" in judgement.sentence


def test_a_canary_of_empty_ticks_is_as_silent() -> None:
    counts = healthy()
    counts.loc[(counts["arm"] == "new") & (counts["t"] >= 100), NUMBERS] = 0.0
    assert decide(counts, 300).decision is Decision.HOLD


def test_a_canary_that_never_had_a_request_is_held() -> None:
    counts = healthy()
    judgement = decide(counts[counts["arm"] == "old"], 61)
    assert judgement.decision is Decision.HOLD
    assert "Not one canary request has been seen" in judgement.sentence


def test_a_source_that_falls_silent_is_held() -> None:
    assert decide(healthy(200), 300).decision is Decision.HOLD


def test_a_service_of_which_nothing_is_known_is_held() -> None:
    decisions = fold(judge(healthy(), POLICY, 300, services=["events", "speakers"]), policy=POLICY)
    assert {name: it.decision for name, it in decisions.items()} == {"events": "promote", "speakers": "hold"}
    assert fold(judge(healthy(0).iloc[:0], POLICY, 300, services=["x"]))["x"].decision is Decision.HOLD


def test_before_anything_can_be_known_there_is_not_enough_data() -> None:
    assert fold(judge(healthy(0).iloc[:0], POLICY, 10, services=["x"]))["x"].decision is Decision.NOT_ENOUGH_DATA
    assert fold(judge(healthy(0).iloc[:0], POLICY, services=["x"]))["x"].decision is Decision.NOT_ENOUGH_DATA


def test_a_gap_in_thin_traffic_is_no_silence() -> None:
    thin = pd.concat([ticks("old", -600, 300, 4), ticks("new", 0, 200, 1, width=20)])
    assert decide(thin, 265).decision is Decision.NOT_ENOUGH_DATA
    assert decide(thin, 400).decision is Decision.HOLD


def test_silence_does_not_take_back_a_roll_back() -> None:
    counts = with_bad(healthy(), "errors", 0.3)
    counts = counts[(counts["arm"] == "old") | (counts["t"] < 100)]
    assert decide(counts, 300).decision is Decision.ROLL_BACK


def test_without_an_old_version_the_limits_alone_are_tested_and_it_is_said() -> None:
    alone = healthy()[lambda it: it["arm"] == "new"]
    judgement = decide(alone, 300)
    assert (judgement.decision, judgement.compared) == (Decision.PROMOTE, False)
    assert "judged by the limits alone" in judgement.sentence
    assert decide(with_bad(alone, "errors", 0.05)).decision is Decision.ROLL_BACK


def test_evidence_for_going_on_must_be_of_the_stage() -> None:
    verdicts = judge(healthy(), POLICY, 300, since=295)
    assert fold(verdicts)["events"].decision is Decision.NOT_ENOUGH_DATA


def test_a_roll_back_stays_one_and_keeps_its_moment() -> None:
    counts = with_bad(healthy(), "errors", 0.052)
    counts.loc[counts["t"] >= 60, "errors"] = 0.0
    first = decide(counts[counts["t"] < 60])
    later = decide(counts, 300)
    assert (first.decision, later.decision) == (Decision.ROLL_BACK, Decision.ROLL_BACK)
    assert (first.at_s, first.n_canary, first.sentence) == (later.at_s, later.n_canary, later.sentence)


def test_a_verdict_says_what_was_known_when_the_line_was_passed() -> None:
    row = by_test(with_bad(healthy(), "errors", 0.2))["errors"]
    assert row["at_s"] == 5
    assert (row["n_canary"], row["bad_canary"], row["rate"], row["limit"]) == (50, 10, 0.2, 0.01)
    assert row["low"] < 0.2 < row["high"]
    assert row["evidence"] > np.log10(400)


def test_a_minute_wide_ticks_are_judged_by_the_minute() -> None:
    assert decide(with_bad(healthy(width=60, n=600), "errors", 0.052)).at_s == 60
    assert decide(healthy(width=60, n=600), 300).decision is Decision.PROMOTE


def test_second_wide_ticks_are_judged_by_the_second() -> None:
    assert decide(with_bad(healthy(width=1, n=10), "errors", 1.0)).at_s == 1
    assert decide(healthy(width=1, n=10), 300).decision is Decision.PROMOTE


def test_verdicts_have_one_row_per_service_and_question() -> None:
    verdicts = judge(pd.concat([healthy(60), healthy(60, service="speakers")]), POLICY)
    assert list(verdicts.columns) == COLUMNS
    assert list(verdicts["service"]) == ["events"] * 4 + ["speakers"] * 4
    assert list(verdicts["test"])[:4] == ["errors", "slow", "errors_to_old", "slow_to_old"]


def test_the_trace_ends_with_what_the_verdict_says() -> None:
    counts = healthy(120)
    last = trace(counts, POLICY).groupby("test").last()
    row = by_test(counts)["errors"]
    shown = last.loc["errors"]
    assert (shown["t"], shown["n"], shown["bad"]) == (120, row["n_canary"], row["bad_canary"])
    assert shown["evidence"] == pytest.approx(row["evidence"])
    assert trace(counts, POLICY, until=60)["t"].max() == 60


def test_corrected_rows_replace_and_shards_add() -> None:
    counts = healthy(60)
    assert (
        renewed(counts, counts)
        .sort_values(["arm", "t"], ignore_index=True)
        .equals(counts.sort_values(["arm", "t"], ignore_index=True))
    )
    twice = by_test(pd.concat([counts, counts]))["errors"]["n_canary"]
    assert twice == 2 * by_test(counts)["errors"]["n_canary"]


NUMBERS = ["n", "errors", "slow", "slow_ref"]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("errors", 51.0, r"errors of events \(new\) at t=10 is 51\.0; allowed is 0 to n, which is 50"),
        ("slow", -1.0, r"slow of events \(new\) at t=10 is -1\.0; allowed is 0 to n"),
        ("n", -1.0, r"n of events \(new\) at t=10 is -1\.0"),
        ("slow_ref", np.nan, r"column slow_ref is nan; allowed is a finite number in every row"),
        ("t", np.inf, r"column t is inf"),
        ("arm", "blue", r"arm is 'blue'; allowed is old or new"),
    ],
)
def test_what_cannot_be_a_count_is_refused_by_name(column: str, value: object, message: str) -> None:
    counts = healthy(60)
    row = counts.index[(counts["arm"] == "new") & (counts["t"] == 10)][0]
    counts.loc[row, column] = value
    with pytest.raises(InvalidInput, match=message):
        judge(counts, POLICY)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(InvalidInput, match="slow_ref is missing"):
        judge(healthy(60).drop(columns="slow_ref"), POLICY)


def test_ticks_without_requests_change_nothing() -> None:
    counts = with_bad(healthy(60), "errors", 0.03)
    empty = ticks("new", 2, 60, 0)
    assert decide(pd.concat([counts, empty]), 60).evidence == pytest.approx(decide(counts, 60).evidence, abs=0.3)


def test_canary_rows_from_before_its_start_are_left_out() -> None:
    counts = healthy(60)
    early = ticks("new", -60, 0, 50, errors=50)
    pd.testing.assert_frame_equal(judge(pd.concat([counts, early]), POLICY), judge(counts, POLICY))


CELLS = st.tuples(st.integers(0, 60), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
RUNS = st.lists(
    st.tuples(st.sampled_from(["events", "speakers"]), st.sampled_from(["old", "new"]), st.integers(-12, 24), CELLS),
    min_size=1,
    max_size=60,
)


def counted(rows: list[tuple[str, str, int, tuple[int, float, float, float]]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"service": s, "arm": a, "t": 5.0 * t, "n": n}
            | dict(zip(NUMBERS[1:], (round(n * x) for x in bad), strict=True))
            for s, a, t, (n, *bad) in rows
        ]
    )


@settings(max_examples=12, deadline=None)
@given(RUNS, st.randoms(use_true_random=False))
def test_the_order_of_the_rows_means_nothing(
    rows: list[tuple[str, str, int, tuple[int, float, float, float]]], random: Random
) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    pd.testing.assert_frame_equal(judge(counted(rows), POLICY), judge(counted(shuffled), POLICY))


@settings(max_examples=12, deadline=None)
@given(RUNS)
def test_counts_of_shards_add(rows: list[tuple[str, str, int, tuple[int, float, float, float]]]) -> None:
    shards = pd.concat([counted(rows), counted(rows)])
    whole = shards.groupby(["service", "arm", "t"], as_index=False)[NUMBERS].sum()
    pd.testing.assert_frame_equal(judge(shards, POLICY), judge(whole, POLICY))


@settings(max_examples=12, deadline=None)
@given(RUNS)
def test_services_do_not_influence_each_other(
    rows: list[tuple[str, str, int, tuple[int, float, float, float]]],
) -> None:
    counts = counted(rows)
    together = judge(counts, POLICY, 120)
    apart = pd.concat([judge(it, POLICY, 120) for _, it in counts.groupby("service")], ignore_index=True)
    pd.testing.assert_frame_equal(together, apart, rtol=1e-9, atol=1e-9)


@settings(max_examples=12, deadline=None)
@given(RUNS, st.integers(0, 24))
def test_what_comes_later_never_takes_a_roll_back_back(
    rows: list[tuple[str, str, int, tuple[int, float, float, float]]], until: int
) -> None:
    """Nor does it move its moment, as long as the ticks' width was known."""
    anchor = [(s, "old", t, (1, 0.0, 0.0, 0.0)) for s in ("events", "speakers") for t in (-14, -13)]
    counts = counted(anchor + rows)
    so_far, later = fold(judge(counts[counts["t"] < 5 * until], POLICY)), fold(judge(counts, POLICY))
    for service, before in so_far.items():
        if before.decision is Decision.ROLL_BACK:
            assert (later[service].decision, later[service].at_s) == (Decision.ROLL_BACK, before.at_s)


@settings(max_examples=12, deadline=None)
@given(RUNS)
def test_no_data_is_never_a_pass(rows: list[tuple[str, str, int, tuple[int, float, float, float]]]) -> None:
    """Whoever may go on has shown so many requests that twice the limits would have shown themselves."""
    counts = counted(rows)
    for service, judgement in fold(judge(counts, POLICY, 1000)).items():
        assert judgement.decision in (Decision.HOLD, Decision.ROLL_BACK, Decision.NOT_ENOUGH_DATA), service
    for service, judgement in fold(judge(counts, POLICY)).items():
        if judgement.decision is Decision.PROMOTE:
            n = counts[(counts["service"] == service) & (counts["arm"] == "new") & (counts["t"] >= 0)]["n"].sum()
            assert n * -np.log1p(-0.02) >= -np.log(0.05)


def test_a_stricter_alpha_asks_for_more() -> None:
    counts = with_bad(healthy(), "errors", 0.03)
    assert decide(counts, policy=replace(POLICY, alpha=0.001)).at_s > decide(counts).at_s
