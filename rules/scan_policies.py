"""What a release may carry into an environment: which vulnerabilities block, which were accepted, and by whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from fnmatch import fnmatchcase

from rules.scan_results import ScanKind, Severity, Vulnerability


@dataclass(frozen=True, slots=True)
class Acceptance:
    """One vulnerability that somebody lives with for a while. It stays in the sentence for as long as it holds."""

    id: str
    """`CVE-2024-1234`, or another name of it."""
    person: str
    reason: str
    expires: date
    """The last day on which it holds."""
    package: str = ""
    """Only in this package; empty: in all."""


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    blocking: tuple[Severity, ...] = (Severity.CRITICAL, Severity.HIGH)
    """What has no known severity blocks always."""
    grace_days: Mapping[Severity, int] = field(default_factory=dict)
    """By severity: so many days after a fix exists it does not block yet. None where it is not known since when."""
    without_fix: bool = True
    """Whether also that blocks for which no fix exists."""
    ignored_cwes: tuple[str, ...] = ()
    """`CWE-1104`. A vulnerability of several kinds is ignored when all of them are."""
    left_out: tuple[str, ...] = ()
    """Paths that do not count, with `*` for any text: `tests/*`."""
    required: tuple[ScanKind, ...] = (ScanKind.IMAGE,)
    oldest_hours: float = 24
    believes_suppressions: bool = False
    """Whether what the scanner was told to suppress is left out. Else it counts like all others."""
    acceptances: tuple[Acceptance, ...] = ()
    longest_acceptance_days: int = 90

    def minds(self, it: Vulnerability, today: date) -> bool:
        """Whether it blocks, accepted or not."""
        if it.severity is not Severity.UNKNOWN and it.severity not in self.blocking:
            return False
        if it.cwes and set(it.cwes) <= set(self.ignored_cwes):
            return False
        if not it.package:
            # secrets and code wait for nobody's fix but ours
            return True
        if not it.fixed:
            return self.without_fix
        return not self._is_in_grace(it, today)

    def leaves_out(self, it: Vulnerability) -> bool:
        if it.suppressed and self.believes_suppressions:
            return True
        return bool(it.path) and any(fnmatchcase(it.path, pattern) for pattern in self.left_out)

    def acceptance(self, it: Vulnerability) -> Acceptance | None:
        """The one that names it and ends last, in force or over."""
        names = {name.casefold() for name in (it.id, *it.aliases)}
        named = [one for one in self.acceptances if one.id.casefold() in names and one.package in ("", it.package)]
        return max(named, key=lambda one: one.expires, default=None)

    def holds(self, acceptance: Acceptance, today: date) -> bool:
        """Whether it is whole, not over, and not meant for longer than an acceptance may be."""
        whole = acceptance.person.strip() and acceptance.reason.strip()
        latest = today + timedelta(days=self.longest_acceptance_days)
        return bool(whole) and today <= acceptance.expires <= latest

    def _is_in_grace(self, it: Vulnerability, today: date) -> bool:
        days = self.grace_days.get(it.severity, 0)
        # a fix from the future would give grace without end
        return it.since is not None and it.since <= today and (today - it.since).days < days
