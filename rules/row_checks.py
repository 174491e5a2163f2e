"""Values that a check speaks of: the constants that it compares a column with, and their neighbours.

Only candidates come from here; PostgreSQL says which of them it takes. An expression that is not understood gives none.
"""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from importlib import import_module
from typing import Any

from rules.row_patterns import like_samples, samples

postgast: Any = import_module("postgast")
"""Not by an import statement: mypy cannot read its stubs, which have a field of the name None."""

_LENGTHS = {"length", "char_length", "character_length", "octet_length"}
_WRAPPERS = {"lower", "upper", "btrim", "ltrim", "rtrim", "trim", "coalesce"}
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}
_PATTERNS = {"~", "~*"}
_LIKES = {"~~", "~~*"}


def hints(expression: str, column: str, count: int = 10) -> tuple[str, ...]:
    """Candidates for the column; for one whose name is empty, the value of a domain.

    Args:
        expression: of a check, as PostgreSQL writes it back.
        column: its name.
        count: so many samples of a pattern or a length.

    """
    try:
        parsed = postgast.parse(f"SELECT {expression}")
    except postgast.PgQueryError:
        return ()
    wanted = column or "value"
    found = (hint for node in _nodes(parsed) for hint in _of_comparison(node, wanted, count))
    return tuple(dict.fromkeys(found))


def _nodes(message: Any) -> Iterator[Any]:
    """All comparisons below a message of the parser."""
    if message.DESCRIPTOR.name == "A_Expr":
        yield message
    for _, value in message.ListFields():
        for it in value if hasattr(value, "__len__") and not isinstance(value, str | bytes) else [value]:
            if hasattr(it, "DESCRIPTOR"):
                yield from _nodes(it)


def _of_comparison(node: Any, column: str, count: int) -> list[str]:
    operator = node.name[-1].string.sval if node.name else ""
    left, right = _operand(node.lexpr), _operand(node.rexpr)
    if _column(right[0]) == column:
        left, right, operator = right, left, _MIRRORED.get(operator, operator)
    if _column(left[0]) != column:
        return []
    constants = [text for text in _constants(right[0]) if text is not None]
    if left[1]:
        return [it for text in constants for it in _of_length(text, count)]
    if operator in _PATTERNS:
        return [it for text in constants for it in samples(text, count)]
    if operator in _LIKES:
        return [it for text in constants for it in like_samples(text, count)]
    return [it for text in constants for it in _neighbours(text, operator, count)]


def _operand(node: Any) -> tuple[Any, bool]:
    """What stands below casts and functions, and whether its length is meant."""
    kind = node.WhichOneof("node") if hasattr(node, "WhichOneof") else None
    if kind == "type_cast":
        return _operand(node.type_cast.arg)
    if kind == "func_call" and node.func_call.args:
        name = node.func_call.funcname[-1].string.sval
        if name in _LENGTHS | _WRAPPERS:
            inner, is_length = _operand(node.func_call.args[0])
            return inner, is_length or name in _LENGTHS
    return node, False


def _column(node: Any) -> str:
    if not hasattr(node, "WhichOneof") or node.WhichOneof("node") != "column_ref":
        return ""
    return str(node.column_ref.fields[-1].string.sval)


def _constants(node: Any) -> list[str | None]:
    """The constants of a list, an array, or one alone, as texts."""
    kind = node.WhichOneof("node")
    if kind == "a_const":
        return [_constant(node.a_const)]
    if kind == "list":
        return [it for one in node.list.items for it in _constants(_operand(one)[0])]
    if kind == "a_array_expr":
        return [it for one in node.a_array_expr.elements for it in _constants(_operand(one)[0])]
    if kind == "a_expr" and not node.a_expr.HasField("lexpr"):
        return [f"-{it}" for it in _constants(_operand(node.a_expr.rexpr)[0])]
    return []


def _constant(node: Any) -> str | None:
    kind = node.WhichOneof("val")
    if kind == "ival":
        return str(node.ival.ival)
    if kind == "fval":
        return str(node.fval.fval)
    if kind == "boolval":
        return "true" if node.boolval.boolval else "false"
    return str(node.sval.sval) if kind == "sval" else None


def _of_length(text: str, count: int) -> list[str]:
    """Texts of about this length, all different."""
    with suppress(ValueError):
        length = int(text)
        sizes = (length, length + 1, max(0, length - 1))
        return list(
            dict.fromkeys(str(at).rjust(size, "a")[-size:] if size else "" for at in range(count) for size in sizes)
        )
    return []


def _neighbours(text: str, operator: str, count: int) -> list[str]:
    """A bound itself and what stands beside it, further in the direction that is allowed."""
    steps = range(count) if operator in {">", ">="} else range(0, -count, -1) if operator in {"<", "<="} else (0,)
    with suppress(InvalidOperation):
        number = Decimal(text)
        step = Decimal(1).scaleb(int(number.as_tuple().exponent)) if "." in text else Decimal(1)
        return [format(number + step * at, "f") for at in steps]
    with suppress(ValueError, OverflowError):
        day = date.fromisoformat(text[:10])
        return [text, *(str(day + timedelta(days=at)) + text[10:] for at in steps)]
    return [text]
