"""Whether traffic may move, and when it next may: windows by weekday, freezes by date, and a time that was promised.

A roll-out must begin and, as far as one can expect, end inside, without a freeze that begins meanwhile. Minutes are
real ones: on the night on which an hour comes twice a window over it is an hour longer (`rules.wall_clocks`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from math import ceil, floor
from zoneinfo import ZoneInfo

from rules.errors import InvalidInput
from rules.open_hours import Frozen, free, frozen_stretches, open_stretches
from rules.production_policies import Weekday, Window, WindowPolicy
from rules.vocabulary import Finding, Verdict
from rules.wall_clocks import spoken, zone_of

SEARCH = timedelta(days=400)
"""So far ahead openings are looked for, and promotions promised."""
LONGEST_MINUTES = SEARCH.days * 24 * 60
LONG = timedelta(days=7)
"""What stays open for so long need not tell when it closes."""
SHORT_SECONDS = 120
"""What is shorter is told in seconds."""
RUN = 3
"""So many days in a row are told as `Monday to Wednesday`."""
REMEDY = "by another start_at, or none"
CLOSED = "The catalogue names no window, so production is always closed."


@dataclass(frozen=True, slots=True)
class Start:
    """When an approved promotion may begin: `when` (UTC) not after now is at once; None is never. And why."""

    when: datetime | None
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked `now`: whether a roll-out that needs so much room may begin `at` a moment."""

    policy: WindowPolicy
    now: datetime
    at: datetime
    room: timedelta

    def said(self, at: datetime) -> str:
        """The moment in words, by the clock of the first window."""
        return spoken(at, clock_of(self.policy), self.now)


def check_windows(
    policy: WindowPolicy, now: datetime, minutes: float, start_at: datetime | None, *, next_window: bool
) -> tuple[Finding, ...]:
    """The gates `window` and `freeze`, and with a promised time `promised time`.

    They are asked about now; with `start_at` about the moment at which `start` would begin. `next_window`: without a
    promised time it is enough that there will be an opening. `minutes`: what the roll-out is expected to take.

    Raises:
        InvalidInput: a time without zone, minutes that are no number of minutes.

    """
    asked = _ask(policy, now, minutes)
    if start_at is None:
        found: tuple[Finding, ...] = (_window(asked), _freeze(asked))
        return _with_remedy(found, asked, waits=next_window)
    promised = _moment("start_at", start_at)
    if abs(promised - asked.now) > SEARCH:
        return (_promise(asked, promised),)
    later = replace(asked, at=_promised_start(asked, promised) or max(asked.now, promised))
    found = (_window(later), _freeze(later), _promise(later, promised))
    return _with_remedy(found, later, waits=False)


def next_opening(policy: WindowPolicy, after: datetime, minutes: float) -> datetime | None:
    """The first moment (UTC) at which all of `minutes` fits into the windows and no freeze; None within 400 days."""
    return _opening(_ask(policy, after, minutes))


def start(policy: WindowPolicy, now: datetime, minutes: float, start_at: datetime | None) -> Start:
    """When an approved promotion may begin.

    Without a promised time at the next opening. With one at that very time, or right now where that is at most
    `promise_minutes` before or after it: never at a third time, however good.
    """
    asked = _ask(policy, now, minutes)
    if start_at is None:
        return _next_start(asked)
    promised = _moment("start_at", start_at)
    kept = _promise(asked, promised)
    if kept.blocks:
        return Start(None, kept.sentence)
    when = _promised_start(asked, promised)
    if when is None:
        reasons = " ".join(_reasons(replace(asked, at=max(asked.now, promised))))
        return Start(None, f"At its promised time, {asked.said(promised)}, it cannot begin. {reasons}")
    if when <= asked.now:
        return Start(when, f"Its promised time has come: {asked.said(promised)}.")
    return Start(when, f"It begins at its promised time, {asked.said(when)}.")


def clock_of(policy: WindowPolicy) -> ZoneInfo:
    """By whose clock people are told times: that of the first window."""
    return zone_of(policy.open[0].timezone) if policy.open else zone_of("UTC")


