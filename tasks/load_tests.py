"""The load gate: k6 is run, or its result is read, and judged by our own limits.

    script ──k6──▶ samples ┐
                           ├──read──▶ result ──judge, beside the last that passed──▶ finding ──▶ ledger
    result of another's ───┘

k6 that is missing, a file that is not there, not readable, old or of another release: each is INCONCLUSIVE.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from prefect import get_run_logger

from blocks.commands import Ended, ProgramMissing, run, workplace
from blocks.doors import Doors
from blocks.files import Files, NotThere, filled
from rules.errors import InvalidInput
from rules.evidence import CLOCKS_DIFFER
from rules.load_test import GATE, judge, read
from rules.load_test_memory import last_passed, remembered
from rules.load_test_results import LoadTestResult
from rules.messages import spoken
from rules.records import EventKind
from rules.validation_policies import LoadPolicy
from rules.vocabulary import Finding, Release, Role, Verdict
from tasks.kinds import asking
from tasks.promotions import Promotion
from tasks.records import write

SAMPLES = "samples.json"
MOST_SCRIPTS = 200
"""Files beside the script that are taken along, because it may import them."""
BESIDE = (".js", ".ts", ".json", ".csv")


@asking("load test")
def check_load(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """One finding. Where a script is to be run and may not be in this environment, that is said, and excused."""
    policy = promotion.catalogue.validation.load
    test = _LoadTest(promotion, doors, release, policy)
    try:
        return (test.of_script() if policy.script else test.of_result(),)
    except (NotThere, ProgramMissing) as missing:
        return (_unknown(str(missing), "put it there, and run again"),)
    except InvalidInput as error:
        return (_unknown(f"The load test's result cannot be read. {error}", "run the load test again"),)


class _LoadTest:
    """One load test of one release in one environment."""

    def __init__(self, promotion: Promotion, doors: Doors, release: Release, policy: LoadPolicy) -> None:
        self.promotion, self.doors, self.release, self.policy = promotion, doors, release, policy
        self.environment, self.files = doors.environment, promotion.application.files

    def of_result(self) -> Finding:
        """Of the file that k6 left. It is this release's by its address, or by what its samples say."""
        address = filled(self.policy.result, version=self.release.version, environment=self.environment.name)
        if too_old := _age(self.files.last_modified(address), self.policy.hours):
            return replace(_unknown(f"{address} {too_old}", "run the load test again"), evidence=address)
        result = read(self.files.lines(address))
        names_release = "{version}" in self.policy.result
        return self._judged(result, self.policy.result, address, None, "" if names_release else self.release.version)

    def of_script(self) -> Finding:
        if excused := self._may_not_run():
            return Finding(GATE, Verdict.INCONCLUSIVE, excused, "nothing", waived=excused)
        with workplace() as folder:
            script = self._script_in(folder)
            name = f"{self.policy.script}, sha256 {sha256(script.read_bytes()).hexdigest()[:12]}"
            ended = self._run(script, folder)
            samples = folder / SAMPLES
            if ended.timed_out:
                return _unknown(f"k6 was ended after {self.policy.minutes:g} minutes.", "shorten it, or allow it more")
            if not samples.exists() or not samples.stat().st_size:
                return _unknown(f"k6 ended with {ended.code} and left no samples: {_last(ended)}", "mend the script")
            with samples.open("rb") as lines:
                return self._judged(read(lines), name, name, ended.code, self.release.version)

    def _judged(
        self, result: LoadTestResult, script: str, evidence: str, exit_code: int | None, release: str
    ) -> Finding:
        ledger = self.promotion.application.ledger
        last = last_passed(ledger.records(), self.environment.name, script)
        limits = replace(self.policy.limits(), last=last, release=release)
        finding = replace(judge(result, limits, exit_code=exit_code), evidence=evidence)
        details = remembered(result, finding, script)
        version = self.release.version
        write(ledger, EventKind.LOAD_TESTED, self.environment.name, finding.sentence, version=version, **details)
        return finding

    def _may_not_run(self) -> str:
        """Load on production is felt by its users: it is only put there by name."""
        allowed, name = self.policy.environments, self.environment.name
        if name in allowed or (not allowed and self.environment.role is not Role.PRODUCTION):
            return ""
        return f"No load test is run in {name}: validation.load.environments does not name it."

    def _script_in(self, folder: Path) -> Path:
        """The script in a folder of its own, with what stands beside it."""
        address = filled(self.policy.script, version=self.release.version, environment=self.environment.name)
        inside, _, name = address.rpartition("/")
        for beside in _beside(self.files, inside, name):
            (folder / beside).write_bytes(self.files.content(f"{inside}/{beside}" if inside else beside))
        return folder / name

    def _run(self, script: Path, folder: Path) -> Ended:
        get_run_logger().info("k6 runs %s against %s", self.policy.script, self.environment.name)
        command, limit = self._command(script, folder), self.policy.minutes * 60
        return run(command, seconds=limit, folder=folder, environment=QUIET, install=INSTALL)

    def _command(self, script: Path, folder: Path) -> list[str]:
        told = {
            **self.policy.variables,
            "BASE_URL": self.doors.probes.api_url,
            "RELEASE": self.release.version,
            "ENVIRONMENT": self.environment.name,
        }
        given = [word for name, value in told.items() for word in ("--env", f"{name}={value}")]
        tag = ("--tag", f"release={self.release.version}")
        return [self.policy.program, "run", "--quiet", "--out", f"json={folder / SAMPLES}", *tag, *given, str(script)]


INSTALL = "Install k6 on the worker, or give its path as validation.load.program"
QUIET = {"K6_NO_USAGE_REPORT": "true", "NO_COLOR": "1"}
"""k6 tells nobody that it ran."""


def _beside(files: Files, folder: str, script: str) -> Iterator[str]:
    yield script
    names = [it for it in files.listing(folder) if it.endswith(BESIDE) and it != script] if folder else []
    yield from names[:MOST_SCRIPTS]


def _age(written: datetime, hours: float) -> str:
    """Why a file's time says that it is no evidence; empty when it may be."""
    age = datetime.now(UTC) - written
    if age < -CLOCKS_DIFFER:
        return f"was written {spoken(-age.total_seconds())} in the future."
    if age > timedelta(hours=hours):
        return f"was written {spoken(age.total_seconds())} ago; {hours:g} hours are allowed."
    return ""


def _last(ended: Ended) -> str:
    lines = [line for line in (ended.stderr or ended.stdout).splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it said nothing"


def _unknown(sentence: str, remedy: str) -> Finding:
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, "no result", could_be_met=remedy)
