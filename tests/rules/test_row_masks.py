"""What stands in the place of real texts: unreadable, of the same make, and the same for the same."""

import string

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.row_masks import masked, text_masked
from rules.row_tables import ColumnType

KEY = b"0123456789abcdef"
TEXT = ColumnType("text", "text")
WRITTEN = st.text(string.ascii_letters + string.digits + " @.-_")


@given(WRITTEN)
def test_it_is_as_long_and_of_the_same_make(text: str) -> None:
    found = text_masked(text, KEY)
    kinds = [(it.isdigit(), it.isupper(), it.islower()) for it in text]
    assert [(it.isdigit(), it.isupper(), it.islower()) for it in found] == kinds


@given(WRITTEN, WRITTEN)
def test_two_texts_never_become_one(one: str, other: str) -> None:
    assert (text_masked(one, KEY) == text_masked(other, KEY)) is (one == other)


def test_it_cannot_be_read_and_another_key_gives_another_text() -> None:
    found = masked("Anna.Muster@example.org +41 79 123 45 67", TEXT, KEY)
    assert found is not None
    assert not {"Anna", "Muster", "example", "123"} & set(found.replace(".", " ").replace("@", " ").split())
    assert found != masked("Anna.Muster@example.org +41 79 123 45 67", TEXT, KEY[::-1])


def test_names_in_other_scripts_do_not_stay() -> None:
    assert text_masked("Jürg 漢", KEY)[1] == "x"
    assert text_masked("Jürg 漢", KEY)[5] == "x"


@pytest.mark.parametrize(
    ("value", "base"), [("42", "int8"), ("2024-02-29", "date"), ("true", "bool"), ("[1,5)", "int4range")]
)
def test_numbers_and_dates_stay(value: str, base: str) -> None:
    assert masked(value, ColumnType(base, base), KEY) == value


def test_words_of_the_schema_stay() -> None:
    assert masked("paid", TEXT, KEY, {"new", "paid"}) == "paid"
    assert masked("good", ColumnType("mood", "mood", labels=("good",)), KEY) == "good"


def test_documents_keep_their_make_and_lose_their_texts() -> None:
    found = masked('{"name": "Anna", "age": 42, "tags": ["x", null]}', ColumnType("jsonb", "jsonb"), KEY)
    assert found is not None
    document = orjson.loads(found)
    assert (list(document), document["age"], document["tags"][1]) == (["name", "age", "tags"], 42, None)
    assert document["name"] != "Anna"


def test_what_nobody_knows_is_not_taken_along() -> None:
    assert masked("secret", ColumnType("geometry", "geometry"), KEY) is None
