"""The regression gate: one finding of checks, files and functions, each of this release or in the way."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from prefect.logging import disable_run_logger

from blocks.files import Files
from blocks.functions import Unanswered
from blocks.probes import Probes
from blocks.wire import Wiring
from rules.lambda_answers import LambdaAnswer
from rules.suite_checks import Check, Scenario
from rules.validation_policies import FunctionSuite, RegressionPolicy, SuiteResults, ValidationPolicy
from rules.vocabulary import Finding, Release, Role, Verdict
from tasks.regression import check_regression

RELEASE = Release("3f2a1bc", {"events": "sha256:" + "1" * 64})
READS = Scenario("events", (Check("list", "GET", "/api/events", read_only=True),))
WRITES = Scenario("booking", (Check("book", "POST", "/api/bookings"),))
SUITE = SuiteResults("end to end", "{version}.xml")
JUNIT = '<testsuite name="it" tests="{n}" failures="{bad}" errors="0" skipped="0">{cases}</testsuite>'


class World:
    """An environment, a folder of results, and a function."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.role, self.status = folder, Role.STAGING, 200
        self.asked: list[str] = []
        self.function: Any = {"outcome": "passed"}

    def leave(self, name: str, passed: int, failed: int = 0) -> None:
        good = "".join(f'<testcase classname="t" name="good{n}" time="0.1"/>' for n in range(passed))
        bad = "".join(
            f'<testcase classname="t" name="bad{n}"><failure message="no"/></testcase>' for n in range(failed)
        )
        (self.folder / name).write_text(JUNIT.format(n=passed + failed, bad=failed, cases=good + bad))

    def invoke(self, name: str, payload: bytes, *, repeatable: bool) -> Any:
        if isinstance(self.function, Exception):
            raise self.function
        assert not repeatable
        asked = json.loads(payload)
        told = {"release": asked["release"], "at": datetime.now(UTC).isoformat(), "total": 1}
        told["cases"] = [{"name": "reaches the cache", **self.function}]
        return SimpleNamespace(answer=LambdaAnswer(name, 200, json.dumps(told).encode()))

    def ask(self, **policy: Any) -> Finding:
        def answer(request: httpx.Request) -> httpx.Response:
            self.asked.append(f"{request.method} {request.url.path}")
            return httpx.Response(self.status, json={"data": []})

        promotion: Any = SimpleNamespace(
            application=SimpleNamespace(files=Files(self.folder)),
            catalogue=SimpleNamespace(validation=ValidationPolicy(regression=RegressionPolicy(**policy))),
        )
        doors: Any = SimpleNamespace(
            environment=SimpleNamespace(name="staging", role=self.role),
            probes=Probes(api_url="http://staging").wired(Wiring(transport=httpx.MockTransport(answer))),
            functions=self,
        )
        with disable_run_logger():
            [finding] = check_regression.fn(promotion, doors, RELEASE)
        return finding


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_all_that_is_declared_passes_together(world: World) -> None:
    world.leave("3f2a1bc.xml", 3)
    function = FunctionSuite("cache", "smoke-{environment}")
    found = world.ask(scenarios=(READS,), suites=(SUITE,), functions=(function,))
    assert (found.gate, found.verdict) == ("regression", Verdict.PASSED), found.sentence
    assert "5 tests" in found.sentence
    assert world.asked == ["GET /api/events"]


@pytest.mark.parametrize(
    ("passed", "failed", "verdict", "words"),
    [(3, 1, Verdict.FAILED, "bad0"), (0, 0, Verdict.INCONCLUSIVE, "end to end")],
)
def test_a_failed_test_fails_and_an_empty_suite_proves_nothing(
    world: World, passed: int, failed: int, verdict: Verdict, words: str
) -> None:
    world.leave("3f2a1bc.xml", passed, failed)
    found = world.ask(suites=(SUITE,))
    assert found.verdict is verdict
    assert words in found.sentence


def test_a_result_that_is_not_there_is_named_and_nothing_passes(world: World) -> None:
    world.leave("0000000.xml", 3)
    found = world.ask(scenarios=(READS,), suites=(SUITE,))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "nothing at 3f2a1bc.xml" in found.sentence


def test_a_result_that_nobody_can_tell_the_release_of_proves_nothing(world: World) -> None:
    world.leave("latest.xml", 3)
    found = world.ask(suites=(replace(SUITE, result="latest.xml"),))
    assert found.verdict is Verdict.INCONCLUSIVE


def test_an_environment_that_fails_fails(world: World) -> None:
    world.status = 500
    found = world.ask(scenarios=(READS,))
    assert found.verdict is Verdict.FAILED
    assert "status 500" in found.sentence


def test_production_only_gets_what_reads(world: World) -> None:
    world.role = Role.PRODUCTION
    found = world.ask(scenarios=(READS, WRITES))
    assert world.asked == ["GET /api/events"]
    assert found.verdict is Verdict.PASSED, found.sentence
    assert "Not asked here, because they write: booking." in found.sentence


def test_a_function_that_failed_fails_and_one_without_an_answer_proves_nothing(world: World) -> None:
    function = FunctionSuite("cache", "smoke")
    world.function = {"outcome": "failed", "message": "no route to the cache"}
    assert world.ask(functions=(function,)).verdict is Verdict.FAILED
    world.function = Unanswered("AWS Lambda", "invoking smoke", "no answer")
    found = world.ask(scenarios=(READS,), functions=(function,))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "smoke" in found.sentence
