"""When traffic may move, as stretches of real time: windows joined, freezes cut out.

    windows ──one stretch a day──▶ in order ──what touches is joined──▶ open ──freezes cut out──▶ free

Lazy all the way, so that looking a year ahead costs only as much as there is closed time.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from heapq import merge
from zoneinfo import ZoneInfo

from rules.production_policies import Freeze, Weekday, Window, WindowPolicy
from rules.wall_clocks import DAY, first_moment, last_moment, moment, time_of_day, zone_of

MARGIN = timedelta(days=2)
"""A window that began up to a day ago, in a zone up to 14 hours away, may be open still."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """From one moment (UTC) until before another."""

    begins: datetime
    ends: datetime

    def has_room(self, at: datetime, room: timedelta) -> bool:
        """Whether all of `room` fits in from `at` on."""
        return self.begins <= at < self.ends and at + room <= self.ends


@dataclass(frozen=True, slots=True)
class Frozen:
    """As a stretch; `zone` is the freeze's own."""

    begins: datetime
    ends: datetime
    zone: ZoneInfo
    freeze: Freeze

    def is_in_the_way(self, at: datetime, room: timedelta) -> bool:
        """Whether it holds at that moment, or begins before `room` is over."""
        return self.begins <= at < self.ends or at < self.begins < at + room


def free(policy: WindowPolicy, since: datetime, until: datetime) -> Iterator[Stretch]:
    """The stretches in which a window is open and nothing is frozen, the first first; as `open_stretches`."""
    frozen = frozen_stretches(policy.freezes)
    for stretch in open_stretches(policy.open, since, until):
        yield from _thawed(stretch, frozen)


def open_stretches(windows: Sequence[Window], since: datetime, until: datetime) -> Iterator[Stretch]:
    """The stretches in which a window is open, the first first, of all that touch a time.

    What begins before it, or ends after it, may in truth be longer.
    """
    first, last = _midnight(since - MARGIN), _midnight(until + MARGIN)
    each_window = [_days(window, first, last) for window in windows]
    together = _joined(merge(*each_window, key=lambda it: it.begins))
    return (stretch for stretch in together if since < stretch.ends and stretch.begins <= until)


def frozen_stretches(freezes: Iterable[Freeze]) -> tuple[Frozen, ...]:
    """The freezes, the first first."""
    found = (_frozen(freeze, zone_of(freeze.timezone)) for freeze in freezes)
    return tuple(sorted(found, key=lambda it: it.begins))


def _frozen(freeze: Freeze, zone: ZoneInfo) -> Frozen:
    return Frozen(first_moment(freeze.begins, zone), last_moment(freeze.ends, zone), zone, freeze)


def _days(window: Window, first: datetime, last: datetime) -> Iterator[Stretch]:
    """A window's stretches of all days from one to another, given by their midnights on the clock."""
    zone, opens, closes = zone_of(window.timezone), time_of_day(window.opens), time_of_day(window.closes)
    closes += DAY if closes < opens else timedelta()
    weekdays = {list(Weekday).index(day) for day in window.days}
    for number in range((last - first).days + 1):
        midnight = first + number * DAY
        if midnight.weekday() in weekdays:
            begins, ends = moment(midnight + opens, zone), moment(midnight + closes, zone)
            if begins < ends:  # on the day of the jump there may be nothing left of it
                yield Stretch(begins, ends)


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def _joined(stretches: Iterable[Stretch]) -> Iterator[Stretch]:
    current: Stretch | None = None
    for stretch in stretches:
        if current is None or current.ends < stretch.begins:
            if current is not None:
                yield current
            current = stretch
        elif current.ends < stretch.ends:
            current = replace(current, ends=stretch.ends)
    if current is not None:
        yield current


def _thawed(stretch: Stretch, frozen: Iterable[Frozen]) -> Iterator[Stretch]:
    """What the freezes leave of it. They are in order."""
    for it in frozen:
        if stretch.begins < it.begins < stretch.ends:
            yield replace(stretch, ends=it.begins)
        if it.begins < stretch.ends and stretch.begins < it.ends:
            stretch = replace(stretch, begins=min(it.ends, stretch.ends))
    if stretch.begins < stretch.ends:
        yield stretch
