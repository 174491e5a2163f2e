"""AWS Lambda's `Invoke` for functions that are Python callables of this process; moto would start a container.

    aws.functions.register("222222222222", "smoke", lambda event: {"release": event["release"], …})

They run outside the stand-in's lock, so that a function may call the stand-in itself. A function that raises answers
as Lambda does for one that broke, and one that takes longer than its time limit is given up (its thread goes on).
Known to differ from the real Lambda: only RequestResponse, one version, no limit on concurrency, no permissions.
"""

import base64
import json
import re
import threading
import traceback
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TookTooLong
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from wsgiref.types import WSGIEnvironment

from werkzeug.wrappers import Response

from deployments.sandbox.aws.calls import ErrorAnswer, Request, error_answer

Handler = Callable[[Any], Any]
"""Takes the event and gives back what can be told in JSON."""
MOST_PAYLOAD = 6_291_456
MOST_ANSWER = 6_291_556
LOG_TAIL = 4096
_PATH = re.compile(r"/2015-03-31/functions/(?P<name>.+)/invocations/?")
_NAME = re.compile(
    r"(arn:aws:lambda:(?P<region>[a-z0-9-]+):)?((?P<account>\d{12}):)?(function:)?"
    r"(?P<name>[A-Za-z0-9_-]+)(:(?P<qualifier>[A-Za-z0-9_$-]+))?"
)


@dataclass(frozen=True, slots=True)
class Function:
    """A registered function."""

    handler: Handler
    seconds: float = 3.0
    """Its time limit."""
    version: str = "$LATEST"
    """What `ExecutedVersion` says."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a function answered: its JSON text, Lambda's word for an error, and what it logged."""

    payload: bytes
    error: str = ""
    log: str = ""


class LambdaFunctions:
    """The functions by account and name, in every region."""

    def __init__(self) -> None:
        self._functions: dict[tuple[str, str], Function] = {}

    def register(
        self, account: str, name: str, handler: Handler, *, seconds: float = 3.0, version: str = "$LATEST"
    ) -> None:
        """Add a function, or put another in its place."""
        self._functions[account, name] = Function(handler, seconds, version)

    def forget(self) -> None:
        self._functions.clear()

    def answers(self, request: Request) -> bool:
        """Whether this call is one of ours; all others of AWS Lambda are moto's."""
        return request.name == "lambda:Invoke"

    def answer(self, environ: WSGIEnvironment, request: Request, account: str) -> Response:
        """Run the function that is asked for. `account` is the caller's."""
        sent: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        function = self._wanted(environ.get("PATH_INFO", ""), account)
        if isinstance(function, str):
            reason = f"Function not found: arn:aws:lambda:{request.region}:{account}:function:{function}"
            return _refused(request, 404, "ResourceNotFoundException", reason)
        if environ.get("HTTP_X_AMZ_INVOCATION_TYPE", "RequestResponse") != "RequestResponse":
            return _refused(request, 400, "InvalidParameterValueException", "The sandbox invokes synchronously only.")
        if len(sent) > MOST_PAYLOAD:
            return _refused(request, 413, "RequestTooLargeException", f"{len(sent)} byte payload is too large.")
        try:
            event = json.loads(sent or b"{}")
        except ValueError as error:
            reason = f"Could not parse request body into json: {error}"
            return _refused(request, 400, "InvalidRequestContentException", reason)
        return _response(function, event, wants_log=environ.get("HTTP_X_AMZ_LOG_TYPE") == "Tail")

    def _wanted(self, path: str, account: str) -> Function | str:
        """The function, or the name under which there is none."""
        found = _PATH.fullmatch(unquote(path))
        name = _NAME.fullmatch(found["name"]) if found else None
        if name is None:
            return found["name"] if found else path
        return self._functions.get((name["account"] or account, name["name"]), found["name"] if found else path)


def _response(function: Function, event: Any, *, wants_log: bool) -> Response:
    request_id = str(uuid.uuid4())
    outcome = _carried_out(function, event, request_id)
    headers = {"x-amzn-RequestId": request_id, "X-Amz-Executed-Version": function.version}
    if outcome.error:
        headers["X-Amz-Function-Error"] = outcome.error
    if wants_log:
        log = f"START RequestId: {request_id}\n{outcome.log}END RequestId: {request_id}\n"
        headers["X-Amz-Log-Result"] = base64.b64encode(log.encode()[-LOG_TAIL:]).decode()
    return Response(outcome.payload, 200, headers, content_type="application/json")


def _carried_out(function: Function, event: Any, request_id: str) -> Outcome:
    running: Future[Outcome] = Future()
    run = threading.Thread(
        target=lambda: running.set_result(_outcome(function.handler, event)), name="aws-lambda", daemon=True
    )
    run.start()
    try:
        return running.result(timeout=function.seconds)
    except TookTooLong:
        message = f"RequestId: {request_id} Error: Task timed out after {function.seconds:.2f} seconds"
        return _broken("Sandbox.Timedout", message, f"{message}\n")


def _outcome(handler: Handler, event: Any) -> Outcome:
    try:
        payload = json.dumps(handler(event)).encode()
    except Exception as error:  # noqa: BLE001 - whatever a function raises is its answer
        return _broken(type(error).__name__, str(error), f"[ERROR] {traceback.format_exc()}")
    if len(payload) > MOST_ANSWER:
        reason = f"Response payload size exceeded maximum allowed payload size ({MOST_ANSWER} bytes)."
        return _broken("Function.ResponseSizeTooLarge", reason)
    return Outcome(payload)


def _broken(kind: str, message: str, log: str = "") -> Outcome:
    return Outcome(json.dumps({"errorMessage": message, "errorType": kind}).encode(), "Unhandled", log)


def _refused(request: Request, status: int, code: str, reason: str) -> Response:
    answer: ErrorAnswer = error_answer(request, status, code, reason)
    return Response(answer.body, answer.status, answer.headers, content_type=answer.content_type)
