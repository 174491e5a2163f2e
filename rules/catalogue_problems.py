"""How a mistake in the catalogue is told."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it must be: where (keys and positions), what was found, what is allowed."""

    path: tuple[str | int, ...]
    found: object
    allowed: str
