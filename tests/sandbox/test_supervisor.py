"""The process tree with a real PostgreSQL, Prefect server and worker; world and registration are stand-ins."""

import contextlib
import http.server
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from deployments.sandbox.ports import OPTIONS, PortHeld, choose, free_port, require_free
from deployments.sandbox.processes import ChildDied, environment, living, marked, wait_until
from deployments.sandbox.settings import CHECKOUT, Ports, Settings
from deployments.sandbox.supervisor import Programs, StateFolderHeld, Supervisor, only_supervisor_of, ready_line
from rules.records import Event, EventKind, chain

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
WORLD = """
import signal, threading
leave = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: leave.set())
print("warming up")
print('{"aws_url": "http://127.0.0.1:9"}', flush=True)
leave.wait()
"""
REGISTRATION = """
import sys
from pathlib import Path
from prefect import flow
tiny = flow.from_source(str(Path(sys.argv[1])), entrypoint="tiny.py:tiny")
tiny.deploy("test", work_pool_name="promotions", print_next_steps=False)
"""
TINY = """
import os, time
from prefect import flow, task
@task
def where() -> list[str]:
    return [os.environ["HOME"], os.environ["AWS_ENDPOINT_URL"]]
@flow
def tiny(seconds: float = 0) -> None:
    where()
    time.sleep(seconds)
"""


def programs(folder: Path) -> Programs:
    (folder / "tiny.py").write_text(TINY)
    return Programs((sys.executable, "-c", WORLD), (sys.executable, "-c", REGISTRATION, str(folder)))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(state=tmp_path_factory.mktemp("sandbox") / "state", ports=Ports(ui=0, control_room=0))


@pytest.fixture(scope="module")
def supervisor(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Supervisor]:
    running = Supervisor(settings, programs=programs(tmp_path_factory.mktemp("flows")))
    with running.running():
        yield running
    assert list(marked(str(settings.state))) == []  # with a flow run under way: the last test leaves one


def follow_to(supervisor: Supervisor, run_id: str, *kinds: str) -> str:
    deadline = time.monotonic() + 60
    while (state := supervisor.prefect.state(run_id)).kind not in kinds:
        assert time.monotonic() < deadline, state
        time.sleep(0.1)
    return state.kind


