"""Checks as functions of AWS Lambda, invoked in the stand-in, whose functions are Python's."""

import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from botocore.response import StreamingBody
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import SecretStr

from blocks.accounts import Account
from blocks.discretion import discretion
from blocks.functions import ATTEMPTS, MOST_ANSWER, MOST_PAYLOAD, Functions, Unanswered
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import Declined, InvalidInput, Outage
from rules.lambda_answers import judge, request
from rules.suites import SuitePolicy
from rules.vocabulary import Verdict

STAGING = "222222222222"
NAME, VERSION = "batbern-staging-smoke", "3f2a1bc"
NOW = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def smoke(event: Mapping[str, Any]) -> dict[str, Any]:
    cases = [{"name": "cache", "outcome": "passed"}, {"name": "database", "outcome": "passed"}]
    return {"release": event["release"], "at": NOW.isoformat(), "total": len(cases), "cases": cases}


@pytest.fixture
def functions(aws: AwsStandIn, open_client: Callable[..., Any]) -> Functions:
    aws.functions.register(STAGING, NAME, smoke, version="7")
    return Functions(open_client("lambda", read_timeout=2), pause=lambda _: None)


class Told:
    """A Lambda client that answers or raises what it was told, one after the other."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self._answers, self.asked = list(answers), 0

    def invoke(self, **_: Any) -> Mapping[str, Any]:
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return {"StatusCode": 200, "Payload": StreamingBody(io.BytesIO(answer), len(answer))}


def test_a_function_is_invoked_and_its_answer_judged(functions: Functions) -> None:
    told = functions.invoke(NAME, request("smoke", VERSION, "staging"))
    assert (told.answer.function, told.answer.status, told.answer.function_error) == (NAME, 200, "")
    assert (told.executed_version, told.log_tail, told.timed_out) == ("7", "", False)
    assert told.answer.request_id
    assert told.seconds > 0
    assert judge(told.answer, SuitePolicy(), VERSION, NOW).verdict is Verdict.PASSED


def test_a_payload_may_be_an_object(functions: Functions) -> None:
    assert b'"3f2a1bc"' in functions.invoke(NAME, {"release": VERSION}).answer.payload


def test_a_function_that_broke_shows_the_end_of_its_log_without_secrets(aws: AwsStandIn, functions: Functions) -> None:
    discretion.learn(["made-up-database-password"])

    def broken(event: Any) -> None:
        raise ValueError("no database at made-up-database-password")

    aws.functions.register(STAGING, NAME, broken)
    told = functions.invoke(NAME, {})
    assert (told.answer.function_error, told.timed_out) == ("Unhandled", False)
    assert b"no database at ***" in told.answer.payload
    assert "ValueError: no database at ***" in told.log_tail
    assert judge(told.answer, SuitePolicy(), VERSION, NOW).verdict is Verdict.INCONCLUSIVE


def test_a_function_that_ran_out_of_its_time_is_told_apart(aws: AwsStandIn, functions: Functions) -> None:
    aws.functions.register(STAGING, NAME, lambda _: Event().wait(1), seconds=0.05)
    told = functions.invoke(NAME, {})
    assert (told.answer.function_error, told.timed_out) == ("Unhandled", True)


def test_an_unknown_function_is_declined_at_once(functions: Functions) -> None:
    with pytest.raises(Declined, match=r"invoking no-such.*Function not found.*names in the catalogue") as caught:
        functions.invoke("no-such", {})
    assert caught.value.status == 404


def test_a_throttled_invocation_is_repeated(aws: AwsStandIn, functions: Functions) -> None:
    aws.faults.add(Fault("aws", kind=FaultKind.THROTTLE, operation="lambda:Invoke", times=2))
    assert functions.invoke(NAME, {"release": VERSION}).answer.status == 200
    assert [call.error for call in aws.calls if call.service == "lambda"] == ["TooManyRequestsException"] * 2 + [""]


def test_one_that_is_throttled_to_the_end_is_an_outage(aws: AwsStandIn, functions: Functions) -> None:
    aws.faults.add(Fault("aws", kind=FaultKind.THROTTLE, operation="lambda:Invoke"))
    with pytest.raises(Outage, match=f"{ATTEMPTS} of {ATTEMPTS} attempts") as caught:
        functions.invoke(NAME, {"release": VERSION})
    assert not isinstance(caught.value, Unanswered)


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.RESET])
def test_a_lost_answer_is_not_asked_for_twice(aws: AwsStandIn, functions: Functions, kind: FaultKind) -> None:
    aws.faults.add(Fault("aws", kind=kind, operation="lambda:Invoke", times=1))
    with pytest.raises(Unanswered, match="It may have run"):
        functions.invoke(NAME, {"release": VERSION})
    assert len([call for call in aws.calls if call.service == "lambda"]) == 1


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.RESET])
def test_a_repeatable_check_is_repeated(aws: AwsStandIn, functions: Functions, kind: FaultKind) -> None:
    aws.faults.add(Fault("aws", kind=kind, operation="lambda:Invoke", times=2))
    assert functions.invoke(NAME, {"release": VERSION}, repeatable=True).answer.status == 200


def test_a_read_timeout_may_have_run() -> None:
    lost = ReadTimeoutError(endpoint_url="x")
    with pytest.raises(Unanswered):
        Functions(Told(lost, b"{}"), pause=lambda _: None).invoke(NAME, {})
    client = Told(lost, lost, b"{}")
    Functions(client, pause=lambda _: None).invoke(NAME, {}, repeatable=True)
    assert client.asked == 3


def test_what_was_not_reached_has_not_run() -> None:
    client = Told(ConnectTimeoutError(endpoint_url="x"), b"{}")
    assert Functions(client, pause=lambda _: None).invoke(NAME, {}).answer.payload == b"{}"


def test_without_credentials_nothing_is_tried_again() -> None:
    client = Told(NoCredentialsError())
    with pytest.raises(Declined):
        Functions(client).invoke(NAME, {}, repeatable=True)


def test_an_answer_too_large_is_none() -> None:
    with pytest.raises(Outage, match="bytes came back"):
        Functions(Told(b"x" * (MOST_ANSWER + 1))).invoke(NAME, {})


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 171, "é"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(InvalidInput):
        Functions(Told()).invoke(name, {})


def test_a_payload_too_large_is_refused() -> None:
    with pytest.raises(InvalidInput, match="bytes"):
        Functions(Told()).invoke(NAME, {"x": "x" * MOST_PAYLOAD})


def test_an_accounts_client_waits_as_long_as_a_function_may_run_and_repeats_nothing(aws: AwsStandIn) -> None:
    credentials = AwsCredentials(
        aws_access_key_id="made-up",
        aws_secret_access_key=SecretStr("made-up"),
        aws_client_parameters=AwsClientParameters(endpoint_url=aws.url),
    )
    role = f"arn:aws:iam::{STAGING}:role/promotion-flows"
    account = Account(credentials=credentials, role_arn=role, region="eu-central-1", account_id=STAGING)
    aws.functions.register(STAGING, NAME, smoke)
    client: Any = account.client("lambda")
    assert client.meta.config.read_timeout > 900
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert Functions(client).invoke(NAME, {"release": VERSION}).answer.status == 200
