"""The door to checks that run inside the VPC: functions of AWS Lambda, invoked and waited for.

An invocation whose answer is lost may have run. It is repeated only where the caller says that the check may be; what
Lambda turned away before it ran (throttling, a function still being deployed) is repeated in any case.
`rules/lambda_answers.py` says what the answer means for the release.
"""

import base64
import binascii
import json
import logging
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProxyConnectionError,
)
from botocore.parsers import ResponseParserError

from blocks.aws_errors import code_of
from blocks.discretion import discretion
from rules.errors import Declined, InvalidInput, Outage
from rules.lambda_answers import LambdaAnswer

logger = logging.getLogger(__name__)

SYSTEM = "AWS Lambda"
MOST_PAYLOAD = 256 * 1024
"""Bytes; a check needs to know the release, not to be sent data."""
MOST_ANSWER = 6 * 1024 * 1024
"""Bytes: what Lambda gives back of a synchronous invocation."""
ATTEMPTS = 4
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 15.0
TURNED_AWAY = frozenset(
    {
        "EC2ThrottledException", "ENINotReadyException", "ResourceConflictException", "ResourceNotReadyException",
        "SnapStartNotReadyException", "Throttling", "ThrottlingException", "TooManyRequestsException",
    }
)  # fmt: skip
"""Lambda's errors before the function ran: too fast, or the function is being deployed."""
NOT_REACHED = (ConnectTimeoutError, EndpointConnectionError, ProxyConnectionError)
NOT_SENT = (
    CredentialRetrievalError, NoCredentialsError, NoRegionError, ParamValidationError, PartialCredentialsError,
)  # fmt: skip
"""Nothing left this machine, and trying again would not change that."""
Trouble = ClientError | BotoCoreError | ResponseParserError
TIMED_OUT = b"Task timed out after"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:$-]{0,169}")


class Invoker(Protocol):
    """The part of boto3's Lambda client that is used here. It must not repeat on its own: `Account` opens it so."""

    def invoke(self, **request: Any) -> Mapping[str, Any]: ...


class Unanswered(Outage):
    """The function was invoked, may have run, and its answer did not come. Not to be repeated without a look."""


@dataclass(frozen=True, slots=True)
class FunctionAnswer:
    """What a function gave back, for `rules.lambda_answers.judge`, and what else is known of the invocation."""

    answer: LambdaAnswer
    executed_version: str
    """The version behind the alias: a number, or `$LATEST`."""
    seconds: float
    log_tail: str = ""
    """The end of its log, masked; only of a function that broke."""

    @property
    def timed_out(self) -> bool:
        """Whether Lambda ended the function at the function's own time limit."""
        return bool(self.answer.function_error) and TIMED_OUT in self.answer.payload


class Functions:
    """Functions of one account, by name, name and alias (`smoke:live`), or ARN."""

    def __init__(
        self,
        client: Invoker,
        pause: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client, self._pause, self._monotonic = client, pause, monotonic

    def invoke(self, name: str, payload: Mapping[str, Any] | bytes, *, repeatable: bool = False) -> FunctionAnswer:
        """Invoke the function and wait for its answer. A function that broke has answered, too: `function_error`.

        Args:
            name: of the function, with an alias where there is one.
            payload: a JSON object, or its text.
            repeatable: whether running it twice does no harm.

        Raises:
            InvalidInput: a name that is none, or a payload above MOST_PAYLOAD bytes.
            Declined: no such function, no permission, or a request that Lambda does not take.
            Unanswered: it may have run, and is not repeatable.
            Outage: turned away, or not reached, to the last attempt; or an answer that is none.

        """
        body = _body(name, payload)
        for attempt in range(1, ATTEMPTS + 1):
            began = self._monotonic()
            try:
                return self._answer(name, self._ask(name, body), began)
            except (ClientError, BotoCoreError, ResponseParserError) as error:
                _refuse_more(error, name, attempt, repeatable=repeatable)
                logger.warning("%s: %s; again soon", SYSTEM, discretion.clean(str(error)))
            self._pause(random.uniform(0, min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)))  # noqa: S311 - jitter
        raise AssertionError  # the last attempt answers or raises

    def _ask(self, name: str, body: bytes) -> Mapping[str, Any]:
        answer = self._client.invoke(FunctionName=name, InvocationType="RequestResponse", LogType="Tail", Payload=body)
        return {**answer, "Payload": answer["Payload"].read(MOST_ANSWER + 1) if "Payload" in answer else b""}

    def _answer(self, name: str, told: Mapping[str, Any], began: float) -> FunctionAnswer:
        payload: bytes = told["Payload"]
        if len(payload) > MOST_ANSWER:
            raise Outage(SYSTEM, _doing(name), f"more than {MOST_ANSWER} bytes came back")
        error = str(told.get("FunctionError") or "")
        if error:
            payload = discretion.clean(payload.decode("utf-8", "replace")).encode()
        request_id = str(told.get("ResponseMetadata", {}).get("RequestId", ""))
        answer = LambdaAnswer(name, int(told.get("StatusCode", 0)), payload, error, request_id)
        log = _log(told.get("LogResult")) if error else ""
        return FunctionAnswer(answer, str(told.get("ExecutedVersion", "")), self._monotonic() - began, log)


def _body(name: str, payload: Mapping[str, Any] | bytes) -> bytes:
    if not _NAME.fullmatch(name):
        raise InvalidInput("The name of a function", name[:100], "a name, a name and an alias, or an ARN")
    body = payload if isinstance(payload, bytes) else json.dumps(payload, ensure_ascii=False).encode()
    if len(body) > MOST_PAYLOAD:
        raise InvalidInput(f"The payload for {name}", f"{len(body)} bytes", f"at most {MOST_PAYLOAD} bytes")
    return body


def _refuse_more(error: Trouble, name: str, attempt: int, *, repeatable: bool) -> None:
    """Raise what the error means, unless the function may be invoked once more."""
    is_harmless = _is_turned_away(error)
    if _is_refusal(error) and not is_harmless:
        raise _declined(error, name) from error
    if not is_harmless and not repeatable:
        what = f"{discretion.clean(str(error))} It may have run; look at its log before it runs again."
        raise Unanswered(SYSTEM, _doing(name), what) from error
    if attempt == ATTEMPTS:
        what = f"{discretion.clean(str(error))} ({attempt} of {ATTEMPTS} attempts)"
        raise Outage(SYSTEM, _doing(name), what) from error


def _is_turned_away(error: Trouble) -> bool:
    return code_of(error) in TURNED_AWAY if isinstance(error, ClientError) else isinstance(error, NOT_REACHED)


def _is_refusal(error: Trouble) -> bool:
    """Whether asking again would change nothing."""
    if isinstance(error, ClientError):
        return 400 <= _status(error) < 500  # noqa: PLR2004 - HTTP's own borders of what is the client's fault
    return isinstance(error, NOT_SENT)


def _declined(error: Trouble, name: str) -> Declined:
    status = _status(error) if isinstance(error, ClientError) else 0
    return Declined(SYSTEM, _doing(name), status, discretion.clean(str(error)))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _doing(name: str) -> str:
    return f"invoking {name}"


def _log(encoded: object) -> str:
    try:
        log = base64.b64decode(str(encoded or ""), validate=True)
    except binascii.Error:
        return ""
    return discretion.clean(log.decode("utf-8", "replace"))
