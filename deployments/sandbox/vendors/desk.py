"""The desk at which each vendor's stand-in receives requests: faults first, then admission, then the handler.

Handlers are plain functions of a `Call`; they run under one lock, so what they change is never half seen.
An injected fault is played here, for all vendors alike:

    throttle, error   refused before anything is done
    timeout, reset    the work IS done and the answer is lost: the nastiest variant, which shows lost idempotence
    garbage           the work is done, the answer is not what the vendor speaks
    slow              the work is done after a pause
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.contracts import problems

Json = dict[str, Any]


class RequestError(Exception):
    """A request that the vendor refuses; each vendor words it in its own shape."""

    def __init__(self, status: int, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self.status, self.code, self.message, self.headers = status, code, message, headers or {}
        super().__init__(f"{status} {code}: {message}")


@dataclass(frozen=True, slots=True)
class Call:
    """One request, wholly read."""

    request: Request
    body: bytes
    operation: str
    """The handler's name, which faults and rate limits go by."""

    @property
    def path(self) -> dict[str, str]:
        return dict(self.request.path_params)

    def query(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def header(self, name: str) -> str:
        return self.request.headers.get(name, "")

    def json(self, schema: Json | None = None, code: str = "invalid_request") -> Any:
        """The body as JSON that keeps to the schema. Raises RequestError 400 that names every deviation."""
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise RequestError(400, code, f"body is not JSON: {error}") from error
        found = problems(schema, document) if schema else []
        if found:
            raise RequestError(400, code, "; ".join(found))
        return document


Handler = Callable[[Call], Response]


class CutResponse(Response):
    """Promises more than it sends, so the server has to cut the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": [(b"content-length", b"4096")]}
        )
        await send({"type": "http.response.body", "body": b'{"', "more_body": False})


@dataclass(frozen=True, slots=True)
class Desk:
    """One vendor's way to receive requests.

    `admit` raises RequestError for those without credentials or over a limit, `refuse` words a RequestError,
    `stamp` adds the headers that every answer carries.
    """

    target: str
    faults: Faults
    lock: AbstractContextManager[Any]
    admit: Callable[[Call], None]
    refuse: Callable[[RequestError], Response]
    stamp: Callable[[Call, Response], None] = lambda _call, _response: None

    def route(self, method: str, path: str, handler: Handler) -> Route:
        """A route whose operation, as faults name it, is the handler's name."""

        async def endpoint(request: Request) -> Response:
            call = Call(request, await request.body(), handler.__name__)
            fault = self.faults.take(self.target, call.operation)
            return await self._play(fault, call, handler)

        return Route(path, endpoint, methods=[method], name=handler.__name__)

    async def _play(self, fault: Fault | None, call: Call, handler: Handler) -> Response:
        if fault is None:
            return self._answer(call, handler)
        if fault.kind in _BEFORE:
            return self.refuse(_BEFORE[fault.kind])
        if fault.kind is FaultKind.SLOW:
            await asyncio.sleep(fault.lasts)
        answer = self._answer(call, handler)
        if fault.kind is FaultKind.TIMEOUT:
            await asyncio.sleep(fault.lasts)
        return _spoilt(answer, fault.kind)

    def _answer(self, call: Call, handler: Handler) -> Response:
        with self.lock:
            try:
                self.admit(call)
                answer = handler(call)
            except RequestError as error:
                answer = self.refuse(error)
            self.stamp(call, answer)
            return answer

    def lost(self, _request: Request, error: Exception) -> Response:
        """What is answered on a path or method that this vendor does not have."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        code = "method_not_allowed" if status == 405 else "not_found"
        return self.refuse(RequestError(status, code, "the stand-in has no such resource"))


_BEFORE = {
    FaultKind.THROTTLE: RequestError(429, "rate_limited", "too many requests", {"Retry-After": "1"}),
    FaultKind.ERROR: RequestError(503, "service_unavailable", "the service is unavailable"),
}


def _spoilt(answer: Response, kind: FaultKind) -> Response:
    if kind in {FaultKind.RESET, FaultKind.TIMEOUT}:
        return CutResponse(status_code=answer.status_code)
    if kind is FaultKind.GARBAGE:
        return Response(b"<html>\x00\xff upstream", status_code=200, media_type="text/html")
    return answer
