"""Contract of deployments/sandbox/aws/lambda_functions.py: functions are Python callables, by account and name."""

import base64
import json
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.lambda_functions import MOST_ANSWER

STAGING, PRODUCTION = "222222222222", "333333333333"
ARN = f"arn:aws:lambda:eu-central-1:{STAGING}:function:smoke"


@pytest.fixture
def client(aws: AwsStandIn, open_client: Callable[..., Any]) -> Any:
    aws.functions.register(STAGING, "smoke", lambda event: {"heard": event}, version="3")
    return open_client("lambda")


def payload(answer: Any) -> Any:
    return json.loads(answer["Payload"].read())


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("name", ["smoke", "smoke:live", ARN, f"{ARN}:live", f"{STAGING}:function:smoke"])
def test_a_function_gets_its_event_and_answers(client: Any, name: str) -> None:
    answer = client.invoke(FunctionName=name, Payload=b'{"release": "3f2a1bc"}')
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "3")
    assert payload(answer) == {"heard": {"release": "3f2a1bc"}}
    assert "FunctionError" not in answer
    assert "LogResult" not in answer


def test_a_function_of_another_account_is_not_there(client: Any, open_client: Callable[..., Any]) -> None:
    others = open_client("lambda", account=PRODUCTION)
    assert refused(others.invoke, FunctionName="smoke") == "ResourceNotFoundException"
    assert refused(client.invoke, FunctionName="none") == "ResourceNotFoundException"


def test_an_event_must_be_json(client: Any) -> None:
    assert refused(client.invoke, FunctionName="smoke", Payload=b"{") == "InvalidRequestContentException"


def test_only_synchronous_invocations_are_known(client: Any) -> None:
    call = {"FunctionName": "smoke", "InvocationType": "Event"}
    assert refused(client.invoke, **call) == "InvalidParameterValueException"


def test_a_function_that_raises_answers_as_one_that_broke(aws: AwsStandIn, client: Any) -> None:
    aws.functions.register(STAGING, "smoke", lambda event: event["none"])
    answer = client.invoke(FunctionName="smoke", LogType="Tail", Payload=b"{}")
    assert (answer["StatusCode"], answer["FunctionError"]) == (200, "Unhandled")
    assert payload(answer) == {"errorMessage": "'none'", "errorType": "KeyError"}
    assert "KeyError: 'none'" in base64.b64decode(answer["LogResult"]).decode()


def test_a_function_that_takes_too_long_is_given_up(aws: AwsStandIn, client: Any) -> None:
    aws.functions.register(STAGING, "smoke", lambda _: Event().wait(1), seconds=0.05)
    answer = client.invoke(FunctionName="smoke")
    assert answer["FunctionError"] == "Unhandled"
    told = payload(answer)
    assert told["errorType"] == "Sandbox.Timedout"
    assert told["errorMessage"].endswith("Task timed out after 0.05 seconds")


def test_an_answer_too_large_is_an_error(aws: AwsStandIn, client: Any) -> None:
    aws.functions.register(STAGING, "smoke", lambda _: "x" * MOST_ANSWER)
    answer = client.invoke(FunctionName="smoke")
    assert (answer["FunctionError"], payload(answer)["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")


def test_a_function_may_call_the_stand_in(aws: AwsStandIn, client: Any, open_client: Callable[..., Any]) -> None:
    ssm = open_client("ssm")
    aws.functions.register(STAGING, "smoke", lambda _: len(ssm.describe_parameters()["Parameters"]), seconds=5)
    assert payload(client.invoke(FunctionName="smoke")) == 0


def test_an_invocation_is_among_the_calls(aws: AwsStandIn, client: Any) -> None:
    client.invoke(FunctionName="smoke")
    call = aws.calls[-1]
    assert (call.name, call.account, call.status) == ("lambda:Invoke", STAGING, 200)
    assert call.role.endswith("role/promotion-flows")


def test_a_reset_forgets_the_functions(aws: AwsStandIn, client: Any, open_client: Callable[..., Any]) -> None:
    aws.reset()
    assert refused(open_client("lambda").invoke, FunctionName="smoke") == "ResourceNotFoundException"
