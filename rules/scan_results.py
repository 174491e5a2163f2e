"""What a security scanner found, whichever scanner it was, and how much it looked at.

Nothing here carries what a scanner quotes: no snippet, match, request or free text. A secret that was found is a
rule, a path and a line.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum


class Severity(StrEnum):
    CRITICAL = "critical"
    HIGH = "high"
    UNKNOWN = "unknown"
    """The scanner did not say, or in a word that is not known. It stands above medium: it is never taken for low."""
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the worst."""
        return tuple(Severity).index(self)


WORDS = {
    "critical": Severity.CRITICAL,
    "important": Severity.HIGH,
    "high": Severity.HIGH,
    "moderate": Severity.MEDIUM,
    "medium": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.INFO,
    "informational": Severity.INFO,
    "info": Severity.INFO,
}
CRITICAL_SCORE, HIGH_SCORE, MEDIUM_SCORE = 9.0, 7.0, 4.0
HIGHEST_SCORE = 10.0


class ScanKind(StrEnum):
    IMAGE = "image"
    DEPENDENCIES = "dependencies"
    SECRETS = "secrets"
    CODE = "code"
    DYNAMIC = "dynamic"
    UNKNOWN = "unknown"
    """A file that does not tell what looked at what."""


@dataclass(frozen=True, slots=True)
class Vulnerability:
    id: str
    """`CVE-2024-1234`, `GHSA-…`, or the scanner's rule."""
    severity: Severity
    aliases: tuple[str, ...] = ()
    package: str = ""
    installed: str = ""
    fixed: str = ""
    """The version that mends it; empty: none is known."""
    cwes: tuple[str, ...] = ()
    """`CWE-79`."""
    path: str = ""
    line: int = 0
    since: date | None = None
    """Since when a fix exists, or, where the scanner does not say, since when it is known: never later than the fix."""
    suppressed: bool = False
    """Whoever ran the scanner told it not to mind."""


@dataclass(frozen=True, slots=True)
class Scan:
    tool: str
    kind: ScanKind
    looked_at: int = 0
    """How many of `unit`; 0 proves nothing."""
    unit: str = "targets"
    vulnerabilities: tuple[Vulnerability, ...] = ()
    subject: str = ""
    """What the file says it is of: an image, a path, a URL."""
    digests: tuple[str, ...] = ()
    """Of the image, `sha256:` and 64 digits, as the file says."""
    urls: tuple[str, ...] = ()
    at: datetime | None = None
    """With zone."""
    problems: tuple[str, ...] = ()
    """Why it proves less than it seems to."""
    target: str = ""
    """What whoever handed over the file says it is of."""


def by_word(word: str) -> Severity:
    return WORDS.get(word.strip().lower(), Severity.UNKNOWN)


def by_score(score: object) -> Severity:
    """Of a CVSS score, 0 to 10, or of its text. What is no score is UNKNOWN."""
    try:
        number = float(str(score))
    except ValueError:
        return Severity.UNKNOWN
    if not 0 <= number <= HIGHEST_SCORE:
        return Severity.UNKNOWN
    if number >= CRITICAL_SCORE:
        return Severity.CRITICAL
    if number >= HIGH_SCORE:
        return Severity.HIGH
    return Severity.MEDIUM if number >= MEDIUM_SCORE else Severity.LOW if number else Severity.INFO
