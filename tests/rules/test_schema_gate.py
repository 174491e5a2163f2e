"""What breaks the code that runs there fails; what a person must look at is inconclusive; the rest passes."""

import pytest

from rules.schema_changes import Kind
from rules.schema_gate import check_schemas
from rules.schemas import Schema, SchemaObject, schema_object, schema_of
from rules.vocabulary import Verdict

TABLE = schema_object(Kind.TABLE, "public.events")


def column(name: str, nullable: str = "true", **facts: str) -> SchemaObject:
    told = {"type": "text", "nullable": nullable, **facts}
    return schema_object(Kind.COLUMN, f"public.events.{name}", told, "public.events")


def events(*columns: SchemaObject) -> Schema:
    return schema_of([TABLE, column("title"), *columns])


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (events(), events(), Verdict.PASSED),
        (events(), events(column("note")), Verdict.PASSED),
        (events(), events(column("note", "false")), Verdict.FAILED),
        (events(column("note")), events(), Verdict.FAILED),
        (events(column("note", "false")), events(column("note")), Verdict.INCONCLUSIVE),
    ],
)
def test_each_difference_is_judged_for_the_code_that_runs_there(old: Schema, new: Schema, verdict: Verdict) -> None:
    found = check_schemas(old, new, "staging", "dev")
    assert (found.gate, found.verdict) == ("schema", verdict), found.sentence


def test_the_worst_is_named_first_and_the_rest_is_counted() -> None:
    more = [column(f"n{number}", "false") for number in range(4)]
    found = check_schemas(events(column("note", "false")), events(column("note"), *more), "staging", "dev")
    assert found.verdict is Verdict.FAILED
    assert "column public.events.n0, it must be filled" in found.sentence
    assert "and 2 more" in found.sentence
    assert found.measured == "tables: 1 and 1; 5 differences, 5 in the way"
    assert "two releases" in found.could_be_met


def test_a_schema_without_a_table_is_no_proof() -> None:
    bare = schema_of([schema_object(Kind.SEQUENCE, "public.numbers")])
    for old, new in ((bare, bare), (events(), bare), (bare, events())):
        found = check_schemas(old, new, "staging", "dev")
        assert found.verdict is Verdict.INCONCLUSIVE
        assert "no table" in found.sentence
