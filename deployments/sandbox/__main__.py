"""The command: starts the sandbox, tells stories in it or stays until Ctrl-C, and ends everything.

Exit code 0: every story ended as it should (or a person ended the sandbox); 1: not so; 2: it could not start as
asked; 130: ended by a person in the middle of a story. With stories that are told unattended, the last line on
standard output is one JSON object: {"stories": [{"story", "flow_run_id", "state", "version", "serving", …}]}.
"""

import argparse
import contextlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from rich.markup import escape

from deployments.sandbox.database import DatabaseUnavailable
from deployments.sandbox.narration import Narrator
from deployments.sandbox.ports import OPTIONS, PortHeld
from deployments.sandbox.processes import ChildDied, NotReady
from deployments.sandbox.room import ControlRoom
from deployments.sandbox.runs import Unregistered
from deployments.sandbox.settings import Ports, Settings
from deployments.sandbox.stories import DEMO, STORIES
from deployments.sandbox.supervisor import RegistrationFailed, StateFolderHeld, Supervisor
from deployments.sandbox.telling import Outcome, Teller

AS_EXPECTED, NOT_AS_EXPECTED, NOT_STARTED, ENDED_BY_A_PERSON = 0, 1, 2, 130
FAST_MINUTE = 1.0
ATTENDED_MINUTE = 6.0
STAY_SECONDS = 0.5
TELLING_SECONDS = 120.0
TELLING_MINUTES = 60.0
"""A story is given up after so many seconds, and as many of the world's minutes on top."""


