"""What differs between two schemas, and which code it hurts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.schema_changes import Kind, SchemaChange, Service
from rules.schemas import Schema, SchemaObject, compare, schema_object, schema_of

TABLE = schema_object(Kind.TABLE, "public.a")


def column(**facts: str) -> SchemaObject:
    return schema_object(Kind.COLUMN, "public.a.b", {"type": "integer", "nullable": "true", **facts}, "public.a")


def of(*objects: SchemaObject) -> Schema:
    return schema_of([TABLE, *objects])


def only(old: Schema, new: Schema) -> tuple[Service, Service]:
    (change,) = compare(old, new)
    return change.serves_old_code.service, change.serves_new_code.service


COLUMNS = [
    (None, column(), Service.SAFE, Service.BREAKS),
    (None, column(nullable="false"), Service.BREAKS, Service.BREAKS),
    (None, column(nullable="false", default="0"), Service.SAFE, Service.BREAKS),
    (column(), column(nullable="false"), Service.BREAKS, Service.REVIEW),
    (column(), column(type="text"), Service.BREAKS, Service.BREAKS),
    (column(type="character varying(5)"), column(type="text"), Service.SAFE, Service.BREAKS),
    (column(), column(default="0"), Service.SAFE, Service.REVIEW),
    (column(), column(generated="a + 1"), Service.BREAKS, Service.REVIEW),
    (column(), column(collation="C"), Service.REVIEW, Service.REVIEW),
]


@pytest.mark.parametrize(("old", "new", "for_old", "for_new"), COLUMNS)
def test_a_column_is_judged_in_both_directions(
    old: SchemaObject | None, new: SchemaObject, for_old: Service, for_new: Service
) -> None:
    before, after = of(*([old] if old else [])), of(new)
    assert only(before, after) == (for_old, for_new)
    assert only(after, before) == (for_new, for_old)


@pytest.mark.parametrize("kind", list(Kind))
def test_no_kind_that_differs_is_safe_unless_a_rule_says_so(kind: Kind) -> None:
    old, new = (of(schema_object(kind, "public.x", {"definition": it})) for it in "pq")
    assert Service.SAFE not in only(old, new)


def test_a_new_table_tells_for_its_columns() -> None:
    other = schema_of([schema_object(Kind.TABLE, "public.z")])
    changes: list[SchemaChange] = compare(other, schema_of([*other.objects, TABLE, column(nullable="false")]))
    assert [it.object for it in changes] == ["public.a"]


def test_a_new_check_breaks_old_code_and_a_dropped_label_too() -> None:
    assert only(of(), of(schema_object(Kind.CHECK, "public.a.c"))) == (Service.BREAKS, Service.SAFE)
    old, new = (of(schema_object(Kind.ENUM, "public.e", dict.fromkeys(it, ""))) for it in ("ab", "a"))
    assert only(old, new) == (Service.BREAKS, Service.REVIEW)


def test_order_does_not_matter_and_nothing_is_no_schema() -> None:
    assert of(column()).hash == schema_of([column(), TABLE]).hash != of().hash
    with pytest.raises(InvalidInput):
        schema_of([])
    with pytest.raises(InvalidInput):
        schema_of([TABLE, TABLE])


A, B = "CHECK ((s = ANY (ARRAY['a'::text, 'b'::text])))", "CHECK ((s = 'a'::text))"
FROM_A = "CREATE INDEX i ON public.a USING btree (b)"
BIG, SMALL = {"type": "bigint", "maximum": "9223372036854775807"}, {"type": "integer", "maximum": "2147483647"}
TWO, ONE = ({"definition": it, "columns": it} for it in ("id integer, sum numeric(10,2)", "id integer"))
SAFE, REVIEW, BREAKS = Service


@pytest.mark.parametrize(
    ("kind", "old", "new", "for_old", "for_new"),
    [
        (Kind.CHECK, {"definition": A}, {"definition": B}, BREAKS, SAFE),
        (Kind.CHECK, {"definition": "CHECK ((f(s)))"}, {"definition": "CHECK ((g(s)))"}, REVIEW, REVIEW),
        (Kind.CHECK, {"definition": A}, {"definition": f"{A} NOT VALID"}, REVIEW, SAFE),
        (Kind.DOMAIN, {"type": "text", "checks": A}, {"type": "text", "checks": B}, BREAKS, SAFE),
        (Kind.DOMAIN, {"type": "text", "nullable": "true"}, {"type": "text", "nullable": "false"}, BREAKS, REVIEW),
        (Kind.DOMAIN, {"type": "text"}, {"type": "integer"}, BREAKS, BREAKS),
        (Kind.INDEX, {"definition": FROM_A, "valid": "true"}, {"definition": FROM_A, "valid": "false"}, REVIEW, SAFE),
        (Kind.INDEX, {"unique": "false"}, {"unique": "true"}, BREAKS, REVIEW),
        (Kind.VIEW, TWO, ONE, BREAKS, REVIEW),
        (Kind.FUNCTION, {"result": "integer"}, {"result": "text"}, BREAKS, BREAKS),
        (Kind.FUNCTION, {"result": "integer"}, {"result": "integer", "definition": "x"}, REVIEW, REVIEW),
        (Kind.FUNCTION, {"result": "trigger"}, None, REVIEW, REVIEW),
        (Kind.SEQUENCE, BIG, SMALL, BREAKS, REVIEW),
        (Kind.PARTITION, {"of": "public.a"}, None, BREAKS, SAFE),
        (Kind.INDEX, None, {"unique": "false", "valid": "false"}, REVIEW, REVIEW),
    ],
)
def test_a_definition_is_judged_by_what_it_takes_and_gives(
    kind: Kind, old: dict[str, str], new: dict[str, str] | None, for_old: Service, for_new: Service
) -> None:
    before, after = (of(*([] if it is None else [schema_object(kind, "public.x", it)])) for it in (old, new))
    assert only(before, after) == (for_old, for_new)


def test_a_wider_number_is_to_be_looked_at_and_a_narrower_one_breaks() -> None:
    assert only(of(column()), of(column(type="bigint"))) == (REVIEW, BREAKS)


@pytest.mark.parametrize(("old", "new", "expected"), [(A, A, SAFE), (B, A, SAFE), (A, B, BREAKS)])
def test_a_check_under_a_new_name_is_what_it_replaces(old: str, new: str, expected: Service) -> None:
    one, two = (schema_object(Kind.CHECK, f"public.a.{at}", {"definition": it}, "public.a") for at, it in
                enumerate((old, new)))  # fmt: skip
    services = {it.object: it.serves_old_code.service for it in compare(of(one), of(two))}
    assert services == {"public.a.0": SAFE, "public.a.1": expected}


def test_a_new_table_tells_for_what_it_refuses() -> None:
    key = schema_object(Kind.FOREIGN_KEY, "public.new.fk", {"definition": "FOREIGN KEY (a) …"}, "public.new")
    table = schema_object(Kind.TABLE, "public.new")
    (change,) = compare(of(), of(table, key))
    assert (change.object, change.serves_old_code.service) == ("public.new", SAFE)


WORDS = st.sampled_from(["", "true", "false", "integer", "bigint", A, B, "CHECK (", "a b, c d", "\0", "²", "9" * 30])
FACTS = st.dictionaries(
    st.sampled_from(["type", "nullable", "default", "definition", "checks", "columns", "unique", "maximum", "result"]),
    WORDS,
)
OBJECTS = st.builds(
    schema_object, st.sampled_from(Kind), st.sampled_from(["public.a", "public.b", "public.a.b"]), FACTS,
    st.sampled_from(["", "public.a", "public.b"]),
)  # fmt: skip
SCHEMAS = st.lists(OBJECTS, min_size=1, max_size=8, unique_by=lambda it: (it.kind, it.name)).map(schema_of)


@given(SCHEMAS)
def test_nothing_differs_from_itself(schema: Schema) -> None:
    assert compare(schema, schema) == []


@given(SCHEMAS, SCHEMAS)
def test_both_ways_name_the_same_objects_and_judge_them_from_the_other_side(one: Schema, other: Schema) -> None:
    there, back = compare(one, other), compare(other, one)
    assert [(it.kind, it.object) for it in there] == [(it.kind, it.object) for it in back]
    assert [it.serves_old_code for it in there] == [it.serves_new_code for it in back]
    assert (there == []) == (one == other) == (one.hash == other.hash)
