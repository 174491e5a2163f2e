"""The AWS stand-in: moto's WSGI application on the loopback interface, with our layer on top.

    with AwsStandIn(clock=Clock()) as aws:
        boto3.client("sts", endpoint_url=aws.url, …).assume_role(RoleArn="arn:aws:iam::222222222222:role/…", …)

moto keeps its state in module globals: one stand-in per process, and `reset()` between tests.
"""

import logging
import socket
import threading
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from deployments.sandbox.aws import patches
from deployments.sandbox.aws.calls import Call
from deployments.sandbox.aws.image_scan_answers import ImageScanAnswers
from deployments.sandbox.aws.middleware import Gate
from deployments.sandbox.aws.runtime import Runtime, SimulatedRuntime
from deployments.sandbox.aws.simulator import EcsSimulator
from deployments.sandbox.clock import Clock
from deployments.sandbox.faults import Faults

log = logging.getLogger(__name__)

REMEMBERED_CALLS = 20_000
"""About ten megabytes."""
TICK_SECONDS = 0.2
HOST = "127.0.0.1"


class AwsStandIn:
    """One AWS for the whole process. Everything that happens in it happens under `lock`."""

    def __init__(
        self,
        *,
        clock: Clock,
        runtime: Runtime | None = None,
        port: int = 0,
        tick_seconds: float | None = TICK_SECONDS,
        faults: Faults | None = None,
    ) -> None:
        """`port=0` takes a free one; `tick_seconds=None` leaves the ticks to the caller."""
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication

        self.clock = clock
        self.faults = faults or Faults()
        self.runtime = runtime or SimulatedRuntime(clock, self.manifest)
        self._calls: deque[Call] = deque(maxlen=REMEMBERED_CALLS)
        self._gate = Gate(DomainDispatcherApplication(_backend_app), clock, self.faults, self._calls)
        self.lock = self._gate.lock
        self.functions = self._gate.functions
        self.image_scans = ImageScanAnswers()
        self.simulator = EcsSimulator(clock, self.runtime)
        self._port = port
        self._tick_seconds = tick_seconds
        self._threads: list[threading.Thread] = []

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def calls(self) -> list[Call]:
        """Every call so far, oldest first."""
        return list(self._calls)

    def forget_calls(self) -> None:
        self._calls.clear()

    def manifest(self, digest: str) -> str:
        """The image manifest (JSON text) of a digest in any account; KeyError when no registry has it."""
        return patches.manifest(digest)

    def start(self) -> None:
        """Listen and tick. OSError when the port is held."""
        from werkzeug.serving import make_server

        # Bound here: werkzeug ends the process when the port is held.
        with socket.create_server((HOST, self._port)) as listening:
            self._port = listening.getsockname()[1]
            handler, held = _quiet_handler(), listening.fileno()
            self._server = make_server(HOST, self._port, self._gate, True, request_handler=handler, fd=held)
        self._install()
        self._gate.closing.clear()
        self._run(lambda: self._server.serve_forever(poll_interval=0.05), "aws-stand-in")
        if self._tick_seconds is not None:
            self._run(self._keep_ticking, "aws-ticks")

    def stop(self) -> None:
        """Stop listening and ticking; hanging answers are let go."""
        self._gate.closing.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads.clear()
        self._server.server_close()

    def tick(self) -> None:
        """Let the world go on: deployments, tasks, alarms."""
        with self.lock:
            self.simulator.tick()
            patches.tick()

    def reset(self) -> None:
        """Forget everything: resources of every account, faults, calls. The layer over moto is this stand-in's now."""
        from moto.moto_api._internal.models import moto_api_backend

        with self.lock:
            self.simulator.reset()
            moto_api_backend.reset()
            self.faults.clear()
            self.functions.forget()
            self.image_scans.forget()
            self.forget_calls()
            self._install()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _install(self) -> None:
        patches.install(self.clock)
        self.image_scans.install()
        self.simulator.uninstall()
        self.simulator.install()

    def _run(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep_ticking(self) -> None:
        while not self._gate.closing.wait(self._tick_seconds):
            try:
                self.tick()
            except Exception:
                # One bad tick must not freeze the world for good; the log shows it.
                log.exception("A tick of the AWS stand-in failed")


def _quiet_handler() -> type:
    """Moto's request handler without its line on stderr for every request."""
    from moto.moto_server.werkzeug_app import MotoRequestHandler

    class Quiet(MotoRequestHandler):
        def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ARG002 - werkzeug's signature
            log.debug(message, *args)

        def connection_dropped(self, error: BaseException, environ: Any = None) -> None:  # noqa: ARG002 - werkzeug's
            self.close_connection = True

        def finish(self) -> None:
            """Close without the FIN that the server would send first: a lingering time of zero then resets."""
            super().finish()
            self.connection.close()

    return Quiet


def _backend_app(service: Any) -> Any:
    from moto.moto_server.werkzeug_app import create_backend_app

    if service is None:
        raise NotImplementedError("moto has no such service")
    return create_backend_app(service)
