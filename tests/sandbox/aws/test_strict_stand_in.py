"""The stand-in itself holds every call against AWS's model, so the product is checked wherever it runs."""

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.sandbox.aws.host import AwsStandIn


def client(aws: AwsStandIn, service: str) -> object:
    return boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=aws.url,
        region_name="eu-central-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
    )


def test_a_value_outside_the_enum_is_refused_although_botocore_lets_it_pass(aws: AwsStandIn) -> None:
    ecs = client(aws, "ecs")
    with pytest.raises(ClientError, match=r"strategy is NOPE, one of .*BLUE_GREEN"):
        ecs.update_service(service="x", deploymentConfiguration={"strategy": "NOPE"})  # type: ignore[attr-defined]


def test_more_names_than_allowed_are_refused(aws: AwsStandIn) -> None:
    ssm = client(aws, "ssm")
    with pytest.raises(ClientError, match="at most 10"):
        ssm.get_parameters(Names=[f"/x/{n}" for n in range(11)])  # type: ignore[attr-defined]


def test_a_right_call_passes(aws: AwsStandIn) -> None:
    ssm = client(aws, "ssm")
    assert ssm.get_parameters(Names=["/x"])["InvalidParameters"] == ["/x"]  # type: ignore[attr-defined]


ENDS = st.sampled_from(["X=1", "TargetGroupArns.item.1=x", "PageSize=401", "PageSize=0", "PageSize=many"])


def posted(aws: AwsStandIn, service: str, headers: dict[str, str], body: bytes) -> httpx.Response:
    """A call that no client of AWS's would make."""
    scope = f"AWS4-HMAC-SHA256 Credential=sandbox/20260105/eu-central-1/{service}/aws4_request, SignedHeaders=host"
    return httpx.post(aws.url, headers={"Authorization": scope, **headers}, content=body, trust_env=False)


def form(aws: AwsStandIn, text: str) -> httpx.Response:
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Host": "elasticloadbalancing.localhost"}
    body = f"Action=DescribeTargetGroups&Version=2015-12-01&{text}"
    return posted(aws, "elasticloadbalancing", headers, body.encode())


def test_a_form_is_held_against_the_model_too(aws: AwsStandIn) -> None:
    elbv2 = client(aws, "elbv2")
    with pytest.raises(ClientError, match="PageSize is 401, at most 400 is allowed"):
        elbv2.describe_target_groups(PageSize=401)  # type: ignore[attr-defined]
    with pytest.raises(ClientError, match=r"Type is nope, one of forward, .* is allowed"):
        elbv2.modify_rule(RuleArn="x", Actions=[{"Type": "nope"}])  # type: ignore[attr-defined]
    assert elbv2.describe_target_groups()["TargetGroups"] == []  # type: ignore[attr-defined]
    assert [bool(call.breaches) for call in aws.calls] == [True, True, False]


def test_a_long_session_name_is_refused(aws: AwsStandIn) -> None:
    sts = client(aws, "sts")
    with pytest.raises(ClientError, match="RoleSessionName is 65, at most 64 is allowed"):
        sts.assume_role(RoleArn=f"arn:aws:iam::{'2' * 12}:role/x", RoleSessionName="x" * 65)  # type: ignore[attr-defined]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(text=ENDS)
def test_what_botocore_would_not_send_is_refused_in_a_form(aws: AwsStandIn, text: str) -> None:
    answer = form(aws, text)
    assert (answer.status_code, "validation error" in answer.text) == (400, True)


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"Names": "x"}', b'{"Nmaes": ["/x"]}', b"{}", b'{"Names": []}'])
def test_what_botocore_would_not_send_is_refused_in_json(aws: AwsStandIn, body: bytes) -> None:
    headers = {"X-Amz-Target": "AmazonSSM.GetParameters", "Content-Type": "application/x-amz-json-1.1"}
    answer = posted(aws, "ssm", headers, body)
    assert (answer.status_code, answer.json()["__type"]) == (400, "ValidationException")


@pytest.mark.parametrize(
    ("service", "operation", "wrong"),
    [
        ("cloudwatch", "describe_alarms", {"StateValue": "NOPE"}),
        ("codedeploy", "stop_deployment", {"deploymentId": "d", "autoRollbackEnabled": "yes"}),
        ("ecs", "list_tasks", {"desiredStatus": "NOPE"}),
        ("ecr", "describe_images", {"repositoryName": "NO CAPITALS"}),
        ("elbv2", "describe_target_groups", {"PageSize": 401}),
        ("ssm", "get_parameters", {"Names": ["/x"] * 11}),
        ("sts", "assume_role", {"RoleArn": "x", "RoleSessionName": "y"}),
    ],
)
def test_every_protocol_that_the_product_speaks_is_looked_at(
    aws: AwsStandIn, service: str, operation: str, wrong: dict[str, object]
) -> None:
    unchecked = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=aws.url,
        region_name="eu-central-1",
        aws_access_key_id="sandbox",
        aws_secret_access_key="sandbox",
        config=Config(parameter_validation=False),
    )
    with pytest.raises(ClientError, match="validation error"):
        getattr(unchecked, operation)(**wrong)
    assert aws.calls[-1].breaches


def test_amazon_s3_is_not_looked_at(aws: AwsStandIn) -> None:
    client(aws, "s3").list_buckets()  # type: ignore[attr-defined]
    assert [call.breaches for call in aws.calls] == [None]
