"""Between the caller and moto: faults are injected, every call is recorded, a failure answers readably.

moto's state is not made for threads, so requests go through one at a time, under the lock that the ticks take too.
Waiting (slow, timeout) happens outside the lock.
"""

import logging
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from werkzeug.wrappers import Response

from deployments.sandbox.aws.calls import Call, ErrorAnswer, Request, error_answer, read
from deployments.sandbox.aws.lambda_functions import LambdaFunctions
from deployments.sandbox.aws.validity import breaches
from deployments.sandbox.clock import Clock
from deployments.sandbox.faults import Fault, FaultKind, Faults

log = logging.getLogger(__name__)

GARBAGE = b'<html>{"this is": no answer'
REST_THROTTLES = {
    "s3": (503, "SlowDown", "Please reduce your request rate."),
    "lambda": (429, "TooManyRequestsException", "Rate Exceeded."),
}
Breaches = tuple[str, ...] | None
THROTTLES = {True: "ThrottlingException", False: "Throttling"}


class ConnectionCut(ConnectionError):
    """The caller gets no answer: the server drops the connection."""


class Gate:
    """The WSGI application around moto's: one request at a time, watched and sometimes broken."""

    def __init__(self, app: WSGIApplication, clock: Clock, faults: Faults, calls: deque[Call]) -> None:
        self._app = app
        self._clock = clock
        self._faults = faults
        self._calls = calls
        self._counted = 0
        self.functions = LambdaFunctions()
        self.lock = threading.RLock()
        self.closing = threading.Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began, request = self._clock.monotonic(), read(environ)
        found = breaches(environ, request)
        try:
            response = self._answer(environ, request, found)
        except ConnectionCut:
            self._record(request, 0, began, "ConnectionCut", found)
            raise
        self._record(request, response.status_code, began, _error_code(response), found)
        return response(environ, start_response)

    def _answer(self, environ: WSGIEnvironment, request: Request, found: Breaches) -> Response:
        fault = self._faults.take("aws", request.name) if request.service else None
        broken = self._break(fault, environ, request) if fault else None
        if broken:
            return broken
        # AWS checks every call against its model, whoever makes it; botocore's clients check less, and moto hardly.
        if found:
            return _refused(request, found)
        if self.functions.answers(request):
            with self.lock:
                account, _ = _caller(request.access_key)
            return self.functions.answer(environ, request, account)  # not under the lock: it may call us
        return self._ask_moto(environ, request)

    def _break(self, fault: Fault, environ: WSGIEnvironment, request: Request) -> Response | None:
        """The broken answer, or None when the true one may follow."""
        self.closing.wait(fault.lasts)
        match fault.kind:
            case FaultKind.SLOW:
                return None
            case FaultKind.THROTTLE:
                return _response(_throttled(request))
            case FaultKind.ERROR:
                return _response(error_answer(request, 500, "InternalFailure", "An internal error (injected)."))
            case FaultKind.GARBAGE:
                return Response(GARBAGE, 200, content_type="application/octet-stream")
            case FaultKind.RESET:
                _reset_on_close(environ)
        raise ConnectionCut(f"{fault.kind} of {request.name}")

    def _ask_moto(self, environ: WSGIEnvironment, request: Request) -> Response:
        with self.lock:
            try:
                response = Response.from_app(self._app, environ, buffered=True)
            except NotImplementedError as error:
                return _response(_not_implemented(request, str(error)))
            except Exception as error:
                log.exception("The AWS stand-in failed in %s", request.name)
                reason = f"The AWS stand-in failed in {request.name}: {type(error).__name__}: {error}"
                return _response(error_answer(request, 500, "InternalFailure", reason))
        # HEAD has no body that could say more: there a 404 is moto's answer, an object that is not there.
        if response.status_code == 404 and response.mimetype == "text/html" and environ["REQUEST_METHOD"] != "HEAD":
            return _response(_not_implemented(request, "no such path"))
        return response

    def _record(self, request: Request, status: int, began: float, error: str, found: Breaches) -> None:
        if not request.service:
            return
        seconds, now = self._clock.monotonic() - began, self._clock.now()
        with self.lock:
            self._counted += 1
            account, role = _caller(request.access_key)
            who = (request.service, request.operation, account, request.assumes or role)
            self._calls.append(Call(self._counted, *who, status, now, seconds, error, found))


def _refused(request: Request, found: Sequence[str]) -> Response:
    message = f"{len(found)} validation error(s) detected: {'; '.join(found)}"
    return _response(error_answer(request, 400, "ValidationException", message))


def _throttled(request: Request) -> ErrorAnswer:
    if request.service in REST_THROTTLES:
        return error_answer(request, *REST_THROTTLES[request.service])
    return error_answer(request, 400, THROTTLES[request.speaks_json], "Rate exceeded")


def _not_implemented(request: Request, detail: str) -> ErrorAnswer:
    name = f"{request.service or 'an unsigned service'}:{request.operation or 'an unknown operation'}"
    message = f"The AWS stand-in does not know {name} ({detail}). Add it in deployments/sandbox/aws/."
    return error_answer(request, 501, "NotImplemented", message)


def _response(answer: ErrorAnswer) -> Response:
    return Response(answer.body, answer.status, answer.headers, content_type=answer.content_type)


def _error_code(response: Response) -> str:
    if response.status_code < 400:
        return ""
    return response.headers.get("X-Amzn-ErrorType", "").rpartition("#")[2] or f"HTTP {response.status_code}"


def _reset_on_close(environ: WSGIEnvironment) -> None:
    """With a linger time of zero the kernel answers the close with RST instead of FIN."""
    connection: socket.socket = environ["werkzeug.socket"]
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _caller(access_key: str) -> tuple[str, str]:
    """Account and role ARN (empty without an assumed role) that an access key stands for."""
    from moto.iam.models import get_account_id_from, iam_backends

    account = get_account_id_from(access_key)
    key: Any = iam_backends[account]["aws"].access_keys.get(access_key)
    return account, getattr(key, "role_arn", None) or ""
