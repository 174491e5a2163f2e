"""The life of one task: a real HTTP server, from starting over ready to drained, crashed or killed."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from aiohttp import web

from deployments.sandbox.aws.runtime import TaskCondition, TaskPhase
from deployments.sandbox.behaviour import Behaviour

MEMORY_LIMIT_MB = 512.0
BASE_MEMORY_MB = 290.0
"""What the service needs before it leaks."""
DRAIN_SECONDS = 0.4
"""A stopping task still accepts requests this long, until every router has seen that it leaves."""
LONGEST_REQUEST_SECONDS = 20.0
AT_ONCE_SECONDS = 0.01
"""aiohttp reads 0 as "without limit"."""
CRASHED, KILLED, STOPPED = 1, 137, 143
BEFORE_START = TaskCondition(TaskPhase.STARTING)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Task:
    """What is known about one task from outside. Changed only on the loop, read from any thread."""

    id: str
    service: str
    """The catalogue's id of the service that the image holds."""
    version: str
    behaviour: Behaviour
    condition: TaskCondition = BEFORE_START
    memory_mb: float = BASE_MEMORY_MB
    requests: int = 0
    ready_at: float = 0.0
    """By the loop's clock (s)."""
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, code: int, reason: str) -> None:
        """Note how the task ended; the first word is the last."""
        if self.condition.phase is not TaskPhase.EXITED:
            self.condition = TaskCondition(TaskPhase.EXITED, None, code, reason)
        self.leaving.set()

    def leak(self) -> bool:
        """Grow by one request's leak. True when that was too much: the container is killed, whatever it was doing."""
        self.memory_mb += self.behaviour.leak_mb_per_request
        if self.memory_mb > MEMORY_LIMIT_MB:
            self.end(KILLED, "OutOfMemoryError: Container killed due to memory usage")
        return self.memory_mb > MEMORY_LIMIT_MB


async def run_task(task: Task, answer: Handler) -> None:
    """Live the whole life of a task. Returns when it has ended; `task.condition` says how."""
    server = web.Server(answer, access_log=None)
    # It listens, and says 503, before it is ready; its address is known to nobody until then.
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, backlog=512)
    try:
        if await _starts(task, listener):
            await task.leaving.wait()
            await _drain(task, listener, server)
    finally:
        listener.close()
        await server.shutdown(AT_ONCE_SECONDS)
        task.end(STOPPED, "Stopped on request.")


def _address(listener: asyncio.Server) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    return f"{host}:{port}"


async def _starts(task: Task, listener: asyncio.Server) -> bool:
    """Wait until the application is ready. False when it was stopped or fell over on the way."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(task.leaving.wait(), task.behaviour.start_seconds)
    if task.leaving.is_set():
        return False
    if task.behaviour.crash_at_start:
        task.end(CRASHED, "Application run failed: Error creating bean with name 'flyway'")
        return False
    task.ready_at = asyncio.get_running_loop().time()
    phase = TaskPhase.UNHEALTHY if task.behaviour.unhealthy else TaskPhase.HEALTHY
    task.condition = TaskCondition(phase, _address(listener))
    return True


async def _drain(task: Task, listener: asyncio.Server, server: web.Server) -> None:
    """Go on answering while the routers look away, then finish what was begun. A killed task has no such grace."""
    if task.condition.phase is TaskPhase.EXITED:
        return
    await asyncio.sleep(DRAIN_SECONDS)
    listener.close()
    server.pre_shutdown()  # idle connections close now, busy ones after their answer
    await server.shutdown(LONGEST_REQUEST_SECONDS)
