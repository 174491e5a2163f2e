"""Metric samples and what can be asked of them: one series per namespace, name and dimensions.

Percentiles interpolate linearly between the two nearest values. Ranges follow CloudWatch: `TC(80:500)` counts what is
above 80 and at most 500, `TC(5%:95%)` what lies between these percentiles, `PR(:300)` is the share in percent. All
are exact here; CloudWatch interpolates, so that its trimmed counts may have fractions.
"""

import bisect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

KEPT_SECONDS = 3 * 3600.0
PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
RANGE = re.compile(r"(TC|PR|TM|TS)\(((?:\d+(?:\.\d+)?%?)?):((?:\d+(?:\.\d+)?%?)?)\)")
TRIM = re.compile(r"(tc|tm|ts)(\d{1,2}(?:\.\d{1,10})?)")

Dimensions = tuple[tuple[str, str], ...]
Key = tuple[str, str, Dimensions]


@dataclass(frozen=True, slots=True)
class Sample:
    """What one datum carried. `weights` is the distribution (value, count); empty for a statistic set."""

    at: float
    weights: tuple[tuple[float, float], ...]
    count: float
    total: float
    low: float
    high: float
    unit: str | None = None


def distribution(at: float, weights: Iterable[tuple[float, float]], unit: str | None = None) -> Sample:
    pairs = tuple((value, count) for value, count in weights if count > 0)
    values = [value for value, _ in pairs] or [0.0]
    total = sum(value * count for value, count in pairs)
    return Sample(at, pairs, sum(count for _, count in pairs), total, min(values), max(values), unit)


class SeriesStore:
    """All series of one account and region. Not made for threads: the stand-in's lock guards it."""

    def __init__(self) -> None:
        self._series: dict[Key, list[Sample]] = {}

    def add(self, key: Key, sample: Sample) -> None:
        samples = self._series.setdefault(key, [])
        bisect.insort(samples, sample, key=_time)
        self._prune(samples, sample.at - KEPT_SECONDS)

    def between(self, key: Key, start: float, end: float) -> list[Sample]:
        """Samples with `start <= at < end`, oldest first."""
        samples = self._series.get(key, [])
        return samples[bisect.bisect_left(samples, start, key=_time) : bisect.bisect_left(samples, end, key=_time)]

    def known(self) -> list[Key]:
        return list(self._series)

    def prune(self, now: float) -> None:
        """Forget what is older than three hours, and the series that are empty then."""
        for key in self.known():
            self._prune(self._series[key], now - KEPT_SECONDS)
            if not self._series[key]:
                del self._series[key]

    @staticmethod
    def _prune(samples: list[Sample], oldest: float) -> None:
        if samples and samples[0].at < oldest:
            del samples[: bisect.bisect_left(samples, oldest, key=_time)]


def buckets(samples: Sequence[Sample], start: float, period: float) -> Iterator[tuple[float, list[Sample]]]:
    """The samples by period, as (start of the period, its samples); periods without samples are left out."""
    for place, group in groupby(samples, key=lambda sample: int((sample.at - start) // period)):
        yield start + place * period, list(group)


def statistic(name: str, samples: Sequence[Sample]) -> float | None:
    """The statistic over all samples; None when their form does not allow it. ValueError: no such statistic."""
    if name in PLAIN:
        return PLAIN[name](samples)
    if found := PERCENTILE.fullmatch(name):
        return percentile(_weights(samples), float(found[1]))
    if found := RANGE.fullmatch(name):
        return _within(found[1], found[2], found[3], _weights(samples))
    if found := TRIM.fullmatch(name):
        return _within(found[1].upper(), "", f"{found[2]}%", _weights(samples))
    raise ValueError(f"no statistic is called {name}")


def check(name: str) -> None:
    """ValueError when no statistic is called so."""
    statistic(name, ())


def percentile(weights: Sequence[tuple[float, float]], percent: float) -> float | None:
    """Of sorted (value, count) pairs, by linear interpolation; None without values."""
    count = sum(many for _, many in weights)
    if not count:
        return None
    place = (count - 1) * percent / 100
    below, above = _value_at(weights, int(place)), _value_at(weights, min(int(place) + 1, int(count - 1)))
    return below + (above - below) * (place - int(place))


def _value_at(weights: Sequence[tuple[float, float]], place: int) -> float:
    seen = 0.0
    for value, count in weights:
        seen += count
        if place < seen:
            return value
    return weights[-1][0]


def _within(kind: str, low: str, high: str, weights: Sequence[tuple[float, float]]) -> float | None:
    if not weights:
        return None
    floor, ceiling = _bound(low, weights), _bound(high, weights)
    inside = [(v, c) for v, c in weights if (floor is None or v > floor) and (ceiling is None or v <= ceiling)]
    count, total = sum(c for _, c in inside), sum(v * c for v, c in inside)
    answers: Mapping[str, float | None] = {
        "TC": count,
        "TS": total,
        "TM": total / count if count else None,
        "PR": 100 * count / sum(c for _, c in weights),
    }
    return answers[kind]


def _bound(text: str, weights: Sequence[tuple[float, float]]) -> float | None:
    if not text:
        return None
    return percentile(weights, float(text[:-1])) if text.endswith("%") else float(text)


def _weights(samples: Sequence[Sample]) -> list[tuple[float, float]]:
    """The joint distribution, sorted. A statistic set counts only when all its values are the same."""
    pairs = [pair for sample in samples for pair in sample.weights]
    pairs += [(s.low, s.count) for s in samples if not s.weights and s.count and s.low == s.high]
    return sorted(pairs)


def _average(samples: Sequence[Sample]) -> float | None:
    count = sum(sample.count for sample in samples)
    return sum(sample.total for sample in samples) / count if count else None


def _time(sample: Sample) -> float:
    return sample.at


PLAIN: Mapping[str, Callable[[Sequence[Sample]], float | None]] = {
    "Sum": lambda samples: sum(sample.total for sample in samples) if samples else None,
    "SampleCount": lambda samples: sum(sample.count for sample in samples) if samples else None,
    "Average": _average,
    "Minimum": lambda samples: min((sample.low for sample in samples), default=None),
    "Maximum": lambda samples: max((sample.high for sample in samples), default=None),
}
