"""Values for a column, from its type: ordinary ones, those at the edges, and ever new ones. Pure and repeatable.

    pool(column, wanted, fresh)  ──▶  ("1", None, "7", "0", "-1", "2147483647", "-2147483648", …)

All values are PostgreSQL's own input texts, so one door serves all types; None is null. The first value is the most
ordinary, null is the second where the column takes it: the second row of a table is as empty as it may be.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from rules.row_tables import Column, ColumnType

Value = str | None
MOST_TEXT = 5_000
"""Characters of the longest value where the type has no limit."""
WORDS = (
    "ordinary",
    "",
    "ÄÖÜ ß é 漢字 😀",
    "0",
    "42",
    "a@example.org",
    "ABC",
    "2024-02-29",
    "true",
    "{}",
    "O'Brien; --",
)
ANY_TYPE = (*WORDS, "1", "1.5", "{}", "(1,1)", "[1,2)", "[1,1,1]", "10.0.0.1", "00:00:00", "a=>1", "((0,0),(1,1))")
"""For a type that nobody told us about: what PostgreSQL does not take as one is left out by trying."""
_INTEGERS = {"int2": 15, "int4": 31, "int8": 63, "oid": 32}
_EPOCH = datetime(2020, 1, 1, tzinfo=UTC)
_RANGES = {
    "int4range": ("[1,5)", "empty", "[0,2147483647)", "(,)"),
    "int8range": ("[1,5)", "empty", "[0,9223372036854775807)", "(,)"),
    "numrange": ("[1,5)", "empty", "(,)"),
    "daterange": ("[2024-01-01,2024-02-01)", "empty", "(,)"),
    "tsrange": ('["2024-01-01 00:00","2024-02-01 00:00")', "empty", "(,)"),
    "tstzrange": ('["2024-01-01 00:00+00","2024-02-01 00:00+00")', "empty", "(,)"),
}
_FIXED: dict[str, tuple[str, ...]] = {
    "bool": ("true", "false"),
    "float4": ("1.5", "0", "-1.5", "3e38", "1e-37"),
    "float8": ("1.5", "0", "-1.5", "1e300", "1e-300"),
    "money": ("1.50", "0", "-1.50", "92233720368547758.07"),
    "date": ("2024-02-29", "1970-01-01", "2038-01-20", "9999-12-31", "0001-01-01"),
    "timestamp": ("2024-02-29 12:34:56.789012", "1970-01-01 00:00:00", "2038-01-20 00:00:00", "9999-12-31 23:59:59"),
    "timestamptz": (
        "2024-02-29 12:34:56.789012+00",
        "1970-01-01 00:00:00+00",
        "2024-03-31 02:30:00+01",
        "9999-12-30 00:00:00+00",
    ),
    "time": ("12:34:56", "00:00:00", "23:59:59.999999", "24:00:00"),
    "timetz": ("12:34:56+00", "00:00:00+00", "23:59:59.999999-12"),
    "interval": ("1 day", "0", "-1 day", "1 mon 31 days 25:00:00", "100 years"),
    "uuid": ("7f0c9a52-1f4e-4b5c-8a63-1d2e3f405162", str(UUID(int=0)), "ffffffff-ffff-ffff-ffff-ffffffffffff"),
    "json": ('{"a": [1, null]}', "{}", "[]", "null", "1", '"text"', '{"a": 1, "a": 2}'),
    "jsonb": ('{"a": [1, null]}', "{}", "[]", "null", "1", '"text"'),
    "bytea": ("\\x00ff", "\\x", "\\x" + "ab" * 1000),
    "inet": ("10.0.0.1", "0.0.0.0/0", "2001:db8::1"),
    "cidr": ("10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32"),
    "macaddr": ("08:00:2b:01:02:03",),
    "macaddr8": ("08:00:2b:01:02:03:04:05",),
    "tsvector": ("'a':1 'b':2", ""),
    "tsquery": ("'a' & 'b'",),
    "xml": ("<a/>", "text"),
    "point": ("(1,2)", "(0,0)"),
    "box": ("((0,0),(1,1))",),
    "hstore": ("a=>1", ""),
    "ltree": ("a.b", ""),
    **_RANGES,
}


def pool(column: Column, wanted: Sequence[str] = (), fresh: int = 0) -> tuple[Value, ...]:
    """Values for one column, each once, the best first.

    Args:
        column: which.
        wanted: values that its checks speak of; they come first.
        fresh: how many that are like no other are added at the end: for unique columns.

    """
    ordinary = [*wanted, *values(column.type), *(fresh_value(column.type, number) for number in range(fresh))]
    found = list(dict.fromkeys(ordinary)) or [""]
    takes_null = column.nullable and not column.type.required
    nulls: list[Value] = [None] if takes_null else []
    return (*found[:1], *nulls, *found[1:])


def values(kind: ColumnType) -> tuple[str, ...]:
    """The ordinary ones and the edges of a type, within its length and precision."""
    if kind.element is not None:
        return tuple(_array(it) for it in _arrays(values(kind.element)))
    if kind.labels:
        return kind.labels
    if bits := _INTEGERS.get(kind.base):
        least = 0 if kind.base == "oid" else -(2**bits)
        return tuple(str(it) for it in (1, 7, 0, -1 if least else 2, 2**bits - 1, least))
    if make := _SIZED.get(kind.base):
        return make(kind)
    return _FIXED.get(kind.base, ANY_TYPE)


def fresh_value(kind: ColumnType, number: int) -> str:
    """One that differs for each number, as far as the type has so many."""
    if kind.element is not None:
        return _array((fresh_value(kind.element, number),))
    if kind.labels:
        return kind.labels[number % len(kind.labels)]
    if kind.base in _INTEGERS:
        return str(1_000 + number)
    if kind.base == "numeric":
        return _fresh_numeric(kind, number)
    if make := _FRESH.get(kind.base):
        return make(number)
    known = kind.base in _FIXED
    return _FIXED[kind.base][number % len(_FIXED[kind.base])] if known else _fresh_text(kind, number)


def _texts(kind: ColumnType) -> tuple[str, ...]:
    most = kind.length or MOST_TEXT
    longest = ("wide " * (most // 5 + 1))[: most - 1] + "w"
    return tuple(dict.fromkeys(it[:most] for it in (*WORDS[:3], longest, *WORDS[3:])))


def _numerics(kind: ColumnType) -> tuple[str, ...]:
    if not kind.precision:
        return ("1.5", "0", "-1.5", "12345678901234567890.123456789", "-0.000000001")
    whole = kind.precision - kind.scale
    most = ("9" * whole or "0") + ("." + "9" * kind.scale if kind.scale > 0 else "0" * -kind.scale)
    one = "1" if whole > 0 else "0"
    return tuple(dict.fromkeys((one, "0", f"-{one}", most, f"-{most}")))


def _bits(kind: ColumnType) -> tuple[str, ...]:
    return tuple("".join(pair[at % 2] for at in range(kind.length or 1)) for pair in ("10", "00", "11"))


def _vectors(kind: ColumnType) -> tuple[str, ...]:
    return tuple("[" + ",".join([number] * max(1, kind.scale)) + "]" for number in ("1", "0", "-1.5"))


_SIZED: dict[str, Callable[[ColumnType], tuple[str, ...]]] = {
    "text": _texts,
    "varchar": _texts,
    "bpchar": _texts,
    "name": lambda _: ("ordinary", "", "n" * 63),
    "citext": _texts,
    "char": lambda _: ("a", "z"),
    "numeric": _numerics,
    "bit": _bits,
    "varbit": lambda kind: tuple(dict.fromkeys(("1"[: kind.length or 1], "", "1" * (kind.length or 64)))),
    "vector": _vectors,
}


def _arrays(inner: Sequence[str]) -> tuple[tuple[Value, ...], ...]:
    return ((inner[0],), (), tuple(inner[:3]), (None,), (inner[-1], inner[-1]))


def _array(elements: Sequence[Value]) -> str:
    return "{" + ",".join("NULL" if it is None else _quoted(it) for it in elements) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _fresh_text(kind: ColumnType, number: int) -> str:
    """Short where it must be: base 36 in so many characters as there are, from `z` downwards."""
    room = kind.length or 8
    digits = ""
    for _ in range(min(room, 8)):
        number, digit = divmod(number, 36)
        digits = "abcdefghijklmnopqrstuvwxyz0123456789"[digit] + digits
    return digits


def _fresh_numeric(kind: ColumnType, number: int) -> str:
    if not kind.precision:
        return str(1_000 + number)
    if kind.scale <= 0:
        return str(number % 10**kind.precision) + "0" * -kind.scale
    digits = str(number % 10**kind.precision).rjust(kind.scale + 1, "0")
    return f"{digits[: -kind.scale]}.{digits[-kind.scale :]}"


def _moment(number: int) -> datetime:
    return _EPOCH + timedelta(minutes=number)


_FRESH: dict[str, Callable[[int], str]] = {
    "uuid": lambda number: str(UUID(int=(0x4000 << 64) | (0x8 << 60) | (number + 1))),
    "date": lambda number: str(date(2000, 1, 1) + timedelta(days=number)),
    "timestamp": lambda number: f"{_moment(number):%Y-%m-%d %H:%M:%S}",
    "timestamptz": lambda number: f"{_moment(number):%Y-%m-%d %H:%M:%S}+00",
    "time": lambda number: f"{_moment(number):%H:%M:%S}",
    "timetz": lambda number: f"{_moment(number):%H:%M:%S}+00",
    "interval": lambda number: f"{number} minutes",
    "float4": lambda number: f"{number}.25",
    "float8": lambda number: f"{number}.25",
    "money": lambda number: f"{number}.25",
    "bytea": lambda number: f"\\x{number:08x}",
    "inet": lambda number: f"10.1.{number // 256 % 256}.{number % 256}",
    "cidr": lambda number: f"10.1.{number // 256 % 256}.{number % 256}/32",
    "macaddr": lambda number: f"08:00:2b:00:{number // 256 % 256:02x}:{number % 256:02x}",
    "macaddr8": lambda number: f"08:00:2b:00:00:00:{number // 256 % 256:02x}:{number % 256:02x}",
    "json": lambda number: f'{{"number": {number}}}',
    "jsonb": lambda number: f'{{"number": {number}}}',
    "xml": lambda number: f"<a>{number}</a>",
    "point": lambda number: f"({number},{number})",
    "int4range": lambda number: f"[{number * 2},{number * 2 + 1})",
    "int8range": lambda number: f"[{number * 2},{number * 2 + 1})",
    "numrange": lambda number: f"[{number * 2},{number * 2 + 1})",
    "daterange": lambda number: f"[{date(2000, 1, 1) + timedelta(days=number)},{date(2000, 1, 2) + timedelta(number)})",
    "tsrange": lambda number: f'["{_moment(number):%Y-%m-%d %H:%M}","{_moment(number + 1):%Y-%m-%d %H:%M}")',
    "tstzrange": lambda number: f'["{_moment(number):%Y-%m-%d %H:%M}+00","{_moment(number + 1):%Y-%m-%d %H:%M}+00")',
}
