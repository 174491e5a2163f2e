"""Counters that only grow, as Prometheus keeps them: from their readings to what was counted in each tick.

Prometheus' own `increase()` is not used: it extrapolates to fractions, and it misses all that a counter already
shows when it is seen for the first time, which for the first error of a new version is that error.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

Reading = tuple[float, float]
"""When (epoch s) and how much the counter showed."""


def increases(series: Iterable[Sequence[Reading]], first: float, step: float) -> Mapping[float, float]:
    """What all series together counted, by the beginning of the tick.

    A series that is there at the first reading (`first`, epoch s) had its life before; one that comes later began
    at zero. A counter that falls was started anew. After a gap all that was counted stands in the tick after it.
    """
    total: dict[float, float] = defaultdict(float)
    for readings in series:
        for at, more in _steps(sorted(set(readings)), first):
            total[at - step] += more
    return dict(total)


def _steps(readings: Sequence[Reading], first: float) -> Iterable[Reading]:
    shown = 0.0
    for at, value in readings:
        if at > first:
            yield at, value - shown if value >= shown else value
        shown = value
