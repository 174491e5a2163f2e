"""The stand-ins without a socket: an httpx transport for tests that need the vendors' answers but no server."""

import asyncio
from typing import Any

import httpx
from starlette.types import ASGIApp


class InProcess(httpx.BaseTransport):
    """Hands each request of a synchronous client straight to an ASGI application."""

    def __init__(self, application: ASGIApp) -> None:
        self._transport = httpx.ASGITransport(application)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._answer(request))

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        # A request with both kinds of stream serves the asynchronous transport from the synchronous client.
        sent = httpx.Request(request.method, request.url, headers=request.headers, content=request.read())
        answer = await self._transport.handle_async_request(sent)
        body = await answer.aread()
        return httpx.Response(answer.status_code, headers=answer.headers, content=body)


def client_of(application: ASGIApp, **options: Any) -> httpx.Client:
    """A client of the application; `options` are httpx.Client's."""
    return httpx.Client(transport=InProcess(application), base_url="http://sandbox", **options)