def test_a_promotion_started_by_the_api_is_run_by_the_worker(supervisor: Supervisor) -> None:
    run_id = supervisor.prefect.start("tiny/test", {"seconds": 0})
    assert follow_to(supervisor, run_id, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"
    # a run's steps reach the server a little later than its end
    steps = wait_until(lambda: supervisor.prefect.steps(run_id) or None, "the step", 20, supervisor.check)
    assert [step.name.split("-")[0] for step in steps] == ["where"]


def test_the_world_says_where_it_listens(supervisor: Supervisor) -> None:
    assert supervisor.world == {"aws_url": "http://127.0.0.1:9"}
    assert '"world"' in supervisor.settings.file.read_text()


def test_the_server_works_on_postgresql_and_within_the_state_folder(supervisor: Supervisor) -> None:
    state = str(supervisor.settings.state)
    worker = next(process for process in marked(state) if "worker" in process.cmdline())
    variables = worker.environ()
    assert variables["HOME"].startswith(state)
    assert variables["PREFECT_HOME"].startswith(state)
    assert variables["AWS_ENDPOINT_URL"] == "http://127.0.0.1:9"
    assert not list(supervisor.settings.state.rglob("prefect.db"))


def test_a_second_sandbox_in_the_same_folder_says_who_holds_the_port(supervisor: Supervisor) -> None:
    with pytest.raises(PortHeld, match=rf"Port {supervisor.settings.ports.ui} is held by process \d+ \(.*prefect"):
        Supervisor(supervisor.settings).running().__enter__()


def test_a_second_sandbox_in_the_same_folder_on_other_ports_says_which_process_is_there(
    supervisor: Supervisor, settings: Settings
) -> None:
    with pytest.raises(StateFolderHeld, match=rf"process {os.getpid()}\)"):
        Supervisor(settings).running().__enter__()
    supervisor.check()


def test_a_killed_worker_takes_its_run_with_it_and_the_next_one_works(supervisor: Supervisor) -> None:
    run_id = supervisor.prefect.start("tiny/test", {"seconds": 300})
    follow_to(supervisor, run_id, "RUNNING")
    worker = next(process for process in marked(str(supervisor.settings.state)) if "worker" in process.cmdline())
    family = [worker, *worker.children(recursive=True)]
    assert supervisor.kill_worker() == len(family) > 1
    assert not [process for process in family if living(process)]
    supervisor.check()
    assert supervisor.prefect.state(run_id).kind == "RUNNING"  # nobody was left to say anything else
    supervisor.start_worker()
    second = supervisor.prefect.start("tiny/test", {"seconds": 0})
    assert follow_to(supervisor, second, "COMPLETED", "FAILED", "CRASHED") == "COMPLETED"


def test_a_run_under_way_does_not_outlive_the_sandbox(supervisor: Supervisor) -> None:
    run_id = supervisor.prefect.start("tiny/test", {"seconds": 300})
    assert follow_to(supervisor, run_id, "RUNNING") == "RUNNING"  # the fixture asserts the rest


# ------------------------------------------------------------------------------------------------ without the tree


def test_the_command_ends_cleanly_when_interrupted_while_it_starts(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deployments.sandbox", "--state", str(tmp_path / "state")]
    ports = ["--ui-port", "0", "--control-room-port", "0"]
    sandbox = subprocess.Popen(
        [*command, *ports],
        cwd=CHECKOUT,
        env=environment(tmp_path / "home", f"{tmp_path}-test"),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert sandbox.stdout is not None
    for line in sandbox.stdout:
        if "PostgreSQL is ready" in line:
            break
    sandbox.send_signal(signal.SIGINT)
    said, _ = sandbox.communicate(timeout=30)
    assert sandbox.returncode == 130
    assert "no process of the sandbox is left" in said
    assert list(marked(str((tmp_path / "state").resolve()))) == []


def test_a_world_that_dies_ends_the_sandbox_with_its_last_words(settings: Settings, tmp_path: Path) -> None:
    dying = Programs((sys.executable, "-c", "raise SystemExit('port taken')"), (sys.executable, "-c", ""))
    own = Settings(state=tmp_path / "state", ports=settings.ports)
    with pytest.raises(ChildDied, match=r"world ended by itself(.|\n)*port taken"):
        Supervisor(own, programs=dying).running().__enter__()
    assert list(marked(str(own.state))) == []


def test_a_lock_is_free_again_after_its_holder(tmp_path: Path) -> None:
    with only_supervisor_of(tmp_path / "state"):
        pass
    with only_supervisor_of(tmp_path / "state"):
        pass


def test_the_ledger_is_asked_why_a_roll_out_was_taken_back(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    intent = Event("run-1", "", "staging", EventKind.ROLLOUT_INTENT, "About to roll out gateway.")
    taken = "Amazon ECS took gateway back."
    back = Event("run-2", "", "staging", EventKind.ROLLOUT_ROLLED_BACK, taken, {"begun_by": "run-1"})
    first = chain(None, intent, NOON)
    (ledger / "records.jsonl").write_text(f"{first.line}\n{chain(first, back, NOON).line}\n")
    supervisor = Supervisor(Settings(state=tmp_path))
    assert supervisor.ledger_says("run-1") == taken
    assert supervisor.ledger_says("run-3") == ""


def test_runs_are_told_apart_in_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    events = [Event(run, "", "production", EventKind.STARTED, "It began.") for run in ("run-1", "run-2", "run-1")]
    lines = [chain(None, event, NOON).line for event in events]
    (tmp_path / "ledger" / "records.jsonl").write_text("\n".join(lines) + "\n")
    assert len(Supervisor(Settings(state=tmp_path)).records("run-1")) == 2


def test_another_catalogue_is_there_for_a_story_only(tmp_path: Path) -> None:
    settings = Settings(state=tmp_path)
    settings.own_catalogue.write_text("usual")
    inside = []
    with contextlib.suppress(RuntimeError), Supervisor(settings).other_catalogue(str.upper):
        inside.append(settings.own_catalogue.read_text())
        raise RuntimeError("The story is cut short.")
    assert (inside, settings.own_catalogue.read_text()) == (["USUAL"], "usual")
    assert [file.name for file in tmp_path.iterdir()] == ["catalogue.toml"]


def test_a_held_port_names_its_holder_and_the_option() -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as held:
        port = held.server_port
        own = re.escape(" ".join(psutil.Process().cmdline())[:40])
        with pytest.raises(PortHeld, match=rf"Port {port} is held by process {os.getpid()} \({own}.*--dev-port"):
            require_free(Ports(ui=0, control_room=0, dev=port))


def test_any_free_port_is_settled_before_the_server_starts() -> None:
    assert choose(Ports(ui=0, control_room=0)).ui > 0


def test_a_free_port_can_be_taken() -> None:
    port = free_port()
    require_free(Ports(ui=port, control_room=0))


def test_every_port_has_an_option() -> None:
    assert OPTIONS["control_room"] == "--control-room-port"
    assert len(OPTIONS) == 7


@pytest.mark.parametrize(
    ("printed", "answer"),
    [
        ("", None),
        ("starting\n", None),
        ('{"pid": 1}\n', {"pid": 1}),
        ('noise\n{"pid": 1}\n', {"pid": 1}),
        ('{"pi', None),
    ],
)
def test_the_ready_line_is_the_first_whole_json_object(printed: str, answer: object, tmp_path: Path) -> None:
    (tmp_path / "world.json").write_text(printed)
    assert ready_line(tmp_path / "world.json") == answer
