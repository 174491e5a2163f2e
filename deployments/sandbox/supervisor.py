"""Starts the sandbox's processes in the order in which they need each other, watches them, and ends them all.

PostgreSQL ─┬─ Prefect server ─┬─ registration (ends when everything is registered)
world ──────┴──────────────────┴─ worker ── flow runs
"""

import contextlib
import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from deployments.sandbox import processes
from deployments.sandbox.database import Database
from deployments.sandbox.ledger_file import read_ledger
from deployments.sandbox.ports import choose, require_free
from deployments.sandbox.processes import Child, Guardian, sweep, wait_until
from deployments.sandbox.runs import Prefect
from deployments.sandbox.settings import LOOPBACK, Settings, write_whole
from rules.records import EventKind, Record

POOL, WORKER, SERVER = "promotions", "worker", "Prefect server"
PATIENCE_SECONDS = 120.0
"""A part that is not ready after this long is given up; a loaded machine may need many times the usual."""
ENDING_SECONDS = 5.0
WORKER_PATIENCE_SECONDS = 1.5
"""A worker that is asked to end waits for its flow runs, which may take an hour."""
Announce = Callable[[str], None]


class StateFolderHeld(Exception):
    """Another supervisor works in this state folder."""


class RegistrationFailed(Exception):
    """Blocks and deployments could not be registered; the message has the registration's last words."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What is run as the world and as the registration; each is given `--settings FILE`."""

    world: Sequence[str] = (sys.executable, "-m", "deployments.sandbox.world")
    registration: Sequence[str] = (sys.executable, "-m", "deployments.register")


@contextlib.contextmanager
def only_supervisor_of(state: Path) -> Iterator[None]:
    """Hold the state folder. The lock goes with the process that holds it, however that ends."""
    state.parent.mkdir(parents=True, exist_ok=True)
    with state.with_name(f"{state.name}.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise StateFolderHeld(
                f"A sandbox already runs in {state} (process {lock.read().strip() or 'unknown'}). "
                "Stop it with Ctrl-C there, or give this one a folder of its own with --state."
            ) from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


