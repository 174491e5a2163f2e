"""Requests become counts, and counts become grids."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.canary import aggregate
from rules.canary_counts import COLUMNS, grid
from rules.catalogue import JudgePolicy
from rules.errors import InvalidInput

POLICY = JudgePolicy()


def requests(*rows: tuple[str, str, float, float, bool]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["service", "arm", "at", "seconds", "failed"])


def test_a_request_counts_in_its_tick() -> None:
    counts = aggregate(
        requests(
            ("events", "new", 0.0, 0.1, False), ("events", "new", 4.9, 0.9, True), ("events", "new", 5.0, 0.6, False)
        ),
        POLICY,
    )
    assert list(counts.columns) == COLUMNS
    assert counts[["t", "n", "errors", "slow"]].to_numpy().tolist() == [[0, 2, 1, 1], [5, 1, 0, 1]]


def test_a_request_may_be_both_failed_and_slow_and_a_fast_failure_is_a_failure() -> None:
    counts = aggregate(requests(("a", "new", 1, 2.0, True), ("a", "new", 2, 0.001, True)), POLICY)
    assert counts[["n", "errors", "slow"]].to_numpy().tolist() == [[2, 2, 1]]


def test_the_reference_is_the_old_versions_own_95th_percentile_before_the_canary() -> None:
    past = [("a", "old", -10.0, 0.01 * it, False) for it in range(1, 101)]
    counts = aggregate(requests(*past, ("a", "new", 0, 0.94, False), ("a", "new", 0, 0.97, False)), POLICY)
    assert counts.loc[counts["arm"] == "new", "slow_ref"].tolist() == [1]
    assert counts.loc[counts["arm"] == "old", "slow_ref"].tolist() == [5]


def test_a_given_reference_is_taken_and_without_any_it_is_the_limit() -> None:
    rows = requests(("a", "new", 0, 0.4, False), ("b", "new", 0, 0.4, False))
    assert aggregate(rows, POLICY, reference_ms={"a": 300})["slow_ref"].tolist() == [1, 0]


def test_nothing_is_counted_as_nothing() -> None:
    assert aggregate(requests(), POLICY).empty


@pytest.mark.parametrize("column", ["at", "seconds"])
def test_a_request_without_a_number_is_refused(column: str) -> None:
    rows = requests(("a", "new", 0, 0.4, False))
    rows[column] = np.nan
    with pytest.raises(InvalidInput, match=f"column {column} is nan"):
        aggregate(rows, POLICY)


def test_a_request_of_no_service_is_refused() -> None:
    with pytest.raises(InvalidInput, match="column service is None; allowed is a name in every row"):
        aggregate(requests(("a", "new", 0, 0.4, False)).assign(service=None), POLICY)


def test_categories_are_names_like_others() -> None:
    rows = requests(("b", "new", 0, 0.4, False), ("a", "old", 0, 0.4, False), ("b", "old", 0, 0.4, True))
    columns = ["service", "arm", "t"]
    plain = aggregate(rows, POLICY).sort_values(columns, ignore_index=True)
    named = aggregate(rows.astype({"service": "category", "arm": "category"}), POLICY)
    pd.testing.assert_frame_equal(plain, named.sort_values(columns, ignore_index=True))


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(InvalidInput, match="tick_seconds is 0"):
        aggregate(requests(("a", "new", 0, 0.4, False)), POLICY, tick_seconds=0)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b"]),
            st.sampled_from(["old", "new"]),
            st.floats(-100, 100),
            st.floats(0, 2),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_no_request_is_lost(rows: list[tuple[str, str, float, float, bool]]) -> None:
    table = requests(*rows)
    counts = aggregate(table, POLICY, reference_ms={"a": 100, "b": 100})
    assert counts["n"].sum() == len(rows)
    assert counts["errors"].sum() == sum(it[4] for it in rows)
    assert counts["slow"].sum() == sum(it[3] > 0.5 for it in rows)
    assert not counts.duplicated(["service", "arm", "t"]).any()


def test_a_tick_is_as_wide_as_the_smallest_step_of_its_service() -> None:
    rows = [("a", "old", t) for t in (-120, -60, 0)] + [("b", "new", t) for t in (0, 10, 15)] + [("c", "new", 0)]
    counts = pd.DataFrame(rows, columns=["service", "arm", "t"]).assign(n=1, errors=0, slow=0, slow_ref=0)
    assert grid(counts, POLICY).width.tolist() == [60, 5, 5]
