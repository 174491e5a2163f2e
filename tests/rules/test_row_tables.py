"""Which table fills first, and which columns a rule judges."""

from hypothesis import given
from hypothesis import strategies as st

from rules.row_tables import Column, ColumnType, Reference, Rule, Table, fill_order, waiting_references

INTEGER = ColumnType("integer", "int4")


def table(name: str, *parents: str, optional: bool = False) -> Table:
    columns = [Column("id", INTEGER, nullable=False), *(Column(f"{it}_id", INTEGER, optional) for it in parents)]
    references = tuple(Reference(f"{it}_fk", (f"{it}_id",), f"public.{it}", ("id",)) for it in parents)
    return Table("public", name, tuple(columns), (Rule(f"{name}_pkey", ("id",)),), references=references)


def order(*tables: Table) -> list[str]:
    return [it.name for it in fill_order(tables)]


def test_parents_come_before_children() -> None:
    assert order(table("a", "b"), table("b", "c"), table("c")) == ["c", "b", "a"]


def test_of_a_circle_the_one_comes_first_that_can_wait() -> None:
    wives, husbands = table("wives", "husbands"), table("husbands", "wives", optional=True)
    assert order(wives, husbands) == ["husbands", "wives"]
    assert waiting_references(husbands, []) == husbands.references
    assert waiting_references(wives, ["public.husbands"]) == ()


def test_a_table_that_refers_to_itself_waits_where_it_may() -> None:
    assert waiting_references(table("a", "a", optional=True), []) != ()
    assert waiting_references(table("a", "a"), []) == ()


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde"), st.booleans()), max_size=12))
def test_every_table_is_filled_once_whatever_refers_to_whatever(edges: list[tuple[str, str, bool]]) -> None:
    tables = [table(name, *{to for one, to, _ in edges if one == name}) for name in "abcde"]
    assert sorted(order(*tables)) == list("abcde")


def test_a_rule_names_the_columns_it_judges_and_an_unknown_one_all() -> None:
    it = table("a", "b")
    assert it.rule_columns("b_fk") == ("b_id",)
    assert it.rule_columns("a_trigger") == ("id", "b_id")


def test_a_domain_s_rule_judges_the_columns_of_the_domain() -> None:
    domain = ColumnType("positive", "int4", rules=(Rule("positive_check", ("VALUE",), "VALUE > 0"),))
    it = Table("public", "t", (Column("a", INTEGER), Column("b", domain)))
    assert it.rule_columns("positive_check") == ("b",)


def test_keys_that_the_database_makes_are_nobodys_to_keep() -> None:
    columns = (Column("id", INTEGER, nullable=False, automatic=True), Column("mail", INTEGER))
    it = Table("public", "t", columns, (Rule("pk", ("id",)), Rule("one", ("mail",))))
    assert [key.name for key in it.keys] == ["one"]
    assert [column.name for column in it.written] == ["mail"]
