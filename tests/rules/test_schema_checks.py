"""Whether one CHECK refuses what another takes; what is not understood is not guessed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.schema_checks import narrower


def check(expression: str) -> str:
    return f"CHECK ({expression})"


def listed(*labels: str) -> str:
    array = ", ".join(f"'{it}'::character varying" for it in labels)
    return check(f"((s)::text = ANY ((ARRAY[{array}])::text[]))")


RANGE = "((n >= 0) AND (n < 10))"


@pytest.mark.parametrize(
    ("mine", "given_there", "answer"),
    [
        (listed("a", "b"), listed("a"), True),
        (listed("a"), listed("a", "b"), False),
        (listed("a"), check("(s = 'a'::text)"), False),
        (check("(n > 0)"), check("(n > 5)"), True),
        (check("(n > 5)"), check("(n > 0)"), False),
        (check("(0 < n)"), check("(n > 0)"), False),
        (check("(n > 0)"), check("(n >= 1)"), None),
        (check(RANGE), check("((n >= '-1'::integer) AND (n < 10))"), False),
        (check(RANGE), check("((n >= 0) AND (n < 9))"), True),
        (check("(n >= 0)"), check(RANGE), True),
        (check("(n = ANY (ARRAY[1, 2]))"), check("(n > 0)"), False),
        (check("(n = ANY (ARRAY[1, 2]))"), check("(n > 1)"), True),
        (check("(n > 0)"), check("(n = ANY (ARRAY[1, 2]))"), None),
        (check("(n > 0)"), check("(m > 0)"), True),
        (check("(n > (0)::numeric)"), check("(n > (0)::numeric)"), False),
        (check("(length(s) > 1)"), check("(length(s) > 2)"), None),
        (check("((n)::integer > 1)"), check("((n)::integer > 1)"), None),
        (check("(s > '1'::text)"), check("(s > '2'::text)"), None),
        (check("((n > 1) OR (n < 0))"), check("(n > 1)"), None),
        (check("(n > 1)) , ((n > 2)"), check("(n > 1)"), None),
        ("UNIQUE (n)", "UNIQUE (n)", None),
    ],
)
def test_one_check_beside_another(mine: str, given_there: str, answer: bool | None) -> None:
    assert narrower(mine, given_there) is answer


WORDS = ("n", "s", ">", "<", "=", "0", "'a'", "(", ")", "::text", "AND", "ANY", "ARRAY[1]", "null", "-", ";", "\0")
PIECES = st.sampled_from([*WORDS, "'x'::int4", "'NaN'::numeric", "1e9999999"])
CHECKS = st.lists(PIECES, max_size=8).map(lambda it: check(" ".join(it))) | st.text(max_size=30)


@given(CHECKS, CHECKS)
def test_no_text_makes_it_fail(mine: str, given_there: str) -> None:
    assert narrower(mine, given_there) in {True, False, None}


@given(st.sets(st.integers(0, 20), min_size=1), st.sets(st.integers(0, 20), min_size=1))
def test_lists_are_sets(mine: set[int], given_there: set[int]) -> None:
    one, other = (check(f"(n = ANY (ARRAY[{', '.join(map(str, it))}]))") for it in (mine, given_there))
    assert narrower(one, other) is not (mine <= given_there)
