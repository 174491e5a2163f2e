"""What a story of the sandbox is: how the world is arranged, who does what meanwhile, and how the run must end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deployments.sandbox.room import ControlRoom
from rules.records import Record

PROMOTION = "promote-to-staging/batbern"
SOURCE, TARGET = "dev", "staging"


@dataclass(frozen=True, slots=True)
class Scene:
    """What stands ready when the run is started."""

    version: str
    """That is to be rolled out."""
    ticket: str = ""
    """Key of the story's own change ticket."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run has left behind: what a story is judged by, beside what serves."""

    records: Sequence[Record]
    """Of the run, the oldest first."""
    ticket: Mapping[str, Any]
    """As the ticket system has it; empty without one."""
    ticket_at_the_end: Mapping[str, Any]
    """As it was when the run had just ended."""
    message: str
    """Of the run's last state."""


Act = Callable[[ControlRoom], None]
Parameters = Callable[[Scene], Mapping[str, Any]]
Decide = Callable[[Mapping[str, Any], datetime], Mapping[str, str] | None]
"""What a person answers a paused run, by the control room's state and when the run began; None: not yet."""
Edit = Callable[[str, Scene], str]
"""The text of another catalogue, from the text of the sandbox's own and what stands ready."""
Proof = Callable[[Seen], str]
"""What is not as the story tells it, as a sentence; empty when all is."""


def nothing(_room: ControlRoom) -> None:
    pass


def no_parameters(_scene: Scene) -> Mapping[str, Any]:
    return {}


def no_more(_seen: Seen) -> str:
    """Of a story that is judged by the run's end and by what serves alone."""
    return ""


@dataclass(frozen=True, slots=True)
class Says:
    """An approver's answer to the question of a suspended run."""

    person: str
    """Id in the catalogue."""
    decision: str = "approve"
    comment: str = ""
    while_reading: Act = nothing
    """What happens in the world between reading the plan and answering."""
    tells: str = ""
    """That, in words."""


@dataclass(frozen=True, slots=True)
class Story:
    name: str
    tells: str
    """What it shows, in one sentence."""
    behaviour: str = "good"
    """Of the release that runs in the source environment."""
    age_minutes: float = 180
    """Since when it runs there."""
    source: str = SOURCE
    target: str = TARGET
    takes_what_runs: bool = False
    """What runs in the source is promoted, once it is so old; a new release only where the target has that already."""
    arrange: Act = nothing
    """What else is made ready before the promotion begins."""
    meanwhile: Act = nothing
    """What the people of the story do while the promotion goes on; called again and again."""
    afterwards: Act = nothing
    """What happens when the run is over, before it is looked at how it ended."""
    tidy: Act = nothing
    """Takes back what `arrange` did, for the story after this one."""
    catalogue: Edit | None = None
    """The catalogue of this story; afterwards it is again what it was."""
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
    """None: nobody answers a run that is paused, and none should."""
    ticket: str = ""
    """Status of a change ticket that is made for this story alone; empty: none is."""
    approvers: tuple[Says, ...] = field(default=())
    """Each of them answers one question of the suspended run, in this order; nobody answers the questions after."""
    keeper: bool = False
    """The keeper of waiting runs is started while the run is suspended, and once more when it is over."""
    is_superseded: bool = False
    """While the run waits for approvers, a newer release is asked for. What is told is the end of its run."""
    kills_worker: bool = False
    """At the first share of the traffic. Then `ends` is the end of the run after that, a dry one."""
    extra_seconds: float = 0
    """So much longer than others it may take."""
    proof: Proof = no_more
    """What the ledger and the ticket must say."""

    @property
    def arrives(self) -> bool:
        """Whether the new release serves in the target afterwards; otherwise what served before still does."""
        return self.ends == "Completed" and not self.kills_worker
