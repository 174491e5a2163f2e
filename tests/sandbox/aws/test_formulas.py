"""The part of metric math that the stand-in knows: points exist where everything needed has one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.patches.formulas import UnknownFormulaError, evaluate

SERIES = {"errors": {0.0: 5.0, 120.0: 1.0}, "requests": {0.0: 100.0, 60.0: 50.0, 120.0: 0.0}}


@pytest.mark.parametrize(
    ("formula", "points"),
    [
        ("errors + 1", {0.0: 6.0, 120.0: 2.0}),
        ("-errors", {0.0: -5.0, 120.0: -1.0}),
        ("100 * errors / requests", {0.0: 5.0}),
        ("FILL(errors, 0) / requests", {0.0: 0.05, 60.0: 0.0}),
        ("errors > 2", {0.0: 1.0, 120.0: 0.0}),
        ("IF(requests >= 100, errors, 0)", {0.0: 5.0, 60.0: 0.0, 120.0: 0.0}),
        ("7", {0.0: 7.0, 60.0: 7.0, 120.0: 7.0}),
    ],
)
def test_a_formula_has_its_points(formula: str, points: dict[float, float]) -> None:
    assert evaluate(formula, SERIES) == pytest.approx(points)


@pytest.mark.parametrize("formula", ["", "errors +", "other", "SUM(errors)", "errors.real", "__import__('os')", "'x'"])
def test_what_lies_beyond_is_named(formula: str) -> None:
    with pytest.raises(UnknownFormulaError):
        evaluate(formula, SERIES)


SIGNS = ["+", "-", "*", "/", "(", ")", ",", ">", "\0"]
words = st.sampled_from(["errors", "requests", "2", "0", "IF", "FILL", "é", *SIGNS])


@given(st.lists(words, max_size=12))
def test_no_text_does_more_than_be_refused(formula: list[str]) -> None:
    with contextlib.suppress(UnknownFormulaError):
        assert set(evaluate(" ".join(formula), SERIES)) <= {0.0, 60.0, 120.0}
