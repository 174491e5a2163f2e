"""The product in its world, for tests: a real Prefect server, and the sandbox's world in a process of its own.

Shared by all tests of a session: each test brings its own release and tidies up what else it changed. Imports are
inside the fixtures, so that the rules' tests do not pay for Prefect and AWS.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from prefect import State

    from blocks.doors import Application
    from deployments.sandbox.room import ControlRoom, Placed
    from rules.catalogue import Catalogue
    from rules.records import EventKind, Record

ROOT = Path(__file__).parent.parent
FASTER = {
    "bake_minutes = 5": "bake_minutes = 2",
    "poll_seconds = 3": "poll_seconds = 0.3",
    "pause_seconds = 5": "pause_seconds = 0.5",
    "soak_samples = 20": "soak_samples = 10",
}
"""The shipped catalogue with shorter pauses: the same policy, watched more often."""


@dataclass
class Promotions:
    """Promote, and look at what came of it."""

    room: "ControlRoom"
    application: "Application"

    def in_dev(self, behaviour: str, age_minutes: float = 180) -> "Placed":
        """A new release that has been running in dev for so long, once its tasks have taken over."""
        placed = self.room.release("dev", behaviour, age_minutes)
        deadline = time.monotonic() + 30
        while any(versions != {placed.version} for versions in self._versions("dev")):
            assert time.monotonic() < deadline, f"{placed.version} does not settle in dev"
            time.sleep(0.1)
        return placed

    def _versions(self, environment: str) -> list[set[str]]:
        """Of each service: the versions that have tasks."""
        views = self.room.state()["environments"]
        services = next(view["services"] for view in views if view["name"] == environment)
        return [{it["version"] for it in service["revisions"] if it["running"]} for service in services]

    def to_staging(self, **parameters: Any) -> "State[Any]":
        from flows.promote_to_staging import promote_to_staging

        state: State[Any] = promote_to_staging(return_state=True, **parameters)
        return state

    def serving(self, environment: str) -> set[str]:
        """Versions that visitors of an environment really get."""
        from deployments.sandbox.room import serving

        return set(serving(self.room.state())[environment].values())

    def story(self, state: "State[Any]") -> "list[Record]":
        return list(self.application.ledger.records(str(state.state_details.flow_run_id)))

    def kinds(self, state: "State[Any]") -> "list[EventKind]":
        return [record.event.kind for record in self.story(state)]

    def parameters(self, environment: str) -> dict[str, tuple[str, int]]:
        """Value and version of the environment's parameters, by key."""
        doors = self.application.environment(environment)
        return {it.name: (it.text, it.version) for it in doors.parameters.read()}

    def visitors_met(self, environment: str, since: str) -> list[dict[str, Any]]:
        """The visitors' seconds since an ISO time: requests, errors, p95."""
        views = self.room.state()["environments"]
        traffic: list[dict[str, Any]] = next(view["traffic"] for view in views if view["name"] == environment)
        return [sample for sample in traffic if sample["at"] >= since]

    def chat(self) -> list[dict[str, Any]]:
        """The messages of the release channel."""
        messages: list[dict[str, Any]] = self.room.state()["vendors"]["chat"]
        return messages


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """One Prefect server for all tests; it takes some ten seconds to start."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture(scope="session")
def catalogue_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "deployments/catalogue.toml").read_text()
    for slow, fast in FASTER.items():
        assert slow in text
        text = text.replace(slow, fast)
    file = tmp_path_factory.mktemp("catalogue") / "catalogue.toml"
    file.write_text(text)
    return file


@pytest.fixture(scope="session")
def world(catalogue_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What the world's process says when it is ready: where everything listens."""
    file = tmp_path_factory.mktemp("world") / "settings.json"
    settings = {"minute_seconds": 1.0, "requests_per_second": 5.0, "catalogue": str(catalogue_file)}
    file.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "deployments.sandbox.world", "--settings", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()


@pytest.fixture(scope="session")
def registered(
    prefect_server: None, world: dict[str, Any], catalogue_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> "Catalogue":
    """Blocks and locks as `python -m deployments.register` makes them."""
    from prefect.client.orchestration import get_client

    from blocks.catalogue import load_catalogue
    from deployments.register import make_lock, save_documents
    from deployments.sandbox.block_values import block_values
    from tasks.locks import lock_name

    catalogue = load_catalogue(catalogue_file)
    state = tmp_path_factory.mktemp("state")
    save_documents(catalogue, catalogue_file, block_values({"world": world, "state": str(state)}, catalogue))
    with get_client(sync_client=True) as client:
        for environment in catalogue.environments:
            make_lock(client, lock_name(catalogue.application, environment))
    return catalogue


@pytest.fixture
def promotions(registered: "Catalogue", world: dict[str, Any]) -> Iterator[Promotions]:
    from blocks.doors import open_application
    from deployments.sandbox.room import ControlRoom

    with closing(ControlRoom(world["control_room_url"])) as room:
        room.clear_faults()
        yield Promotions(room, open_application(registered.application))
        room.clear_faults()
