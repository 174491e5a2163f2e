"""Passing a request on to a task, as a load balancer does: one further try where nothing can happen twice."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from deployments.sandbox.services.routes import Routes, Target
from deployments.sandbox.services.traffic import Hit

TIMEOUT = aiohttp.ClientTimeout(total=30, connect=2)
IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
HOP_BY_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length"}
)
LOST = (aiohttp.ClientConnectionError, ConnectionError)
"""The connection was refused or closed before an answer. A time-out is not among them."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `from_target` is False where the router itself had to answer (502, 503, 504)."""

    status: int
    body: bytes
    headers: CIMultiDict[str]
    revision: str
    from_target: bool = True

    def response(self) -> web.Response:
        return web.Response(status=self.status, body=self.body, headers=self.headers)


Observe = Callable[[str, str, Hit], None]
"""Is told of every request that was passed on: environment, service, and how it ended."""


def nobody(_environment: str, _service: str, _hit: Hit) -> None:
    pass


class Forwarder:
    """A router's connections to the tasks. Open it on the loop; close it there too."""

    def __init__(self, routes: Routes, observe: Observe = nobody) -> None:
        self._routes, self._observe = routes, observe
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=10, use_dns_cache=False),
            timeout=TIMEOUT,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        await self._session.close()

    async def forward(self, request: web.BaseRequest, environment: str, service: str, path: str) -> Reply:
        """The answer of a task of the service, or the router's own 502, 503 or 504."""
        begun = time.perf_counter()
        reply = await self._reply(request, environment, service, path)
        hit = Hit(reply.revision, reply.status, time.perf_counter() - begun, reply.from_target)
        self._observe(environment, service, hit)
        return reply

    async def _reply(self, request: web.BaseRequest, environment: str, service: str, path: str) -> Reply:
        body = await request.read() if request.can_read_body else None
        target = self._routes.choose(environment, service)
        try:
            return await self._send(request, target, path, body)
        except LOST as lost:
            if not _may_repeat(request, lost):
                return _own(502, "Bad Gateway", target)
        except TimeoutError:
            return _own(504, "Gateway Timeout", target)
        return await self._again(request, self._routes.choose(environment, service, but=target.address), path, body)

    async def _again(self, request: web.BaseRequest, target: Target, path: str, body: bytes | None) -> Reply:
        try:
            return await self._send(request, target, path, body)
        except LOST:
            return _own(502, "Bad Gateway", target)
        except TimeoutError:
            return _own(504, "Gateway Timeout", target)

    async def _send(self, request: web.BaseRequest, target: Target, path: str, body: bytes | None) -> Reply:
        if target.address is None:
            return _own(503, "Service Temporarily Unavailable", target)
        url = URL(f"http://{target.address}{path}", encoded=True)
        headers = _passed_on(request.headers)
        async with self._session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False
        ) as answer:
            content = await answer.read()
            return Reply(answer.status, content, _passed_on(answer.headers), target.revision)


def _may_repeat(request: web.BaseRequest, lost: Exception) -> bool:
    # A refused connection has carried nothing; a lost one may have, and then only a harmless request goes again.
    return isinstance(lost, aiohttp.ClientConnectorError) or request.method in IDEMPOTENT


def _passed_on(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in HOP_BY_HOP)


def _own(status: int, reason: str, target: Target) -> Reply:
    page = f"<html><head><title>{status} {reason}</title></head></html>".encode()
    return Reply(status, page, CIMultiDict({"Content-Type": "text/html"}), target.revision, from_target=False)
