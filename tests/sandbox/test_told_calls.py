"""The control room tells what AWS was asked: by whom, in order, whether it was right, and what it has forgotten."""

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any, cast

import httpx
import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.calls import Call
from deployments.sandbox.aws.host import REMEMBERED_CALLS, AwsStandIn
from deployments.sandbox.control_room.application import create_app
from deployments.sandbox.control_room.shape import AwsCallsView, World
from deployments.sandbox.room import ControlRoom
from deployments.sandbox.told_calls import MOST, calls_since
from deployments.sandbox.vendors.in_process import InProcess

NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
PRODUCT = "arn:aws:iam::222222222222:role/promotion-flows"


def call(sequence: int, role: str = PRODUCT, breaches: tuple[str, ...] | None = ()) -> Call:
    return Call(sequence, "ecs", "ListTasks", "222222222222", role, 200, NOW, 0.1, "", breaches)


def test_calls_of_the_product_are_told_from_those_of_the_world() -> None:
    told = calls_since([call(1), call(2, role="arn:aws:iam::1:role/Admin"), call(3, role="")], 0, {PRODUCT})
    assert [(it["role"], it["by_product"]) for it in told["calls"]] == [
        ("promotion-flows", True),
        ("Admin", False),
        ("", False),
    ]


def test_a_call_was_right_or_wrong_or_not_looked_at() -> None:
    told = calls_since([call(1), call(2, breaches=("x is 1",)), call(3, breaches=None)], 0, ())
    assert [(it["checked"], it["breaches"]) for it in told["calls"]] == [(True, []), (True, ["x is 1"]), (False, [])]


def test_one_goes_on_where_one_stopped_and_hears_what_is_forgotten() -> None:
    calls = [call(number) for number in range(8, 8 + MOST + 2)]
    first = calls_since(calls, 5, ())
    assert (len(first["calls"]), first["last"], first["lost"]) == (MOST, 7 + MOST, 2)
    second = calls_since(calls, first["last"], ())
    assert ([it["sequence"] for it in second["calls"]], second["lost"]) == ([8 + MOST, 9 + MOST], 0)
    assert calls_since(calls, second["last"], ()) == {"calls": [], "last": second["last"], "lost": 0}


def test_the_stand_in_counts_its_calls_and_does_not_remember_all_of_them(aws: AwsStandIn, open_client: Any) -> None:
    ssm = open_client("ssm")
    for _ in range(3):
        with pytest.raises(ClientError):
            ssm.get_parameter(Name="/none")
    numbers = [it.sequence for it in aws.calls]
    assert numbers == list(range(numbers[0], numbers[0] + 4))
    aws.forget_calls()
    with pytest.raises(ClientError):
        ssm.get_parameter(Name="/none")
    assert [it.sequence for it in aws.calls] == [numbers[-1] + 1]
    assert aws._calls.maxlen == REMEMBERED_CALLS


class Asked:
    """Of a world the part that is asked here: AWS was asked three times, and two are remembered."""

    def aws_calls(self, since: int) -> AwsCallsView:
        return calls_since([call(2), call(3)], since, {PRODUCT})


PAGE = InProcess(create_app(cast("World", Asked())))


@pytest.fixture
def room() -> Iterator[ControlRoom]:
    with closing(ControlRoom("http://127.0.0.1", PAGE)) as room:
        yield room


def test_the_room_hands_over_every_call_that_is_still_known(room: ControlRoom) -> None:
    assert [it["sequence"] for it in room.aws_calls()] == [2, 3]
    assert [it["sequence"] for it in room.aws_calls(2)] == [3]
    assert list(room.aws_calls(3)) == []


def test_who_wants_to_know_all_since_a_call_hears_that_some_are_forgotten() -> None:
    page = calls_since([call(9)], 5, ())
    forgetful = httpx.MockTransport(lambda _: httpx.Response(200, json=page))
    with (
        closing(ControlRoom("http://127.0.0.1", forgetful)) as room,
        pytest.raises(RuntimeError, match="3 AWS calls after call 5 are no longer remembered"),
    ):
        list(room.aws_calls(5))


@pytest.mark.parametrize("since", ["x", "-1", "", "²", "9" * 40])
def test_a_number_that_is_none_is_refused(since: str) -> None:
    with httpx.Client(transport=PAGE, base_url="http://127.0.0.1") as page:
        answer = page.get("/api/aws-calls", params={"since": since})
    assert (answer.status_code, "number of a call" in answer.json()["error"]) == (400, True)
