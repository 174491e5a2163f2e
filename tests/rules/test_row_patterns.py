"""Samples of patterns match them, differ from each other, and no pattern brings the reader down."""

import re
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.row_patterns import like_samples, samples


@pytest.mark.parametrize(
    "pattern",
    [
        r"^[A-Z]{2}-[0-9]+$",
        r"^[a-z0-9._%+-]+@[a-z0-9.-]+\.[a-z]{2,}$",
        r"^(new|paid|sent)$",
        r"^\+[1-9]\d{7,14}$",
        r"^[^@\s]+@[^@\s]+$",
        r"^#[0-9a-fA-F]{6}$",
        r"^(?:ab?c)*x.y$",
        r"^\d{4}-(0[1-9]|1[0-2])$",
        r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$",
    ],
)
def test_samples_match_their_pattern(pattern: str) -> None:
    found = samples(pattern, 40)
    assert found
    assert [it for it in found if not re.search(pattern, it)] == []


def test_samples_differ() -> None:
    assert len(samples(r"^[A-Z]{3}-\d+$", 60)) == 60


def test_classes_with_names_are_known() -> None:
    assert samples("^[[:upper:]][[:digit:]]$", 2) == ("A0", "B0")


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "[", "(", "a{9999}", "[[:", "\\", "a)"])
def test_what_is_not_understood_gives_no_sample(pattern: str) -> None:
    assert samples(pattern, 5) == ()


@pytest.mark.parametrize(("pattern", "found"), [("A%", ("A", "A1")), ("_-%", ("a-", "b-1")), (r"50\%", ("50%",))])
def test_like_samples(pattern: str, found: tuple[str, ...]) -> None:
    assert like_samples(pattern, 2) == found


@given(st.text(alphabet="ab[](){}|?*+^$\\d-:,1.9", max_size=30))
def test_no_pattern_brings_the_reader_down(pattern: str) -> None:
    assert len(samples(pattern, 5)) <= 5


@given(st.from_regex(r"(\^)?([a-c]|\[[a-f]\]|\\d|\(x\|y\))(\{1,3\}|\+|\*|\?)?(\$)?", fullmatch=True))
def test_simple_patterns_always_have_samples_that_match(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert all(re.search(pattern, it) for it in samples(pattern, 9))
