"""Rows put together by slots: what is refused moves on, keys do not repeat, references that share a column agree."""

from hypothesis import given
from hypothesis import strategies as st

from rules.row_plans import Slot, capacity, first, keyed, moved, row_at, spread
from rules.row_tables import Column, ColumnType, Rule, Table

TEXT = ColumnType("text", "text")


def slot(name: str, *values: str | None) -> Slot:
    return Slot((name,), tuple((it,) for it in values))


def table(*keys: tuple[str, ...], columns: str = "abc") -> Table:
    uniques = tuple(Rule(f"key{at}", key) for at, key in enumerate(keys))
    return Table("public", "t", tuple(Column(it, TEXT) for it in columns), uniques)


def test_the_first_row_has_the_first_choices() -> None:
    slots = (slot("a", "1", "2"), slot("b", "x"))
    assert row_at(slots, first(slots)) == {"a": "1", "b": "x"}


def test_only_slots_that_a_rule_judges_move_and_they_come_round() -> None:
    slots = (slot("a", "1", "2"), slot("b", "x", "y"), slot("c", "u", "v"))
    places = [first(slots)]
    for _ in range(4):
        places.append(moved(slots, places[-1], {"a", "c"}))
    assert places == [(0, 0, 0), (1, 0, 0), (0, 0, 1), (1, 0, 1), (0, 0, 0)]


def test_two_references_that_share_a_column_agree_on_it() -> None:
    slots = (
        Slot(("tenant", "a"), (("1", "x"), ("2", "y"))),
        Slot(("tenant", "b"), (("1", "u"), ("2", "v"), ("2", "w"))),
    )
    assert row_at(slots, (1, 0)) == {"tenant": "2", "a": "y", "b": "v"}
    assert row_at(slots, (1, 1)) == {"tenant": "2", "a": "y", "b": "w"}


@given(st.integers(2, 30), st.integers(2, 9))
def test_of_a_key_of_two_columns_no_pair_repeats_and_each_column_does(count: int, choices: int) -> None:
    values = tuple(str(it) for it in range(30))
    slots = (slot("a", *values[:choices]), slot("b", *values))
    places = [spread(slots, table(("a", "b")), number, count) for number in range(count)]
    assert len(set(places)) == count
    if count > 9:
        assert len({it[0] for it in places}) < count
        assert len({it[1] for it in places}) < count


def test_a_column_that_is_unique_alone_takes_one_choice_after_the_other() -> None:
    slots = (slot("a", *"0123456789"),)
    assert [spread(slots, table(("a",)), number, 10)[0] for number in range(10)] == list(range(10))


def test_a_table_holds_no_more_rows_than_its_scarcest_key_has_values() -> None:
    slots = (slot("a", "true", None, "false"), slot("b", "x"))
    assert capacity(slots, table(("a",))) == 2
    assert capacity(slots, table(("a", "b"))) > 1_000


def test_a_row_gets_the_keys_of_another_place() -> None:
    slots = (slot("a", "1", "2"), slot("b", "x", "y"))
    assert keyed(slots, table(("a",)), (0, 1), (1, 0)) == (1, 1)
