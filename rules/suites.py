"""Whether the regression suites speak for this release: their tests ran, lately, on this very commit, and passed.

    results ──another's, old, contradictory──▶ say nothing
        └──the others──▶ cases ──quarantined by somebody, for a time──▶ told ──the rest──▶ Finding

What a suite did not run proves nothing: no tests, or only skipped ones, are no pass. A test that passed only when it
was tried again is neither a pass nor a failure, until a person puts it in quarantine and says until when.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum

from rules.messages import cut, spoken
from rules.releases import is_sha
from rules.vocabulary import Finding, Verdict
from rules.waivers import LONGEST_DAYS

GATE = "regression"
CLOCKS_DIFFER = timedelta(minutes=2)
"""So much may the clocks of two machines disagree; results from further in the future are none."""
MOST_NAMED = 3
NAME = 120
"""Characters of a test's name in a sentence."""


class Outcome(StrEnum):
    """How a test ended. ERRORED: it could not be carried out, which is no better than FAILED."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    ERRORED = "errored"


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One test, once."""

    name: str
    """With what it belongs to: class, file, titles. A quarantine names it by this."""
    outcome: Outcome
    message: str = ""
    milliseconds: float = 0
    flaky: bool = False
    """It passed, but only when it was tried again."""

    @property
    def is_bad(self) -> bool:
        return self.flaky or self.outcome in (Outcome.FAILED, Outcome.ERRORED)


@dataclass(frozen=True, slots=True)
class SuiteResult:
    """One run of one suite. Where its file names no commit or time, whoever fetched it fills them in from its place."""

    name: str
    cases: tuple[CaseResult, ...]
    version: str = ""
    """The Git SHA it ran against, 7 to 40 hexadecimal digits; empty: it does not say."""
    at: datetime | None = None
    """When it began, with a time zone."""
    contradictions: tuple[str, ...] = ()
    """Where the file disagrees with itself. One is enough for it to prove nothing."""
    evidence: str = ""
    """Where the file can be looked at."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One test that somebody excused in writing."""

    test: str
    """The test's whole name."""
    person: str
    reason: str
    expires: date
    """The last day on which it holds, at most 30 days ahead."""


@dataclass(frozen=True, slots=True)
class SuitePolicy:
    """What the suites must satisfy."""

    required: tuple[str, ...] = ()
    """Names of the suites that must be there."""
    hours: float = 24
    """Results older than this say nothing."""
    least_passed: int = 1
    """So many tests must have passed, all suites together."""
    quarantine: tuple[Quarantine, ...] = ()


def judge(
    results: Sequence[SuiteResult], policy: SuitePolicy, version: str, now: datetime, gate: str = GATE
) -> Finding:
    """FAILED where a test of this release failed; INCONCLUSIVE where the results prove too little; else PASSED.

    `version` is the release's Git SHA (7 to 40 hexadecimal digits), `now` a time with a time zone. A test in
    quarantine does not count, and is named in the sentence with who excused it and why.
    """
    doubts = [doubt for result in results if (doubt := _stranger(result, policy, version, now))]
    ours = [it for it in results if not _stranger(it, policy, version, now)]
    cases = [case for result in ours for case in result.cases]
    sorted_out = _Sorted.of(cases, policy, now.date())
    reasons = [*_lacking(results, policy), *doubts, *_unproven(ours), *sorted_out.flaky_told()]
    passed = sum(case.outcome is Outcome.PASSED and not case.is_bad for case in cases)
    if not reasons and passed < max(1, policy.least_passed):
        reasons.append(f"Only {passed} tests passed, at least {max(1, policy.least_passed)} must.")
    verdict = sorted_out.verdict(bool(reasons))
    said = [*sorted_out.failures_told(len(cases)), *reasons]
    if verdict is Verdict.PASSED:
        said = [f"{passed} tests of {_named([it.name for it in ours])} passed."]
    said += sorted_out.quarantine_told()
    return Finding(
        gate,
        verdict,
        " ".join(said),
        _measured(cases),
        _allowed(policy, version),
        ", ".join(dict.fromkeys(it.evidence for it in results if it.evidence)),
        could_be_met="" if verdict is Verdict.PASSED else "run the suites against this release, and mend what fails",
    )


def same_release(one: str, other: str) -> bool:
    """Whether two Git SHAs name one commit: both are long enough to tell it, and the shorter begins the other."""
    return is_sha(one) and is_sha(other) and (one.startswith(other) or other.startswith(one))


