"""What differs between two schemas, and which code it hurts."""

import pytest

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
