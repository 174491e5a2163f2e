"""Being slowed down by AWS: bounded retries with jitter, and from then on no faster than AWS grants everybody."""

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of

# botocore retries throttling itself, a few times; TooManyUpdates it hands straight to us.
TOO_FAST = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyUpdates"})
ATTEMPTS = 8
"""About a quarter of a minute of pauses on average, half a minute at worst."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0

T = TypeVar("T", bound=Mapping[str, Any])


class Patience:
    """Repeats calls that came too fast. Keeps `per_second` writes from the first complaint on, full speed before."""

    def __init__(self, per_second: float, pause: Callable[[float], None] = time.sleep) -> None:
        self._spacing, self._pause, self._gap = 1 / per_second, pause, 0.0

    def ask(self, call: Callable[[], T]) -> T:
        """The call's answer. Raises what the call raises, throttling only after so many attempts."""
        for attempt in range(ATTEMPTS - 1):
            try:
                return call()
            except ClientError as error:
                if code_of(error) not in TOO_FAST:
                    raise
                self._gap = self._spacing
                self._pause(_jittered(attempt))
        return call()

    def write(self, call: Callable[[], T]) -> T:
        """As `ask`, at the pace for writes."""
        if self._gap:
            self._pause(self._gap)
        answer = self.ask(call)
        if answer.get("ResponseMetadata", {}).get("RetryAttempts"):
            self._gap = self._spacing  # botocore was slowed down and said nothing
        return answer


def _jittered(attempt: int) -> float:
    return random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt))  # noqa: S311 - jitter, not a secret
