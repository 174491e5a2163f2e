"""The security gate: every declared scan is fetched or run, read, and judged together.

    file of a scanner ─┐
    scanner run here ──┼──read──▶ Scan ──policy, the release's digests──▶ security/image, security/secrets…
    the registry's ────┘

A scan that is not there, or cannot be read, stands in the way by name; the others are judged all the same.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from prefect import get_run_logger

from blocks.commands import ProgramMissing, run, workplace
from blocks.doors import Doors
from blocks.files import NotThere, filled
from blocks.image_scans import NoScan
from rules.errors import InvalidInput
from rules.scan_results import Scan
from rules.scans import GATE, judge_each, read
from rules.validation_policies import ScanSource
from rules.vocabulary import Finding, Release, Verdict
from tasks.kinds import asking
from tasks.promotions import Promotion

RESULT = "result"


@asking("security scans")
def check_security(promotion: Promotion, doors: Doors, release: Release) -> tuple[Finding, ...]:
    """A finding for each kind of scan, and one for each scan that gave no answer."""
    policy = promotion.catalogue.validation.security
    scans: list[Scan] = []
    lacking: list[Finding] = []
    for source in policy.scans:
        try:
            scans += _Scans(promotion, doors, release, source).gathered()
        except (NotThere, NoScan, ProgramMissing, InvalidInput) as trouble:
            lacking.append(_unknown(source, str(trouble)))
    now = datetime.now(UTC)
    judged = judge_each(scans, policy.policy, now.date(), digests=release.digests, now=now)
    return (*judged, *lacking)


class _Scans:
    """What one declared source gives for one release in one environment."""

    def __init__(self, promotion: Promotion, doors: Doors, release: Release, source: ScanSource) -> None:
        self.promotion, self.doors, self.release, self.source = promotion, doors, release, source
        self.application = promotion.application

    def gathered(self) -> Iterator[Scan]:
        if self.source.registry:
            return self._of_registry()
        return self._of_command() if self.source.command else self._of_files()

    def _of_registry(self) -> Iterator[Scan]:
        for service in self.promotion.services:
            digest = self.release.digests[service.id]
            yield read(self.application.image_scans.findings(service.repository, digest), target=service.id)

    def _of_files(self) -> Iterator[Scan]:
        """One file, or one for each service where the address has a place for it."""
        each = [it.id for it in self.promotion.services] if "{service}" in self.source.result else [""]
        for service in each:
            values = {"service": service} if service else {}
            environment = self.doors.environment.name
            address = filled(self.source.result, version=self.release.version, environment=environment, **values)
            at = self.application.files.last_modified(address)
            yield read(self.application.files.content(address), at=at, target=service)

    def _of_command(self) -> Iterator[Scan]:
        with workplace() as folder:
            result = folder / RESULT
            places = {"{result}": str(result), "{url}": self.doors.probes.api_url, "{version}": self.release.version}
            argv = [_with(word, places) for word in self.source.command]
            get_run_logger().info("%s scans %s", self.source.name, self.doors.environment.name)
            ended = run(argv, seconds=self.source.minutes * 60, folder=folder)
            if not ended.is_ok(*self.source.exit_codes):
                allowed = f"exit status {' or '.join(map(str, self.source.exit_codes))}"
                raise InvalidInput(f"The scan {self.source.name}", ended.how, allowed, "Look at what it printed.")
            if not result.exists():
                raise NotThere(f"{{result}} of {self.source.name}", "Let the command write its result there.")
            target = self.doors.probes.api_url if "{url}" in " ".join(self.source.command) else ""
            yield read(result.read_bytes(), at=datetime.now(UTC), target=target)


def _with(word: str, places: dict[str, str]) -> str:
    for place, value in places.items():
        word = word.replace(place, value)
    return word


def _unknown(source: ScanSource, why: str) -> Finding:
    sentence = f"The scan {source.name} proves nothing: {why}"
    gate, remedy = f"{GATE}/{source.name}", "scan, and run again"
    return Finding(gate, Verdict.INCONCLUSIVE, sentence, "no scan", could_be_met=remedy)
