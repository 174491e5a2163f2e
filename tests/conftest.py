"""One AWS stand-in for all tests; every test gets it empty, and every call is checked strictly.

The product in its whole world, on a Prefect server, is in `promotion_world.py`. Imports are inside the fixtures, so
that the rules' tests do not pay for AWS.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    import boto3

    from deployments.sandbox.aws.host import AwsStandIn
    from deployments.sandbox.clock import ManualClock

pytest_plugins = ("whole_server", "promotion_world", "production_world")

REGION = "eu-central-1"
DEV, STAGING, PRODUCTION = "111111111111", "222222222222", "333333333333"

OpenClient = Callable[..., Any]

# The same examples in every run, so that a red run is somebody's change; `--hypothesis-profile=explore` looks further.
settings.register_profile("same", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("explore", max_examples=1000, deadline=None)
settings.load_profile("same")


@pytest.fixture(scope="session")
def world_clock() -> "ManualClock":
    """One AWS minute is one second; time stands until a test moves it."""
    from deployments.sandbox.clock import ManualClock

    return ManualClock(minute_seconds=1.0)


@pytest.fixture(scope="session")
def running_aws(world_clock: "ManualClock") -> "Iterator[AwsStandIn]":
    from deployments.sandbox.aws.host import AwsStandIn

    with AwsStandIn(clock=world_clock, tick_seconds=None) as stand_in:
        yield stand_in


@pytest.fixture
def aws(running_aws: "AwsStandIn", world_clock: "ManualClock") -> "AwsStandIn":
    from deployments.sandbox.aws.patches import Current

    running_aws.reset()
    Current.clock = world_clock
    Current.parameter_writes_per_second = None
    return running_aws


@pytest.fixture(scope="session")
def strict_session() -> "boto3.Session":
    import boto3

    from deployments.sandbox.aws import strict

    session = boto3.Session(aws_access_key_id="sandbox", aws_secret_access_key="x", region_name=REGION)
    strict.install(session, answers=True)
    return session


@pytest.fixture(scope="session")
def open_session_client(running_aws: "AwsStandIn", strict_session: "boto3.Session") -> OpenClient:
    """As `open_client`, for fixtures that outlive a test and take care of the stand-in's state themselves."""
    from botocore.config import Config

    def open_client(service: str, account: str = STAGING, attempts: int = 1, read_timeout: float = 10) -> Any:
        config = Config(
            retries={"mode": "standard", "total_max_attempts": attempts}, connect_timeout=5, read_timeout=read_timeout
        )
        role = f"arn:aws:iam::{account}:role/promotion-flows"
        sts = strict_session.client("sts", endpoint_url=running_aws.url, config=config)
        keys = sts.assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return strict_session.client(
            service,
            endpoint_url=running_aws.url,
            config=config,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    return open_client


@pytest.fixture
def open_client(aws: "AwsStandIn", open_session_client: OpenClient) -> OpenClient:
    """`open_client("ssm", account=STAGING)`: a strict client with the role of that account, on an empty stand-in."""
    return open_session_client
