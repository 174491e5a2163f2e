"""What vendors say in their headers about how much we may ask, and when again."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

EPOCH_SECONDS, EPOCH_MILLISECONDS = 1e9, 1e11
"""From these on a number is a point in time, not a duration."""


def asked_pause(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds to wait by the vendor's own headers (names in lower case): the longest of them.

    Retry-After: seconds or an HTTP date. Resets: milliseconds since 1970 (LaunchDarkly), ISO 8601 (Jira),
    seconds since 1970, or seconds.
    """
    asked = [headers[name] for name in headers if name == "retry-after" or _is_limit(name, "-reset")]
    pauses = [pause for value in asked if (pause := _seconds_from(value.strip(), now)) is not None]
    return max(0.0, *pauses) if pauses else None


def allowance_used_up(headers: Mapping[str, str]) -> bool:
    """Whether one of the limits says that no request remains until its reset."""
    return any(_is_limit(name, "-remaining") and value.strip() == "0" for name, value in headers.items())


def _is_limit(name: str, ending: str) -> bool:
    return name.startswith("x-ratelimit-") and name.endswith(ending)


def _seconds_from(value: str, now: datetime) -> float | None:
    try:
        return _seconds_from_number(float(value), now)
    except ValueError:
        moment = _moment(value)
        return None if moment is None else (moment - now).total_seconds()


def _seconds_from_number(number: float, now: datetime) -> float:
    if number >= EPOCH_MILLISECONDS:
        return number / 1000 - now.timestamp()
    return number - now.timestamp() if number >= EPOCH_SECONDS else number


def _moment(value: str) -> datetime | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(value)
        except (ValueError, TypeError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
