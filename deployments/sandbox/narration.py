"""What a person reads while a story goes on: the run's steps, the traffic, the chat, as they happen.

`changes` compares two looks at the world and says in lines what happened between them; the narrator prints them.
"""

import sys
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

from deployments.sandbox.room import serving_version
from deployments.sandbox.runs import RunState, Step

APPROVED = "record the approval"
"""From this step on, what is done is not done again."""
ON_ITS_WAY = frozenset({"Scheduled", "Resuming", "Pending", "Submitting", "Late"})
"""States that a run passes before it is at work; not told."""
NOT_BEGUN = RunState("", "", "")
MARKS = {"COMPLETED": "[green]✓[/]", "FAILED": "[red]✗[/]", "CRASHED": "[red]✗[/]", "CANCELLED": "[yellow]✗[/]"}
Traffic = Mapping[tuple[str, str], str]
"""What a service of an environment serves, in words, by (environment, service)."""


@dataclass(frozen=True, slots=True)
class TicketLook:
    """What is told of a change ticket."""

    status: str
    comments: Sequence[str] = ()
    """The first line of each, oldest first."""


@dataclass(frozen=True, slots=True)
class Look:
    """What can be seen at one moment."""

    run: RunState = NOT_BEGUN
    steps: Sequence[Step] = ()
    traffic: Traffic = field(default_factory=dict)
    chat: Sequence[str] = ()
    """The first line of every message, oldest first."""
    pages: Sequence[str] = ()
    """The summary of every incident, oldest first."""
    tickets: Mapping[str, TicketLook] = field(default_factory=dict)
    """By key."""


def look(run: RunState, steps: Sequence[Step], state: Mapping[str, Any]) -> Look:
    """A look, from what the Prefect server and the control room answered."""
    vendors = state["vendors"]
    return Look(
        run,
        steps,
        {
            (environment["name"], service["id"]): serving_version(service["revisions"])
            for environment in state["environments"]
            for service in environment["services"]
        },
        [first_line(message) for message in vendors["chat"]["messages"]],
        [str(incident.get("summary", "")) for incident in vendors["pager"]["incidents"]],
        {
            ticket["key"]: TicketLook(ticket["status"], [first_line(it) for it in ticket["comments"]])
            for ticket in vendors.get("tickets", ())
        },
    )


def first_line(message: Mapping[str, Any]) -> str:
    return _short(str(message.get("text") or "(a message without text)").strip().split("\n", 1)[0])


def changes(before: Look, after: Look, repeated: Container[str] = ()) -> Iterator[str]:
    """What happened between two looks, one line each, in rich's markup.

    `repeated`: a run that was suspended begins again from its top; good ends of steps of these names are not told.
    """
    yield from _steps(before.steps, after.steps, repeated)
    yield from _traffic(before.traffic, after.traffic)
    yield from (f"[magenta]Slack[/]      {escape(line)}" for line in after.chat[len(before.chat) :])
    yield from (f"[red]PagerDuty[/]  {escape(line)}" for line in after.pages[len(before.pages) :])
    yield from _tickets(before.tickets, after.tickets)
    if after.run.name != before.run.name and after.run.name not in ON_ITS_WAY:
        yield f"run        [bold]{escape(after.run.name)}[/]"


def _steps(before: Sequence[Step], after: Sequence[Step], repeated: Container[str]) -> Iterator[str]:
    """A step is told when it is over."""
    told = {step.id for step in before if step.state.final}
    for step in after:
        repeated = () if step_name(step.name) == APPROVED else repeated
        again = step.state.kind == "COMPLETED" and step_name(step.name) in repeated
        if step.state.final and step.id not in told and not again:
            reason = f"  [dim]{escape(_short(step.state.message))}[/]" if step.state.kind != "COMPLETED" else ""
            yield f"step       {MARKS[step.state.kind]} {escape(step_name(step.name))}{reason}"


def step_name(name: str) -> str:
    """A task run's name without the three digits that Prefect adds, as words."""
    words, _, tail = name.rpartition("-")
    return (words if words and len(tail) == 3 else name).replace("_", " ")


def _traffic(before: Traffic, after: Traffic) -> Iterator[str]:
    """Services of an environment that went the same way together are told in one line."""
    moved: dict[tuple[str, str, str], list[str]] = {}
    for (environment, service), now in after.items():
        was = before.get((environment, service), now)
        if was != now:
            moved.setdefault((environment, was, now), []).append(service)
    for (environment, was, now), services in moved.items():
        yield f"[cyan]traffic[/]    {environment}: {was} → [bold]{now}[/]  [dim]{', '.join(services)}[/]"


def _tickets(before: Mapping[str, TicketLook], after: Mapping[str, TicketLook]) -> Iterator[str]:
    """New tickets, new statuses, new comments."""
    for key, now in after.items():
        was = before.get(key)
        if was is None:
            yield f"[blue]Jira[/]       {key} is new: [bold]{escape(now.status)}[/]"
        elif was.status != now.status:
            yield f"[blue]Jira[/]       {key}: {escape(was.status)} → [bold]{escape(now.status)}[/]"
        for comment in now.comments[len(was.comments) if was else 0 :]:
            yield f"[blue]Jira[/]       {key}: {escape(comment)}"


def _short(text: str, limit: int = 160) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class Narrator:
    """Prints to standard output, every line with the seconds since the beginning."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(file=sys.stdout, highlight=False, soft_wrap=True)
        self._began = time.monotonic()
        self._last = Look()
        self._gates = frozenset[str]()
        """The steps before the first wait: they happen again after each one."""

    def say(self, markup: str) -> None:
        self._console.print(f"[dim]{time.monotonic() - self._began:6.1f} s[/]  {markup}")

    def heading(self, text: str) -> None:
        self._console.print(f"\n[bold]{escape(text)}[/]")

    def begin(self, first: Look) -> None:
        """From here on, only what changes is told."""
        self._last, self._gates = first, frozenset[str]()

    def observe(self, now: Look) -> None:
        for line in changes(self._last, now, self._gates):
            self.say(line)
        if now.run.suspended and not self._gates:
            self._gates = frozenset(step_name(step.name) for step in now.steps)
        self._last = now
