"""Tells stories: arranges the world, starts the run, follows it to its end, and looks at what serves.

A story is over when the run is in a final state. What serves then is read from the world, never assumed.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import httpx

from deployments.sandbox.killing import Killed, Killing, Machinery
from deployments.sandbox.meeting import Visitors, between
from deployments.sandbox.narration import NOT_BEGUN, Look, Narrator, look
from deployments.sandbox.room import ControlRoom, Serving, serving, view_of
from deployments.sandbox.runs import Prefect, RunState
from deployments.sandbox.story import SOURCE, TARGET, Story

POLL_SECONDS = 0.5
SETTLING_SECONDS = 30.0
"""How long a release that was placed may take until its tasks serve."""
KNOWING_SECONDS = 60.0
"""How long the old version may take to answer the requests by which it is known."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a story ended. Its fields are the keys of the JSON that the sandbox prints; what is None is left out."""

    story: str
    flow_run_id: str
    state: str
    version: str
    serving: Serving
    seconds: float
    as_expected: bool
    message: str
    visitors: Visitors | None = None
    """What the visitors of the target met since the run began."""
    decisions: Sequence[Mapping[str, str]] | None = None
    """What a person of the story answered the run."""
    killed: Killed | None = None

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def as_expected(story: Story, state: RunState, version: str, before: Serving, after: Serving) -> bool:
    """The run ended as the story says, and the target serves what follows from that, in every service."""
    moving = set(story.services or after[TARGET]) if story.arrives else set()
    wanted = {it: version if it in moving else before[TARGET].get(it) for it in {*after[TARGET], *before[TARGET]}}
    return state.name == story.ends and bool(after[TARGET]) and after[TARGET] == wanted


@dataclass(slots=True)
class Telling:
    """One story under way."""

    story: Story
    version: str
    run_id: str
    began: datetime
    """By the world's clock."""
    deadline: float
    decisions: list[Mapping[str, str]]


