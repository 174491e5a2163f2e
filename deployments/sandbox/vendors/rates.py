"""How often something may happen: a fixed window and a trickle, as the vendors count."""

from dataclasses import dataclass, field

from deployments.sandbox.clock import Clock


@dataclass(slots=True)
class Window:
    """At most `limit` requests per key in each window of `seconds`, as LaunchDarkly and PagerDuty count."""

    clock: Clock
    limit: int
    seconds: float
    _counts: dict[str, tuple[int, int]] = field(default_factory=dict)

    def take(self, key: str) -> bool:
        """Whether one more is allowed; it is counted if so."""
        if self.remaining(key) == 0:
            return False
        window = self._window()
        self._counts[key] = (window, self._used(key) + 1)
        return True

    def remaining(self, key: str) -> int:
        return max(0, self.limit - self._used(key))

    def reset_in(self) -> float:
        """Seconds until the window ends."""
        return self.seconds - self.clock.monotonic() % self.seconds

    def _window(self) -> int:
        return int(self.clock.monotonic() // self.seconds)

    def _used(self, key: str) -> int:
        window, used = self._counts.get(key, (0, 0))
        return used if window == self._window() else 0


@dataclass(slots=True)
class Trickle:
    """`per_second` on average with a burst of `burst`, as Slack lets messages into a channel."""

    clock: Clock
    per_second: float
    burst: int
    _level: dict[str, tuple[float, float]] = field(default_factory=dict)

    def wait(self, key: str) -> float:
        """0.0 when allowed (and counted), else the seconds to wait."""
        now = self.clock.monotonic()
        level, then = self._level.get(key, (0.0, now))
        level = max(0.0, level - (now - then) * self.per_second)
        if level + 1 > self.burst:
            return (level + 1 - self.burst) / self.per_second
        self._level[key] = (level + 1, now)
        return 0.0
