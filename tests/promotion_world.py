"""The product in its world, for tests: a real Prefect server (`whole_server.py`), and the world in its own process.

Shared by all tests of a session: each test brings its own release and tidies up what else it changed. Imports are
inside the fixtures, so that the rules' tests do not pay for Prefect and AWS.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
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
TTL = "redis/cache-ttl"
"""A parameter that the shipped catalogue copies."""
LOOK_SECONDS = 0.2
KNOWN_REQUESTS = 1000
FASTER = {
    "bake_minutes = 5": "bake_minutes = 2",
    "poll_seconds = 3": "poll_seconds = 0.3",
    "pause_seconds = 5": "pause_seconds = 0.5",
    "soak_samples = 20": "soak_samples = 10",
}
"""The shipped catalogue with shorter pauses: the same policy, watched more often."""
VALIDATION_SUITE = ("regression", "load", "security", "schema", "migrations")
SHORTER = {
    "canary": {"window_minutes": 0.3, "extensions": 1, "hold_minutes": 70, "sample_seconds": 2},
    "judge": {"segment_seconds": 5, "warm_up_seconds": 5, "silence_seconds": 10},
    "metrics": {"resolution_seconds": 1, "delay_seconds": 3},
}
"""Canaries with the same limits, watched for a shorter time. `hold_minutes` are AWS's, of a second each."""


@dataclass
class Promotions:
    """Promote, and look at what came of it."""

    room: "ControlRoom"
    application: "Application"

    def in_dev(self, behaviour: str, age_minutes: float = 180) -> "Placed":
        """A new release that has been running in dev for so long, once its tasks have taken over."""
        return self.placed("dev", behaviour, age_minutes)

    def placed(self, environment: str, behaviour: str, age_minutes: float = 180) -> "Placed":
        placed = self.room.release(environment, behaviour, age_minutes)
        deadline = time.monotonic() + 30
        while any(versions != {placed.version} for versions in self._versions(environment)):
            assert time.monotonic() < deadline, f"{placed.version} does not settle in {environment}"
            time.sleep(0.1)
        return placed

    def _versions(self, environment: str) -> list[set[str]]:
        """Of each service: the versions that have tasks."""
        views = self.room.state()["environments"]
        services = next(view["services"] for view in views if view["name"] == environment)
        return [{it["version"] for it in service["revisions"] if it["running"]} for service in services]

    def to_staging(self, **parameters: Any) -> "State[Any]":
        from flows.promote_to_staging import promote_to_staging

        run = partial(promote_to_staging, self.application.name, return_state=True, **parameters)
        return self.walked("promote-to-staging", run, "staging", "dev")

    def roll_out(self, version: str, **parameters: Any) -> "State[Any]":
        from flows.roll_out import roll_out

        run = partial(roll_out, self.application.name, "staging", version, return_state=True, **parameters)
        return self.walked("roll-out", run, "staging")

    def configuration(self, source: str, target: str, **parameters: Any) -> "State[Any]":
        from flows.promote_configuration import promote_configuration

        run = partial(promote_configuration, self.application.name, source, target, return_state=True, **parameters)
        return self.walked("promote-configuration", run, target, source)

    def walked(self, flow: str, run: "Callable[[], State[Any]]", target: str, source: str = "") -> "State[Any]":
        """Runs the flow, and sees that what it asks of AWS is right and listed."""
        from walked_calls import walking

        with walking(self.room, self.application.catalogue, flow, target, source) as walked:
            state = run()
            walked.end = str(state.name)
        return state

    def serving(self, environment: str) -> set[str]:
        """Versions that visitors of an environment really get."""
        from deployments.sandbox.room import serving

        return set(serving(self.room.state())[environment].values())

    def serving_of(self, environment: str, service: str) -> str:
        """The version that visitors of one service get."""
        from deployments.sandbox.room import serving

        return serving(self.room.state())[environment][service]

    def met(self, environment: str) -> dict[str, dict[str, int]]:
        """What visitors of an environment met since the world began, by version: requests, failed, slow, bad."""
        views = self.room.state()["environments"]
        met: dict[str, dict[str, int]] = next(it["visitors"] for it in views if it["name"] == environment)["by_version"]
        return met

    def until_known(self, environment: str, version: str) -> None:
        """Until enough visitors met a version that there is something to compare another one with."""
        deadline = time.monotonic() + 60
        while self.met(environment).get(version, {}).get("requests", 0) < KNOWN_REQUESTS:
            assert time.monotonic() < deadline, f"nobody visits {version} in {environment}"
            time.sleep(0.2)

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
        messages: list[dict[str, Any]] = self.room.state()["vendors"]["chat"]["messages"]
        return messages


@dataclass(frozen=True)
class Look:
    """One service of staging at one moment: (weight, healthy tasks) by version, and the stage of its deployment."""

    service: str
    revisions: dict[str, tuple[float, int]]
    stage: str

    @property
    def weights(self) -> float:
        return sum(weight for weight, _ in self.revisions.values())


@dataclass(frozen=True)
class Walk:
    """A release's walk to staging, with what stood there before and after, and what was seen on the way."""

    old: str
    new: str
    state: "State[Any]"
    story: "list[Record]"
    before: dict[str, str]
    after: dict[str, str]
    """Staging's parameters by key."""
    serving: set[str]
    """Versions that serve in staging afterwards."""
    looks: list[Look]
    visitors: list[dict[str, Any]]
    """Seconds of the visitors in staging: at, requests, errors, p95_ms."""


