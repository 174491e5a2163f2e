"""The world is made ready for a story, and afterwards it is again as it was."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx

from deployments.sandbox.narration import Narrator
from deployments.sandbox.room import ControlRoom, serving, view_of
from deployments.sandbox.story import Scene, Story

SETTLING_SECONDS = 30.0
"""How long a release that was placed may take until its tasks serve."""
KNOWING_SECONDS = 60.0
"""How long the old version may take to answer the requests by which it is known."""


class Arranger:
    """`pause` waits a moment, and raises when a process of the sandbox died."""

    def __init__(self, room: ControlRoom, narrator: Narrator, pause: Callable[[], None]) -> None:
        self._room, self._narrator, self._pause = room, narrator, pause

    @contextlib.contextmanager
    def arranged(self, story: Story) -> Iterator[Scene]:
        with contextlib.ExitStack() as stack:
            self._arrange_target(story, stack)
            version = self._arrange_source(story)
            story.arrange(self._room)
            stack.callback(self._tidy, story)
            yield Scene(version, self._ticket(story))

    def newer(self, story: Story) -> Scene:
        """A newer release in the source, with a ticket of its own, while the story goes on."""
        return Scene(self._place(story.source, story.behaviour, story.age_minutes), self._ticket(story))

    def _tidy(self, story: Story) -> None:
        with contextlib.suppress(httpx.HTTPError):
            story.tidy(self._room)

    def _arrange_target(self, story: Story, stack: contextlib.ExitStack) -> None:
        """The old version, its visitors, and so much of its past as the story needs."""
        target = story.target
        if story.visitors:
            usual = view_of(self._room.state(), target)["visitors"]["per_second"]
            self._room.set_visitors(target, story.visitors)
            stack.callback(self._room.set_visitors, target, usual)
            self._narrator.say(f"world      {story.visitors:g} visitors a second come to {target}")
        if story.before:
            old = self._place(target, story.before, story.age_minutes)
            self._wait(KNOWING_SECONDS, lambda state: answered(state, target, old) >= story.known_requests)

    def _arrange_source(self, story: Story) -> str:
        """The release that is to be promoted: what runs there already, or a new one."""
        if story.takes_what_runs and (version := self._new_for_target(story)):
            self._narrator.say(f"world      {version} has been running in {story.source} for {story.age_minutes:g} min")
            self._room.let_pass(story.source, story.age_minutes)
            self._wait(SETTLING_SECONDS, lambda state: settled(state, story.source, version))
            return version
        return self._place(story.source, story.behaviour, story.age_minutes)

    def _new_for_target(self, story: Story) -> str:
        """The one version that runs in the source and not in the target; empty when there is none."""
        serves = serving(self._room.state())
        here, there = set(serves[story.source].values()), set(serves[story.target].values())
        return next(iter(here)) if len(here) == 1 and not here & there else ""

    def _place(self, environment: str, behaviour: str, age_minutes: float) -> str:
        self._narrator.say(f"world      a release ({behaviour}) runs in {environment} since {age_minutes:g} min")
        version = self._room.release(environment, behaviour, age_minutes).version
        self._wait(SETTLING_SECONDS, lambda state: settled(state, environment, version))
        return version

    def _ticket(self, story: Story) -> str:
        if not story.ticket:
            return ""
        key = self._room.create_ticket(f"Release to {story.target}, story {story.name}", story.ticket)
        self._narrator.say(f"world      change ticket {key} is {story.ticket.lower()}")
        return key

    def _wait(self, seconds: float, fact: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not fact(self._room.state()):
            self._pause()


def settled(state: Mapping[str, Any], environment: str, version: str) -> bool:
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
