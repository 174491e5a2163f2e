"""What people's clocks show, and which moment that is: times of day, dates and zones as the catalogue has them.

Moments are in UTC: two of the same zone are compared by what the clock shows, which in autumn is the same one hour
later. A clock skips an hour in spring and shows one twice in autumn; what is skipped is the moment of the jump.
"""

import re
from bisect import bisect_left
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rules.errors import InvalidInput

TIME = re.compile(r"(?P<hours>[01]\d|2[0-3]):(?P<minutes>[0-5]\d)(:(?P<seconds>[0-5]\d))?")
DATE = re.compile(r"20\d\d-\d\d-\d\d")
DATE_AND_TIME = re.compile(rf"{DATE.pattern}[T ]{TIME.pattern}")
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)

A_TIME = "a time of day such as 09:00 or 09:00:30; 24:00 is the day's end"
A_DATE = "a date such as 2026-12-20, or with a time, 2026-12-20T17:00; without an offset, as the zone has its own key"
A_ZONE = "an IANA time zone such as Europe/Zurich"


def zone_of(name: str) -> ZoneInfo:
    """Raises InvalidInput."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError) as error:
        raise InvalidInput("timezone", name, A_ZONE) from error


def time_of_day(text: str) -> timedelta:
    """Since midnight, by the clock. Raises InvalidInput."""
    if text in {"24:00", "24:00:00"}:
        return DAY
    if not (shown := TIME.fullmatch(text)):
        raise InvalidInput("the time of day", text, A_TIME)
    return timedelta(**{unit: int(number or 0) for unit, number in shown.groupdict().items()})


def first_moment(text: str, zone: ZoneInfo) -> datetime:
    """When the clock shows that date or time first. Raises InvalidInput."""
    return moment(_date(text), zone)


def last_moment(text: str, zone: ZoneInfo) -> datetime:
    """The end of that date; or when the clock shows that time last. Raises InvalidInput."""
    shown = _date(text)
    return moment(shown + DAY, zone) if DATE.fullmatch(text) else moment(shown, zone, again=True)


def moment(shown: datetime, zone: ZoneInfo, *, again: bool = False) -> datetime:
    """When a clock of the zone shows this (a time without zone); `again`: the second time, where there are two."""
    found = shown.replace(tzinfo=zone, fold=int(again)).astimezone(UTC)
    return found if clock(found, zone) == shown else _jump(shown, zone)


def clock(at: datetime, zone: ZoneInfo) -> datetime:
    """What a clock of the zone shows at that moment, without zone."""
    return at.astimezone(zone).replace(tzinfo=None)


def spoken(at: datetime, zone: ZoneInfo, now: datetime) -> str:
    """`Monday 23 November, 09:00 CET`; seconds where there are some, the year where it is another one than now."""
    local = at.astimezone(zone)
    year = f" {local.year}" if local.year != now.astimezone(zone).year else ""
    time = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    return f"{local:%A} {local.day} {local:%B}{year}, {time} {_zone_name(local)}"


def _jump(shown: datetime, zone: ZoneInfo) -> datetime:
    """When the clock jumps over this. The first second at which it shows more."""
    before, after = (shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (1, 0))
    seconds = range(int((after - before).total_seconds()))
    return before + timedelta(seconds=bisect_left(seconds, shown, key=lambda it: clock(before + it * SECOND, zone)))


def _date(text: str) -> datetime:
    if not (DATE.fullmatch(text) or DATE_AND_TIME.fullmatch(text)):
        raise InvalidInput("the date", text, A_DATE)
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput("the date", text, A_DATE) from error


def _zone_name(local: datetime) -> str:
    """`CET`; where a zone has no such name its offset, `UTC+05:45`."""
    name = local.tzname() or ""
    return name if name.isalpha() else f"UTC{local.isoformat()[-6:]}"
