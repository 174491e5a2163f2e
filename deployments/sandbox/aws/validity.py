"""What a call on the wire has against AWS's own model, whoever makes it and by whichever client.

Looked at are JSON (ECS, SSM, ECR, CloudWatch, CodeDeploy) and the query protocol (Elastic Load Balancing, STS): what
our clients speak. Not looked at are Amazon S3, which speaks REST with XML (the ledger's tests hold its client to the
model before a call leaves), and CBOR, which botocore knows for CloudWatch and does not take.
"""

import gzip
import io
import json
import zlib
from collections.abc import Mapping
from functools import cache
from typing import Any
from wsgiref.types import WSGIEnvironment

from botocore.exceptions import UnknownServiceError
from botocore.model import OperationModel, OperationNotFoundError, ServiceModel
from botocore.session import get_session

from deployments.sandbox.aws.calls import Request
from deployments.sandbox.aws.query_forms import parameters
from deployments.sandbox.aws.strict import wire_problems

FORM = "application/x-www-form-urlencoded"


def breaches(environ: WSGIEnvironment, request: Request) -> tuple[str, ...] | None:
    """One sentence for each breach; None when the call was not looked at. The body is put back."""
    by_form = environ.get("CONTENT_TYPE", "").startswith(FORM)
    operation = _operation(request)
    if operation is None or not (request.speaks_json or by_form):
        return None
    body = _body(environ)
    given, problems = _json(body) if request.speaks_json else parameters(operation, body.decode(errors="replace"))
    return tuple(problems or wire_problems(operation, given))


def _body(environ: WSGIEnvironment) -> bytes:
    """Unpacked; large metric data come packed."""
    sent: bytes = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    environ["wsgi.input"] = io.BytesIO(sent)
    try:
        return gzip.decompress(sent) if environ.get("HTTP_CONTENT_ENCODING") == "gzip" else sent
    except (OSError, EOFError, zlib.error):
        return sent


def _json(body: bytes) -> tuple[Mapping[str, Any], list[str]]:
    try:
        given = json.loads(body or b"{}")
    except ValueError as error:
        return {}, [f"the body is no JSON: {error}"]
    return (given, []) if isinstance(given, dict) else ({}, ["the body is no JSON object"])


def _operation(request: Request) -> OperationModel | None:
    """None: moto says in its own words that it does not know this."""
    try:
        return _model(request.service).operation_model(request.operation)
    except (UnknownServiceError, OperationNotFoundError):
        return None


@cache
def _model(service: str) -> ServiceModel:
    return get_session().get_service_model(service)
