"""Who is called, by whom, and how an answer to that caller is written.

The service comes from the credential scope of the signature, the operation from the `X-Amz-Target` header, from
`Action` in the form, or (Amazon S3, AWS Lambda) from the method and path.
"""

import io
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import WSGIEnvironment
from xml.sax.saxutils import escape

REST_XML_SERVICES = frozenset({"s3"})
REST_JSON_SERVICES = frozenset({"lambda"})
REST_SERVICES = REST_XML_SERVICES | REST_JSON_SERVICES
# The name in the signature, where it is not the name of the boto3 client.
CLIENT_NAMES = {"monitoring": "cloudwatch", "elasticloadbalancing": "elbv2"}


@dataclass(frozen=True, slots=True)
class Request:
    """What can be told from the request alone. Empty strings where it does not say."""

    service: str
    operation: str
    region: str
    access_key: str
    speaks_json: bool
    assumes: str = ""
    """ARN of the role that is asked for."""

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that was answered (status 0: the connection was cut)."""

    sequence: int
    """Counts the calls of this stand-in from 1, in the order of their answers."""
    service: str
    operation: str
    account: str
    role: str
    """ARN of the role that called, or that is assumed; empty without one."""
    status: int
    at: datetime
    seconds: float
    error: str = ""
    breaches: tuple[str, ...] | None = ()
    """What it has against AWS's model; None: it was not looked at."""

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True)
class ErrorAnswer:
    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def read(environ: WSGIEnvironment) -> Request:
    """Identify the request; a form body is read and put back."""
    access_key, region, service = _scope(environ.get("HTTP_AUTHORIZATION", ""))
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    form = {} if target else _form(environ)
    operation = target.rpartition(".")[2] or form.get("Action", [""])[0]
    if not operation and service in REST_SERVICES:
        operation = _rest_operation(environ, service)
    service = service or ("sts" if operation.startswith("AssumeRole") else "")
    assumes = form.get("RoleArn", [""])[0] if operation.startswith("AssumeRole") else ""
    return Request(service, operation, region, access_key, bool(target), assumes)


def error_answer(request: Request, status: int, code: str, message: str) -> ErrorAnswer:
    """An error that botocore can read, in the protocol of the caller."""
    if request.speaks_json or request.service in REST_JSON_SERVICES:
        body = json.dumps({"__type": code, "message": message})
        return ErrorAnswer(status, "application/x-amz-json-1.1", body.encode(), (("X-Amzn-ErrorType", code),))
    error = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    body = error if request.service in REST_XML_SERVICES else f"<ErrorResponse>{error}</ErrorResponse>"
    return ErrorAnswer(status, "text/xml", f'<?xml version="1.0" encoding="UTF-8"?>{body}'.encode())


def _scope(authorization: str) -> tuple[str, str, str]:
    """Access key, region and service of `AWS4-HMAC-SHA256 Credential=KEY/date/region/service/aws4_request, …`."""
    _, found, rest = authorization.partition("Credential=")
    parts = rest.split(",")[0].split("/")
    if not found or len(parts) < 5:
        return "", "", ""
    service = parts[3].lower()
    return parts[0], parts[2], CLIENT_NAMES.get(service, service)


def _form(environ: WSGIEnvironment) -> dict[str, list[str]]:
    if not environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        return {}
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(body)
    return parse_qs(body.decode(errors="replace"))


def _rest_operation(environ: WSGIEnvironment, service: str) -> str:
    from moto.core.request import Request as MotoRequest
    from moto.core.routing import get_service_router
    from werkzeug.exceptions import NotFound

    try:
        router: Any = get_service_router(service)
        # The router reads method, path, query and headers only; without the input no body is touched.
        operation, _ = router.match(MotoRequest({**environ, "wsgi.input": io.BytesIO()}))
    except (NotFound, NotImplementedError):
        return ""
    return str(operation.name)
