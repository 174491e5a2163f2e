"""What goes wrong on demand, and what is recorded of every call."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, EndpointConnectionError
from botocore.parsers import ResponseParserError

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import Clock
from deployments.sandbox.faults import Fault, FaultKind, Faults

STAGING = "222222222222"
CALLS: dict[str, Callable[[Any], Any]] = {
    "ssm": lambda client: client.describe_parameters(),
    "sts": lambda client: client.get_caller_identity(),
    "s3": lambda client: client.list_buckets(),
    "cloudwatch": lambda client: client.describe_alarms(),
}


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("throttle", r"Throttling|SlowDown"),
        ("error", "InternalFailure"),
        ("reset", "Could not connect|Connection reset|Connection was closed"),
        ("timeout", "Connection was closed"),
    ],
)
def test_a_broken_call_fails_as_its_fault_says(
    aws: AwsStandIn, open_client: Callable[..., Any], service: str, kind: str, error: str
) -> None:
    client = open_client(service)
    aws.faults.add(Fault("aws", kind=FaultKind(kind), operation=service, seconds=0.05))
    with pytest.raises((ClientError, BotoCoreError), match=error):
        CALLS[service](client)
    aws.faults.clear()
    assert CALLS[service](client)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_a_hanging_call_ends_with_the_clients_patience(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    client = open_client("ssm", read_timeout=0.2)
    aws.faults.add(Fault("aws", kind=FaultKind.TIMEOUT, seconds=1.0))
    began = time.monotonic()
    with pytest.raises(BotoCoreError, match="Read timeout"):
        client.describe_parameters()
    assert time.monotonic() - began < 1.0


def test_garbage_is_no_answer(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    client = open_client("sts")
    aws.faults.add(Fault("aws", kind=FaultKind.GARBAGE))
    with pytest.raises(ResponseParserError, match="Unable to parse"):
        client.get_caller_identity()


def test_a_slow_answer_is_right_but_late(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    client = open_client("sts")
    aws.faults.add(Fault("aws", kind=FaultKind.SLOW, seconds=0.3))
    began = time.monotonic()
    assert client.get_caller_identity()["Account"] == STAGING
    assert time.monotonic() - began >= 0.3


def test_a_fault_that_happens_once_is_survived_by_a_retry(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    client = open_client("ssm", attempts=3)
    aws.faults.add(Fault("aws", kind=FaultKind.ERROR, operation="ssm:DescribeParameters", times=1))
    assert client.describe_parameters()["ResponseMetadata"]["RetryAttempts"] == 1


def test_others_are_answered_while_one_call_hangs(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    hanging, other = open_client("ssm"), open_client("sts")
    aws.faults.add(Fault("aws", kind=FaultKind.SLOW, operation="ssm", seconds=0.5))
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(hanging.describe_parameters)
        other.get_caller_identity()
        assert not late.done()


def test_every_call_is_recorded_with_who_made_it(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    client = open_client("ssm")
    with pytest.raises(ClientError):
        client.get_parameter(Name="/none")
    client.put_parameter(Name="/one", Value="x", Type="String")
    assume, failed, put = aws.calls
    assert [call.name for call in aws.calls] == ["sts:AssumeRole", "ssm:GetParameter", "ssm:PutParameter"]
    assert (failed.status, failed.error) == (400, "ParameterNotFound")
    assert (put.account, put.role, put.status) == (STAGING, f"arn:aws:iam::{STAGING}:role/promotion-flows", 200)
    assert assume.role == put.role, "the role that is asked for"


def test_a_cut_call_is_recorded_with_status_zero(aws: AwsStandIn, open_client: Callable[..., Any]) -> None:
    client = open_client("s3")
    aws.faults.add(Fault("aws", kind=FaultKind.RESET, operation="ListBuckets"))
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        client.list_buckets()
    assert [(call.name, call.status) for call in aws.calls[1:]] == [("s3:ListBuckets", 0)]


@pytest.mark.parametrize(
    ("service", "operation", "arguments"),
    [
        ("rds", "describe_certificates", {}),
        ("cloudwatch", "list_metric_streams", {}),
        ("ssm", "list_nodes", {}),
        ("gamelift", "list_fleets", {}),
    ],
)
def test_what_the_stand_in_does_not_know_it_says_readably_and_at_once(
    aws: AwsStandIn, open_client: Callable[..., Any], service: str, operation: str, arguments: dict[str, str]
) -> None:
    client = open_client(service, attempts=3)
    with pytest.raises(ClientError, match="The AWS stand-in does not know") as caught:
        getattr(client, operation)(**arguments)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 501
    assert caught.value.response["ResponseMetadata"]["RetryAttempts"] == 0


def test_an_operation_matches_whole_by_half_or_by_pattern() -> None:
    names = ["ssm:GetParameter", "ssm", "GetParameter", "getparameter", "ssm:Get*", "*"]
    others = ["ecs", "PutParameter", "ssm:Put*", "sm"]
    asked = ("aws", "ssm:GetParameter")
    assert all(Fault("aws", kind=FaultKind.ERROR, operation=name).matches(*asked) for name in names)
    assert not any(Fault("aws", kind=FaultKind.ERROR, operation=name).matches(*asked) for name in others)
    assert not Fault("jira", kind=FaultKind.ERROR).matches(*asked)


def test_a_fault_is_used_up() -> None:
    faults = Faults()
    faults.add(Fault("jira", kind=FaultKind.ERROR, times=2))
    assert [faults.take("jira", "GET /x") is None for _ in range(3)] == [False, False, True]
    assert len(faults.fired) == 2
    assert faults.active == ()


def test_faults_of_one_target_are_cleared_alone() -> None:
    faults = Faults()
    for target in ("aws", "jira"):
        faults.add(Fault(target, kind=FaultKind.ERROR))
    faults.clear("aws")
    assert [fault.target for fault in faults.active] == ["jira"]


@pytest.mark.parametrize("wrong", [{"times": 0}, {"seconds": -1.0}, {"kind": "explode"}])
def test_an_impossible_fault_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"explode|aws"):
        Fault("aws", **({"kind": FaultKind.ERROR} | wrong))


def test_a_held_port_is_an_error_that_can_be_told(aws: AwsStandIn) -> None:
    with pytest.raises(OSError, match="Address already in use"):
        AwsStandIn(clock=Clock(), port=int(aws.url.rpartition(":")[2])).start()


def test_a_stand_in_stops_and_starts_again_on_the_same_port(aws: AwsStandIn) -> None:
    second = AwsStandIn(clock=Clock(), tick_seconds=0.01)
    for _ in range(2):
        with second:
            sts = boto3.client(
                "sts",
                endpoint_url=second.url,
                region_name="eu-central-1",
                aws_access_key_id="sandbox",
                aws_secret_access_key="x",
                config=Config(retries={"max_attempts": 0}),
            )
            assert sts.get_caller_identity()["Account"] == "123456789012"
            sts.close()
    assert second.calls[-1].name == "sts:GetCallerIdentity"
