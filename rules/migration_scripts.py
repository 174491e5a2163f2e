"""Flyway's migration scripts as a release brings them: names, order, checksums, and their `.conf` beside them.

V2__waiting_list.sql   versioned: once, in the order of the versions
R__views.sql           repeatable: again whenever its text changed, after all versioned ones
U2__waiting_list.sql   undoes version 2
B2__base.sql           stands for all up to version 2, in a database that has nothing yet
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from zlib import crc32

from rules.errors import InvalidInput

NAME = re.compile(r"(?:([VUB])([0-9]+(?:[._][0-9]+)*)|(R))__(.+)\.sql")
CONFIGURED = {"true": True, "false": False}
CALLBACK = re.compile(r"(before|after)[A-Z]\w*?(__.+)?\.sql|createSchema(__.+)?\.sql")
SIGN, WHOLE = 1 << 31, 1 << 32


@dataclass(frozen=True, slots=True)
class Script:
    """One script, as it lies in the release."""

    name: str
    version: str | None
    """With dots: `2.1`. None: it is repeatable."""
    description: str
    checksum: int
    """Flyway's: a signed number of 32 bits."""
    sql: str
    in_transaction: bool | None = None
    """`executeInTransaction` of its `.conf`; None where that says nothing."""
    replaces_placeholders: bool = True

    @property
    def undoes(self) -> bool:
        return self.name.startswith("U")

    @property
    def repeats(self) -> bool:
        return self.version is None

    @property
    def order(self) -> tuple[bool, tuple[int, ...], str]:
        """Versioned by version, then repeatable by description."""
        return self.repeats, version_numbers(self.version or ""), self.description


def script_of(name: str, content: bytes, conf: bytes = b"") -> Script:
    """Raises InvalidInput: a name that Flyway would not take, text that is not UTF-8, a `.conf` that says nonsense."""
    match = NAME.fullmatch(name)
    if match is None:
        allowed = "such as V2__waiting_list.sql, R__views.sql, U2__waiting_list.sql"
        raise InvalidInput("The name of a migration script", name, allowed, "Rename it, or take it out of the folder.")
    try:
        sql = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"The text of {name}", f"byte {error.start} is no UTF-8", "UTF-8") from None
    told = _conf(name, conf)
    version = match[2].replace("_", ".") if match[2] else None
    return Script(
        name,
        version,
        match[4].replace("_", " "),
        checksum_of(sql),
        sql,
        told.get("executeintransaction"),
        told.get("placeholderreplacement", True) is not False,
    )


def in_order(scripts: Iterable[Script]) -> tuple[Script, ...]:
    """Those that are applied (undo scripts are not), in Flyway's order. Raises InvalidInput where two are of one
    version, or of one description.
    """
    applied = sorted((it for it in scripts if not it.undoes), key=lambda it: it.order)
    for key, many in Counter((it.name[0], it.order[1], it.repeats and it.description) for it in applied).items():
        if many > 1:
            names = [it.name for it in applied if (it.name[0], it.order[1], it.repeats and it.description) == key]
            raise InvalidInput("The migration scripts", " and ".join(names), "one of each version", "Renumber one.")
    return tuple(applied)


def undo_scripts(scripts: Iterable[Script]) -> Mapping[tuple[int, ...], Script]:
    """Scripts `U…` by the version that they take back."""
    return {version_numbers(it.version or ""): it for it in scripts if it.undoes}


def is_callback(name: str) -> bool:
    """Whether Flyway would run it around others: nothing of ours runs it, so that nobody may count on it."""
    return CALLBACK.fullmatch(name) is not None


def checksum_of(sql: str) -> int:
    """Flyway's checksum: CRC-32 over the lines without their ends, as Java reads them."""
    found = 0
    for line in re.split(r"\r\n|\r|\n", sql.removeprefix("\ufeff")):
        found = crc32(line.encode(), found)
    return found - WHOLE if found >= SIGN else found


def version_numbers(version: str) -> tuple[int, ...]:
    """`1.10` after `1.9`, and `1.0` the same as `1`. Nothing for nothing."""
    numbers = [int(part) for part in version.replace("_", ".").split(".") if part]
    while len(numbers) > 1 and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _conf(name: str, conf: bytes) -> dict[str, bool]:
    """The lines `key=value` that say true or false; others concern Flyway alone."""
    told: dict[str, bool] = {}
    for line in conf.decode("utf-8", "replace").splitlines():
        key, equals, value = (part.strip() for part in line.partition("="))
        known = key.lower().removeprefix("flyway.")
        if not equals or known not in {"executeintransaction", "placeholderreplacement"}:
            continue
        if value.lower() not in CONFIGURED:
            raise InvalidInput(f"{key} of {name}.conf", value, "true or false")
        told[known] = CONFIGURED[value.lower()]
    return told