@contextmanager
def watched(url: str) -> Iterator[list[Look]]:
    """Looks at staging again and again, from another thread, while the block runs."""
    from deployments.sandbox.room import ControlRoom

    looks: list[Look] = []
    leave = threading.Event()

    def watch() -> None:
        with closing(ControlRoom(url)) as room:
            while not leave.wait(LOOK_SECONDS):
                views = room.state()["environments"]
                staging = next(view for view in views if view["name"] == "staging")
                looks.extend(look(service) for service in staging["services"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield looks
    finally:
        leave.set()
        watcher.join()


def look(service: dict[str, Any]) -> Look:
    revisions = {it["version"]: (it["weight"], it["healthy"]) for it in service["revisions"]}
    return Look(service["id"], revisions, (service["deployment"] or {}).get("stage", ""))


@pytest.fixture(scope="session")
def catalogue_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    text = (ROOT / "deployments/catalogue.toml").read_text()
    for slow, fast in FASTER.items():
        assert slow in text
        text = text.replace(slow, fast)
    from production_world import always_open, more_people

    from deployments.sandbox.patience import with_values

    text = without_validation(always_open(more_people(text)))
    file = tmp_path_factory.mktemp("catalogue") / "catalogue.toml"
    file.write_text(with_values(text, SHORTER))
    return file


def without_validation(text: str) -> str:
    """The catalogue with no gate of the validation suite: for tests that are about something else."""
    before, _, rest = text.partition("[validation.regression]")
    after = rest[rest.index("# ---") :]
    reasons = "".join(f'{gate} = "This test is about something else."\n' for gate in VALIDATION_SUITE)
    return f"{before}[validation.left_out]\n{reasons}\n{after}"


@contextmanager
def starting(catalogue: Path, folder: Path, environment: dict[str, str]) -> "Iterator[subprocess.Popen[str]]":
    """A world's process; its first line says where everything listens."""
    file = folder / "settings.json"
    settings = {"minute_seconds": 1.0, "requests_per_second": 5.0, "catalogue": str(catalogue)}
    file.write_text(json.dumps(settings))
    command = [sys.executable, "-m", "deployments.sandbox.world", "--settings", str(file)]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        yield process
        process.terminate()


@pytest.fixture(scope="session")
def starting_world(
    process_environment: dict[str, str], catalogue_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> "Iterator[subprocess.Popen[str]]":
    """Apart from `world`, so that the Prefect server can start at the same time."""
    with starting(catalogue_file, tmp_path_factory.mktemp("world"), process_environment) as process:
        yield process


@pytest.fixture(scope="session")
def world(starting_world: "subprocess.Popen[str]") -> dict[str, Any]:
    """What the world's process says when it is ready: where everything listens."""
    assert starting_world.stdout is not None
    ready: dict[str, Any] = json.loads(starting_world.stdout.readline())
    return ready


@pytest.fixture(scope="session")
def registered(
    starting_world: object,
    prefect_server: None,
    world: dict[str, Any],
    catalogue_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> "Catalogue":
    return register(catalogue_file, world, tmp_path_factory.mktemp("state"))


def register(catalogue_file: Path, world: dict[str, Any], state: Path) -> "Catalogue":
    """Blocks and locks as `python -m deployments.register` makes them."""
    from prefect.client.orchestration import get_client

    from blocks.catalogue import load_catalogue
    from deployments.register import make_lock, save_documents
    from deployments.sandbox.block_values import block_values
    from tasks.locks import lock_name

    catalogue = load_catalogue(catalogue_file)
    save_documents(catalogue, catalogue_file, block_values({"world": world, "state": str(state)}, catalogue))
    with get_client(sync_client=True) as client:
        for environment in catalogue.environments:
            make_lock(client, lock_name(catalogue.application, environment))
    return catalogue


@pytest.fixture(scope="session")
def all_promotions(registered: "Catalogue", world: dict[str, Any]) -> Iterator[Promotions]:
    from blocks.doors import open_application
    from deployments.sandbox.room import ControlRoom

    with closing(ControlRoom(world["control_room_url"])) as room:
        yield Promotions(room, open_application(registered.application))


@pytest.fixture
def promotions(all_promotions: Promotions) -> Iterator[Promotions]:
    all_promotions.room.clear_faults()
    yield all_promotions
    all_promotions.room.clear_faults()


@pytest.fixture(scope="session")
def walk(all_promotions: Promotions) -> Callable[[str], Walk]:
    """`walk("bad")`: one watched promotion of a release of that behaviour, with a parameter that changes with it.

    Walked once a session; several tests look at it from their sides.
    """
    walks: dict[str, Walk] = {}

    def walk(behaviour: str) -> Walk:
        if behaviour not in walks:
            walks[behaviour] = walk_once(all_promotions, behaviour, ttl=4700 + len(walks))
        return walks[behaviour]

    return walk


def walk_once(promotions: Promotions, behaviour: str, ttl: int) -> Walk:
    promotions.room.clear_faults()
    placed = promotions.in_dev(behaviour)
    former = promotions.parameters("dev")[TTL][0]
    promotions.room.put_parameter("dev", TTL, str(ttl))
    before, [old] = promotions.parameters("staging"), promotions.serving("staging")
    since = datetime.now(UTC).isoformat()
    with watched(promotions.room.url) as looks:
        state = promotions.to_staging()
    if not state.is_completed():
        promotions.room.put_parameter("dev", TTL, former)
    return Walk(
        old,
        placed.version,
        state,
        promotions.story(state),
        {key: value for key, (value, _) in before.items()},
        {key: value for key, (value, _) in promotions.parameters("staging").items()},
        promotions.serving("staging"),
        looks,
        promotions.visitors_met("staging", since),
    )
