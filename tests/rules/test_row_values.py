"""Values for every type of column: within its limits, with null where it may be, new ones for keys."""

from hypothesis import given
from hypothesis import strategies as st

from rules.row_tables import Column, ColumnType
from rules.row_values import fresh_value, pool, values


def column(base: str, *, nullable: bool = True, length: int = 0, precision: int = 0, scale: int = 0) -> Column:
    return Column("it", ColumnType(base, base, length=length, precision=precision, scale=scale), nullable)


def test_the_first_value_is_ordinary_and_the_second_null_where_it_may_be() -> None:
    assert pool(column("int4"))[:2] == ("1", None)
    assert None not in pool(column("int4", nullable=False))


def test_wanted_values_come_first() -> None:
    assert pool(column("text"), ["new", "paid"])[:3] == ("new", None, "paid")


def test_integers_have_both_ends() -> None:
    assert {"32767", "-32768", "0", "-1"} <= set(values(ColumnType("smallint", "int2")))


def test_a_domain_that_takes_no_null_gets_none() -> None:
    assert None not in pool(Column("it", ColumnType("d", "text", required=True)))


@given(st.integers(1, 300), st.integers(0, 500))
def test_texts_are_never_longer_than_the_column(length: int, number: int) -> None:
    kind = column("varchar", length=length).type
    assert max(len(it) for it in values(kind)) == length
    assert len(fresh_value(kind, number)) <= length


@given(st.integers(1, 38), st.integers(0, 38), st.integers(0, 5_000))
def test_numbers_fit_their_digits(precision: int, scale: int, number: int) -> None:
    kind = column("numeric", precision=max(precision, scale), scale=scale).type
    for it in (*values(kind), fresh_value(kind, number)):
        whole, _, fraction = it.lstrip("-").partition(".")
        assert len(fraction) <= scale
        assert len(whole.lstrip("0")) <= kind.precision - scale


def test_fresh_values_differ() -> None:
    for base in ("int4", "text", "uuid", "date", "timestamptz", "numeric", "inet", "jsonb", "bytea", "interval"):
        kind = ColumnType(base, base)
        assert len({fresh_value(kind, number) for number in range(100)}) == 100, base


def test_arrays_hold_what_their_elements_are() -> None:
    kind = ColumnType("text[]", "_text", element=ColumnType("text", "text"))
    assert '{"ordinary"}' in values(kind)
    assert "{NULL}" in values(kind)
    assert fresh_value(kind, 1) != fresh_value(kind, 2)