class Supervisor:
    """The process tree of one sandbox, alive inside `with supervisor.running():`."""

    def __init__(
        self, settings: Settings, announce: Announce = lambda _: None, programs: Programs = Programs()
    ) -> None:
        self.settings = settings
        self.world: dict[str, Any] = {}
        """What the world said when it was ready: where it listens."""
        self.seconds: dict[str, float] = {}
        """When each part was ready, counted from the beginning."""
        self._announce = announce
        self._programs = programs
        self._began = time.monotonic()
        self._mark = str(settings.state)
        self._children: list[Child] = []

    @contextlib.contextmanager
    def running(self, *, fresh: bool = False) -> Iterator["Supervisor"]:
        """Everything is ready inside, and gone afterwards.

        Raises PortHeld, StateFolderHeld, DatabaseUnavailable, ChildDied, NotReady or RegistrationFailed.
        """
        with contextlib.ExitStack() as stack:
            self._take_folder(stack, fresh=fresh)
            guardian = Guardian(self._mark, self._variables)
            stack.callback(guardian.dismiss)
            stack.callback(self._end_all)
            self._start_all()
            yield self

    def check(self) -> None:
        """Raise ChildDied when a process that should live does not."""
        for child in self._children:
            child.raise_if_dead()

    # ----------------------------------------------------------------------------- what a story may lay hands on

    def kill_worker(self) -> int:
        """End the worker and everything that it started at once, as a power cut would. How many processes."""
        return self._kill(WORKER)

    def start_worker(self) -> None:
        command = ["worker", "start", "--pool", POOL, "--type", "process", "--name", "sandbox"]
        self._start(WORKER, [sys.executable, "-m", "prefect", *command], self._worker_variables())

    def kill_server(self) -> int:
        """End the Prefect server at once, as a power cut would. Its database lives on. How many processes."""
        return self._kill(SERVER)

    def start_server(self) -> None:
        """A new one, at the same address and with the same database; returns when it answers."""
        self._start(SERVER, self._server_command(), self._server_variables())
        self._until(self.prefect.answers, SERVER)

    def ledger_says(self, run_id: str) -> str:
        """Why a roll-out that this run began was taken back; empty when the ledger does not say."""
        told = [it.event for it in read_ledger(self.settings.ledger) if it.event.kind is EventKind.ROLLOUT_ROLLED_BACK]
        return next((it.sentence for it in told if run_id in {it.run_id, it.details.get("begun_by")}), "")

    def records(self, run_id: str) -> list[Record]:
        """What the ledger has of a run, the oldest first."""
        return [record for record in read_ledger(self.settings.ledger) if record.event.run_id == run_id]

    @contextlib.contextmanager
    def other_catalogue(self, edit: Callable[[str], str]) -> Iterator[None]:
        """Inside, each run that begins finds another catalogue; its text is made of the usual one's."""
        file = self.settings.own_catalogue
        usual = file.read_text()
        write_whole(file, edit(usual))
        try:
            yield
        finally:
            write_whole(file, usual)

    # ------------------------------------------------------------------------------------------------ begin

    def _take_folder(self, stack: contextlib.ExitStack, *, fresh: bool) -> None:
        """Hold the folder, end what a killed supervisor may have left, and settle the ports."""
        settings = self.settings
        try:
            stack.enter_context(only_supervisor_of(settings.state))
        except StateFolderHeld:
            require_free(settings.ports)  # its message names the port and its holder, which says more
            raise
        sweep(self._mark)
        self.settings = replace(settings, ports=choose(settings.ports))
        self.prefect = stack.enter_context(contextlib.closing(Prefect(self.settings.prefect_api_url)))
        if fresh:
            shutil.rmtree(settings.state, ignore_errors=True)
        settings.logs.mkdir(parents=True, exist_ok=True)
        self._variables = processes.environment(settings.home, self._mark)
        self._database = Database(settings.state / "postgresql", self._variables)
        stack.callback(self._database.tidy)

    def _start_all(self) -> None:
        self.settings.write(self._database.url())
        self._database.prepare()
        self._start("PostgreSQL", self._database.command(), ends_by=self._database.ends_by)
        world_answer = self.settings.state / "world.json"
        self._start("world", [*self._programs.world, *self._settings_option()], output=world_answer)
        self._until(self._database.answers, "PostgreSQL")
        self._database.create("prefect")
        self._start(SERVER, self._server_command(), self._server_variables())
        self.world = self._until(lambda: ready_line(world_answer), "world")
        self.settings.write(self._database.url(), self.world)
        self._until(self.prefect.answers, SERVER)
        self.prefect.create_pool(POOL)
        self._start_worker_and_register()

    def _start_worker_and_register(self) -> None:
        """Side by side: both spend their time importing Prefect."""
        registration = self._start(
            "registration", [*self._programs.registration, *self._settings_option()], self._client_variables()
        )
        self._children.remove(registration)  # it is meant to end
        self.start_worker()
        self._until(lambda: not registration.alive, "registration")
        if registration.process.returncode != 0:
            raise RegistrationFailed(f"Registering blocks and deployments failed:\n{registration.last_lines(30)}")
        self._until(lambda: self.prefect.workers_online(POOL) > 0, "worker")

    def _server_command(self) -> list[str]:
        server = ["server", "start", "--host", LOOPBACK, "--port", str(self.settings.ports.ui)]
        return [sys.executable, "-m", "prefect", *server]

    def _start(self, name: str, command: Sequence[str], more: Mapping[str, str] | None = None, **how: Any) -> Child:
        child = processes.start(name, command, self._variables | dict(more or {}), self.settings.logs, **how)
        self._children.append(child)
        return child

    def _kill(self, name: str) -> int:
        child = next(child for child in self._children if child.name == name)
        self._children.remove(child)
        killed = processes.kill_with_children(child)
        child.log.rename(child.log.with_name(f"{child.log.stem}-killed.log"))
        return killed

    def _until(self, ready: Callable[[], processes.Answer | None], name: str) -> processes.Answer:
        answer = wait_until(ready, name, PATIENCE_SECONDS, self.check)
        self.seconds[name] = round(time.monotonic() - self._began, 1)
        self._announce(f"{name} is ready ({self.seconds[name]} s)")
        return answer

    def _settings_option(self) -> tuple[str, str]:
        return ("--settings", str(self.settings.file))

    # -------------------------------------------------------------------------------------------- variables

    def _prefect_variables(self) -> dict[str, str]:
        return {
            "PREFECT_HOME": str(self.settings.state / "prefect"),
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
        }

    def _server_variables(self) -> dict[str, str]:
        """The UI is told where the API is: the server's own guess is port 4200, whatever port it was given."""
        return self._prefect_variables() | {
            "PREFECT_API_DATABASE_CONNECTION_URL": self._database.async_url("prefect"),
            "PREFECT_SERVER_UI_API_URL": self.settings.prefect_api_url,
            "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        }

    def _client_variables(self) -> dict[str, str]:
        """With the stand-in's address in the environment, no AWS client of a run can reach a real account."""
        return self._prefect_variables() | {
            "PREFECT_API_URL": self.settings.prefect_api_url,
            "PREFECT_UI_URL": f"{self.settings.prefect_url}/v2",  # where the UI's front door leads, too
            "AWS_ENDPOINT_URL": self.world.get("aws_url", f"http://{LOOPBACK}:9"),
            "AWS_DEFAULT_REGION": "eu-central-1",
        }

    def _worker_variables(self) -> dict[str, str]:
        return self._client_variables() | {
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        }

    # -------------------------------------------------------------------------------------------------- end

    def _end_all(self) -> None:
        """The worker first and PostgreSQL last; the guardian ends what these have started themselves."""
        self._end({WORKER}, WORKER_PATIENCE_SECONDS)
        self._close_runs()
        self._end({SERVER, "world"}, ENDING_SECONDS)
        self._end({"PostgreSQL"}, ENDING_SECONDS)

    def _end(self, names: set[str], seconds: float) -> None:
        ending = [child for child in self._children if child.name in names and child.alive]
        for child in ending:
            child.ask_to_end()
        for child in ending:
            child.end_within(seconds)

    def _close_runs(self) -> None:
        """A run whose process ends here is not left looking as if it went on."""
        with contextlib.suppress(httpx.HTTPError):
            self.prefect.crash_unfinished("The sandbox was stopped while this run was going on.")


def ready_line(output: Path) -> dict[str, Any] | None:
    """The JSON object that the world prints when it is ready, or None as long as there is none."""
    for line in output.read_text(errors="replace").splitlines():
        if line.startswith("{") and line.endswith("}"):
            answer: dict[str, Any] = json.loads(line)
            return answer
    return None
