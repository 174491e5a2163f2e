"""What every service counts of its own requests, second by second, for each of its revisions."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deployments.sandbox.services.traffic import Hit


@dataclass(frozen=True, slots=True)
class Counted:
    """The requests to one revision of a service that ended within one second."""

    environment: str
    service: str
    """The catalogue's id."""
    revision: str
    """ARN of the service revision."""
    second: int
    """Since the epoch."""
    hits: Sequence[Hit]


class Counting:
    """Keeps what was not taken yet. Safe to use from any thread."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        """`now` gives the seconds since the epoch."""
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[tuple[int, str, str, str], list[Hit]] = {}

    def record(self, environment: str, service: str, hit: Hit) -> None:
        key = (int(self._now()), environment, service, hit.revision)
        with self._lock:
            self._kept.setdefault(key, []).append(hit)

    def take(self) -> list[Counted]:
        """All seconds that are over and were not taken before, oldest first."""
        running = int(self._now())
        with self._lock:
            over = sorted(key for key in self._kept if key[0] < running)
            taken = [(key, self._kept.pop(key)) for key in over]
        return [
            Counted(environment, service, revision, second, hits)
            for (second, environment, service, revision), hits in taken
        ]
