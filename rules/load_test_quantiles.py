"""Quantiles of any number of durations in a fixed amount of memory.

A duration is counted in the bucket ]g^(k-1), g^k] it falls into, g being 1.005, and told as the bucket's upper edge:
never less than it was, and at most 0.5 % more. From a microsecond to 28 hours that makes 5,079 buckets of eight bytes,
however many durations there are. Buckets that grow like this are DDSketch's: Masson, Rim, Lee, VLDB 2019.
"""

from array import array
from collections.abc import Iterable
from math import ceil, floor, log

import numpy as np

RELATIVE_ERROR = 0.005
"""By so much at most a quantile is told too high; never too low, so that nothing slips below a limit."""
SHORTEST_MS = 0.001
"""What is shorter is told as this."""
LONGEST_MS = 1e8
"""What is longer counts as this; the longest duration itself is exact."""
_GAMMA = 1 + RELATIVE_ERROR
_SCALE = 1 / log(_GAMMA)
_LOWEST = ceil(log(SHORTEST_MS) * _SCALE)
BUCKETS = ceil(log(LONGEST_MS) * _SCALE) - _LOWEST + 1


class Durations:
    """Durations in milliseconds, counted."""

    __slots__ = ("buckets", "count", "longest")

    def __init__(self) -> None:
        self.buckets = array("Q", bytes(8 * BUCKETS))
        self.count = 0
        self.longest = 0.0

    def add(self, milliseconds: float) -> None:
        """Finite and not negative: whoever reads the file has looked."""
        inside = milliseconds if SHORTEST_MS <= milliseconds <= LONGEST_MS else _inside(milliseconds)
        self.buckets[ceil(log(inside) * _SCALE) - _LOWEST] += 1
        self.count += 1
        if milliseconds > self.longest:  # noqa: PLR1730  max() takes three times as long, and this runs per sample
            self.longest = milliseconds

    def take_in(self, other: "Durations") -> None:
        both = np.frombuffer(self.buckets, dtype=np.uint64) + np.frombuffer(other.buckets, dtype=np.uint64)
        self.buckets = array("Q", both.tobytes())
        self.count += other.count
        self.longest = max(self.longest, other.longest)

    def quantiles(self, shares: Iterable[float]) -> list[float | None]:
        """In milliseconds, each between the two neighbours of its rank, as k6 has it. None: there are no durations."""
        if not self.count:
            return [None for _ in shares]
        up_to = np.cumsum(np.frombuffer(self.buckets, dtype=np.uint64))
        return [self._between(up_to, share * (self.count - 1)) for share in shares]

    def _between(self, up_to: "np.ndarray[tuple[int], np.dtype[np.uint64]]", rank: float) -> float:
        low, high = (self._edge(int(np.searchsorted(up_to, it, side="right"))) for it in (floor(rank), ceil(rank)))
        return low + (high - low) * (rank - floor(rank))

    def _edge(self, bucket: int) -> float:
        """The upper one, which no duration in the bucket is above."""
        edge = float(_GAMMA ** (bucket + _LOWEST))
        return self.longest if bucket == BUCKETS - 1 else min(edge, self.longest)


def _inside(milliseconds: float) -> float:
    return min(max(milliseconds, SHORTEST_MS), LONGEST_MS)
