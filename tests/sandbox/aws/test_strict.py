"""The strict checks: what botocore lets pass and AWS would not."""

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from deployments.sandbox.aws import strict
from deployments.sandbox.aws.strict import NotInModelError, output_problems


@pytest.fixture(scope="module")
def clients() -> Callable[[str], Any]:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-central-1")
    strict.install(session)
    return lambda service: session.client(service, endpoint_url="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "problem"),
    [
        ("ssm", "get_parameters", {"Names": ["/n"] * 11}, "Names is 11, at most 10"),
        (
            "ssm",
            "label_parameter_version",
            {"Name": "/n", "Labels": ["x" * 101]},
            r"Labels.\[0\] is 101, at most 100",
        ),
        ("ssm", "put_parameter", {"Name": "/n", "Value": "x", "Type": "Text"}, "Type is Text, one of String"),
        ("ssm", "get_parameters_by_path", {"Path": "/", "MaxResults": 11}, "MaxResults is 11, at most 10"),
        ("ssm", "put_parameter", {"Name": "/n", "Value": "x", "KeyId": "a b"}, "KeyId does not match"),
        (
            "ecs",
            "update_service",
            {"service": "s", "deploymentConfiguration": {"strategy": "NOPE"}},
            "deploymentConfiguration.strategy is NOPE",
        ),
    ],
)
def test_a_call_that_aws_would_refuse_never_leaves(
    clients: Callable[[str], Any], service: str, operation: str, arguments: dict[str, Any], problem: str
) -> None:
    with pytest.raises(NotInModelError, match=problem):
        getattr(clients(service), operation)(**arguments)


def test_one_client_alone_can_be_strict() -> None:
    session = boto3.Session(aws_access_key_id="x", aws_secret_access_key="x", region_name="eu-central-1")
    client = session.client("ssm", endpoint_url="http://127.0.0.1:9")
    strict.install(client)
    with pytest.raises(NotInModelError):
        client.get_parameters(Names=["/n"] * 11)


def test_an_answer_is_held_against_its_shape(clients: Callable[[str], Any]) -> None:
    model = clients("ecs").meta.service_model.operation_model("DescribeServices")
    good = {"services": [{"serviceName": "s", "desiredCount": 1}], "failures": [], "ResponseMetadata": {}}
    assert output_problems(model, good) == []
    (wrong_type,) = output_problems(model, {"services": [{"desiredCount": "1"}]})
    assert "desiredCount" in wrong_type
    (unknown,) = output_problems(model, {"servces": []})
    assert "servces" in unknown
    (off_enum,) = output_problems(model, {"services": [{"launchType": "MOON"}]})
    assert off_enum.startswith("services.[0].launchType is MOON")


def test_a_stage_that_aws_documents_and_its_enum_forgets_is_no_fault(clients: Callable[[str], Any]) -> None:
    model = clients("ecs").meta.service_model.operation_model("DescribeServiceDeployments")
    shape = model.service_model.shape_for("ServiceDeploymentLifecycleStage")
    assert "PRE_PRODUCTION_TRAFFIC_SHIFT" not in shape.enum, "the model has caught up: take it out of DOCUMENTED"
    answer = {"serviceDeployments": [{"lifecycleStage": "PRE_PRODUCTION_TRAFFIC_SHIFT"}]}
    assert output_problems(model, answer) == []
    (invented,) = output_problems(model, {"serviceDeployments": [{"lifecycleStage": "TEA_TIME"}]})
    assert "TEA_TIME" in invented
