"""Who is called, by whom: read from any request, also from nonsense."""

import io
import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.calls import Request, error_answer, read

SIGNED = "AWS4-HMAC-SHA256 Credential=AKIAX/20260105/eu-central-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def environ(service: str = "", target: str = "", body: bytes = b"", **more: Any) -> dict[str, Any]:
    form = {"CONTENT_TYPE": "application/x-www-form-urlencoded; charset=utf-8"} if body else {}
    signed = {"HTTP_AUTHORIZATION": SIGNED.format(service)} if service else {}
    targeted = {"HTTP_X_AMZ_TARGET": target} if target else {}
    given_body = {"CONTENT_LENGTH": str(len(body)), "wsgi.input": io.BytesIO(body)}
    path = {"REQUEST_METHOD": "POST", "PATH_INFO": "/", "QUERY_STRING": "", "HTTP_HOST": "127.0.0.1"}
    return {**path, **form, **signed, **targeted, **given_body, **more}


@pytest.mark.parametrize(
    ("request_environ", "name"),
    [
        (environ("ssm", "AmazonSSM.GetParameter"), "ssm:GetParameter"),
        (environ("monitoring", "GraniteServiceVersion20100801.PutMetricData"), "cloudwatch:PutMetricData"),
        (environ("elasticloadbalancing", body=b"Action=DescribeRules&Version=1"), "elbv2:DescribeRules"),
        (environ(body=b"Action=AssumeRoleWithWebIdentity"), "sts:AssumeRoleWithWebIdentity"),
        (environ("s3", REQUEST_METHOD="PUT", PATH_INFO="/bucket/key"), "s3:PutObject"),
        (
            environ("s3", REQUEST_METHOD="GET", PATH_INFO="/bucket/key", QUERY_STRING="retention"),
            "s3:GetObjectRetention",
        ),
    ],
)
def test_service_and_operation_are_read(request_environ: dict[str, Any], name: str) -> None:
    assert read(request_environ).name == name


def test_a_form_that_was_read_can_be_read_again() -> None:
    request = environ("sts", body=b"Action=GetCallerIdentity")
    read(request)
    assert request["wsgi.input"].read() == b"Action=GetCallerIdentity"


def test_region_and_key_are_read() -> None:
    request = read(environ("ssm", "AmazonSSM.GetParameter"))
    assert (request.access_key, request.region, request.speaks_json) == ("AKIAX", "eu-central-1", True)


@given(st.text(), st.binary(max_size=200))
def test_nonsense_is_read_as_nobody_calling_nothing(authorization: str, body: bytes) -> None:
    request = read(environ(body=body or b"x", HTTP_AUTHORIZATION=f"Basic {authorization}"))
    assert request.name == ":" or request.operation


@given(st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_an_error_is_written_in_the_callers_protocol(message: str) -> None:
    spoken = error_answer(Request("ssm", "GetParameter", "", "", True), 400, "Oops", message)
    assert json.loads(spoken.body) == {"__type": "Oops", "message": message}
    written = error_answer(Request("sts", "AssumeRole", "", "", False), 400, "Oops", message)
    tree = ET.fromstring(written.body)  # noqa: S314 - we wrote it ourselves
    assert (tree.findtext("Error/Code"), tree.findtext("Error/Message")) == ("Oops", message)
