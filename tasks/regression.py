"""The regression gate: declared checks over HTTP, the results of the team's own suites, and functions in the VPC.

    scenarios ──HTTP──┐
    files of suites ──┼──▶ SuiteResult, each of this release ──judge──▶ one finding
    functions ──VPC───┘

A result that is not there, or not readable, stands in the way by name. Production only gets what reads.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from blocks.doors import Doors
from blocks.files import NotThere, filled
from blocks.functions import Unanswered
from blocks.http_checks import HttpChecks
from rules.errors import Declined, InvalidInput
from rules.lambda_answers import LambdaAnswer, request
from rules.lambda_answers import read as read_answer
from rules.suite_checks import scenarios_allowed_in
from rules.suite_files import read as read_file
from rules.suites import GATE, SuitePolicy, SuiteResult, judge
from rules.validation_policies import FunctionSuite, RegressionPolicy, SuiteResults
from rules.vocabulary import Finding, Release, Verdict, worst
from tasks.kinds import asking
from tasks.promotions import Promotion

MOST_NAMED = 3


@asking("regression suite")
def check_regression(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """One finding of all that is declared, with the files it was read from as its evidence."""
    suite = _Suite(promotion, doors, release)
    # Scenarios last: they may write, and an outage before them makes Prefect begin this task again.
    elsewhere = [*suite.of_files(), *suite.of_functions()]
    results = [*suite.of_scenarios(), *elsewhere]
    finding = judge(results, suite.wanted(), release.version, datetime.now(UTC))
    return (_with(finding, suite.troubles, suite.left_out),)


class _Suite:
    """All of one release in one environment. `troubles`: what gave no result, a sentence each."""

    def __init__(self, promotion: Promotion, doors: Doors, release: Release) -> None:
        self.promotion, self.doors, self.release = promotion, doors, release
        self.policy: RegressionPolicy = promotion.catalogue.validation.regression
        self.troubles: list[str] = []
        allowed = scenarios_allowed_in(self.policy.scenarios, doors.environment.role)
        self.allowed = allowed
        self.left_out = [it.name for it in self.policy.scenarios if it not in allowed]

    def wanted(self) -> SuitePolicy:
        """What must be there: all but the scenarios that may not be sent here."""
        policy = self.policy.as_suite_policy()
        return replace(policy, required=tuple(it for it in policy.required if it not in self.left_out))

    def of_scenarios(self) -> tuple[SuiteResult, ...]:
        checks = HttpChecks(self.doors.probes, self._secret, lambda: datetime.now(UTC))
        return checks.carry_out(self.allowed, self.release.version)

    def of_files(self) -> Iterator[SuiteResult]:
        for suite in self.policy.suites:
            try:
                yield self._file(suite)
            except (NotThere, InvalidInput) as trouble:
                self.troubles.append(f"{suite.name}: {trouble}")

    def of_functions(self) -> Iterator[SuiteResult]:
        for suite in self.policy.functions:
            try:
                yield replace(read_answer(self._invoked(suite)), name=f"function {suite.name}")
            except (Declined, InvalidInput, Unanswered) as trouble:
                self.troubles.append(f"{suite.name}: {trouble}")

    def _file(self, suite: SuiteResults) -> SuiteResult:
        """It is of this release where it says so itself, or where its address does."""
        files, environment = self.promotion.application.files, self.doors.environment.name
        address = filled(suite.result, version=self.release.version, environment=environment)
        found = replace(read_file(files.content(address)), name=suite.name, evidence=address)
        names_release = "{version}" in suite.result
        return replace(
            found,
            version=found.version or (self.release.version if names_release else ""),
            at=found.at or files.last_modified(address),
        )

    def _invoked(self, suite: FunctionSuite) -> LambdaAnswer:
        name = suite.function.replace("{environment}", self.doors.environment.name)
        payload = request(suite.name, self.release.version, self.doors.environment.name)
        return self.doors.functions.invoke(name, payload, repeatable=suite.repeatable).answer

    def _secret(self, name: str) -> str:
        return self.promotion.application.check_secrets.header(name)


def _with(finding: Finding, troubles: list[str], left_out: list[str]) -> Finding:
    said = [finding.sentence]
    if troubles:
        more = len(troubles) - MOST_NAMED
        said += [*troubles[:MOST_NAMED], f"And {more} more."] if more > 0 else troubles
    if left_out:
        said.append(f"Not asked here, because they write: {', '.join(left_out)}.")
    verdict = worst([finding.verdict, Verdict.INCONCLUSIVE]) if troubles else finding.verdict
    return replace(finding, gate=GATE, verdict=verdict, sentence=" ".join(said))
