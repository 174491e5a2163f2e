"""An ASGI application on the loopback interface, in a thread of its own."""

import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

START_SECONDS = 10.0


class Served:
    """Listens from the moment it is made; answers after `start()`. Raises `OSError` when the port is taken."""

    def __init__(self, app: ASGIApp, name: str, port: int = 0) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError as problem:
            self._socket.close()
            raise OSError(problem.errno, f"{name} cannot listen on port {port}: {problem.strerror}.") from problem
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    @property
    def url(self) -> str:
        return "http://{}:{}".format(*self._socket.getsockname()[:2])

    def start(self) -> None:
        self._thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._server.started and self._thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        self._server.run(sockets=[self._socket])
