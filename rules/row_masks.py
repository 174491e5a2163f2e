"""Texts of real rows, made unreadable before they are stored anywhere: as long as before, of the same make.

A letter becomes a letter of the same case, a digit a digit, all else stays: what a migration casts, cuts or compares
goes on as with the real text. The same text always becomes the same text, and two of A to Z and digits never become
one, so that duplicates stay duplicates, keys stay keys and references still refer. Letters of other scripts become x.
Numbers, dates and the words of the schema stay as they are.
"""

import hashlib
from collections.abc import Collection

import orjson

from rules.row_tables import ColumnType

READABLE = frozenset({"text", "varchar", "bpchar", "citext", "name", "char", "xml", "hstore", "tsvector", "bytea"})
"""Types whose values are masked. Of those that are not known the values are masked too."""
PLAIN = frozenset(
    (
        *("int2", "int4", "int8", "oid", "numeric", "float4", "float8", "money", "bool", "uuid", "bit", "varbit"),
        *("date", "timestamp", "timestamptz", "time", "timetz", "interval", "vector", "box", "circle"),
        *("int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange"),
    )
)
"""Types whose values nobody is known by, or which references are made of."""
_ALPHABETS = ("abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789")


def masked(value: str, kind: ColumnType, key: bytes, words: Collection[str] = ()) -> str | None:
    """What is stored in the value's place; None: nothing fit for it, so null.

    Args:
        value: PostgreSQL's text of it.
        kind: its type.
        key: secret of this rehearsal, 16 bytes or more.
        words: of the schema, such as those that a check allows: they stay.

    """
    if kind.base in PLAIN or kind.labels or value in words:
        return value
    if kind.element is not None and (kind.element.base in PLAIN or kind.element.labels):
        return value
    if kind.base in {"json", "jsonb"}:
        return _document(value, key)
    if kind.base == "bytea":
        return "\\x" + "00" * ((len(value) - 2) // 2)
    return text_masked(value, key) if kind.base in READABLE or kind.element else None


def text_masked(text: str, key: bytes) -> str:
    """Each letter and digit moved on within its alphabet, by what the key makes of all before it."""
    state, found = hashlib.blake2b(key[:64]), []
    for character in text:
        shift = state.digest()[0] + 1
        found.append(_moved(character, shift))
        state.update(character.encode(errors="surrogatepass"))
    return "".join(found)


def _moved(character: str, shift: int) -> str:
    for alphabet in _ALPHABETS:
        if (at := alphabet.find(character)) >= 0:
            return alphabet[(at + shift) % len(alphabet)]
    return "x" if character.isalpha() else character


def _document(value: str, key: bytes) -> str | None:
    try:
        return orjson.dumps(_inner(orjson.loads(value), key)).decode()
    except (orjson.JSONDecodeError, TypeError, RecursionError):
        return None


def _inner(it: object, key: bytes) -> object:
    """Keys stay, for they are of the make; texts do not."""
    if isinstance(it, dict):
        return {name: _inner(value, key) for name, value in it.items()}
    if isinstance(it, list):
        return [_inner(value, key) for value in it]
    return text_masked(it, key) if isinstance(it, str) else it
