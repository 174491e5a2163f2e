"""Whether one CHECK accepts all that another accepts: of lists of values and of simple comparisons.

    narrower("CHECK ((n > 0))", "CHECK ((n > 5))")   True: 3 was accepted and is refused now

What is not understood is None, never a guess.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any

from google.protobuf.message import DecodeError

postgast: Any = import_module("postgast")
"""Not by an import statement: mypy cannot read its stubs, which have a field of the name None."""

_CHECK = re.compile(r"CHECK \((.*)\)(?: NO INHERIT)?(?: NOT VALID)?", re.DOTALL)
_TEXTS = {"text", "varchar", "bpchar"}
_NUMBERS = {"int2", "int4", "int8", "numeric", "float4", "float8"}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "=": "="}
_ANY, _IN, _PLAIN = "AEXPR_OP_ANY", "AEXPR_IN", "AEXPR_OP"


class _Unclear(Exception):
    """An expression of another form."""


@dataclass(frozen=True, slots=True)
class _Values:
    """`column in (…)`, as texts."""

    of: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Bound:
    """`column > 5`: a `sign` of 1; `column < 5`: of -1."""

    sign: int
    at: Decimal
    inclusive: bool


_Term = _Values | _Bound
_Terms = dict[str, list[_Term]]


def narrower(mine: str, given: str) -> bool | None:
    """Whether `given` refuses what `mine` accepts, both as pg_get_constraintdef writes them. None: not understood."""
    try:
        was, now = _terms(mine), _terms(given)
        answers = [_excludes(term, was.get(column, [])) for column, terms in now.items() for term in terms]
    except _Unclear:
        return None
    return True if True in answers else None if None in answers else False


def _excludes(term: _Term, accepted: list[_Term]) -> bool | None:
    """Whether the term refuses some of what passes all of `accepted`; one of those that is within it is enough."""
    # A bound from the other side tells nothing of where this one ends.
    speaking = [
        it for it in accepted if not (isinstance(term, _Bound) and isinstance(it, _Bound) and it.sign != term.sign)
    ]
    answers = [_outside(term, it) for it in speaking]
    if not answers:
        return True
    return False if False in answers else None if len(answers) > 1 or None in answers else True


def _outside(term: _Term, accepted: _Term) -> bool | None:
    if isinstance(term, _Values):
        return not accepted.of <= term.of if isinstance(accepted, _Values) else None
    if isinstance(accepted, _Values):
        return not all(_within(term, _number(it)) for it in accepted.of)
    beyond = (term.at - accepted.at) * term.sign
    if term.inclusive == accepted.inclusive:
        return beyond > 0
    if abs(beyond) <= 1:
        return None  # of whole numbers, > 0 and >= 1 are the same; of others they are not
    return beyond > 0


def _within(bound: _Bound, number: Decimal) -> bool:
    ahead = (number - bound.at) * bound.sign
    return ahead > 0 or (bound.inclusive and ahead == 0)


def _terms(definition: str) -> _Terms:
    match = _CHECK.fullmatch(definition)
    if match is None:
        raise _Unclear
    try:
        tree = postgast.parse(f"SELECT {match[1]}")
    except (postgast.PgQueryError, DecodeError, ValueError, RecursionError):
        raise _Unclear from None
    found: _Terms = {}
    for column, term in _all_of(_expression(tree)):
        found.setdefault(column, []).append(term)
    return found


def _expression(tree: Any) -> Any:
    """The only expression of the only statement: nothing else may stand beside it."""
    if len(tree.stmts) != 1 or tree.stmts[0].stmt.WhichOneof("node") != "select_stmt":
        raise _Unclear
    select = tree.stmts[0].stmt.select_stmt
    if [field.name for field, _ in select.ListFields() if field.name not in {"limit_option", "op"}] != ["target_list"]:
        raise _Unclear
    if len(select.target_list) != 1 or select.target_list[0].res_target.name:
        raise _Unclear
    return select.target_list[0].res_target.val


def _all_of(node: Any) -> Iterator[tuple[str, _Term]]:
    kind = node.WhichOneof("node")
    if kind == "bool_expr" and _word(node.bool_expr, "boolop") == "AND_EXPR":
        for it in node.bool_expr.args:
            yield from _all_of(it)
    elif kind == "a_expr" and node.a_expr.HasField("lexpr") and node.a_expr.HasField("rexpr"):
        yield _comparison(node.a_expr)
    else:
        raise _Unclear


def _comparison(node: Any) -> tuple[str, _Term]:
    operator, form = node.name[-1].string.sval, _word(node, "kind")
    if form in {_ANY, _IN} and operator == "=":
        return _column(node.lexpr), _Values(frozenset(_constant(it) for it in _listed(node.rexpr)))
    if form != _PLAIN or operator not in _MIRRORED:
        raise _Unclear
    try:
        return _column(node.lexpr), _term(operator, node.rexpr)
    except _Unclear:
        return _column(node.rexpr), _term(_MIRRORED[operator], node.lexpr)


def _term(operator: str, constant: Any) -> _Term:
    if operator == "=":
        return _Values(frozenset({_constant(constant)}))
    if constant.WhichOneof("node") != "type_cast" and constant.a_const.WhichOneof("val") == "sval":
        raise _Unclear
    if constant.WhichOneof("node") == "type_cast" and _type(constant.type_cast) not in _NUMBERS:
        raise _Unclear
    return _Bound(1 if ">" in operator else -1, _number(_constant(constant)), "=" in operator)


def _column(node: Any) -> str:
    """Without a cast, but one to a text: others may change what is compared."""
    if node.WhichOneof("node") == "type_cast" and _type(node.type_cast) in _TEXTS:
        return _column(node.type_cast.arg)
    if node.WhichOneof("node") != "column_ref" or len(node.column_ref.fields) != 1:
        raise _Unclear
    return str(node.column_ref.fields[0].string.sval)


def _listed(node: Any) -> list[Any]:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _listed(node.type_cast.arg)
    if kind == "a_array_expr":
        return list(node.a_array_expr.elements)
    if kind == "list":
        return list(node.list.items)
    raise _Unclear


def _constant(node: Any) -> str:
    kind = node.WhichOneof("node")
    if kind == "type_cast":
        return _constant(node.type_cast.arg)
    if kind != "a_const":
        raise _Unclear
    value = node.a_const.WhichOneof("val")
    if value == "ival":
        return str(node.a_const.ival.ival)
    if value == "fval":
        return str(node.a_const.fval.fval)
    if value == "sval":
        return str(node.a_const.sval.sval)
    raise _Unclear


def _type(cast: Any) -> str:
    return "" if cast.type_name.array_bounds else str(cast.type_name.names[-1].string.sval)


def _number(text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise _Unclear from None
    if not number.is_finite():
        raise _Unclear
    return number


def _word(node: Any, field: str) -> str:
    """The name of an enumerated field's value."""
    value: str = node.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number[getattr(node, field)].name
    return value
