import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.sandbox import processes
from deployments.sandbox.processes import MARK, ChildDied, NotReady, environment, marked, start, sweep, wait_until
from deployments.sandbox.settings import CHECKOUT

SLEEPER = "import time; time.sleep(300)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); time.sleep(300)"
SUPERVISOR = """
import sys, time
from pathlib import Path
from deployments.sandbox.processes import Guardian, environment, start
folder, parent = Path(sys.argv[1]), sys.argv[2]
variables = environment(folder, str(folder))
guardian = Guardian(str(folder), variables)
start("parent", [sys.executable, "-c", parent], variables, folder)
print("started", flush=True)
time.sleep(300)
"""


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path)
    sweep(str(tmp_path))


@pytest.fixture
def variables(tmp_path: Path, mark: str) -> dict[str, str]:
    return environment(tmp_path, mark)


def wait_for_marked(mark: str, count: int) -> None:
    deadline = time.monotonic() + 10
    while len(list(marked(mark))) != count:
        assert time.monotonic() < deadline, f"{len(list(marked(mark)))} processes, expected {count}"
        time.sleep(0.02)


def test_nothing_of_the_user_reaches_a_process(tmp_path: Path) -> None:
    user = {"PATH": "/bin", "AWS_PROFILE": "real", "PREFECT_API_URL": "http://real", "PGHOST": "real", "HOME": "/real"}
    variables = environment(tmp_path, "mark", user)
    assert variables["PATH"] == "/bin"
    assert variables["AWS_EC2_METADATA_DISABLED"] == "true"
    assert not [value for value in variables.values() if "real" in value]
    assert {"AWS_PROFILE", "PREFECT_API_URL", "PGHOST"}.isdisjoint(variables)


def test_every_folder_that_a_process_writes_to_is_in_the_state_folder(tmp_path: Path) -> None:
    variables = environment(tmp_path, "mark")
    folders = [name for name in variables if name in {"HOME", "TMPDIR"} or name.startswith("XDG_")]
    assert len(folders) == 7
    assert all(Path(variables[name]).is_relative_to(tmp_path) for name in folders)


def test_a_sweep_ends_what_a_process_started_too(tmp_path: Path, mark: str, variables: dict[str, str]) -> None:
    child = start("parent", [sys.executable, "-c", PARENT], variables, tmp_path)
    wait_for_marked(mark, 2)
    assert sweep(mark) == 2
    child.process.wait()
    assert list(marked(mark)) == []


def test_a_sweep_leaves_other_sandboxes_alone(tmp_path: Path, mark: str, variables: dict[str, str]) -> None:
    child = start("sleeper", [sys.executable, "-c", SLEEPER], variables, tmp_path)
    assert sweep(f"{mark}-another") == 0
    assert child.alive
    child.end_within(0)


def test_a_killed_supervisor_leaves_no_process(tmp_path: Path, mark: str) -> None:
    command = [sys.executable, "-c", SUPERVISOR, str(tmp_path), PARENT]
    supervisor = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE)
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == b"started\n"
    wait_for_marked(mark, 2)
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    wait_for_marked(mark, 0)


def test_a_process_that_ended_by_itself_is_named_with_its_last_words(tmp_path: Path, variables: dict[str, str]) -> None:
    child = start("world", [sys.executable, "-c", "import sys; sys.exit('no catalogue')"], variables, tmp_path)
    child.process.wait()
    with pytest.raises(ChildDied, match=r"world ended by itself with exit code 1(.|\n)*no catalogue"):
        child.raise_if_dead()


def test_waiting_stops_as_soon_as_it_is_in_vain(tmp_path: Path, variables: dict[str, str]) -> None:
    child = start("server", [sys.executable, "-c", "raise SystemExit(3)"], variables, tmp_path)
    with pytest.raises(ChildDied, match="exit code 3"):
        wait_until(lambda: None, "server", 30, child.raise_if_dead)


def test_a_part_that_never_gets_ready_is_named() -> None:
    with pytest.raises(NotReady, match="server was not ready after 0 s"):
        wait_until(lambda: None, "server", 0.01, lambda: None)


def test_a_process_that_ignores_the_signal_ends_anyway(tmp_path: Path, variables: dict[str, str]) -> None:
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(99)"
    )
    child = start("deaf", [sys.executable, "-c", deaf], variables, tmp_path)
    wait_until(lambda: "deaf" in child.last_lines(), "deaf", 10, child.raise_if_dead)
    child.ask_to_end()
    child.end_within(0.1)
    assert child.process.returncode == -signal.SIGKILL


def test_a_process_does_not_share_the_terminals_session(tmp_path: Path, variables: dict[str, str]) -> None:
    child = start("sleeper", [sys.executable, "-c", SLEEPER], variables, tmp_path)
    assert os.getsid(child.process.pid) == child.process.pid != os.getsid(0)
    child.end_within(0)


def test_what_a_process_prints_can_be_kept_apart_from_its_log(tmp_path: Path, variables: dict[str, str]) -> None:
    said = "import sys; print('{}'); print('a warning', file=sys.stderr)"
    child = start("world", [sys.executable, "-c", said], variables, tmp_path, output=tmp_path / "world.json")
    child.process.wait()
    assert (tmp_path / "world.json").read_text() == "{}\n"
    assert child.last_lines().strip() == "a warning"


def test_the_mark_is_in_every_processes_environment(variables: dict[str, str], mark: str) -> None:
    assert variables[MARK] == processes.environment(Path(mark), mark)[MARK] == mark
