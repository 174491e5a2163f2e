"""One difference of two PostgreSQL schemas, and whom it hurts.

`serves` answers one question only: does a schema that has `given` serve code that was written for `mine`? Asked once in
each direction it judges a change. What no rule knows is REVIEW, never SAFE.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Facts = Mapping[str, str]


class Kind(StrEnum):
    TABLE = "table"
    COLUMN = "column"
    PRIMARY_KEY = "primary key"
    FOREIGN_KEY = "foreign key"
    UNIQUE = "unique constraint"
    EXCLUSION = "exclusion"
    CHECK = "check"
    INDEX = "index"
    ENUM = "enum"
    DOMAIN = "domain"
    VIEW = "view"
    FUNCTION = "function"
    TRIGGER = "trigger"
    POLICY = "policy"
    SEQUENCE = "sequence"
    PARTITION = "partition"
    GRANT = "grant"


class Service(StrEnum):
    SAFE = "safe"
    REVIEW = "review"
    BREAKS = "breaks"


@dataclass(frozen=True, slots=True)
class Judgement:
    service: Service
    reason: str


@dataclass(frozen=True, slots=True)
class SchemaChange:
    kind: Kind
    object: str
    sentence: str
    serves_old_code: Judgement
    """Whether the new schema serves the old code."""
    serves_new_code: Judgement
    """Whether the old schema serves the new code."""


_REFUSING = {Kind.PRIMARY_KEY, Kind.FOREIGN_KEY, Kind.UNIQUE, Kind.EXCLUSION, Kind.CHECK}
_CONDUCT = {Kind.TRIGGER, Kind.POLICY, Kind.FUNCTION, Kind.DOMAIN}
_VARCHAR = re.compile(r"character varying(?:\((\d+)\))?")


def serves(kind: Kind, mine: Facts | None, given: Facts | None) -> Judgement:
    """Whether a schema with `given` serves code written for `mine`; None: the object is not there."""
    if given is None:
        return _lacking(kind)
    if mine is None:
        return _extra(kind, given)
    if kind is Kind.COLUMN:
        return _worst(_column(mine, given))
    if kind in {Kind.ENUM, Kind.GRANT}:
        return _members(mine, given)
    return Judgement(Service.REVIEW, "its definition differs")


def _lacking(kind: Kind) -> Judgement:
    if kind is Kind.CHECK:
        return Judgement(Service.SAFE, "nothing that the code writes is refused")
    if kind in _REFUSING or kind in {Kind.INDEX, Kind.TRIGGER, Kind.POLICY}:
        return Judgement(Service.REVIEW, "the code may count on it")
    return Judgement(Service.BREAKS, "the code may use it, and it is not there")


def _extra(kind: Kind, given: Facts) -> Judgement:
    if kind in _REFUSING or (kind is Kind.INDEX and given.get("unique") == "true"):
        return Judgement(Service.BREAKS, "it refuses rows that the code may write")
    if kind in _CONDUCT and kind is not Kind.DOMAIN:
        return Judgement(Service.REVIEW, "it changes what happens to the code's statements")
    if kind is Kind.INDEX and given.get("valid") != "true":
        return Judgement(Service.REVIEW, "the index is not valid")
    if kind is Kind.COLUMN and not _fills_itself(given):
        return Judgement(Service.BREAKS, "it must be filled, and the code does not know it")
    return Judgement(Service.SAFE, "the code does not know it and need not")


def _fills_itself(column: Facts) -> bool:
    filled = column.get("default") or column.get("generated") or column.get("identity")
    return column.get("nullable") == "true" or bool(filled)


def _column(mine: Facts, given: Facts) -> list[Judgement]:
    found = [_COLUMN[fact](mine, given) for fact in _COLUMN if mine.get(fact, "") != given.get(fact, "")]
    others = {fact for fact in mine.keys() | given.keys() if mine.get(fact, "") != given.get(fact, "")} - _COLUMN.keys()
    return found + [Judgement(Service.REVIEW, f"its {fact} differs") for fact in sorted(others)]


def _type(mine: Facts, given: Facts) -> Judgement:
    was, now = mine.get("type", ""), given.get("type", "")
    if _longer(was, now):
        return Judgement(Service.SAFE, f"{now} holds all of {was}")
    return Judgement(Service.BREAKS, f"it is {now}, the code knows {was}")


def _longer(was: str, now: str) -> bool:
    narrow, wide = _VARCHAR.fullmatch(was), _VARCHAR.fullmatch(now)
    if not narrow or (not wide and now != "text"):
        return False
    if not wide or not wide[1]:
        return True
    return bool(narrow[1]) and int(narrow[1]) <= int(wide[1])


def _nullable(_: Facts, given: Facts) -> Judgement:
    if given.get("nullable") == "true":
        return Judgement(Service.REVIEW, "the code may read a null that it does not know")
    return Judgement(Service.BREAKS, "nulls that the code may write are refused")


def _default(mine: Facts, given: Facts) -> Judgement:
    if not mine.get("default"):
        return Judgement(Service.SAFE, "the default only fills what the code leaves out")
    if not given.get("default") and not _fills_itself(given):
        return Judgement(Service.BREAKS, "the code may leave the value to a default that is not there")
    return Judgement(Service.REVIEW, "the default differs")


def _written(_: Facts, given: Facts) -> Judgement:
    if given.get("generated") or given.get("identity") == "always" or not _fills_itself(given):
        return Judgement(Service.BREAKS, "the database does not take, or does not make, the value as the code expects")
    return Judgement(Service.REVIEW, "the value is made in another way")


_COLUMN = {"type": _type, "nullable": _nullable, "default": _default, "generated": _written, "identity": _written}


def _members(mine: Facts, given: Facts) -> Judgement:
    """An enum's labels or a grant's privileges: one a key."""
    if gone := sorted(mine.keys() - given.keys()):
        return Judgement(Service.BREAKS, f"{', '.join(gone)} is not there")
    return Judgement(Service.REVIEW, "the code may meet what it does not know")


def _worst(found: list[Judgement]) -> Judgement:
    order = list(Service)
    return max(found, key=lambda it: order.index(it.service))
