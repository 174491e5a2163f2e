"""What the visitors of one environment really met, second by second and revision by revision."""

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

SLOW_SECONDS = 0.5
"""What the shipped catalogue calls slow."""
REMEMBERED_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Hit:
    """One request, as the edge saw it end."""

    revision: str
    status: int
    seconds: float
    from_target: bool = True

    @property
    def failed(self) -> bool:
        return self.status >= 500

    @property
    def slow(self) -> bool:
        return self.seconds >= SLOW_SECONDS


@dataclass(slots=True)
class Tally:
    """How many requests went well, failed (5xx), were slow (whatever else they were), and were failed or slow."""

    ok: int = 0
    failed: int = 0
    slow: int = 0
    bad: int = 0

    def count(self, hit: Hit) -> None:
        self.ok += not hit.failed
        self.failed += hit.failed
        self.slow += hit.slow
        self.bad += hit.failed or hit.slow

    def add(self, other: "Tally") -> None:
        self.ok += other.ok
        self.failed += other.failed
        self.slow += other.slow
        self.bad += other.bad

    @property
    def requests(self) -> int:
        return self.ok + self.failed


@dataclass(frozen=True, slots=True)
class Second:
    """The requests that ended within one second of the wall clock."""

    at: datetime
    hits: list[Hit] = field(default_factory=list)


class Traffic:
    """A ring of the last ten minutes and totals since the start. Safe to use from any thread."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now` gives the seconds since the epoch."""
        self._now = now
        self._lock = threading.Lock()
        self._seconds: deque[Second] = deque(maxlen=REMEMBERED_SECONDS)
        self._totals: dict[str, Tally] = {}
        self._unmetered: list[Hit] = []

    def record(self, hit: Hit) -> None:
        at = datetime.fromtimestamp(int(self._now()), UTC)
        with self._lock:
            if not self._seconds or self._seconds[-1].at != at:
                self._seconds.append(Second(at))
            self._seconds[-1].hits.append(hit)
            self._totals.setdefault(hit.revision, Tally()).count(hit)
            self._unmetered.append(hit)

    def totals(self) -> dict[str, Tally]:
        """Since the start, by revision. Requests that reached none stand under the empty name."""
        with self._lock:
            return {revision: replace(it) for revision, it in self._totals.items()}

    def seconds(self, last: int = 90) -> list[Second]:
        """The last seconds, oldest first; a second without any request is there, empty."""
        end = int(self._now())
        with self._lock:
            known = {int(second.at.timestamp()): list(second.hits) for second in self._seconds}
        moments = range(end - last, end)
        return [Second(datetime.fromtimestamp(moment, UTC), known.get(moment, [])) for moment in moments]

    def unmetered(self) -> list[Hit]:
        """The hits since this was last asked: for the load balancer's metrics."""
        with self._lock:
            hits, self._unmetered = self._unmetered, []
        return hits
