"""What a history says about versions, without a database."""

from contextlib import suppress
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.migration_standing import in_force, version_key
from blocks.migration_table import Applied
from rules.errors import InvalidInput


def row(rank: int, version: str | None, kind: str = "SQL") -> Applied:
    return Applied(rank, version, "x", kind, "x.sql", 1, "flyway", datetime(2026, 11, 23, 12, 0), 5, success=True)  # noqa: DTZ001 - Flyway stores no zone


def test_versions_are_ordered_by_number() -> None:
    assert sorted(["1.10", "1.9", "2", "1_9_1", "10"], key=version_key) == ["1.9", "1_9_1", "1.10", "2", "10"]
    assert version_key("1.0.0") == version_key("1")
    assert version_key("0") == (0,)


@pytest.mark.parametrize("version", ["", "1..2", "one", "1.a", "-1", "1 2", "9" * 5000])
def test_what_is_no_version_is_refused(version: str) -> None:
    with pytest.raises(InvalidInput, match="numbers with dots"):
        version_key(version)


@given(st.text(max_size=12))
def test_no_text_raises_anything_but_invalid_input(version: str) -> None:
    with suppress(InvalidInput):
        assert all(number >= 0 for number in version_key(version))


def test_what_was_undone_or_deleted_is_not_in_force_until_it_is_applied_again() -> None:
    rows = [row(1, "1"), row(2, "2"), row(3, "2.0", "UNDO_SQL"), row(4, "1", "DELETE"), row(0, None, "SCHEMA")]
    assert in_force(rows) == {}
    again = row(5, "2")
    assert in_force([again, *rows]) == {(2,): again}
    assert in_force([row(1, None)]) == {}
