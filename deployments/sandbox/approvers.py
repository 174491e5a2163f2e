"""The approvers of a sandbox: their secrets are made up from their names, and their codes are known to the stories."""

import base64
import hashlib
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

STEP_SECONDS = 30


def secrets_of(people: Iterable[str]) -> dict[str, str]:
    """By person: twenty bytes in base 32, as an authenticator app takes them."""
    return {person: base64.b32encode(hashlib.sha1(person.encode()).digest()).decode() for person in people}  # noqa: S324 - the stand-in's secrets protect nothing


class Authenticators:
    """The apps on the approvers' telephones. Nobody shows the same code twice, because a code works once."""

    def __init__(self, now: Callable[[], float] = time.time, pause: Callable[[float], None] = time.sleep) -> None:
        self._now, self._pause = now, pause
        self._last: dict[str, int] = {}

    def code(self, person: str) -> str:
        """A code that this person has not used and that is valid now; waits for one if it must."""
        step = max(self._last.get(person, 0) + 1, self._step())
        while step > self._step() + 1:
            self._pause(1)
        self._last[person] = step
        return code_at(person, step)

    def _step(self) -> int:
        return int(self._now()) // STEP_SECONDS


def code_at(person: str, step: int) -> str:
    import pyotp

    totp: Any = pyotp.TOTP(secrets_of([person])[person])
    code: str = totp.at(datetime.fromtimestamp(step * STEP_SECONDS, UTC))
    return code
