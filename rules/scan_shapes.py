"""Looks into parsed JSON that anybody may have written. A value of another type than the format's is InvalidInput.

Absent and null are the same: scanners write either for a list without entries. Texts are cut, and their control
characters go, because they end in messages.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from rules.errors import InvalidInput

LONGEST = 200
MOST = 100_000
"""Entries of one list."""
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
CWE = re.compile(r"(?i)(?:^|CWE-|external/cwe/cwe-)0*([1-9][0-9]{0,5})(?![0-9])")
ALLOWED = "the shape that the scanner's documentation describes"
Node = Mapping[str, Any]


def nodes(holder: Node, key: str) -> list[Node]:
    """The list of objects under a key."""
    return [as_node(it, key) for it in _list(holder.get(key), key)]


def node(holder: Node, key: str) -> Node:
    value = holder.get(key)
    return {} if value is None else as_node(value, key)


def as_node(value: object, key: str) -> Node:
    if not isinstance(value, dict):
        raise InvalidInput(f"{key!r} of a scan result", type(value).__name__, ALLOWED)
    return value


def texts(holder: Node, key: str) -> tuple[str, ...]:
    """The list of texts under a key; numbers count as texts."""
    return tuple(as_text(it, key) for it in _list(holder.get(key), key) if it is not None)


def text(holder: Node, key: str) -> str:
    value = holder.get(key)
    return "" if value is None else as_text(value, key)


def as_text(value: object, key: str) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise InvalidInput(f"{key!r} of a scan result", type(value).__name__, ALLOWED)
    return "".join(character if character.isprintable() else " " for character in str(value)[:LONGEST]).strip()


def count(holder: Node, key: str) -> int:
    """A number of things; 0 where it is absent."""
    value = holder.get(key)
    if value is None:
        return 0
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise InvalidInput(f"{key!r} of a scan result", as_text(value, key), "a count")
    return value


def moment(holder: Node, key: str) -> datetime | None:
    """A time: ISO 8601, as mail has it, or seconds since 1970. Without a zone it is UTC. None where there is none."""
    value = holder.get(key)
    if value is None or value == "":
        return None
    try:
        found = _parsed(value)
    except (ValueError, TypeError, OverflowError, OSError, IndexError):
        raise InvalidInput(f"{key!r} of a scan result", as_text(value, key), "a time") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def day(holder: Node, key: str) -> date | None:
    found = moment(holder, key)
    return found.date() if found else None


def digests_in(values: Sequence[str]) -> tuple[str, ...]:
    """Image digests that stand in texts such as `repository@sha256:…`."""
    return tuple(dict.fromkeys(found for value in values for found in DIGEST.findall(value)))


def cwes_in(values: Sequence[str]) -> tuple[str, ...]:
    found = (match.group(1) for value in values if (match := CWE.search(value)))
    return tuple(dict.fromkeys(f"CWE-{number}" for number in found))


def _list(value: object, key: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise InvalidInput(f"{key!r} of a scan result", type(value).__name__, ALLOWED)
    if len(value) > MOST:
        raise InvalidInput(f"{key!r} of a scan result", f"{len(value)} entries", f"at most {MOST}")
    return value


def _parsed(value: object) -> datetime:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return datetime.fromtimestamp(value, UTC)
    written = str(value).strip()
    if "," in written:
        return parsedate_to_datetime(written)
    # Go writes nanoseconds, which Python 3.11 reads and cuts
    return datetime.fromisoformat(written)
