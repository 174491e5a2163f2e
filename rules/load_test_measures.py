"""The values of one metric in a summary of k6. A value that is not there, or cannot be one, is unknown: None."""

import re
from collections.abc import Mapping
from itertools import pairwise

from rules.load_test_points import is_sample

Values = Mapping[str, object]
_PERCENTILE = re.compile(r"p\(?(\d{1,2}(?:\.\d+)?|100)\)?")
_SLACK = 1e-9


def number(values: Values, *names: str) -> float | None:
    """The first of the names that the metric has."""
    for name in names:
        if name in values:
            found = values[name]
            return float(found) if is_sample(found) else None
    return None


def whole(values: Values, name: str) -> int | None:
    found = number(values, name)
    return int(found) if found is not None and found.is_integer() else None


def has_samples(values: Values) -> bool:
    """Whether anything was measured. k6 writes zeros where nothing was; a gauge or counter of zero is a value."""
    if "passes" in values or "fails" in values:
        return bool((whole(values, "passes") or 0) + (whole(values, "fails") or 0))
    if _is_trend(values):
        return any(number(values, name) for name in values)
    return bool(values)


def trend(values: Values) -> tuple[float | None, float | None, float | None, float | None]:
    """p50, p95, p99 and the maximum, in milliseconds."""
    if not has_samples(values):
        return None, None, None, None
    at = _percentiles(values)
    return at.get(50.0, number(values, "med")), at.get(95.0), at.get(99.0), number(values, "max")


def problems_of_trend(name: str, values: Values) -> list[str]:
    """Whether its values can be those of one set of numbers: the minimum below the median, and so on upwards."""
    rising = [number(values, "min"), *_rising(values), number(values, "max")]
    known = [it for it in rising if it is not None]
    if any(low > high * (1 + _SLACK) for low, high in pairwise(known)):
        return [f"The values of {name} contradict each other: a lower percentile is above a higher one."]
    return []


def _rising(values: Values) -> list[float]:
    at = _percentiles(values)
    median = number(values, "med")
    return [it for _, it in sorted((at if median is None else {50.0: median} | at).items())]


def _percentiles(values: Values) -> dict[float, float]:
    """By percent. Written `p(95)`, or `p95` in the machine-readable summary."""
    told = {float(found[1]): number(values, name) for name in values if (found := _PERCENTILE.fullmatch(name))}
    return {percent: it for percent, it in told.items() if it is not None}


def _is_trend(values: Values) -> bool:
    """By its values, as a summary export does not tell: a trend may have a `count` too, a gauge has a `value`."""
    return "value" not in values and (
        "avg" in values or "med" in values or "min" in values or any(_PERCENTILE.fullmatch(name) for name in values)
    )
