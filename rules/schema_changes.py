"""One difference of two PostgreSQL schemas, and whom it hurts.

`serves` answers one question only: does a schema that has `given` serve code that was written for `mine`? Asked once in
each direction it judges a change. What no rule knows is REVIEW, never SAFE.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from rules.schema_checks import narrower

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
_WHOLE = ("smallint", "integer", "bigint")
_NOT_VALID = " NOT VALID"
_BETWEEN_COLUMNS = re.compile(r", (?![^(]*\))")
"""Not the comma of `numeric(10,2)` or of `timestamp(3)`."""


def serves(kind: Kind, mine: Facts | None, given: Facts | None) -> Judgement:
    """Whether a schema with `given` serves code written for `mine`; None: the object is not there."""
    if given is None:
        return _lacking(kind, mine or {})
    if mine is None:
        return _extra(kind, given)
    if kind is Kind.COLUMN:
        return _worst(_column(mine, given))
    if kind in {Kind.ENUM, Kind.GRANT}:
        return _members(mine, given)
    rule = _DEFINED.get(kind)
    return (rule(mine, given) if rule else None) or Judgement(Service.REVIEW, "its definition differs")


def _lacking(kind: Kind, mine: Facts) -> Judgement:
    if kind is Kind.CHECK:
        return Judgement(Service.SAFE, "nothing that the code writes is refused")
    if kind is Kind.FUNCTION and mine.get("result") == "trigger":
        return Judgement(Service.REVIEW, "only triggers use it, which may be missed")
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
    if was in _WHOLE and now in _WHOLE and _WHOLE.index(was) < _WHOLE.index(now):
        return Judgement(Service.REVIEW, f"it is {now}: the code may read numbers that no {was} holds")
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


def _refusing(mine: Facts, given: Facts) -> Judgement | None:
    """Of a constraint that both have: whether it is the same rule, a wider one or a narrower one."""
    was, now = mine.get("definition", ""), given.get("definition", "")
    if was.removesuffix(_NOT_VALID) == now.removesuffix(_NOT_VALID):
        if now.endswith(_NOT_VALID):
            return Judgement(Service.REVIEW, "it is not validated: rows may be there that it does not allow")
        return Judgement(Service.SAFE, "it is the same rule, and validated")
    return _narrowing(was, now)


def _narrowing(was: str, now: str) -> Judgement | None:
    less = narrower(was, now)
    if less is None:
        return None
    if less:
        return Judgement(Service.BREAKS, "it refuses values that the code may write")
    return Judgement(Service.SAFE, "it takes all that the code may write")


def _index(mine: Facts, given: Facts) -> Judgement | None:
    if given.get("unique") == "true" != mine.get("unique"):
        return Judgement(Service.BREAKS, "it is unique, and refuses rows that the code may write")
    if given.get("valid") == "false":
        return Judgement(Service.REVIEW, "the index is not valid")
    if {**mine, "valid": ""} == {**given, "valid": ""}:
        return Judgement(Service.SAFE, "it is the same, and valid")
    return None


def _domain(mine: Facts, given: Facts) -> Judgement | None:
    if mine.get("type") != given.get("type"):
        return _type(mine, given)
    if mine.get("nullable") == "true" and given.get("nullable") == "false":
        return Judgement(Service.BREAKS, "nulls that the code may write are refused")
    same = {**mine, "checks": ""} == {**given, "checks": ""}
    if mine.get("checks") == given.get("checks") or not given.get("checks"):
        return Judgement(Service.SAFE, "it refuses nothing that the code may write") if same else None
    found = _narrowing(mine.get("checks", ""), given.get("checks", ""))
    return found if found and (same or found.service is Service.BREAKS) else None


def _view(mine: Facts, given: Facts) -> Judgement | None:
    known, there = (_BETWEEN_COLUMNS.split(it.get("columns") or "") for it in (mine, given))
    if gone := [it for it in known if it and it not in there]:
        return Judgement(Service.BREAKS, f"its column {gone[0]} is not there")
    return None


def _function(mine: Facts, given: Facts) -> Judgement | None:
    if (mine.get("kind"), mine.get("result")) != (given.get("kind"), given.get("result")):
        return Judgement(Service.BREAKS, f"it gives {given.get('result')}, the code knows {mine.get('result')}")
    return None


def _sequence(mine: Facts, given: Facts) -> Judgement | None:
    if _whole(given.get("maximum", "")) < _whole(mine.get("maximum", "")):
        return Judgement(Service.BREAKS, "it ends sooner, and the code may not be given a number")
    return None


def _whole(text: str) -> int:
    return int(text) if re.fullmatch(r"-?[0-9]{1,20}", text) else 0


_DEFINED = {
    **dict.fromkeys(_REFUSING, _refusing),
    Kind.INDEX: _index,
    Kind.DOMAIN: _domain,
    Kind.VIEW: _view,
    Kind.FUNCTION: _function,
    Kind.SEQUENCE: _sequence,
}


def _worst(found: list[Judgement]) -> Judgement:
    order = list(Service)
    unknown = Judgement(Service.REVIEW, "its definition differs")
    return max(found, key=lambda it: order.index(it.service), default=unknown)
