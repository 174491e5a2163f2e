"""The world's time: AWS minutes may pass faster than ours, wall clocks never lie.

Whatever AWS measures in minutes (bake time, alarm periods, metric delay, snapshots) asks the clock how many
real seconds that is. Timestamps that the product reads are the wall clock.
"""

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """The machine's clock, with AWS minutes that last `minute_seconds` real seconds."""

    def __init__(self, minute_seconds: float = 60.0) -> None:
        self.minute_seconds = minute_seconds

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that only grow; for measuring how long something lasts."""
        return time.monotonic()

    def seconds(self, minutes: float) -> float:
        """Real seconds that so many AWS minutes last."""
        return minutes * self.minute_seconds


class ManualClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self, minute_seconds: float = 60.0, start: datetime | None = None) -> None:
        super().__init__(minute_seconds)
        self._start = start or datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
        self._elapsed = 0.0
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        if seconds < 0:
            raise ValueError(f"A clock was asked to go back {-seconds} s; it only goes forward.")
        with self._lock:
            self._elapsed += seconds
