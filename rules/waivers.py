"""A gate of one release that somebody excused in writing: which may be, for how long, and that it stays visible.

    finding that blocks ──waiver of its gate, for this release, not yet over──▶ excused, its verdict unchanged

A waiver excuses what was found wanting of a release. It never excuses who may decide, or what is deployed: those
gates are not in `WAIVABLE`, so that no entry can name them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date

from rules.releases import is_sha
from rules.vocabulary import Finding, Verdict, Waiver

GATE = "waivers"
WAIVABLE = ("regression", "load", "security", "schema", "migrations")
"""The gates of the validation suite. `load/checkout` is a part of `load`, and is excused with it or alone."""
LONGEST_DAYS = 30
"""A waiver that is meant to hold longer is a policy, and belongs into the thresholds."""
MEANT_FOR = 7
"""Digits of a Git SHA that tell a release."""


def waived(findings: Iterable[Finding], waivers: Sequence[Waiver], version: str, today: date) -> tuple[Finding, ...]:
    """The findings, each that blocks excused by the first waiver in force that names its gate.

    Where a waiver that would have excused it is over, the sentence says so.
    """
    meant = [it for it in waivers if is_meant(it, version)]
    return tuple(_judged(finding, meant, today) if finding.blocks else finding for finding in findings)


def check_waivers(waivers: Sequence[Waiver], version: str, today: date) -> tuple[Finding, ...]:
    """One finding that names every waiver of this release, so that each stands in the table; none where there is none.

    FAILED where one reaches further than it may: it excuses nothing, and whoever wrote it must know.
    """
    meant = [it for it in waivers if is_meant(it, version)]
    if not meant:
        return ()
    allowed = f"for {', '.join(WAIVABLE)}; at most {LONGEST_DAYS} days ahead"
    told = " ".join(_told(it, today) for it in meant)
    wrong = [it for it in meant if problem(it, today)]
    verdict = Verdict.FAILED if wrong else Verdict.PASSED
    remedy = "mend or remove the waiver in the catalogue" if wrong else ""
    return (Finding(GATE, verdict, told, f"{len(meant)} of this release", allowed, could_be_met=remedy),)


def problem(waiver: Waiver, today: date) -> str:
    """What is wrong with it; empty when nothing is. One that is over is no problem, it only excuses nothing."""
    if not may_be_waived(waiver.gate):
        return f"no waiver can excuse the gate {waiver.gate!r}"
    if not is_sha(waiver.version):
        return f"{waiver.version!r} is no Git SHA of {MEANT_FOR} to 40 digits"
    lacking = [name for name in ("person", "reason") if not getattr(waiver, name).strip()]
    if lacking:
        return f"it does not say its {' and its '.join(lacking)}"
    if (waiver.expires - today).days > LONGEST_DAYS:
        return f"it would hold until {_day(waiver.expires)}, which is more than {LONGEST_DAYS} days ahead"
    return ""


def may_be_waived(gate: str) -> bool:
    """Whether a waiver may name this gate, or the part of one."""
    return gate.partition("/")[0] in WAIVABLE


def is_meant(waiver: Waiver, version: str) -> bool:
    """Whether it is of this release: the shorter of the two SHAs begins the other, and tells enough."""
    one, other = waiver.version, version
    return min(len(one), len(other)) >= MEANT_FOR and (one.startswith(other) or other.startswith(one))


def _judged(finding: Finding, waivers: Sequence[Waiver], today: date) -> Finding:
    naming = [it for it in waivers if _names(it, finding.gate) and not problem(it, today)]
    if not naming:
        return finding
    if in_force := [it for it in naming if today <= it.expires]:
        return replace(finding, waived=_why(in_force[0]))
    last = max(naming, key=lambda it: it.expires)
    return replace(finding, sentence=f"{finding.sentence} Its waiver by {last.person} ended on {_day(last.expires)}.")


def _names(waiver: Waiver, gate: str) -> bool:
    return gate == waiver.gate or gate.startswith(f"{waiver.gate}/")


def _why(waiver: Waiver) -> str:
    return f"Waived by {waiver.person} until {_day(waiver.expires)}: {waiver.reason}"


def _told(waiver: Waiver, today: date) -> str:
    who = f"{waiver.person or 'nobody'} waived {waiver.gate!r} of {waiver.version}"
    if wrong := problem(waiver, today):
        return f"{who}: not valid, {wrong}."
    until = f"until {_day(waiver.expires)}" + ("" if today <= waiver.expires else ", which is over")
    return f"{who} {until}: {waiver.reason.strip().rstrip('.')}."


def _day(day: date) -> str:
    return f"{day.day} {day:%B %Y}"
