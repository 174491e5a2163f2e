"""The door to an AWS account: a role per environment, renewed by itself, and never another account."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import SecretStr, ValidationError

from blocks.accounts import Account
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import InvalidInput

STAGING, ROLE = "222222222222", "arn:aws:iam::222222222222:role/promotion-flows"
SERVICES = ("ecs", "elbv2", "ssm", "ecr", "s3", "sts")


def account(aws: AwsStandIn, **changes: Any) -> Account:
    credentials = AwsCredentials(
        aws_access_key_id="sandbox",
        aws_secret_access_key=SecretStr("very-secret"),
        aws_client_parameters=AwsClientParameters(endpoint_url=aws.url),
    )
    fields = {"credentials": credentials, "role_arn": ROLE, "region": "eu-central-1", "account_id": STAGING}
    return Account(**{**fields, **changes})


def test_calls_are_made_in_the_environments_account_by_its_role(aws: AwsStandIn) -> None:
    identity = account(aws).client("sts").get_caller_identity()
    assert identity["Account"] == STAGING
    assert "promotion-flows" in identity["Arn"]


@pytest.mark.parametrize("service", SERVICES)
def test_no_client_points_anywhere_but_where_the_block_says(aws: AwsStandIn, service: Any) -> None:
    assert account(aws).client(service).meta.endpoint_url == aws.url


@pytest.mark.parametrize("service", SERVICES)
def test_every_client_has_time_limits_and_bounded_retries(aws: AwsStandIn, service: Any) -> None:
    config = account(aws).client(service).meta.config
    assert (config.connect_timeout, config.read_timeout) == (5, 20)
    assert config.retries["total_max_attempts"] == 4


def test_credentials_that_run_out_are_fetched_again_in_whichever_call_comes_first(aws: AwsStandIn) -> None:
    opened = account(aws)
    opened.client("ssm").describe_parameters()
    assert opened._session is not None
    credentials = opened._session.get_credentials()
    credentials._expiry_time = datetime.now(UTC) + timedelta(minutes=1)
    aws.forget_calls()
    opened.client("ssm").describe_parameters()
    assert [call.name for call in aws.calls] == ["sts:AssumeRole", "ssm:DescribeParameters"]
    assert all(call.account == STAGING for call in aws.calls if call.service == "ssm")


def test_throttling_is_survived(aws: AwsStandIn) -> None:
    aws.faults.add(Fault("aws", kind=FaultKind.THROTTLE, operation="ssm:DescribeParameters", times=2))
    assert account(aws).client("ssm").describe_parameters()["Parameters"] == []


def test_a_role_of_another_account_is_no_valid_block(aws: AwsStandIn) -> None:
    with pytest.raises(ValidationError, match="is not of account 333333333333"):
        account(aws, account_id="333333333333")


def test_without_a_role_credentials_of_another_account_are_refused(aws: AwsStandIn) -> None:
    with pytest.raises(InvalidInput, match=STAGING):
        account(aws, role_arn="").client("ssm")


def test_a_secret_does_not_show(aws: AwsStandIn) -> None:
    assert "very-secret" not in repr(account(aws)) + str(account(aws).model_dump())
