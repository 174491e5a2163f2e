"""When traffic may move: windows by weekday, freezes by date, and the time that a promotion was promised for.

Windows are told by the wall clock of their time zone and compared in UTC, so that the days on which clocks change are
right: a window over the hour that comes twice is an hour longer, one over the hour that does not come is shorter. A
roll-out must end inside, too: what counts is how long it is expected to take.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo

from rules.production_policies import Freeze, Weekday, Window, WindowPolicy
from rules.vocabulary import Finding, Verdict

SEARCH_DAYS = 400
WEEKDAYS = tuple(Weekday)
DAYS_END = "24:00"
DAY_MINUTES = 24 * 60
CLOSED = "The catalogue has no window, so production is always closed."


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment until another one, in UTC."""

    begins: datetime
    ends: datetime

    def has_room(self, at: datetime, minutes: float) -> bool:
        return self.begins <= at and at + timedelta(minutes=minutes) <= self.ends


@dataclass(frozen=True, slots=True)
class Start:
    """When an approved promotion may begin. `when` not after now: at once. None: never, and why."""

    when: datetime | None
    why: str


def check_windows(
    policy: WindowPolicy, now: datetime, minutes: float, start_at: datetime | None, *, next_window: bool
) -> tuple[Finding, ...]:
    """Whether traffic may move, now or at `start_at`, for as long as a roll-out of so many minutes takes.

    `next_window`: outside it is good enough that there will be a window.
    """
    at = max(start_at, now) if start_at else now
    opening = next_opening(policy, at, minutes)
    if next_window and start_at is None and opening is not None and opening > now:
        sentence = f"It waits for the next window, {in_words(opening, zone_of(policy))}."
        return (_passed("window", sentence), _passed("freeze", "The next window is in no freeze."))
    promised = (_promise(policy, now, start_at),) if start_at else ()
    return (_window(policy, at, minutes, opening), _freeze(policy, at, minutes, opening), *promised)


def next_opening(policy: WindowPolicy, after: datetime, minutes: float) -> datetime | None:
    """The first moment at which all of the roll-out fits into a window and no freeze; None within 400 days."""
    after = after.astimezone(UTC)
    for span in free_spans(policy, after):
        begins = max(span.begins, after)
        if span.has_room(begins, minutes):
            return begins
    return None


def start(policy: WindowPolicy, now: datetime, minutes: float, start_at: datetime | None) -> Start:
    """When an approved promotion may begin, by the windows alone or at the time that it was promised for."""
    zone = zone_of(policy)
    promise = timedelta(minutes=policy.promise_minutes)
    if start_at is not None and now > start_at + promise:
        return Start(None, f"Its promised time, {in_words(start_at, zone)}, is over.")
    earliest = max(start_at, now) if start_at else now
    opening = next_opening(policy, earliest, minutes)
    if opening is None:
        return Start(None, f"No window is long enough for {minutes:g} minutes in the next {SEARCH_DAYS} days.")
    if start_at is not None and opening > start_at + promise:
        return Start(
            None, f"At its promised time, {in_words(start_at, zone)}, no window has room for {minutes:g} minutes."
        )
    if opening <= now:
        return Start(opening, "Traffic may move now.")
    what = "the time that it was promised for" if start_at else "the next window"
    return Start(opening, f"It begins {in_words(opening, zone)}, {what}.")


def in_words(at: datetime, zone: tzinfo) -> str:
    """`Monday 23 November 2026, 09:00 CET`."""
    there = at.astimezone(zone)
    seconds = ":%S" if there.second else ""
    return f"{there:%A} {there.day} {there:%B %Y}, {there.strftime(f'%H:%M{seconds}')} {there.tzname()}"


def zone_of(policy: WindowPolicy) -> tzinfo:
    """The time zone in which people are told of times: that of the first window."""
    return ZoneInfo(policy.open[0].timezone) if policy.open else UTC


# ------------------------------------------------------------------------------------------------- gates


def _window(policy: WindowPolicy, at: datetime, minutes: float, opening: datetime | None) -> Finding:
    zone = zone_of(policy)
    measured, allowed = in_words(at, zone), _told(policy.open)
    if not policy.open:
        return Finding("window", Verdict.FAILED, CLOSED, measured, "a window", could_be_met="Add one to [windows].")
    inside = next((it for it in open_spans(policy, at) if it.begins <= at < it.ends), None)
    if inside is None:
        sentence = f"{measured} is outside of the windows."
        return Finding("window", Verdict.FAILED, sentence, measured, allowed, could_be_met=_next(opening, zone))
    left = (inside.ends - at).total_seconds() / 60
    if left < minutes:
        sentence = f"The roll-out takes {minutes:g} minutes, and the window closes in {left:.0f}."
        return Finding(
            "window",
            Verdict.FAILED,
            sentence,
            f"{left:.0f} minutes",
            f"{minutes:g} minutes",
            could_be_met=_next(opening, zone),
        )
    more = f" for {left:.0f} minutes more" if left < DAY_MINUTES else ""
    return _passed("window", f"The window is open{more}.", measured, allowed)