class Stopped(BaseException):
    """A person, or whoever started the sandbox, wants it to end."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = parsed(arguments)
    stop_on_signals()
    narrator = Narrator()
    try:
        return run(options, narrator)
    except (PortHeld, StateFolderHeld, DatabaseUnavailable) as refusal:
        print(refusal, file=sys.stderr)
        return NOT_STARTED
    except (ChildDied, NotReady, RegistrationFailed, Unregistered) as failure:
        print(f"The sandbox has ended. {failure}", file=sys.stderr)
        return NOT_AS_EXPECTED
    except Stopped:
        narrator.say("stopped: no process of the sandbox is left")
        return ENDED_BY_A_PERSON


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m deployments.sandbox",
        description="A whole world on this machine in which releases are promoted by the real flows.",
    )
    parser.add_argument(
        "--demo", action="store_true", help="tell the stories good, production and bad, unattended, and end"
    )
    parser.add_argument(
        "--story", action="append", choices=STORIES, default=[], help="tell this story (may be given again)"
    )
    parser.add_argument("--unattended", action="store_true", help="end after the stories, with one line of JSON")
    parser.add_argument(
        "--minute",
        type=positive,
        metavar="SECONDS",
        help=f"how long the world's minute lasts ({FAST_MINUTE:g} when unattended, else {ATTENDED_MINUTE:g})",
    )
    parser.add_argument("--fresh", action="store_true", help="forget what earlier starts left in the state folder")
    parser.add_argument("--state", type=Path, default=Settings().state, metavar="DIR", help="the state folder")
    catalogue = Settings().catalogue
    words = "what is promoted, from where to where; the sandbox takes a copy in which a canary is watched for less long"
    parser.add_argument("--catalogue", type=Path, default=catalogue, metavar="FILE", help=words)
    parser.add_argument("--codedeploy", action="store_true", help="the gateway's traffic is moved by AWS CodeDeploy")
    for name, option in OPTIONS.items():
        default = getattr(Ports(), name)
        aliases = ("--world-port",) if name == "control_room" else ()
        words = f"0 = any free port; default {default}"
        parser.add_argument(option, *aliases, dest=name, type=port, default=default, metavar="N", help=words)
    options = parser.parse_args(arguments)
    options.story = options.story or (list(DEMO) if options.demo else [])
    options.unattended = options.unattended or options.demo
    if options.unattended and not options.story:
        parser.error("--unattended needs something to do: give a --story, or --demo")
    return options


def positive(text: str) -> float:
    seconds = float(text)
    if not 0 < seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds between 0 and 3600")
    return seconds


def port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is not a port (0 to 65535)")
    return number


def settings_of(options: argparse.Namespace) -> Settings:
    usual = FAST_MINUTE if options.unattended else ATTENDED_MINUTE
    return Settings(
        state=options.state.expanduser().resolve(),
        ports=Ports(**{name: getattr(options, name) for name in OPTIONS}),
        minute_seconds=options.minute or usual,
        catalogue=options.catalogue.expanduser().resolve(),
        codedeploy=options.codedeploy,
    )


def stop_on_signals() -> None:
    """The first signal ends the sandbox in order; more of them do not disturb that."""
    came: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        if len(came) == 1:
            raise Stopped(signal.Signals(number).name)

    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, stop)


def run(options: argparse.Namespace, narrator: Narrator) -> int:
    narrator.heading("The sandbox: one world on this machine, and the real flows that promote releases in it")
    supervisor = Supervisor(settings_of(options), lambda line: narrator.say(f"start      {escape(line)}"))
    outcomes: list[Outcome] = []
    try:
        with supervisor.running(fresh=options.fresh):
            where_to_watch(supervisor, narrator)
            tell_all(options.story or ["good"], supervisor, narrator, outcomes)
            if not options.unattended:
                stay(supervisor, narrator)
    finally:
        if options.unattended:
            print(json.dumps({"stories": [outcome.as_json() for outcome in outcomes]}), flush=True)
    return AS_EXPECTED if all(outcome.as_expected for outcome in outcomes) else NOT_AS_EXPECTED


def where_to_watch(supervisor: Supervisor, narrator: Narrator) -> None:
    settings, world = supervisor.settings, supervisor.world
    narrator.heading("Where to watch")
    narrator.say(f"Prefect       {settings.prefect_url}")
    narrator.say(f"control room  {world['control_room_url']}")
    for name, url in world["edges"].items():
        narrator.say(f"{name:<12}  {url}/api/events")
    narrator.say(f"logs          {settings.logs}")
    narrator.say(f"[dim]one minute of this world lasts {settings.minute_seconds:g} s (--minute)[/]")


def tell_all(names: Sequence[str], supervisor: Supervisor, narrator: Narrator, outcomes: list[Outcome]) -> None:
    """Tell the stories one after the other; each outcome is kept as soon as it is known."""
    limit = TELLING_SECONDS + TELLING_MINUTES * supervisor.settings.minute_seconds
    with contextlib.closing(ControlRoom(supervisor.world["control_room_url"])) as room:
        teller = Teller(room, supervisor.prefect, narrator, supervisor.check, supervisor)
        for name in names:
            outcomes.append(teller.tell(STORIES[name], limit))
            say_how_it_ended(outcomes[-1], narrator)


def say_how_it_ended(outcome: Outcome, narrator: Narrator) -> None:
    mark = "[green]as it should[/]" if outcome.as_expected else "[red]NOT as it should[/]"
    narrator.say(f"[bold]{outcome.story}[/] ended {mark} after {outcome.seconds:g} s: {escape(outcome.state)}")
    narrator.say(f"[dim]{escape(outcome.message)}[/]")
    if outcome.not_as_told:
        narrator.say(f"[red]{escape(outcome.not_as_told)}[/]")


def stay(supervisor: Supervisor, narrator: Narrator) -> None:
    """Until a person ends it. Raises ChildDied when a process does."""
    narrator.heading("Yours now. Ctrl-C ends everything")
    narrator.say("Break something in the control room and promote again: Prefect, Deployments, promote-to-staging, Run")
    narrator.say("Or promote-to-production: the control room makes change tickets, and has the approvers' codes")
    with contextlib.suppress(Stopped):
        while True:
            supervisor.check()
            time.sleep(STAY_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
