"""Whether a release was validated in an environment: by whom it does not matter, but these very digests, and lately.

    VALIDATED records of the environment ──same digests──▶ the newest decides ──age──▶ Finding

Evidence is what was found of every service and is not older than the policy allows. What was found of another build
of the same version is evidence of nothing, and a look that went wrong outweighs every good one before it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rules.messages import spoken
from rules.production_policies import EvidencePolicy
from rules.records import EventKind, Record
from rules.summaries import read_findings
from rules.validation_policies import GATES
from rules.vocabulary import Finding, Verdict, Waiver, unmet, worst
from rules.waivers import waived

GATE = "evidence"
LOOKED_AT = ("health", "smoke", "soak", *GATES)
"""Gates without which nothing counts as validated, beside the arrival of every service. A new one is added here."""
CLOCKS_DIFFER = timedelta(minutes=2)
"""So much may the clocks of two workers disagree; evidence from further in the future is none."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Look:
    """One validation, as the ledger has it."""

    record: Record
    version: str
    digests: Mapping[str, str]
    """By service id."""
    findings: tuple[Finding, ...]

    @property
    def blocks(self) -> tuple[Finding, ...]:
        """What stands against the release. No findings at all are one."""
        return unmet(self.findings)

    @property
    def reference(self) -> str:
        return f"record {self.record.seq}, run {self.record.event.run_id}"

    def lacks(self, services: Iterable[str]) -> tuple[str, ...]:
        """Gates that were not asked."""
        asked = {name for finding in self.findings for name in (finding.gate, finding.gate.partition("/")[0])}
        needed = (*(f"arrival/{service}" for service in services), *LOOKED_AT)
        return tuple(gate for gate in needed if gate not in asked)


def check_evidence(
    records: Iterable[Record],
    environment: str,
    digests: Mapping[str, str],
    policy: EvidencePolicy,
    now: datetime,
    *,
    waivers: Sequence[Waiver] = (),
) -> Finding:
    """Whether these digests (by service id) were validated in that environment, all of them, within the policy's hours.

    Not met where the newest look at them did not pass, and INCONCLUSIVE where there is none, or an old one, or one
    that left something out. What a look found is excused by the waivers of today, not by those of its day.
    `evidence` of the finding names the record and the run.
    """
    about = _About(environment, digests, policy, now)
    seen = [
        replace(it, findings=waived(it.findings, waivers, it.version, now.date())) for it in looks(records, environment)
    ]
    same = [look for look in seen if digests and look.digests == digests]
    against = [look for look in seen if look.blocks and _is_part(look.digests, digests)]
    if against and (not same or against[-1].record.seq >= same[-1].record.seq):
        return about.against(against[-1])
    if not same:
        return about.nothing(seen)
    return about.judged(same[-1])


def looks(records: Iterable[Record], environment: str) -> tuple[Look, ...]:
    """The validations in an environment, the oldest first."""
    return tuple(_look(it) for it in records if _is_look(it, environment))


@dataclass(frozen=True, slots=True)
class _About:
    environment: str
    digests: Mapping[str, str]
    policy: EvidencePolicy
    now: datetime

    def against(self, look: Look) -> Finding:
        gates = _named([it.gate for it in look.blocks])
        sentence = f"The last look at these images in {self.environment}, {self._ago(look)}, did not pass: {gates}."
        verdict, remedy = worst(it.verdict for it in look.blocks), f"mend it in {self.environment}, and run again"
        return self._finding(verdict, sentence, gates, look, remedy)

    def nothing(self, seen: Sequence[Look]) -> Finding:
        again = f"promote this release to {self.environment}, or run again: it is looked at then"
        if not seen:
            sentence = f"Nothing was ever validated in {self.environment}."
            return self._finding(Verdict.INCONCLUSIVE, sentence, "nothing", None, again)
        last = seen[-1]
        others = _named(_differing(last.digests, self.digests))
        sentence = f"These images were never validated in {self.environment}; the last that were, {self._ago(last)}, "
        sentence += f"are others: {others}."
        return self._finding(Verdict.INCONCLUSIVE, sentence, f"other images ({last.version})", last, again)

    def judged(self, look: Look) -> Finding:
        if lacking := look.lacks(self.digests):
            sentence = f"The validation in {self.environment}, {self._ago(look)}, left out {_named(lacking)}."
            return self._finding(Verdict.INCONCLUSIVE, sentence, "a part", look, "run again: all is looked at then")
        age = self.now - look.record.at
        if age < -CLOCKS_DIFFER:
            sentence = f"The validation in {self.environment} is {spoken(-age.total_seconds())} in the future."
            return self._finding(Verdict.INCONCLUSIVE, sentence, "in the future", look, "compare the workers' clocks")
        sentence = f"These images were validated in {self.environment} {self._ago(look)}"
        if age > timedelta(hours=self.policy.hours):
            remedy = "run again: they are looked at then"
            return self._finding(
                Verdict.INCONCLUSIVE, f"{sentence}, which is too long ago.", self._ago(look), look, remedy
            )
        return self._finding(Verdict.PASSED, f"{sentence}: {_counted(look)}", self._ago(look), look)

    def _finding(self, verdict: Verdict, sentence: str, measured: str, look: Look | None, remedy: str = "") -> Finding:
        allowed = f"validated in {self.environment} within {spoken(self.policy.hours * 3600)}, by the same digests"
        reference = look.reference if look else ""
        return Finding(GATE, verdict, sentence, measured, allowed, reference, could_be_met=remedy)

    def _ago(self, look: Look) -> str:
        return f"{spoken(max(0.0, (self.now - look.record.at).total_seconds()))} ago"


def _is_look(record: Record, environment: str) -> bool:
    return record.event.kind is EventKind.VALIDATED and record.event.environment == environment


def _look(record: Record) -> Look:
    details = record.event.details
    digests = {str(service): str(digest) for service, digest in dict(details.get("digests", {})).items()}
    return Look(record, str(details.get("version", "")), digests, read_findings(details.get("findings", ())))


def _is_part(some: Mapping[str, str], all_: Mapping[str, str]) -> bool:
    """Whether it is about these images, even if not about all of them."""
    return bool(some) and all(all_.get(service) == digest for service, digest in some.items())


def _differing(found: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    return sorted(service for service in found.keys() | wanted.keys() if found.get(service) != wanted.get(service))


def _named(names: Sequence[str]) -> str:
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _counted(look: Look) -> str:
    excused = sum(1 for finding in look.findings if finding.waived)
    return f"{len(look.findings)} findings, none in the way" + (f", {excused} of them excused." if excused else ".")
