"""Synthetic visitors: a steady stream of requests to one environment's edge, day and night."""

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import aiohttp

from deployments.sandbox.services.content import TABLE_OF

PATHS = tuple(f"/api/{table}" for table in TABLE_OF.values())
TIMEOUT = aiohttp.ClientTimeout(total=20)
MOST_AT_ONCE = 200
"""Visitors who give up coming when the site is this slow; without it a slow site would eat the machine."""
LOOK_SECONDS = 0.25
"""So soon a change of their number is heard of."""


@dataclass(slots=True)
class Met:
    """What the visitors met so far."""

    ok: int = 0
    failed: int = 0
    """Answers of 5xx, and no answer at all."""
    turned_away: int = 0
    """Never sent, because too many were still waiting."""


class Visitors:
    """`per_second` requests a second, evenly spaced, each to the next of the API's paths. It may be changed."""

    def __init__(self, url: str, per_second: float) -> None:
        self.met, self.per_second = Met(), per_second
        self._url = url
        self._waiting: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many wait for their answer."""
        return len(self._waiting)

    async def open(self) -> None:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MOST_AT_ONCE), timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()
        )
        self._stream = asyncio.create_task(self._keep_coming())

    async def close(self) -> None:
        """Send nobody more, and let those who are waiting be answered."""
        self._stream.cancel()
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=1)
        await self._session.close()

    async def _keep_coming(self) -> None:
        clock, paths = asyncio.get_running_loop().time, itertools.cycle(PATHS)
        last = clock()
        while True:
            if self.per_second <= 0:
                last = clock()
                await asyncio.sleep(LOOK_SECONDS)
                continue
            due = last + 1 / self.per_second
            await asyncio.sleep(min(max(0.0, due - clock()), LOOK_SECONDS))
            if clock() >= due:
                last = max(due, clock() - 1)  # after a stall: no flood of the missed ones
                self._send(paths)

    def _send(self, paths: Iterator[str]) -> None:
        if len(self._waiting) >= MOST_AT_ONCE:
            self.met.turned_away += 1
            return
        visit = asyncio.create_task(self._visit(next(paths)))
        self._waiting.add(visit)
        visit.add_done_callback(self._waiting.discard)

    async def _visit(self, path: str) -> None:
        try:
            async with self._session.get(self._url + path) as answer:
                await answer.read()
                well = answer.status < 500
        except (aiohttp.ClientError, TimeoutError):
            well = False
        self.met.ok += well
        self.met.failed += not well