def problem(quarantine: Quarantine, today: date) -> str:
    """Why it excuses nothing; empty when it is in force."""
    if not (quarantine.test.strip() and quarantine.person.strip() and quarantine.reason.strip()):
        return "it does not say its test, its person and its reason"
    if quarantine.expires < today:
        return f"it ended on {_day(quarantine.expires)}"
    if (quarantine.expires - today).days > LONGEST_DAYS:
        return f"it would hold for more than {LONGEST_DAYS} days"
    return ""


@dataclass(frozen=True, slots=True)
class _Sorted:
    """The cases that are not good, by what follows from them."""

    failed: tuple[CaseResult, ...]
    flaky: tuple[CaseResult, ...]
    excused: tuple[Quarantine, ...]
    useless: tuple[str, ...]
    """Quarantines that name one of them and excuse nothing, with why."""

    @classmethod
    def of(cls, cases: Iterable[CaseResult], policy: SuitePolicy, today: date) -> "_Sorted":
        bad = [case for case in cases if case.is_bad]
        names = {case.name for case in bad}
        naming = [it for it in policy.quarantine if it.test in names]
        excused = {it.test: it for it in naming if not problem(it, today)}
        left = [case for case in bad if case.name not in excused]
        useless = [it for it in naming if it.test not in excused]
        return cls(
            tuple(case for case in left if case.outcome is not Outcome.PASSED),
            tuple(case for case in left if case.outcome is Outcome.PASSED),
            tuple(excused.values()),
            tuple(f"The quarantine of {_shown(it.test)} excuses nothing: {problem(it, today)}." for it in useless),
        )

    def verdict(self, doubtful: bool) -> Verdict:
        if self.failed:
            return Verdict.FAILED
        return Verdict.INCONCLUSIVE if doubtful else Verdict.PASSED

    def failures_told(self, total: int) -> list[str]:
        if not self.failed:
            return []
        first = next((case for case in self.failed if case.message), None)
        why = f" {_shown(first.name)}: {_shown(first.message)}." if first else ""
        return [f"{len(self.failed)} of {total} tests failed: {_named([it.name for it in self.failed])}.{why}"]

    def flaky_told(self) -> list[str]:
        names = [case.name for case in self.flaky]
        return [f"{len(names)} tests passed only when tried again: {_named(names)}."] if names else []

    def quarantine_told(self) -> list[str]:
        told = [
            f"{_shown(it.test)} is in quarantine by {_shown(it.person)} until {_day(it.expires)}: {_shown(it.reason)}."
            for it in self.excused
        ]
        return [*told, *self.useless]


def _stranger(result: SuiteResult, policy: SuitePolicy, version: str, now: datetime) -> str:
    """Why a result is not about this release, now; empty when it is."""
    name = _shown(result.name)
    if not result.version:
        return f"{name} does not say which commit it ran against."
    if not same_release(result.version, version):
        return f"{name} ran against {_shown(result.version)}, not against {version}."
    if result.at is None or result.at.tzinfo is None:
        return f"{name} does not say when it ran."
    age = now - result.at
    if age < -CLOCKS_DIFFER:
        return f"{name} ran {spoken(-age.total_seconds())} in the future: compare the machines' clocks."
    if age > timedelta(hours=policy.hours):
        return f"{name} ran {spoken(age.total_seconds())} ago, which is too long."
    return ""


def _lacking(results: Sequence[SuiteResult], policy: SuitePolicy) -> list[str]:
    if not results:
        return ["No result of a suite was given."]
    there = {result.name for result in results}
    missing = [name for name in policy.required if name not in there]
    return [f"There is no result of {_named(missing)}."] if missing else []


def _unproven(results: Iterable[SuiteResult]) -> list[str]:
    """What keeps suites of this release from proving anything."""
    reasons = []
    for result in results:
        name = _shown(result.name)
        if not result.cases:
            reasons.append(f"{name} has no tests.")
        elif all(case.outcome is Outcome.SKIPPED for case in result.cases):
            reasons.append(f"{name} skipped all of its {len(result.cases)} tests.")
        if result.contradictions:
            reasons.append(f"{name} contradicts itself: {_named(result.contradictions)}.")
    return reasons


def _measured(cases: Sequence[CaseResult]) -> str:
    counts = [(outcome, sum(case.outcome is outcome for case in cases)) for outcome in Outcome]
    return ", ".join(f"{count} {outcome.value}" for outcome, count in counts if count) or "no tests"


def _allowed(policy: SuitePolicy, version: str) -> str:
    return f"all passed or in quarantine, run against {version} within {spoken(policy.hours * 3600)}"


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(map(_shown, names[:MOST_NAMED])) + (f" and {more} more" if more > 0 else "")


def _shown(text: str) -> str:
    """On one line and not too long: names and messages come from outside."""
    return cut(" ".join(text.split()), NAME).rstrip(".")


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
