"""The stand-in itself holds every JSON call against AWS's model, so the product is checked wherever it runs."""

import boto3
import pytest
from botocore.exceptions import ClientError

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