def _freeze(policy: WindowPolicy, at: datetime, minutes: float, opening: datetime | None) -> Finding:
    end = at + timedelta(minutes=minutes)
    met = [it for it in policy.freezes if (span := frozen(it)).begins < end and at < span.ends]
    if not met:
        return _passed("freeze", "There is no freeze.")
    freeze = met[0]
    zone = ZoneInfo(freeze.timezone)
    sentence = f"Nothing changes until {in_words(frozen(freeze).ends, zone)}: {freeze.reason} Ask {freeze.owner}."
    measured = f"frozen since {in_words(frozen(freeze).begins, zone)}"
    return Finding(
        "freeze", Verdict.FAILED, sentence, measured, "no freeze", could_be_met=_next(opening, zone_of(policy))
    )


def _promise(policy: WindowPolicy, now: datetime, start_at: datetime) -> Finding:
    zone, promise = zone_of(policy), timedelta(minutes=policy.promise_minutes)
    told, allowed = in_words(start_at, zone), f"at most {policy.promise_minutes:g} minutes late"
    if now > start_at + promise:
        sentence = f"It was promised for {told}, and that is over."
        return Finding(
            "promised time",
            Verdict.FAILED,
            sentence,
            in_words(now, zone),
            allowed,
            could_be_met="Ask for another time.",
        )
    return _passed("promised time", f"It is promised for {told}.", in_words(now, zone), allowed)


def _passed(gate: str, sentence: str, measured: str = "", allowed: str = "") -> Finding:
    return Finding(gate, Verdict.PASSED, sentence, measured, allowed)


def _next(opening: datetime | None, zone: tzinfo) -> str:
    return in_words(opening, zone) if opening else f"not within {SEARCH_DAYS} days"


def _told(windows: Iterable[Window]) -> str:
    return "; ".join(
        f"{', '.join(day.title()[:3] for day in it.days)} {it.opens}-{it.closes} {it.timezone}" for it in windows
    )


# ------------------------------------------------------------------------------------------------- spans of time


def free_spans(policy: WindowPolicy, after: datetime) -> Iterator[Span]:
    """The times of the windows without those of the freezes, in order."""
    frosts = joined(frozen(it) for it in policy.freezes)
    for span in open_spans(policy, after):
        yield from _without(span, frosts)


def open_spans(policy: WindowPolicy, after: datetime) -> list[Span]:
    """The times of all windows from two days before until 400 days after, joined where they touch."""
    first = after.astimezone(UTC).date() - timedelta(days=2)
    days = [first + timedelta(days=number) for number in range(SEARCH_DAYS + 3)]
    return joined(span for window in policy.open for day in days for span in _on(window, day))


def joined(spans: Iterable[Span]) -> list[Span]:
    """In order, and one where two touch or overlap."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda it: it.begins):
        if found and span.begins <= found[-1].ends:
            found[-1] = Span(found[-1].begins, max(found[-1].ends, span.ends))
        else:
            found.append(span)
    return found


def frozen(freeze: Freeze) -> Span:
    """A date alone is all of its day."""
    zone = ZoneInfo(freeze.timezone)
    return Span(_moment(freeze.begins, zone, 0), _moment(freeze.ends, zone, 1))


def wall_time(text: str) -> time | None:
    """`09:00` or `09:00:30`; None is the day's end, `24:00`."""
    return None if text == DAYS_END else time.fromisoformat(text)


def _on(window: Window, day: date) -> Iterator[Span]:
    """A window's span that begins on a day; none on other weekdays, or where the clock jumps over it."""
    if WEEKDAYS[day.weekday()] not in window.days:
        return
    zone, opens, closes = ZoneInfo(window.timezone), wall_time(window.opens), wall_time(window.closes)
    begins = _at(day, opens, zone)
    over_midnight = closes is not None and opens is not None and closes <= opens
    ends = _at(day + timedelta(days=1) if over_midnight else day, closes, zone)
    if begins < ends:
        yield Span(begins, ends)


def _at(day: date, wall: time | None, zone: tzinfo) -> datetime:
    if wall is None:
        day, wall = day + timedelta(days=1), time()
    return datetime.combine(day, wall, zone).astimezone(UTC)


def _moment(text: str, zone: tzinfo, days_after_date: int) -> datetime:
    if len(text) == len("2026-12-20"):
        return _at(date.fromisoformat(text) + timedelta(days=days_after_date), time(), zone)
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def _without(span: Span, frosts: Sequence[Span]) -> Iterator[Span]:
    begins = span.begins
    for frost in frosts:
        if frost.ends <= begins or frost.begins >= span.ends:
            continue
        if frost.begins > begins:
            yield Span(begins, frost.begins)
        begins = max(begins, frost.ends)
    if begins < span.ends:
        yield Span(begins, span.ends)
