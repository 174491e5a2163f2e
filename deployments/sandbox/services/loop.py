"""One asyncio loop in one thread, on which all services, edges and visitors run.

Everything else in the world (AWS, the control room) lives in ordinary threads and hands work over with `run`
(waits for the result) or `begin` (does not).
"""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Coroutine
from typing import Any, Self, TypeVar

T = TypeVar("T")


class LoopThread:
    """Starts its loop with `start()`; after `stop()` nothing that ran on it is left."""

    def __init__(self, name: str = "services") -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def begin(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Run on the loop, from any other thread, without waiting."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 30.0) -> T:
        """Run on the loop, from any other thread, and wait. Raises what the work raises, or `TimeoutError`."""
        return self.begin(work).result(timeout)

    def stop(self) -> None:
        """Cancel what is left, end the thread. Does nothing a second time."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(_cancel_all())
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        finally:
            self._loop.close()


async def _cancel_all() -> None:
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in left:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*left, return_exceptions=True)
