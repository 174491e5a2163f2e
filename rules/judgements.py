"""What the judge of a canary says of one service: a word to act on, and the sentence that says why."""

from dataclasses import dataclass
from enum import StrEnum


class Decision(StrEnum):
    ROLL_BACK = "roll_back"
    """The new version is worse than its budget, or than the old one, beyond chance."""
    PROMOTE = "promote"
    """There is evidence that it is not grossly worse."""
    NOT_ENOUGH_DATA = "not_enough_data"
    """Neither is shown. Never a pass."""
    HOLD = "hold"
    """It should have requests and none is seen: nobody can tell."""


@dataclass(frozen=True, slots=True)
class Judgement:
    service: str
    decision: Decision
    sentence: str
    """As a release manager understands it."""
    at_s: float = 0.0
    """Seconds since the canary started, when this was first so."""
    test: str = ""
    """The question that decided, where one did."""
    n_canary: float = 0
    bad_canary: float = 0
    evidence: float = 0
    """log10 of the odds, the highest of the four."""
    compared: bool = True
    """Whether there was an old version beside it; without it only the limits were tested."""
