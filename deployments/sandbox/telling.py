"""Tells stories: arranges the world, starts the run, follows it to its end, and looks at what serves.

A story is over when the run is in a final state. What serves then is read from the world, never assumed.
"""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from rich.markup import escape

from deployments.sandbox.approvers import Authenticators
from deployments.sandbox.arranging import Arranger
from deployments.sandbox.keeping import Keeper
from deployments.sandbox.killing import Killed, Killing
from deployments.sandbox.machinery import Machinery
from deployments.sandbox.meeting import Visitors, between
from deployments.sandbox.narration import NOT_BEGUN, Look, Narrator, look
from deployments.sandbox.panel import Panel
from deployments.sandbox.room import ControlRoom, Serving, serving, ticket_of
from deployments.sandbox.runs import Prefect, RunState
from deployments.sandbox.story import Scene, Seen, Story, no_more

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class SupersededRun:
    """The older run, whose place the one that is told took."""

    flow_run_id: str
    state: str


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
    """What the people of the story answered the run."""
    killed: Killed | None = None
    superseded: SupersededRun | None = None
    ticket: str | None = None
    """Key and status of the story's change ticket."""
    not_as_told: str | None = None
    """What is not as the story tells it, beside the run's end and what serves."""

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value is not None}


def as_expected(story: Story, state: RunState, version: str, before: Serving, after: Serving) -> bool:
    """The run ended as the story says, and the target serves what follows from that, in every service."""
    target = story.target
    moving = set(story.services or after[target]) if story.arrives else set()
    wanted = {it: version if it in moving else before[target].get(it) for it in {*after[target], *before[target]}}
    return state.name == story.ends and bool(after[target]) and after[target] == wanted


