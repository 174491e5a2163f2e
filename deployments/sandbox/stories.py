"""The stories that the sandbox tells: how the world is arranged, and how the promotion must end.

A story is over when the run is in a final state. What serves then is read from the world, never assumed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from deployments.sandbox.narration import NOT_BEGUN, Look, Narrator, look
from deployments.sandbox.room import ControlRoom, Serving, serving
from deployments.sandbox.runs import Prefect, RunState

DEPLOYMENT = "promote-to-staging/batbern"
SOURCE, TARGET = "dev", "staging"
UNRULED = "experiments/new-recommender"
"""A parameter that no rule of the shipped catalogue covers."""
POLL_SECONDS = 0.5
SETTLING_SECONDS = 30.0
"""How long a release that was placed may take until its tasks serve."""
Act = Callable[[ControlRoom], None]


def nothing(_room: ControlRoom) -> None:
    pass


def add_parameter_without_rule(room: ControlRoom) -> None:
    room.put_parameter(SOURCE, UNRULED, "on")


def remove_parameter_without_rule(room: ControlRoom) -> None:
    room.delete_parameter(SOURCE, UNRULED)


def require_approvals(room: ControlRoom) -> None:
    room.require_flag_approvals(TARGET, required=True)


def require_no_approvals(room: ControlRoom) -> None:
    room.require_flag_approvals(TARGET, required=False)


def approve_what_is_asked(room: ControlRoom) -> None:
    """The approver who is not there: says yes to every open request of the target."""
    for request in room.state()["vendors"]["flags"]["approvals"]:
        if request["environment"] == TARGET and request["review"] == "pending":
            room.approve_flag_change(request["id"])


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

    @property
    def arrives(self) -> bool:
        """Whether the new release serves in the target afterwards; otherwise what served before still does."""
        return self.ends == "Completed"


STORIES = {
    story.name: story
    for story in (
        Story("good", "A good release walks from dev to staging."),
        Story("bad", "One request in five fails, but not in dev: put back.", behaviour="bad", ends="PutBack"),
        Story("slow", "Answers take 1.5 s, but not in dev: put back.", behaviour="slow", ends="PutBack"),
        Story(
            "crash", "The release crashes at its start, but not in dev: put back.", behaviour="crash", ends="PutBack"
        ),
        Story("unstable", "Deployed to dev only 30 minutes ago: refused.", age_minutes=30, ends="Refused"),
        Story("unhealthy", "Health says DOWN in dev: refused.", behaviour="unhealthy", ends="Refused"),
        Story(
            "config-unsafe",
            "A parameter in dev that no rule covers: refused, and named.",
            arrange=add_parameter_without_rule,
            tidy=remove_parameter_without_rule,
            ends="Refused",
        ),
        Story(
            "flag-approval",
            "Staging's feature flags need an approval: the promotion asks, waits and goes on.",
            arrange=require_approvals,
            meanwhile=approve_what_is_asked,
            tidy=require_no_approvals,
        ),
    )
}
DEMO = ("good", "bad")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a story ended. Its fields are the keys of the JSON that the sandbox prints."""

    story: str
    flow_run_id: str
    state: str
    version: str
    serving: Serving
    seconds: float
    as_expected: bool
    message: str

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def as_expected(story: Story, state: RunState, version: str, before: Serving, after: Serving) -> bool:
    """The run ended as the story says, and the target serves what follows from that, in every service."""
    if state.name != story.ends:
        return False
    if story.arrives:
        return bool(after[TARGET]) and set(after[TARGET].values()) == {version}
    return after[TARGET] == before[TARGET]


class Teller:
    """Tells stories in a sandbox that runs. `check` raises when a process of it died."""

    def __init__(self, room: ControlRoom, prefect: Prefect, narrator: Narrator, check: Callable[[], None]) -> None:
        self._room, self._prefect, self._narrator, self._check = room, prefect, narrator, check

    def tell(self, story: Story, seconds: float) -> Outcome:
        """Arrange, promote, follow to the end, and look at what serves. Ends after `seconds` at the latest."""
        self._narrator.heading(f"{story.name}: {story.tells}")
        with self._arranged(story) as version:
            return self._promote(story, version, seconds)

    @contextlib.contextmanager
    def _arranged(self, story: Story) -> Iterator[str]:
        self._narrator.say(f"world      a release ({story.behaviour}) runs in {SOURCE} since {story.age_minutes:g} min")
        placed = self._room.release(SOURCE, story.behaviour, story.age_minutes)
        self._wait_until_serving(placed.version)
        story.arrange(self._room)
        try:
            yield placed.version
        finally:
            with contextlib.suppress(httpx.HTTPError):
                story.tidy(self._room)

    def _wait_until_serving(self, version: str) -> None:
        """Until all traffic of the source goes to tasks of this release that have started."""
        deadline = time.monotonic() + SETTLING_SECONDS
        while time.monotonic() < deadline and not settled(self._room.state(), SOURCE, version):
            self._check()
            time.sleep(POLL_SECONDS / 2)

    def _promote(self, story: Story, version: str, seconds: float) -> Outcome:
        state = self._room.state()
        self._narrator.begin(look(NOT_BEGUN, (), state))
        began = time.monotonic()
        run_id = self._prefect.start(DEPLOYMENT, {})
        self._narrator.say(f"run        {DEPLOYMENT} of {version}, {run_id}")
        last = self._follow(story, run_id, began + seconds)
        after = serving(self._room.state())
        expected = as_expected(story, last.run, version, serving(state), after)
        return Outcome(
            story.name,
            run_id,
            last.run.name,
            version,
            after,
            round(time.monotonic() - began, 1),
            expected,
            last.run.message,
        )

    def _follow(self, story: Story, run_id: str, deadline: float) -> Look:
        """Look until the run is over, and tell what changes. The last look."""
        while not (now := self._look(run_id)).run.final:
            self._narrator.observe(now)
            if time.monotonic() > deadline:
                self._prefect.cancel(run_id)  # or it would hold the target's lock during the next story
                return now
            story.meanwhile(self._room)
            time.sleep(POLL_SECONDS)
        time.sleep(POLL_SECONDS)  # the server hears of the last steps a little later than of the run's end
        last = self._look(run_id)
        self._narrator.observe(last)
        return last

    def _look(self, run_id: str) -> Look:
        self._check()
        run = self._prefect.state(run_id)
        return look(run, self._prefect.steps(run_id), self._room.state())


def settled(state: dict[str, Any], environment: str, version: str) -> bool:
    """Whether an environment serves this version alone, and no task of it is starting."""
    views = [view for view in state["environments"] if view["name"] == environment]
    services = [service for view in views for service in view["services"]]
    revisions = [revision for service in services for revision in service["revisions"] if revision["weight"] > 0]
    return set(serving(state)[environment].values()) == {version} and all(
        revision["health"] not in {"starting", "unknown"} for revision in revisions
    )
