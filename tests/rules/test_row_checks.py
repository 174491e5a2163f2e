"""Candidates for columns from the checks that judge them, as PostgreSQL writes them back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.row_checks import hints


@pytest.mark.parametrize(
    ("check", "column", "among"),
    [
        ("((status)::text = ANY ((ARRAY['new'::text, 'paid'::text])::text[]))", "status", {"new", "paid"}),
        ("(amount > (0)::numeric)", "amount", {"1"}),
        ("((amount >= 5) AND (amount <= 7))", "amount", {"5", "6", "7"}),
        ("(10 > amount)", "amount", {"9"}),
        ("(level < '-3'::integer)", "level", {"-4"}),
        ("(price <= 9.95)", "price", {"9.95", "9.94"}),
        ("(length(code) = 4)", "code", {"aaa0"}),
        ("(char_length((code)::text) >= 3)", "code", {"aa0"}),
        ("((code)::text ~ '^[A-Z]{2}$'::text)", "code", {"AA", "BA"}),
        ("(code ~~ 'CH-%'::text)", "code", {"CH-", "CH-1"}),
        ("(begins >= '2024-01-01'::date)", "begins", {"2024-01-01", "2024-01-02"}),
        ("(lower(mail) = 'a'::text)", "mail", {"a"}),
        ("(active = true)", "active", {"true"}),
    ],
)
def test_constants_and_their_neighbours(check: str, column: str, among: set[str]) -> None:
    assert among <= set(hints(check, column, 5))


def test_the_value_of_a_domain_has_no_name() -> None:
    assert hints("(VALUE ~ '^a$'::text)", "", 5) == ("a",)


def test_other_columns_get_nothing() -> None:
    assert hints("(amount > 0)", "price") == ()


def test_a_name_with_capitals_is_found() -> None:
    assert hints('("orderStatus" = 1)', "orderStatus") == ("1",)


@given(st.text(max_size=40))
def test_no_expression_brings_it_down(text: str) -> None:
    assert isinstance(hints(text, "a", 3), tuple)


@given(
    st.lists(
        st.sampled_from(
            ["a", "(", ")", "=", ">", "'x'", "1", "ANY", "ARRAY[", "]", "~", "NULL", "length", ",", "IN", "-"]
        ),
        max_size=12,
    )
)
def test_no_shuffled_expression_brings_it_down(words: list[str]) -> None:
    assert isinstance(hints(" ".join(words), "a", 3), tuple)
