"""One AWS stand-in for all tests of the sandbox; every test gets it empty."""

from collections.abc import Iterator

import pytest
from botocore.config import Config

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import Clock

REGION = "eu-central-1"
PATIENCE = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=5, read_timeout=10)


@pytest.fixture(scope="session")
def running_aws() -> Iterator[AwsStandIn]:
    with AwsStandIn(clock=Clock(minute_seconds=0.2), tick_seconds=None) as stand_in:
        yield stand_in


@pytest.fixture
def aws(running_aws: AwsStandIn) -> AwsStandIn:
    running_aws.reset()
    return running_aws