def in_words(windows: Iterable[Window]) -> str:
    """`Monday to Thursday, 09:00 to 16:00 (Europe/Zurich)`."""
    return "; ".join(
        f"{_days_in_words(it.days)}, {it.opens} to {it.closes}"
        f"{' the day after' if it.closes < it.opens else ''} ({it.timezone})"
        for it in windows
    )


# ------------------------------------------------------------------------------------------------- gates


def _window(asked: Asked) -> Finding:
    measured, allowed = asked.said(asked.at), in_words(asked.policy.open) or "never"
    if not asked.policy.open:
        remedy = "by a window in the catalogue, [[windows.open]]"
        return Finding("window", Verdict.FAILED, CLOSED, measured, allowed, could_be_met=remedy)
    stretches = open_stretches(asked.policy.open, asked.at, asked.at + max(asked.room, LONG))
    stretch = next(stretches, None)
    if stretch is None or asked.at < stretch.begins:
        return Finding("window", Verdict.FAILED, _outside(asked), measured, allowed)
    left = stretch.ends - asked.at
    if left < asked.room:
        sentence = (
            f"The window closes {asked.said(stretch.ends)}, and the roll-out is expected to take {_needed(asked)}."
        )
        return Finding("window", Verdict.FAILED, sentence, f"{_length(left, floor)} left", f"{_needed(asked)} or more")
    until = "for more than a week" if left > LONG else f"until {asked.said(stretch.ends)}"
    when = "now" if asked.at == asked.now else asked.said(asked.at)
    return Finding("window", Verdict.PASSED, f"A window is open {when}, {until}.", measured, allowed)


def _outside(asked: Asked) -> str:
    if asked.at == asked.now:
        return f"It is {asked.said(asked.at)}, and no window is open."
    return f"{asked.said(asked.at)} is in no window."


def _freeze(asked: Asked) -> Finding:
    frozen = frozen_stretches(asked.policy.freezes)
    allowed = f"no freeze for {_needed(asked)}"
    against = [it for it in frozen if it.is_in_the_way(asked.at, asked.room)]
    if against:
        sentence = " ".join(_in_the_way(it, asked) for it in against)
        measured = "; ".join(f"{_edge(it, it.begins, asked)} to {_edge(it, it.ends, asked)}" for it in against)
        return Finding("freeze", Verdict.FAILED, sentence, measured, allowed)
    coming = next((it for it in frozen if asked.at < it.begins), None)
    sentence = f"No freeze before {_edge(coming, coming.begins, asked)}." if coming else "No freeze is planned."
    return Finding("freeze", Verdict.PASSED, sentence, "none", allowed)


def _in_the_way(it: Frozen, asked: Asked) -> str:
    why = f"{it.freeze.reason.strip().rstrip('.')}. Ask {it.freeze.owner.strip()}."
    if it.begins <= asked.at:
        return f"Changes are frozen until {_edge(it, it.ends, asked)}: {why}"
    return f"A freeze begins {_edge(it, it.begins, asked)}, before {_needed(asked)} are over: {why}"


def _edge(it: Frozen, at: datetime, asked: Asked) -> str:
    """A freeze's begin or end, by its own clock: there a date alone is midnight."""
    return spoken(at, it.zone, asked.now)


def _promise(asked: Asked, promised: datetime) -> Finding:
    """Whether it can still be kept."""
    if abs(promised - asked.now) > SEARCH:  # nor can every zone tell the times of any year
        sentence = f"{promised:%Y-%m-%d} cannot be a promised time."
        allowed = f"at most {SEARCH.days} days ahead"
        return Finding("promised time", Verdict.FAILED, sentence, promised.isoformat(), allowed, could_be_met=REMEDY)
    told, minutes = asked.said(promised), asked.policy.promise_minutes
    measured, allowed = f"promised for {told}, now {asked.said(asked.now)}", f"{minutes:g} minutes before or after it"
    if asked.now - promised > _promise_of(asked.policy):
        sentence = f"Its promised time is over: that was {told}, and now it is {asked.said(asked.now)}."
        return Finding("promised time", Verdict.FAILED, sentence, measured, allowed, could_be_met=REMEDY)
    return Finding("promised time", Verdict.PASSED, f"It is promised for {told}.", measured, allowed)


