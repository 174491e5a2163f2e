"""Feature flags as they stand in one environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from rules.flag_targeting import Targeting, Variation


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag with what it does in one environment."""

    key: str
    variations: tuple[Variation, ...]
    targeting: Targeting
    version: int
    """Of the flag in this environment: grows with each change."""
    tags: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    """What we cannot carry over, in words (a running experiment)."""

    @property
    def names(self) -> dict[str, str]:
        return {variation.id: variation.label for variation in self.variations}


@dataclass(frozen=True, slots=True)
class FlagApproval:
    """The environment's own rule in the flag service on who must agree to a change."""

    required: bool = False
    tags: frozenset[str] = frozenset()
    """Empty: all flags, else only those with one of these tags."""

    def covers(self, flag: Flag) -> bool:
        return self.required and (not self.tags or not self.tags.isdisjoint(flag.tags))


@dataclass(frozen=True, slots=True)
class EnvironmentFlags:
    """All live flags of a project as they stand in one environment."""

    environment: str
    flags: Mapping[str, Flag]
    segments: frozenset[str] = frozenset()
    approval: FlagApproval = FlagApproval()
