"""What scanners found of a release, and whether they looked at all.

    file ──its keys──▶ reader of its format ──▶ Scan ──policy, day──▶ security/image, security/code… ──▶ security

Nothing passes because nothing was found: a scan must say what it looked at, how much, and when. What cannot be
noticed: a whole finding, or its severity, edited out of a file whose format counts neither. Take files from where
only the pipeline writes.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

import orjson

from rules.errors import InvalidInput
from rules.messages import spoken
from rules.scan_dependencies import read_npm, read_osv, read_pip_audit, read_snyk
from rules.scan_packages import read_ecr, read_grype, read_trivy
from rules.scan_policies import Acceptance, ScanPolicy
from rules.scan_results import Scan, ScanKind, Severity, Vulnerability
from rules.scan_sarif import is_sarif, read_sarif
from rules.scan_shapes import Node, as_node, nodes
from rules.scan_sources import read_bandit, read_gitleaks, read_wapiti, read_zap
from rules.vocabulary import Finding, Verdict, short, worst

GATE = "security"
LARGEST = 50_000_000
"""Bytes of a file."""
MOST_NAMED = 3
CLOCKS_DIFFER = timedelta(minutes=2)
ALLOWED = "SARIF 2.1.0 or the JSON of Trivy, Grype, Snyk, npm audit, pip-audit, OSV, gitleaks, ZAP, Wapiti, bandit, ECR"
READERS = (
    ("SchemaVersion", "ArtifactName", read_trivy),
    ("matches", "descriptor", read_grype),
    ("imageScanStatus", "repositoryName", read_ecr),
    ("site", "@version", read_zap),
    ("infos", "classifications", read_wapiti),
    ("metrics", "generated_at", read_bandit),
    ("auditReportVersion", "vulnerabilities", read_npm),
    ("advisories", "metadata", read_npm),
    ("error", "statusCode", read_npm),
)
"""Two keys that a format has, by which it is known."""


def read(document: bytes, *, at: datetime | None = None, target: str = "") -> Scan:
    """The scan in a file, whichever of the formats it has. Raises InvalidInput where it has none of them.

    `at`: when the file was written, for formats that carry no time; with zone. `target`: what it is said to be of; a
    URL must be one of those that the file names.
    """
    stripped = document.removeprefix(b"\xef\xbb\xbf").strip()
    if len(stripped) > LARGEST:
        raise InvalidInput("The size of a scan result", f"{len(stripped)} bytes", f"at most {LARGEST}")
    if not stripped:
        return Scan("an unknown tool", ScanKind.UNKNOWN, at=at, problems=("the file is empty",), target=target)
    try:
        scan = _read(orjson.loads(stripped))
    except orjson.JSONDecodeError:
        # its message would quote the file, which may carry a secret
        raise InvalidInput("A scan result", f"{len(stripped)} bytes that are no JSON", ALLOWED) from None
    return replace(scan, at=scan.at or at, target=target)


def _read(parsed: Any) -> Scan:
    if isinstance(parsed, list):
        return _read_list(nodes({"results": parsed}, "results"))
    document = as_node(parsed, "the document")
    if is_sarif(document):
        return read_sarif(document)
    known = [reader for first, second, reader in READERS if first in document and second in document]
    return known[0](document) if known else _read_by_one_key(document)


def _read_by_one_key(document: Node) -> Scan:
    if "ok" in document:
        return read_snyk([document])
    if "dependencies" in document and "vulnerabilities" not in document:
        return read_pip_audit(nodes(document, "dependencies"))
    if "results" in document:
        return read_osv(document)
    if "error" in document:
        return Scan("an unknown tool", ScanKind.UNKNOWN, problems=("the tool tells of an error",))
    raise InvalidInput("A scan result", "JSON of another shape", ALLOWED)


def _read_list(found: list[Node]) -> Scan:
    if not found:
        return Scan("an unknown tool", ScanKind.UNKNOWN, problems=("an empty list does not tell who looked at what",))
    for key, reader in (("RuleID", read_gitleaks), ("ok", read_snyk), ("name", read_pip_audit)):
        if all(key in it for it in found):
            return reader(found)
    raise InvalidInput("A scan result", "a list of another shape", ALLOWED)


def judge(
    scans: Sequence[Scan],
    policy: ScanPolicy,
    today: date,
    *,
    digests: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> Finding:
    """One finding of all scans. `digests`: the release's images by service; each must be scanned, and no other.

    Without `now` the end of today (UTC) is taken for it. FAILED where something blocks, INCONCLUSIVE where a scan
    proves nothing, is missing, old, or of something else, or where what blocks has no known severity.
    """
    about = _About(policy, today, digests, now)
    counted = about.counted(scans)
    lacking = tuple(why for kind in _kinds(scans, policy) for why in about.lacking(scans, kind))
    return about.finding(GATE, scans, counted, lacking)


def judge_each(
    scans: Sequence[Scan],
    policy: ScanPolicy,
    today: date,
    *,
    digests: Mapping[str, str] | None = None,
    now: datetime | None = None,
) -> tuple[Finding, ...]:
    """As `judge`, a finding for each kind of scan: `security/image`, `security/secrets`…"""
    about = _About(policy, today, digests, now)
    found = []
    for kind in _kinds(scans, policy):
        some = [it for it in scans if it.kind is kind]
        found.append(about.finding(f"{GATE}/{kind}", some, about.counted(some), about.lacking(scans, kind)))
    return tuple(found)


def merged(found: Iterable[Vulnerability]) -> tuple[Vulnerability, ...]:
    """Each vulnerability once: the same package, and a name in common. The worst severity that is known stays."""
    groups: dict[int, Vulnerability] = {}
    places: dict[tuple[str, str], int] = {}
    numbers = itertools.count()
    for it in found:
        names = _names(it)
        same = sorted({places[name] for name in names if name in places})
        one = it
        for number in same:
            one = _joined(groups.pop(number), one)
        number = next(numbers)
        groups[number] = one
        places.update(dict.fromkeys(_names(one), number))
    return tuple(sorted(groups.values(), key=lambda it: (it.severity.rank, it.id, it.package)))


def _names(it: Vulnerability) -> list[tuple[str, str]]:
    where = it.package.casefold() or f"{it.path}:{it.line}"
    return [(name.casefold(), where) for name in (it.id, *it.aliases) if name]


def _joined(one: Vulnerability, other: Vulnerability) -> Vulnerability:
    known = [it for it in (one.severity, other.severity) if it is not Severity.UNKNOWN]
    return replace(
        one,
        severity=min(known, key=lambda it: it.rank, default=Severity.UNKNOWN),
        aliases=tuple(dict.fromkeys((*one.aliases, other.id, *other.aliases))),
        installed=one.installed or other.installed,
        fixed=one.fixed or other.fixed,
        # an unnamed kind is no ignored one
        cwes=tuple(dict.fromkeys((*one.cwes, *other.cwes))) if one.cwes and other.cwes else (),
        since=min(one.since, other.since) if one.since and other.since else None,
        suppressed=one.suppressed and other.suppressed,
    )


def _kinds(scans: Sequence[Scan], policy: ScanPolicy) -> list[ScanKind]:
    present = {it.kind for it in scans}
    return [kind for kind in ScanKind if kind in present or kind in policy.required]


@dataclass(frozen=True, slots=True)
class _About:
    policy: ScanPolicy
    today: date
    digests: Mapping[str, str] | None
    now: datetime | None

    def counted(self, scans: Iterable[Scan]) -> tuple[Vulnerability, ...]:
        return merged(it for scan in scans for it in scan.vulnerabilities if not self.policy.leaves_out(it))

    def lacking(self, scans: Sequence[Scan], kind: ScanKind) -> tuple[str, ...]:
        """Why the scans of this kind prove too little."""
        some = [it for it in scans if it.kind is kind]
        if not some:
            return (f"there is no scan of the kind {kind}",)
        told = [f"{_called(it)}: {why}" for it in some for why in self._doubts(it)]
        if kind is ScanKind.IMAGE and self.digests is not None:
            seen = {digest for it in some for digest in it.digests}
            missing = sorted(service for service, digest in self.digests.items() if digest not in seen)
            told += [f"no scan is of the image of {service}, {short(self.digests[service])}" for service in missing]
            told += [] if self.digests else ["it is not known which images the release has"]
        return tuple(told)

    def _doubts(self, scan: Scan) -> list[str]:
        doubts = list(scan.problems)
        if not scan.looked_at and not scan.problems:
            doubts.append(f"it proves no {scan.unit} that it looked at")
        return [*doubts, *self._of_another(scan), *self._age(scan)]

    def _of_another(self, scan: Scan) -> list[str]:
        if scan.kind is ScanKind.IMAGE and self.digests is not None:
            if not scan.digests:
                return ["it names no digest, and a tag may mean another image by now"]
            if not set(scan.digests) & set(self.digests.values()):
                return [f"it is of another image, {short(scan.digests[0])}"]
        if scan.kind is ScanKind.DYNAMIC and scan.target and not any(_is_same(it, scan.target) for it in scan.urls):
            return [f"it is not of {scan.target}"]
        return []

    def _age(self, scan: Scan) -> list[str]:
        if scan.at is None:
            return ["nobody knows when it was"]
        now = self.now or datetime.combine(self.today, time.max, UTC)
        age = now - (scan.at if scan.at.tzinfo else scan.at.replace(tzinfo=UTC))
        if age < -CLOCKS_DIFFER:
            return ["it is from the future"]
        oldest = timedelta(hours=self.policy.oldest_hours)
        return [f"it is {spoken(age.total_seconds())} old"] if age > oldest else []

    def finding(
        self, gate: str, scans: Sequence[Scan], counted: Sequence[Vulnerability], lacking: Sequence[str]
    ) -> Finding:
        minded = [(it, self.policy.acceptance(it)) for it in counted if self.policy.minds(it, self.today)]
        blocking = [it for it, by in minded if by is None or not self.policy.holds(by, self.today)]
        told = [_blocked(blocking)] if blocking else []
        told += [f"The proof is lacking: {_listed(lacking, '; ')}."] if lacking else []
        told += [] if told else [_good(scans, counted)]
        told += [self._accepted(it, by) for it, by in minded if by]
        verdict = worst([_verdict(blocking), Verdict.INCONCLUSIVE if lacking or not scans else Verdict.PASSED])
        words = " and ".join(self.policy.blocking) or "nothing"
        allowed = f"no {words} vulnerability, scans of at most {self.policy.oldest_hours:g} hours"
        remedy = _remedy(blocking, lacking) if verdict is not Verdict.PASSED else ""
        return Finding(gate, verdict, " ".join(told), _counts(counted), allowed, _evidence(scans), could_be_met=remedy)

    def _accepted(self, it: Vulnerability, by: Acceptance) -> str:
        until = f"until {by.expires.day} {by.expires:%B %Y}"
        who = f"{it.id} was accepted by {by.person or 'nobody'} {until}"
        if self.policy.holds(by, self.today):
            return f"{who}: {by.reason.rstrip('.')}."
        return f"{who}, which is over." if by.expires < self.today else f"{who}, which is not valid."


def _verdict(blocking: Sequence[Vulnerability]) -> Verdict:
    if not blocking:
        return Verdict.PASSED
    known = any(it.severity is not Severity.UNKNOWN for it in blocking)
    return Verdict.FAILED if known else Verdict.INCONCLUSIVE


def _blocked(blocking: Sequence[Vulnerability]) -> str:
    many = "1 vulnerability blocks" if len(blocking) == 1 else f"{len(blocking)} vulnerabilities block"
    return f"{many}: {_listed([_told(it) for it in blocking], '; ')}."


def _told(it: Vulnerability) -> str:
    where = f" in {it.package} {it.installed}".rstrip() if it.package else f" in {it.path}" if it.path else ""
    where += f", line {it.line}" if it.line and not it.package else ""
    severity = "severity not known" if it.severity is Severity.UNKNOWN else it.severity
    fix = f", fixed in {it.fixed}" if it.fixed else ", no fix is known" if it.package else ""
    return f"{it.id}{where} ({severity}{fix})"


def _good(scans: Sequence[Scan], counted: Sequence[Vulnerability]) -> str:
    looked = ", ".join(f"{it.tool} at {it.looked_at} {it.unit}" for it in scans[:MOST_NAMED])
    more = f" and {len(scans) - MOST_NAMED} more scans" if len(scans) > MOST_NAMED else ""
    return f"Nothing that blocks was found: {looked}{more} looked; {_counts(counted)}."


def _counts(counted: Sequence[Vulnerability]) -> str:
    numbers = {severity: sum(1 for it in counted if it.severity is severity) for severity in Severity}
    return ", ".join(f"{number} {severity}" for severity, number in numbers.items() if number) or "no vulnerabilities"


def _remedy(blocking: Sequence[Vulnerability], lacking: Sequence[str]) -> str:
    fixes = dict.fromkeys(f"{it.package} to {it.fixed}" for it in blocking if it.package and it.fixed)
    steps = [f"update {_listed(tuple(fixes), ', ')}"] if fixes else ["mend what was found"] if blocking else []
    return ", ".join([*steps, "scan these images again"] if lacking else [*steps])


def _evidence(scans: Sequence[Scan]) -> str:
    return _listed([f"{it.tool}: {it.subject or it.target or 'no subject'}" for it in scans], "; ")


def _listed(told: Sequence[str], between: str) -> str:
    more = len(told) - MOST_NAMED
    return between.join(told[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _called(scan: Scan) -> str:
    return f"{scan.tool} of {scan.target or scan.subject}" if scan.target or scan.subject else scan.tool


def _is_same(found: str, wanted: str) -> bool:
    """Whether a URL is of the same scheme, host and port."""
    try:
        one, other = urlsplit(found), urlsplit(wanted)
    except ValueError:
        return False
    return bool(other.netloc) and (one.scheme, one.netloc) == (other.scheme, other.netloc)
