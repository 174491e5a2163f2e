"""A fresh world, as a process of its own: it says where it listens, it ends when it is told to."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]


def settings_file(folder: Path, **more: Any) -> Path:
    file = folder / "settings.json"
    catalogue = str(ROOT / "deployments" / "catalogue.toml")
    file.write_text(json.dumps({"catalogue": catalogue, "minute_seconds": 1, "requests_per_second": 5, **more}))
    return file


def started(file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deployments.sandbox.world", "--settings", str(file)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_HOME": str(file.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def behaviours(state: dict[str, Any]) -> list[str]:
    """Of what serves, in every environment."""
    services = [service for environment in state["environments"] for service in environment["services"]]
    return [it["behaviour"] for service in services for it in service["revisions"] if it["weight"]]


def test_it_says_where_it_listens_and_ends_on_sigterm(tmp_path: Path) -> None:
    with started(settings_file(tmp_path)) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with httpx.Client(trust_env=False, timeout=10) as client:
            state = client.get(f"{ready['control_room_url']}/api/state").json()
            assert (state["application"], behaviours(state)) == ("batbern", ["good"] * 18)
            assert client.get(f"{ready['edges']['staging']}/api/events").status_code == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=15)
    assert (process.returncode, errors) == (0, "")


def test_a_port_that_is_held_ends_it_with_the_port_named(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        with started(settings_file(tmp_path, ports={"control_room": port})) as process:
            _, errors = process.communicate(timeout=40)
    assert process.returncode == 1
    assert f"port {port}" in errors