class Teller:
    """Tells stories in a sandbox that runs. `check` raises when a process of it died."""

    def __init__(
        self,
        room: ControlRoom,
        prefect: Prefect,
        narrator: Narrator,
        check: Callable[[], None],
        machinery: Machinery | None = None,
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """`machinery`: for the stories in which the worker is killed."""
        self._room, self._prefect, self._narrator, self._check = room, prefect, narrator, check
        self._machinery, self._poll_seconds = machinery, poll_seconds

    def tell(self, story: Story, seconds: float) -> Outcome:
        """Arrange, promote, follow to the end, and look at what serves. Ends after `seconds` at the latest."""
        self._narrator.heading(f"{story.name}: {story.tells}")
        with self._arranged(story) as version:
            return self._promote(story, version, seconds + story.extra_seconds)

    # --- the world is made ready ------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _arranged(self, story: Story) -> Iterator[str]:
        with contextlib.ExitStack() as stack:
            self._arrange_target(story, stack)
            version = self._place(SOURCE, story.behaviour, story.age_minutes)
            story.arrange(self._room)
            stack.callback(self._tidy, story)
            yield version

    def _tidy(self, story: Story) -> None:
        with contextlib.suppress(httpx.HTTPError):
            story.tidy(self._room)

    def _arrange_target(self, story: Story, stack: contextlib.ExitStack) -> None:
        """The old version, its visitors, and so much of its past as the story needs."""
        if story.visitors:
            usual = view_of(self._room.state(), TARGET)["visitors"]["per_second"]
            self._room.set_visitors(TARGET, story.visitors)
            stack.callback(self._room.set_visitors, TARGET, usual)
            self._narrator.say(f"world      {story.visitors:g} visitors a second come to {TARGET}")
        if story.before:
            old = self._place(TARGET, story.before, story.age_minutes)
            self._wait(KNOWING_SECONDS, lambda state: answered(state, TARGET, old) >= story.known_requests)

    def _place(self, environment: str, behaviour: str, age_minutes: float) -> str:
        self._narrator.say(f"world      a release ({behaviour}) runs in {environment} since {age_minutes:g} min")
        version = self._room.release(environment, behaviour, age_minutes).version
        self._wait(SETTLING_SECONDS, lambda state: settled(state, environment, version))
        return version

    def _wait(self, seconds: float, fact: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not fact(self._room.state()):
            self._check()
            time.sleep(self._poll_seconds / 2)

    # --- the run ----------------------------------------------------------------------------------------------

    def _promote(self, story: Story, version: str, seconds: float) -> Outcome:
        state = self._room.state()
        self._narrator.begin(look(NOT_BEGUN, (), state))
        began = time.monotonic()
        telling = self._start(story, version, datetime.fromisoformat(state["now"]), began + seconds)
        killed, last = self._kill(telling) if story.kills_worker else (None, self._follow(telling))
        after = self._room.state()
        expected = as_expected(story, last.run, version, serving(state), serving(after))
        answered_as_told = story.decide is None or bool(telling.decisions)
        return Outcome(
            story=story.name,
            flow_run_id=telling.run_id,
            state=last.run.name,
            version=version,
            serving=serving(after),
            seconds=round(time.monotonic() - began, 1),
            as_expected=expected and answered_as_told and (killed is None or killed.told),
            message=last.run.message,
            visitors=between(state, after, TARGET) if story.visitors else None,
            decisions=telling.decisions if story.decide else None,
            killed=killed,
        )

    def _start(self, story: Story, version: str, began: datetime, deadline: float, **more: Any) -> Telling:
        run_id = self._prefect.start(story.deployment, {**story.parameters(version), **more})
        self._narrator.say(f"run        {story.deployment} of {version}, {run_id}")
        return Telling(story, version, run_id, began, deadline, [])

    def _follow(self, telling: Telling) -> Look:
        """Look until the run is over, and tell what changes. The last look."""
        while not (now := self._look(telling.run_id)).run.final:
            self._narrator.observe(now)
            if time.monotonic() > telling.deadline:
                self._prefect.cancel(telling.run_id)  # or it would hold the target's lock during the next story
                return now
            telling.story.meanwhile(self._room)
            if now.run.kind == "PAUSED":
                self._decide(telling)
            time.sleep(self._poll_seconds)
        time.sleep(self._poll_seconds)  # the server hears of the last steps a little later than of the run's end
        last = self._look(telling.run_id)
        self._narrator.observe(last)
        return last

    def _decide(self, telling: Telling) -> None:
        said = telling.story.decide and telling.story.decide(self._room.state(), telling.began)
        if said and self._prefect.resume(telling.run_id, said):
            telling.decisions.append(said)
            self._narrator.say(f"a person   says {said['decision']}: {said['comment']}")

    def _kill(self, telling: Telling) -> tuple[Killed, Look]:
        """Kill the worker at the first share of the traffic, wait for Amazon ECS, and let the next run look back."""
        if self._machinery is None:
            raise ValueError(f"{telling.story.name} needs a worker that may be killed.")
        killing = Killing(
            self._room, self._machinery, self._narrator, lambda: self._look(telling.run_id), self._poll_seconds
        )
        killed = killing.kill(telling.story.services[0], telling.deadline)
        rerun = self._start(telling.story, telling.version, telling.began, telling.deadline, dry_run=True)
        last = self._follow(rerun)
        return replace(killed, ledger=self._machinery.ledger_says(telling.run_id)), last

    def _look(self, run_id: str) -> Look:
        self._check()
        run = self._prefect.state(run_id)
        return look(run, self._prefect.steps(run_id), self._room.state())


def settled(state: dict[str, Any], environment: str, version: str) -> bool:
    """Whether an environment serves this version alone, and no task of it is starting."""
    services = view_of(state, environment)["services"]
    revisions = [revision for service in services for revision in service["revisions"] if revision["weight"] > 0]
    return set(serving(state)[environment].values()) == {version} and all(
        revision["health"] not in {"starting", "unknown"} for revision in revisions
    )


def answered(state: Mapping[str, Any], environment: str, version: str) -> int:
    """How many requests a version has answered there."""
    by_version = view_of(state, environment)["visitors"]["by_version"]
    return int(by_version.get(version, {}).get("requests", 0))
