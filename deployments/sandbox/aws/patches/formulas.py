"""Metric math, the part that alarms on ratios need: numbers, ids, + - * /, comparisons, FILL and IF.

    evaluate("100 * FILL(errors, 0) / requests", {"errors": {…}, "requests": {…}})

A point exists where every series that it needs has one. A division by zero gives no point, as in CloudWatch.
"""

import ast
import operator
from collections.abc import Callable, Mapping

Points = Mapping[float, float]
"""Time of the period's start (epoch seconds) → value."""
Value = Points | float

OPERATORS: Mapping[type, Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}


class UnknownFormulaError(ValueError):
    """The stand-in does not know this part of metric math."""


def evaluate(expression: str, series: Mapping[str, Points]) -> dict[float, float]:
    """Points of the expression. UnknownFormulaError for what lies beyond this small part of metric math."""
    try:
        tree = ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError) as error:
        raise UnknownFormulaError(f"{expression} is no formula") from error
    times = {time for points in series.values() for time in points}
    value = _value(tree, series, times)
    return dict(value) if isinstance(value, Mapping) else dict.fromkeys(times, value)


def _value(node: ast.expr, series: Mapping[str, Points], times: set[float]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name) if name in series:
            return series[name]
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return _combine(operator.sub, 0.0, _value(inner, series, times))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return _combine(OPERATORS[type(op)], _value(left, series, times), _value(right, series, times))
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in OPERATORS:
            return _combine(OPERATORS[type(op)], _value(left, series, times), _value(right, series, times))
        case ast.Call(func=ast.Name(id="FILL" | "IF" as name), args=arguments):
            return _call(name, [_value(argument, series, times) for argument in arguments], times)
    raise UnknownFormulaError(f"{ast.unparse(node)} is beyond the stand-in's metric math")


def _call(name: str, arguments: list[Value], times: set[float]) -> Value:
    match name, arguments:
        case "FILL", [gaps, filling]:
            return {t: v for t in times if (v := _at(gaps, t, _at(filling, t))) is not None}
        case "IF", [condition, then, otherwise]:
            chosen = {t: _at(then if _at(condition, t) else otherwise, t) for t in times}
            return {t: v for t, v in chosen.items() if v is not None and _at(condition, t) is not None}
    raise UnknownFormulaError(f"{name} of {len(arguments)} is beyond the stand-in's metric math")


def _combine(apply: Callable[[float, float], float], left: Value, right: Value) -> Value:
    if not isinstance(left, Mapping) and not isinstance(right, Mapping):
        return float(apply(left, right))
    times = {t for side in (left, right) if isinstance(side, Mapping) for t in side}
    return {t: v for t in sorted(times) if (v := _apply(apply, _at(left, t), _at(right, t))) is not None}


def _apply(apply: Callable[[float, float], float], left: float | None, right: float | None) -> float | None:
    if left is None or right is None:
        return None
    try:
        return float(apply(left, right))
    except ZeroDivisionError:
        return None


def _at(value: Value, time: float, otherwise: float | None = None) -> float | None:
    return value.get(time, otherwise) if isinstance(value, Mapping) else value
