"""What a migration does to the code that still runs, statement by statement: the words of a review."""

from dataclasses import dataclass
from enum import StrEnum


class Safety(StrEnum):
    """For the version that runs while the migration is applied, and for a while after it."""

    SAFE = "safe"
    REVIEW = "review"
    """A person must look: it cannot be known from the script, or it keeps others waiting."""
    UNSAFE = "unsafe"

    @property
    def badness(self) -> int:
        return tuple(Safety).index(self)


class Lock(StrEnum):
    """What a statement keeps others from, for as long as it takes."""

    NONE = ""
    WRITES = "SHARE: nobody writes to the table meanwhile"
    ALL = "ACCESS EXCLUSIVE: nobody reads or writes the table meanwhile"
    REWRITE = "ACCESS EXCLUSIVE, and the whole table is written anew"
    SCAN = "ACCESS EXCLUSIVE, and the whole table is read"


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that a statement does."""

    verdict: Safety
    line: int
    """Of the script, from 1: where the statement begins."""
    sentence: str
    how: str = ""
    """How it is done in two releases, or without keeping others waiting."""
    lock: Lock = Lock.NONE
    script: str = ""


@dataclass(frozen=True, slots=True)
class Review:
    """Of one script, or of several that are applied together. No statement at all is REVIEW: nothing was proved."""

    name: str
    reasons: tuple[Reason, ...]
    """The worst first."""
    statements: int = 0

    @property
    def verdict(self) -> Safety:
        if not self.statements:
            return Safety.REVIEW
        return max((it.verdict for it in self.reasons), key=lambda it: it.badness, default=Safety.SAFE)
