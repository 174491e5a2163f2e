"""What a story of the sandbox is: how the world is arranged, who does what meanwhile, and how the run must end."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deployments.sandbox.room import ControlRoom

PROMOTION = "promote-to-staging/batbern"
SOURCE, TARGET = "dev", "staging"

Act = Callable[[ControlRoom], None]
Parameters = Callable[[str], Mapping[str, Any]]
"""Of the run, by the version that is to be rolled out."""
Decide = Callable[[Mapping[str, Any], datetime], Mapping[str, str] | None]
"""What a person answers a paused run, by the control room's state and when the run began; None: not yet."""


def nothing(_room: ControlRoom) -> None:
    pass


def no_parameters(_version: str) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Story:
    name: str
    tells: str
    """What it shows, in one sentence."""
    behaviour: str = "good"
    """Of the release that runs in the source environment."""
    age_minutes: float = 180
    """Since when it runs there."""
    arrange: Act = nothing
    """What else is made ready before the promotion begins."""
    meanwhile: Act = nothing
    """What the people of the story do while the promotion goes on; called again and again."""
    tidy: Act = nothing
    """Takes back what `arrange` did, for the story after this one."""
    ends: str = "Completed"
    """The name of the run's final state."""
    deployment: str = PROMOTION
    """`flow/deployment` that is started."""
    parameters: Parameters = no_parameters
    services: tuple[str, ...] = ()
    """Ids of the services that are rolled out; empty for all."""
    before: str = ""
    """Behaviour of a release that is placed in the target first, as the old version; empty: what is there stays."""
    visitors: float = 0
    """A second, in the target; 0 leaves them as they are. Told are what they met."""
    known_requests: int = 0
    """The old version answers so many before the run begins: its past is what a canary is compared with."""
    decide: Decide | None = None
    """None: nobody answers a run that asks, and none should."""
    kills_worker: bool = False
    """At the first share of the traffic. Then `ends` is the end of the run after that, a dry one."""
    extra_seconds: float = 0
    """So much longer than others it may take."""

    @property
    def arrives(self) -> bool:
        """Whether the new release serves in the target afterwards; otherwise what served before still does."""
        return self.ends == "Completed" and not self.kills_worker