@dataclass(slots=True)
class Telling:
    """One run of a story under way."""

    story: Story
    scene: Scene
    run_id: str
    began: datetime
    """By the world's clock."""
    deadline: float
    decisions: list[Mapping[str, str]]
    panel: Panel

    @property
    def answers(self) -> list[Mapping[str, str]]:
        return [*self.decisions, *self.panel.said]

    @property
    def unanswered(self) -> str:
        if self.story.decide is not None and not self.decisions:
            return "The run asked nobody to decide."
        return "" if self.panel.done else "Not every approver was asked."


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of a story's runs."""

    last: Look
    telling: Telling
    """Of the run that is told."""
    killed: Killed | None = None
    superseded: SupersededRun | None = None

    @property
    def not_as_told(self) -> str:
        if self.superseded is not None and self.superseded.state != "Superseded":
            return f"The older run ended {self.superseded.state}."
        if self.killed is not None and not self.killed.told:
            return "The traffic did not come back, or the ledger does not say why."
        return self.telling.unanswered


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
        authenticators: Authenticators | None = None,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        """`machinery`: for the stories that lay hands on processes and files of the sandbox."""
        self._room, self._prefect, self._narrator, self._check = room, prefect, narrator, check
        self._machinery, self._poll_seconds = machinery, poll_seconds
        self._authenticators = authenticators or Authenticators()
        self._arranger = Arranger(room, narrator, self._pause)

    def tell(self, story: Story, seconds: float) -> Outcome:
        """Arrange, promote, follow to the end, and look at what serves. Ends after `seconds` at the latest."""
        self._narrator.heading(f"{story.name}: {story.tells}")
        with self._arranger.arranged(story) as scene, self._edited(story, scene):
            return self._promote(story, scene, seconds + story.extra_seconds)

    def _edited(self, story: Story, scene: Scene) -> contextlib.AbstractContextManager[None]:
        edit = story.catalogue
        if edit is None:
            return contextlib.nullcontext()
        self._narrator.say("world      the catalogue says something else in this story")
        return self._machinery_of(story).other_catalogue(lambda text: edit(text, scene))

    # --- the run ----------------------------------------------------------------------------------------------

    def _promote(self, story: Story, scene: Scene, seconds: float) -> Outcome:
        before = self._room.state()
        self._narrator.begin(look(NOT_BEGUN, (), before))
        began = time.monotonic()
        telling = self._start(story, scene, datetime.fromisoformat(before["now"]), began + seconds)
        ended = self._ended(telling)
        at_the_end = self._room.state()
        self._finish(story)
        return self._outcome(ended, before, at_the_end, round(time.monotonic() - began, 1))

    def _ended(self, telling: Telling) -> Ended:
        if telling.story.kills_worker:
            return self._kill(telling)
        if telling.story.is_superseded:
            return self._supersede(telling)
        return Ended(self._follow(telling), telling)

    def _outcome(
        self, ended: Ended, before: Mapping[str, Any], at_the_end: Mapping[str, Any], seconds: float
    ) -> Outcome:
        telling, run, after = ended.telling, ended.last.run, self._room.state()
        story, scene = telling.story, telling.scene
        ticket = ticket_of(after, scene.ticket)
        seen_at_the_end = ticket_of(at_the_end, scene.ticket)
        not_as_told = ended.not_as_told or self._unproved(telling, run, ticket, seen_at_the_end)
        expected = as_expected(story, run, scene.version, serving(before), serving(after))
        return Outcome(
            story=story.name,
            flow_run_id=telling.run_id,
            state=run.name,
            version=scene.version,
            serving=serving(after),
            seconds=seconds,
            as_expected=expected and not not_as_told,
            message=run.message,
            visitors=between(before, after, story.target) if story.visitors else None,
            decisions=telling.answers if story.decide or story.approvers else None,
            killed=ended.killed,
            superseded=ended.superseded,
            ticket=f"{scene.ticket}: {ticket['status']}" if ticket else None,
            not_as_told=not_as_told or None,
        )

    def _unproved(
        self, telling: Telling, run: RunState, ticket: Mapping[str, Any], at_the_end: Mapping[str, Any]
    ) -> str:
        """What the ledger and the ticket do not say, and must."""
        story = telling.story
        if story.proof is no_more:
            return ""
        records = self._machinery_of(story).records(telling.run_id)
        return story.proof(Seen(records, ticket, at_the_end, run.message))

    def _start(self, story: Story, scene: Scene, began: datetime, deadline: float, **more: Any) -> Telling:
        run_id = self._prefect.start(story.deployment, {**story.parameters(scene), **more})
        self._narrator.say(f"run        {story.deployment} of {scene.version}, {run_id}")
        panel = Panel(self._prefect, self._room, self._narrator, self._authenticators, story.approvers)
        return Telling(story, scene, run_id, began, deadline, [], panel)

    def _follow(self, telling: Telling) -> Look:
        """Look until the run is over, and tell what changes. The last look."""
        keeper = self._keeper() if telling.story.keeper else None
        while not (now := self._look(telling.run_id)).run.final:
            self._narrator.observe(now)
            if time.monotonic() > telling.deadline:
                self._prefect.cancel(telling.run_id)  # or it would hold the target's lock during the next story
                return now
            telling.story.meanwhile(self._room)
            self._answer(telling, now.run, keeper)
            time.sleep(self._poll_seconds)
        time.sleep(self._poll_seconds)  # the server hears of the last steps a little later than of the run's end
        last = self._look(telling.run_id)
        self._narrator.observe(last)
        return last

    def _answer(self, telling: Telling, run: RunState, keeper: Keeper | None) -> None:
        if run.paused:
            self._decide(telling)
        elif run.suspended:
            telling.panel.answer(telling.run_id)
            if keeper is not None:
                keeper.now_and_then()

    def _decide(self, telling: Telling) -> None:
        said = telling.story.decide and telling.story.decide(self._room.state(), telling.began)
        if said and self._prefect.resume(telling.run_id, said):
            telling.decisions.append(said)
            self._narrator.say(f"a person   says {said['decision']}: {said['comment']}")

    def _finish(self, story: Story) -> None:
        story.afterwards(self._room)
        if story.keeper:
            self._keeper().once(self._pause)

    # --- a run that is killed, a run that is superseded -------------------------------------------------------

    def _kill(self, telling: Telling) -> Ended:
        """Kill the worker at the first share of the traffic, wait for Amazon ECS, and let the next run look back."""
        story = telling.story
        machinery = self._machinery_of(story)
        killing = Killing(
            self._room,
            machinery,
            self._narrator,
            lambda: self._look(telling.run_id),
            poll_seconds=self._poll_seconds,
            environment=story.target,
        )
        killed = killing.kill(story.services[0], telling.deadline)
        rerun = self._start(story, telling.scene, telling.began, telling.deadline, dry_run=True)
        last = self._follow(rerun)
        return Ended(last, telling, replace(killed, ledger=machinery.ledger_says(telling.run_id)))

    def _supersede(self, telling: Telling) -> Ended:
        """While the run waits for its approvers, ask for a newer release, and follow that one to its end."""
        story = telling.story
        self._until(telling, lambda run: run.suspended or run.final)
        newer = self._start(story, self._arranger.newer(story), telling.began, telling.deadline)
        last = self._follow(newer)
        older = self._until(telling, lambda run: run.final)
        self._narrator.say(f"run        the older one ended [bold]{escape(older.name)}[/]: {escape(older.message)}")
        return Ended(last, newer, superseded=SupersededRun(telling.run_id, older.name))

    def _until(self, telling: Telling, fact: Callable[[RunState], bool]) -> RunState:
        """Look until it is so, or the story has taken too long; the last state that was seen."""
        while not fact((now := self._look(telling.run_id)).run) and time.monotonic() < telling.deadline:
            self._narrator.observe(now)
            time.sleep(self._poll_seconds)
        return now.run

    # --- what it has ------------------------------------------------------------------------------------------

    def _keeper(self) -> Keeper:
        return Keeper(self._prefect, self._narrator)

    def _machinery_of(self, story: Story) -> Machinery:
        if self._machinery is None:
            raise ValueError(f"{story.name} needs a worker that may be killed, a ledger and a catalogue.")
        return self._machinery

    def _pause(self) -> None:
        self._check()
        time.sleep(self._poll_seconds / 2)

    def _look(self, run_id: str) -> Look:
        self._check()
        run = self._prefect.state(run_id)
        return look(run, self._prefect.steps(run_id), self._room.state())
