"""Scripts are named, ordered and summed as Flyway does it."""

from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.migration_scripts import Script, checksum_of, in_order, is_callback, script_of, undo_scripts, version_numbers


def script(name: str, sql: str = "select 1;", conf: bytes = b"") -> Script:
    return script_of(name, sql.encode(), conf)


def test_a_name_says_what_it_is() -> None:
    versioned, repeatable = script("V1_2__waiting_list.sql"), script("R__all_views.sql")
    assert (versioned.version, versioned.description, versioned.repeats) == ("1.2", "waiting list", False)
    assert (repeatable.version, repeatable.description, repeatable.repeats) == (None, "all views", True)
    assert script("U1.2__waiting_list.sql").undoes


@pytest.mark.parametrize("name", ["V1_list.sql", "V__x.sql", "V1a__x.sql", "v1__x.sql", "X1__x.sql", "V1__x.SQL"])
def test_a_name_that_flyway_would_pass_over_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match="name of a migration script"):
        script(name)


def test_versions_go_by_number_and_repeatable_ones_come_last() -> None:
    names = ["R__b.sql", "V1.10__x.sql", "R__a.sql", "V1.9__x.sql", "U1.9__x.sql", "V2__x.sql"]
    ordered = in_order(script(name) for name in names)
    assert [it.name for it in ordered] == ["V1.9__x.sql", "V1.10__x.sql", "V2__x.sql", "R__a.sql", "R__b.sql"]


@pytest.mark.parametrize("names", [("V1__a.sql", "V1.0__b.sql"), ("R__a_b.sql", "R__a b.sql")])
def test_two_of_one_version_or_description_are_refused(names: tuple[str, str]) -> None:
    with pytest.raises(InvalidInput, match="one of each version"):
        in_order(script(name) for name in names)


def test_what_undoes_is_found_by_its_version() -> None:
    undo = script("U2.0__x.sql")
    assert undo_scripts([undo, script("V2__x.sql")]) == {(2,): undo}


@pytest.mark.parametrize(
    ("sql", "lines"), [("", b""), ("select 1;\n", b"select 1;"), ("a\r\nb", b"ab"), ("caf\u00e9\n", b"caf\xc3\xa9")]
)
def test_the_checksum_is_of_the_lines_without_their_ends(sql: str, lines: bytes) -> None:
    assert checksum_of(sql) % 2**32 == crc32(lines)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\ufeff"))))
def test_ends_of_lines_do_not_matter_and_the_sum_has_32_bits(lines: list[str]) -> None:
    found = checksum_of("\n".join(lines))
    assert found == checksum_of("\r\n".join(lines)) == checksum_of("\ufeff" + "\r".join(lines))
    assert -(2**31) <= found < 2**31


def test_the_conf_beside_it_says_how_it_runs() -> None:
    assert script("V1__x.sql").in_transaction is None
    alone = script("V1__x.sql", conf=b"# concurrently\nexecuteInTransaction = false\nplaceholderReplacement=false\n")
    assert (alone.in_transaction, alone.replaces_placeholders) == (False, False)
    with pytest.raises(InvalidInput, match="true or false"):
        script("V1__x.sql", conf=b"executeInTransaction=no")


def test_text_in_another_encoding_is_refused() -> None:
    with pytest.raises(InvalidInput, match="UTF-8"):
        script_of("V1__x.sql", b"select '\xe4'")


def test_callbacks_are_known() -> None:
    assert is_callback("beforeMigrate.sql")
    assert is_callback("afterEachMigrate__note.sql")
    assert not is_callback("V1__before.sql")


@given(st.lists(st.integers(0, 99), min_size=1, max_size=4))
def test_zeroes_at_the_end_are_the_same_version(numbers: list[int]) -> None:
    version = ".".join(map(str, numbers))
    assert version_numbers(version) == version_numbers(f"{version}.0")
