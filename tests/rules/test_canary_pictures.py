"""What the chart shows: few enough points, and no gap lost."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.canary_pictures import Gap, gaps, line_of, old_rate, places, requests

COLUMNS = ["service", "arm", "t", "n", "errors", "slow", "slow_ref"]


def counts(*rows: tuple[str, float, int]) -> pd.DataFrame:
    return pd.DataFrame([("gateway", arm, t, n, 1, 0, 0) for arm, t, n in rows], columns=COLUMNS)


def steady(seconds: int, tick: int = 5) -> pd.DataFrame:
    return counts(*((arm, float(t), n) for t in range(0, seconds, tick) for arm, n in (("old", 90), ("new", 10))))


def test_requests_are_shown_by_tick() -> None:
    bars = requests(steady(60), "gateway", 60)
    assert bars.width == 5
    assert bars.new.tolist() == [10] * 12
    assert bars.old.tolist() == [90] * 12
    assert bars.ends == 60


def test_a_tick_without_a_row_is_a_bar_of_nothing() -> None:
    bars = requests(counts(("new", 0, 7), ("new", 5, 7), ("new", 20, 7)), "gateway", 25)
    assert bars.new.tolist() == [7, 7, 0, 0, 7]


def test_a_start_in_the_middle_of_a_tick_makes_no_comb() -> None:
    rows = counts(*(("new", t, 7) for t in (0.0, 2.576, 7.576, 12.576)))
    bars = requests(rows, "gateway", 17.576)
    assert bars.width == 5
    assert bars.begins[0] == pytest.approx(-2.424)
    assert bars.new.tolist() == [7, 7, 7, 7]


def test_shards_of_one_tick_add_up() -> None:
    assert requests(counts(("new", 0, 3), ("new", 0, 4), ("new", 5, 1)), "gateway", 10).new.tolist() == [7, 1]


def test_the_past_and_other_services_are_left_out() -> None:
    foreign = steady(60).assign(service="other")
    past = steady(60).assign(t=lambda rows: rows["t"] - 60)
    bars = requests(pd.concat([steady(60), foreign, past]), "gateway", 60)
    assert bars.new.sum() == 120


@given(st.integers(1, 20_000), st.integers(1, 60))
def test_there_are_never_too_many_bars_and_none_of_the_requests_is_lost(ticks: int, width: int) -> None:
    rows = pd.DataFrame(
        {"service": "gateway", "arm": "new", "t": np.arange(ticks) * float(width), "n": 1, "errors": 0, "slow": 0}
    )
    bars = requests(rows, "gateway", ticks * width, most=50)
    assert len(bars.new) <= 51
    assert bars.new.sum() == ticks


def test_a_silence_is_a_gap_and_a_missing_tick_is_not() -> None:
    rows = counts(*(("new", t, 5) for t in (0.0, 5.0, 15.0, 20.0, 100.0)))
    assert gaps(rows, "gateway", 105, 60) == (Gap(25.0, 100.0),)


def test_who_never_had_a_request_is_one_gap() -> None:
    rows = counts(*(("old", float(t), 5) for t in range(0, 120, 5)))
    assert gaps(rows, "gateway", 120, 60) == (Gap(0.0, 120.0),)


def test_silence_at_the_end_is_seen() -> None:
    assert gaps(steady(60), "gateway", 130, 60) == (Gap(60.0, 130.0),)


def test_no_rows_at_all_can_be_drawn() -> None:
    none = steady(60).iloc[:0]
    assert requests(none, "gateway", 60).new.sum() == 0
    assert gaps(none, "gateway", 60, 60) == (Gap(0.0, 60.0),)
    assert old_rate(none, "gateway", "errors", 60)[0].size == 0


def test_the_old_versions_rate_is_that_of_all_its_requests_so_far() -> None:
    t, share = old_rate(counts(("old", 0, 10), ("old", 5, 30), ("new", 0, 1)), "gateway", "errors", 60)
    assert t.tolist() == [0, 5]
    assert share.tolist() == [0.1, 0.05]


@given(st.integers(0, 5000), st.integers(2, 300))
def test_thinning_keeps_both_ends(size: int, most: int) -> None:
    kept = places(size, most)
    assert len(kept) <= max(most, 1)
    assert set(kept) <= set(range(size))
    assert size == 0 or {0, size - 1} <= set(kept.tolist())


def test_a_line_keeps_the_moment_of_its_highest_evidence() -> None:
    evidence = np.zeros(2000)
    evidence[777] = 5
    trace = pd.DataFrame({"service": "gateway", "test": "errors", "t": np.arange(2000.0), "evidence": evidence})
    line = line_of(trace, "gateway", "errors")
    assert line["evidence"].max() == 5
    assert len(line) < 250
