"""The door through which declared regression checks are carried out: step by step, as the catalogue has them.

    Scenario ──each step: filled, sent, judged──▶ SuiteResult, its last step the first that did not pass

A step that may write is sent once; one that reads is tried again when no connection came about. Redirects are answers,
not followed: they would lead the secrets of a check elsewhere.
"""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import httpx
from prefect.blocks.core import Block
from prefect.types import SecretDict
from pydantic import Field

from blocks.discretion import discretion, excerpt
from blocks.probes import Probes
from rules.errors import InvalidInput
from rules.suite_checks import READING, Check, HttpAnswer, Scenario, extracted, filled, judge_answer, not_reached
from rules.suites import CaseResult, Outcome, SuiteResult

KEPT = 1 << 20
"""Bytes of a body."""
AT_ONCE = 8
"""Scenarios side by side."""
TRIES = 2
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
Secrets = Callable[[str], str]
"""The value of the header `Authorization`, by the name that a check has for it. Raises InvalidInput."""


class CheckSecrets(Block):
    """What regression checks need to be let in."""

    _block_type_name = "Check Secrets"
    _block_type_slug = "check-secrets"
    _description = "Values of the header Authorization for regression checks, by the names that the catalogue has."

    headers: SecretDict = Field(
        default_factory=lambda: SecretDict({}), description='Such as {"visitor": "Bearer …"}. Best of a test user.'
    )

    def header(self, name: str) -> str:
        """Raises InvalidInput where there is none of that name."""
        known = self.headers.get_secret_value()
        if name not in known:
            allowed = f"one of {', '.join(sorted(known)) or 'none'}"
            raise InvalidInput("The secret of a check", name, allowed, "Add it to the block check-secrets.")
        value = str(known[name])
        discretion.learn([value, value.rpartition(" ")[2]])
        return value


class HttpChecks:
    """Checks against one environment, at the address where its probes look."""

    def __init__(self, probes: Probes, secrets: Secrets, now: Callable[[], datetime]) -> None:
        self._probes, self._secrets, self._now = probes, secrets, now

    def carry_out(self, scenarios: Sequence[Scenario], version: str) -> tuple[SuiteResult, ...]:
        """A result for each scenario, in their order; they are carried out side by side."""
        if not scenarios:
            return ()
        with ThreadPoolExecutor(min(AT_ONCE, len(scenarios))) as pool:
            return tuple(pool.map(lambda it: self._scenario(it, version), scenarios))

    def _scenario(self, scenario: Scenario, version: str) -> SuiteResult:
        began, cases, values = self._now(), list[CaseResult](), dict[str, str]()
        with self._probes.client() as client:
            for check in scenario.checks:
                failed = next((it.name for it in cases if it.outcome is not Outcome.PASSED), "")
                cases.append(not_reached(check, failed) if failed else self._step(client, check, values))
        return SuiteResult(scenario.name, tuple(cases), version, began)

    def _step(self, client: httpx.Client, check: Check, values: dict[str, str]) -> CaseResult:
        """One step; what it extracts is added to the values."""
        try:
            ready = filled(check, values)
            answer = self._sent(client, ready, self._headers(check))
            case = judge_answer(ready, answer)
            if case.outcome is Outcome.PASSED:
                values |= extracted(ready, answer)
        except InvalidInput as wrong:
            return CaseResult(check.name, Outcome.ERRORED, discretion.clean(str(wrong)))
        return case

    def _headers(self, check: Check) -> dict[str, str]:
        told = {"Content-Type": "application/json"} if check.body else {}
        return told | ({"Authorization": self._secrets(check.authentication)} if check.authentication else {})

    def _sent(self, client: httpx.Client, check: Check, headers: Mapping[str, str]) -> HttpAnswer:
        tries = TRIES if check.method in READING else 1
        for left in reversed(range(tries)):
            began = self._probes.monotonic()
            try:
                return self._asked(client, check, headers, began)
            except NOT_SENT as error:
                if not left:
                    return self._nothing(error, began)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                return self._nothing(error, began)
        raise AssertionError  # the last try returns

    def _asked(self, client: httpx.Client, check: Check, headers: Mapping[str, str], began: float) -> HttpAnswer:
        """The answer, read within the time that the check allows and as much again."""
        limit = 2 * check.most_ms / 1000
        content = check.body.encode() if check.body else None
        body = bytearray()
        with client.stream(check.method, check.path, headers=dict(headers), content=content, timeout=limit) as response:
            for piece in response.iter_bytes():
                body += piece
                if self._probes.monotonic() - began > limit:
                    raise httpx.ReadTimeout(f"{len(body)} bytes and no end after {limit:g} s")
                if len(body) > KEPT:
                    break
            took = (self._probes.monotonic() - began) * 1000
            return HttpAnswer(response.status_code, took, bytes(body[:KEPT]), complete=len(body) <= KEPT)

    def _nothing(self, error: Exception, began: float) -> HttpAnswer:
        words = excerpt(discretion.clean(f"{type(error).__name__}: {error}"))
        return HttpAnswer(0, (self._probes.monotonic() - began) * 1000, error=words)