def _with_remedy(found: Iterable[Finding], asked: Asked, *, waits: bool) -> tuple[Finding, ...]:
    """The findings, and when those that are not met could be; if it waits for that they are met."""
    listed = tuple(found)
    if not any(it.blocks for it in listed):
        return listed
    opening = _opening(asked)
    words = asked.said(opening) if opening else f"not within {SEARCH.days} days: {_never(asked)}"
    if waits and opening:
        return tuple(_waiting(it, words) if it.blocks else it for it in listed)
    return tuple(replace(it, could_be_met=it.could_be_met or words) if it.blocks else it for it in listed)


def _waiting(finding: Finding, words: str) -> Finding:
    return replace(finding, verdict=Verdict.PASSED, sentence=f"{finding.sentence} It begins {words}.")


# ------------------------------------------------------------------------------------------------- when it begins


def _ask(policy: WindowPolicy, now: datetime, minutes: float) -> Asked:
    if not 0 <= minutes <= LONGEST_MINUTES:  # which NaN is not either
        raise InvalidInput("minutes", minutes, f"how long a roll-out takes: 0 to {LONGEST_MINUTES}")
    at = _moment("now", now)
    return Asked(policy, at, at, timedelta(minutes=minutes))


def _moment(what: str, at: datetime) -> datetime:
    if at.utcoffset() is None:
        raise InvalidInput(what, at.isoformat(), "a time with its zone, such as 2026-11-23T09:00:00+01:00")
    try:
        return at.astimezone(UTC)
    except OverflowError as error:
        raise InvalidInput(what, at.isoformat(), "a time of this age") from error


def _opening(asked: Asked) -> datetime | None:
    latest = asked.at + SEARCH
    for stretch in free(asked.policy, asked.at, latest + asked.room):
        at = max(stretch.begins, asked.at)
        if stretch.has_room(at, asked.room):
            return at if at <= latest else None
    return None


def _next_start(asked: Asked) -> Start:
    opening = _opening(asked)
    reasons = " ".join(_reasons(asked))
    if opening is None:
        return Start(None, f"{reasons} It could not begin within {SEARCH.days} days: {_never(asked)}.")
    if opening <= asked.now:
        return Start(opening, _window(asked).sentence)
    return Start(opening, f"{reasons} It begins {asked.said(opening)}.")


def _promised_start(asked: Asked, promised: datetime) -> datetime | None:
    """Now, within the promise; or the promised time, if it is still to come. Whichever has room, first now."""
    near = abs(promised - asked.now) <= _promise_of(asked.policy)
    candidates = ((asked.now, near), (promised, asked.now <= promised))
    return next((at for at, may in candidates if may and not _reasons(replace(asked, at=at))), None)


def _promise_of(policy: WindowPolicy) -> timedelta:
    return timedelta(minutes=policy.promise_minutes)


def _reasons(asked: Asked) -> list[str]:
    """Why it could not begin then. Nothing: it can."""
    return [it.sentence for it in (_window(asked), _freeze(asked)) if it.blocks]


def _never(asked: Asked) -> str:
    return f"no window has room for {_needed(asked)} outside of freezes" if asked.policy.open else "there is no window"


def _needed(asked: Asked) -> str:
    return _length(asked.room, ceil)


def _length(span: timedelta, rounded: Callable[[float], int]) -> str:
    """`35 minutes`; what is short in seconds."""
    seconds = rounded(span.total_seconds())
    number, unit = (rounded(seconds / 60), "minute") if seconds >= SHORT_SECONDS else (seconds, "second")
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _days_in_words(days: Iterable[Weekday]) -> str:
    """`Monday to Thursday, Saturday`."""
    numbers = sorted({list(Weekday).index(day) for day in days})
    if len(numbers) == len(Weekday):
        return "every day"
    runs = groupby(enumerate(numbers), key=lambda it: it[1] - it[0])
    return ", ".join(_run([number for _, number in run]) for _, run in runs)


def _run(numbers: list[int]) -> str:
    names = [list(Weekday)[number].title() for number in numbers]
    return f"{names[0]} to {names[-1]}" if len(names) >= RUN else ", ".join(names)
