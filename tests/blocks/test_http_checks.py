"""Declared checks go over the wire as they stand in the catalogue, and what comes back is told as it was."""

from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest
from prefect.types import SecretDict

from blocks.http_checks import CheckSecrets, HttpChecks
from blocks.probes import Probes
from blocks.wire import Wiring
from rules.errors import InvalidInput
from rules.suite_checks import Check, Scenario
from rules.suites import Outcome, SuiteResult

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EVENTS = {"data": [{"id": 57, "title": "Load"}]}
LIST = Check("list", "GET", "/api/events", read_only=True, extracts={"event": "/data/0/id"})
ONE = Check("one", "GET", "/api/events/{event}", read_only=True, contains=("Load",))


class Service:
    """The environment's wire."""

    def __init__(self, answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.asked: list[httpx.Request] = []
        self._answer = answer

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return self._answer(request)

    def carry_out(self, *checks: Check) -> SuiteResult:
        probes = Probes(api_url="http://dev").wired(Wiring(transport=httpx.MockTransport(self)))
        secrets = CheckSecrets(headers=SecretDict({"visitor": "Bearer hush-hush"}))
        [result] = HttpChecks(probes, secrets.header, lambda: NOW).carry_out([Scenario("events", checks)], "3f2a1bc")
        return result


def answering(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/api/events/57":
        return httpx.Response(200, json=EVENTS["data"][0])
    return httpx.Response(200, json=EVENTS) if request.url.path == "/api/events" else httpx.Response(404)


def outcomes(result: SuiteResult) -> list[Outcome]:
    return [it.outcome for it in result.cases]


def test_a_workflow_goes_on_with_what_it_found() -> None:
    service = Service(answering)
    result = service.carry_out(LIST, ONE)
    assert outcomes(result) == [Outcome.PASSED, Outcome.PASSED]
    assert [it.url.path for it in service.asked] == ["/api/events", "/api/events/57"]
    assert (result.name, result.version, result.at) == ("events", "3f2a1bc", NOW)


def test_what_comes_after_a_failed_step_is_not_carried_out() -> None:
    service = Service(lambda _: httpx.Response(500))
    result = service.carry_out(LIST, ONE)
    assert outcomes(result) == [Outcome.FAILED, Outcome.SKIPPED]
    assert len(service.asked) == 1


def test_a_redirect_is_an_answer_and_not_followed() -> None:
    service = Service(lambda _: httpx.Response(302, headers={"Location": "http://elsewhere/"}))
    assert "status 302" in service.carry_out(LIST).cases[0].message
    assert len(service.asked) == 1


def test_the_secret_is_sent_and_stands_in_no_message() -> None:
    service = Service(lambda _: httpx.Response(401))
    check = Check("account", "GET", "/api/account", read_only=True, authentication="visitor")
    result = service.carry_out(check)
    assert service.asked[0].headers["Authorization"] == "Bearer hush-hush"
    assert "hush" not in repr(result)


def test_a_secret_that_nobody_gave_is_named() -> None:
    check = Check("account", "GET", "/api/account", read_only=True, authentication="editor")
    case = Service(answering).carry_out(check).cases[0]
    assert case.outcome is Outcome.ERRORED
    assert "check-secrets" in case.message
    with pytest.raises(InvalidInput, match="visitor"):
        CheckSecrets(headers=SecretDict({"visitor": "x"})).header("editor")


def refuse(_request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused")


@pytest.mark.parametrize(("method", "read_only", "tries"), [("GET", True, 2), ("POST", False, 1)])
def test_only_what_reads_is_tried_again(method: str, read_only: bool, tries: int) -> None:
    service = Service(refuse)
    case = service.carry_out(Check("it", method, "/api/events", read_only=read_only)).cases[0]
    assert (case.outcome, len(service.asked)) == (Outcome.ERRORED, tries)
    assert "was not answered" in case.message


def test_a_body_that_is_too_long_is_told_as_cut() -> None:
    service = Service(lambda _: httpx.Response(200, content=b"x" * (2 << 20)))
    case = service.carry_out(Check("it", "GET", "/", read_only=True, contains=("Load",))).cases[0]
    assert case.outcome is Outcome.FAILED
    assert "in the part that was kept" in case.message


def test_what_is_sent_is_the_checks_body() -> None:
    service = Service(lambda _: httpx.Response(201))
    check = Check("make", "POST", "/api/events", statuses=(201,), body='{"title": "Load"}')
    assert outcomes(service.carry_out(check)) == [Outcome.PASSED]
    assert service.asked[0].content == b'{"title": "Load"}'
    assert service.asked[0].headers["Content-Type"] == "application/json"
