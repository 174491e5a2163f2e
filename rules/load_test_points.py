"""Samples counted one at a time, into what is known of the whole test and of each scenario and endpoint."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeGuard

from rules.load_test_quantiles import Durations
from rules.load_test_results import Format, LoadTestResult, Measures, Part, Threshold

NEEDED = frozenset({"http_reqs", "http_req_duration", "http_req_failed", "checks", "dropped_iterations"})
"""Metrics whose samples count here. The others are three of four lines of a file."""
MOST_PARTS = 500
"""Pairs of a scenario and an endpoint that are told apart. Others count in the whole only, and are a problem."""
MOST_REMEMBERED = 5000
LONGEST_NAME = 300
LARGEST = 1e15
"""Numbers from here on, infinity among them, are no measurements; whole ones below are exact."""
LONGEST_SECONDS = 366 * 24 * 3600.0
_USER = re.compile(r"//[^/@]*@")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNIX_DIGITS = {10: 1.0, 13: 1e3, 16: 1e6, 19: 1e9}
"""Parts of a second by the number of digits of a Unix time: 2001 to 2286."""


class Counted:
    """Requests that have their scenario and their name in common."""

    __slots__ = ("durations", "failed", "judged", "requests")

    def __init__(self) -> None:
        self.durations = Durations()
        self.requests = 0.0
        self.judged = 0
        self.failed = 0

    def take_in(self, other: "Counted") -> None:
        self.durations.take_in(other.durations)
        self.requests += other.requests
        self.judged += other.judged
        self.failed += other.failed

    def measures(self) -> Measures:
        requests = int(self.requests)
        if not requests:
            return Measures(requests=0)
        errors = self.failed if self.judged == requests else None
        rate = None if errors is None else errors / requests
        p50, p95, p99, longest = self.durations.quantiles((0.5, 0.95, 0.99, 1.0))
        return Measures(requests, errors, rate, p50, p95, p99, longest)


class Samples:
    """Fed with samples, in the order of the file; `result` at its end."""

    def __init__(self, form: Format, problems: list[str]) -> None:
        self.problems = problems
        self._form = form
        self._counted: dict[tuple[str, ...], Counted] = {}
        self._by_tags: dict[tuple[object, ...], Counted] = {}
        self._left_out = False
        self._dropped = 0.0
        self._checks = [0, 0]
        self._times = _Times()
        self._releases: set[str] = set()

    def at(self, time: str) -> None:
        """When a sample was taken."""
        self._times.add(time)

    def count(self, these: Counted, metric: str, value: float) -> None:
        """A sample of a metric that is NEEDED, of requests with the tags that `these` are for."""
        if metric == "http_reqs":
            these.requests += value
        elif metric == "http_req_duration":
            these.durations.add(value)
        elif metric == "http_req_failed":
            these.judged += 1
            these.failed += value != 0
        elif metric == "checks":
            self._checks[value == 0] += 1
        else:
            self._dropped += value

    def these(self, tags: Mapping[str, object]) -> Counted:
        """The requests with the same scenario and name as a sample with these tags."""
        key = tuple(str(tags.get(it) or "") for it in ("scenario", "name", "release"))
        if found := self._by_tags.get(key):
            return found
        *named, release = key
        if release and len(self._releases) <= 1:
            self._releases.add(release[:LONGEST_NAME])
        found = self._new(tuple(without_secrets(it) for it in named))
        if len(self._by_tags) < MOST_REMEMBERED and sum(map(len, key)) < LONGEST_NAME:
            self._by_tags[key] = found
        return found

    def _new(self, named: tuple[str, ...]) -> Counted:
        if named not in self._counted and len(self._counted) >= MOST_PARTS:
            self._left_out = True
            named = ("", "")
        return self._counted.setdefault(named, Counted())

    def result(self, thresholds: tuple[Threshold, ...] = ()) -> LoadTestResult:
        total, parts = self._summed()
        self._look_back(total)
        passed, failed = self._checks
        return LoadTestResult(
            self._form,
            total.measures(),
            self._times.seconds(),
            int(self._dropped),
            passed if passed + failed else None,
            failed if passed + failed else None,
            thresholds,
            tuple(Part(selector, part.measures()) for selector, part in sorted(parts.items())),
            tuple(self.problems),
            next(iter(self._releases)) if len(self._releases) == 1 else None,
        )

    def _summed(self) -> tuple[Counted, dict[str, Counted]]:
        """The whole, and its scenarios and endpoints by their selector."""
        total, parts = Counted(), dict[str, Counted]()
        for (scenario, name), counted in self._counted.items():
            total.take_in(counted)
            for selector in (f"scenario:{scenario}" if scenario else "", f"name:{name}" if name else ""):
                if selector and (counted.requests or counted.durations.count or counted.judged):
                    parts.setdefault(selector, Counted()).take_in(counted)
        return total, parts

    def _look_back(self, total: Counted) -> None:
        """Problems that show only in the whole."""
        if total.durations.count != total.requests or total.judged not in {0, total.requests}:
            self.problems.append(
                f"The file has {total.requests:g} requests, {total.durations.count} durations of requests and says of "
                f"{total.judged} whether they failed: the three must be as many, so it is not whole."
            )
        if self._left_out:
            self.problems.append(
                f"It has more than {MOST_PARTS} scenarios and names of requests: give requests that differ in their "
                "address only the same tag `name`."
            )
        if len(self._releases) > 1:
            self.problems.append("Its samples carry more than one tag `release`.")


def is_sample(value: object) -> TypeGuard[float]:
    """Whether k6 could have measured this: a number, finite and not negative."""
    return isinstance(value, float | int) and not isinstance(value, bool) and 0 <= value < LARGEST


def without_secrets(tag: str) -> str:
    """A request's name without what a URL may hide: k6 takes the whole address where a script gives no name."""
    return _USER.sub("//", tag[:LONGEST_NAME].partition("?")[0].partition("#")[0], count=1)


class _Times:
    """The first and the last of times that come nearly in order. Each second is read once: reading a time is slow."""

    def __init__(self) -> None:
        self._seen = ""
        self._latest = ""
        self._first: float | None = None
        self._last: float | None = None
        self._unreadable = False

    def add(self, text: str) -> None:
        self._latest = text
        if text[:19] != self._seen:
            self._seen = text[:19]
            self._read(text)

    def _read(self, text: str) -> None:
        at = unix_seconds(text)
        if at is None:
            self._unreadable = True
            return
        self._first = at if self._first is None else min(self._first, at)
        self._last = at if self._last is None else max(self._last, at)

    def seconds(self) -> float | None:
        """None: no time at all, one that cannot be read, or a test of more than a year."""
        if self._latest:
            self._read(self._latest)
        if self._unreadable or self._first is None or self._last is None:
            return None
        length = self._last - self._first
        return length if length <= LONGEST_SECONDS else None


def unix_seconds(text: str) -> float | None:
    """Of a Unix time in seconds, or thousandths, millionths, billionths of them, or of an RFC 3339 time."""
    if text.isascii() and text.isdigit():
        return int(text) / _UNIX_DIGITS[len(text)] if len(text) in _UNIX_DIGITS else None
    try:
        at = datetime.fromisoformat(text)
        return (at - _EPOCH).total_seconds() if at.tzinfo else None
    except (ValueError, OverflowError):
        return None
