"""What visitors really met between two moments, by the control room's account of the world."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployments.sandbox.room import view_of


@dataclass(frozen=True, slots=True)
class Visitors:
    """Numbers of requests of one environment."""

    requests: int
    failed: int
    """Answers of 5xx."""
    slow: int
    """Answers that took half a second or longer."""
    share_of_bad: float
    """Failed, slow or both, of all."""
    by_version: Mapping[str, Mapping[str, int]]
    """Requests, failed, slow and bad by the version that answered."""


def between(before: Mapping[str, Any], after: Mapping[str, Any], environment: str) -> Visitors:
    """From two states of the control room."""
    old, new = (view_of(state, environment)["visitors"] for state in (before, after))
    met = _more(old["met"], new["met"])
    versions = {it: _more(old["by_version"].get(it, {}), new["by_version"][it]) for it in new["by_version"]}
    return Visitors(
        met["requests"],
        met["failed"],
        met["slow"],
        round(met["bad"] / met["requests"], 5) if met["requests"] else 0.0,
        {version: more for version, more in versions.items() if more["requests"]},
    )


def _more(old: Mapping[str, int], new: Mapping[str, int]) -> dict[str, int]:
    return {key: count - old.get(key, 0) for key, count in new.items()}
