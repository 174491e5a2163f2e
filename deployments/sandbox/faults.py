"""Faults on demand: what every stand-in asks before it answers.

faults.add(Fault("aws", kind=FaultKind.THROTTLE, operation="ssm:PutParameter", times=2))
fault = faults.take("aws", "ssm:PutParameter")   # twice a Fault, then None
"""

import threading
from collections import deque
from dataclasses import KW_ONLY, dataclass, replace
from enum import StrEnum
from fnmatch import fnmatchcase

HISTORY = 1_000


class FaultKind(StrEnum):
    THROTTLE = "throttle"
    """Refused for coming too often, in the vendor's own words."""
    TIMEOUT = "timeout"
    """No answer for `seconds`, then the connection closes."""
    RESET = "reset"
    """The connection is reset at once."""
    ERROR = "error"
    """A server error (5xx)."""
    GARBAGE = "garbage"
    """Status 200 and a body that is no answer."""
    SLOW = "slow"
    """The right answer, `seconds` late."""


DEFAULT_SECONDS = {FaultKind.TIMEOUT: 30.0, FaultKind.SLOW: 3.0}


@dataclass(frozen=True, slots=True)
class Fault:
    """What goes wrong, where and how often. `operation` may hold `*`; for AWS it is `service:Operation`,
    and either half alone matches too. `times=None` means until cleared.
    """

    target: str
    _: KW_ONLY
    kind: FaultKind
    operation: str = "*"
    times: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "kind", FaultKind(self.kind))
        if self.times is not None and self.times < 1:
            raise ValueError(f"A fault of {self.target} was asked for {self.times} times; it takes 1 or more.")
        if self.seconds is not None and self.seconds < 0:
            raise ValueError(f"A fault of {self.target} was asked to last {self.seconds} s; it takes 0 or more.")

    @property
    def lasts(self) -> float:
        """Seconds that a timeout hangs or a slow answer waits; 0 for the other kinds."""
        return DEFAULT_SECONDS.get(self.kind, 0.0) if self.seconds is None else self.seconds

    def matches(self, target: str, operation: str) -> bool:
        wanted, asked = self.operation.casefold(), operation.casefold()
        names = (asked, *asked.split(":", 1))
        return self.target == target and any(fnmatchcase(name, wanted) for name in names)


class Faults:
    """The faults in force, oldest first. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._active: list[Fault] = []
        self._fired: deque[tuple[Fault, str]] = deque(maxlen=HISTORY)

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._active.append(fault)

    def clear(self, target: str | None = None) -> None:
        """Forget the faults of one target, or of all."""
        with self._lock:
            self._active = [fault for fault in self._active if target not in {None, fault.target}]

    def take(self, target: str, operation: str) -> Fault | None:
        """The oldest fault that matches; one of its `times` is used up."""
        with self._lock:
            for place, fault in enumerate(self._active):
                if fault.matches(target, operation):
                    self._use_up(place, fault)
                    self._fired.append((fault, operation))
                    return fault
        return None

    def _use_up(self, place: int, fault: Fault) -> None:
        if fault.times == 1:
            del self._active[place]
        elif fault.times is not None:
            self._active[place] = replace(fault, times=fault.times - 1)

    @property
    def active(self) -> tuple[Fault, ...]:
        with self._lock:
            return tuple(self._active)

    @property
    def fired(self) -> tuple[tuple[Fault, str], ...]:
        """The latest faults that happened, with the operation that each struck."""
        with self._lock:
            return tuple(self._fired)
