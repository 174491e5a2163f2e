"""Flows on a real Prefect server, in the sandbox's world: the world in a process of its own, as a newcomer starts it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect import State
from prefect.client.orchestration import get_client

from blocks.catalogue import load_catalogue
from blocks.doors import Application, open_application
from deployments.register import make_lock, save_documents
from deployments.sandbox.block_values import block_values
from deployments.sandbox.room import ControlRoom, serving
from flows.promote_to_staging import promote_to_staging
from rules.catalogue import Catalogue
from rules.records import Record
from tasks.locks import lock_name

ROOT = Path(__file__).parent.parent.parent
FASTER = {
    "bake_minutes = 5": "bake_minutes = 1",
    "poll_seconds = 3": "poll_seconds = 0.3",
    "pause_seconds = 5": "pause_seconds = 0.5",
    "soak_samples = 20": "soak_samples = 10",
}
"""The shipped catalogue with shorter pauses: the same policy, watched more often."""


@dataclass
class Promotions:
    """The product in its world: promote, and look at what came of it."""

    room: ControlRoom
    application: Application

    def to_staging(self, **parameters: Any) -> State[Any]:
        state: State[Any] = promote_to_staging(return_state=True, **parameters)
        return state

    def serving(self, environment: str) -> set[str]:
        """Versions that visitors of an environment really get."""
        return set(serving(self.room.state())[environment].values())

    def story(self, state: State[Any]) -> list[Record]:
        return list(self.application.ledger.records(str(state.state_details.flow_run_id)))

    def chat(self) -> list[dict[str, Any]]:
        messages: list[dict[str, Any]] = self.room.state()["chat"]
        return messages


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
) -> Catalogue:
    """Blocks and locks as `python -m deployments.register` makes them."""
    catalogue = load_catalogue(catalogue_file)
    state = tmp_path_factory.mktemp("state")
    save_documents(catalogue, catalogue_file, block_values({"world": world, "state": str(state)}, catalogue))
    with get_client(sync_client=True) as client:
        for environment in catalogue.environments:
            make_lock(client, lock_name(catalogue.application, environment))
    return catalogue


@pytest.fixture
def promotions(registered: Catalogue, world: dict[str, Any]) -> Iterator[Promotions]:
    room = ControlRoom(world["control_room_url"])
    yield Promotions(room, open_application(registered.application))
    room.state()
