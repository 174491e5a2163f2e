"""Why a promotion may not begin: every gate at once, when each could be met, and who may leave it out.

A refusal that tells one reason at a time costs a day each.
"""

from collections.abc import Iterable, Mapping, Sequence

from rules.approval_people import listed
from rules.emergencies import waivable_gate
from rules.production_policies import ApprovalPolicy, ApprovalStage, EmergencyPolicy, Person
from rules.run_pages import COULD_BE_MET, addresses, literal, table, without_address
from rules.vocabulary import Finding, Verdict

WHO_MAY = "who may waive it"
"""Name of the column."""
NOBODY = "nobody"
ROWS = 40


def why_not_page(
    findings: Sequence[Finding], emergency: EmergencyPolicy, people: Mapping[str, Person] | None = None
) -> str:
    """The page: what is not met first, then what is excused, then what is met. `people`: who may approve."""
    against = [it for it in findings if it.blocks]
    rest = [_brief(row) for row in why_not_rows((it for it in findings if not it.blocks), emergency)]
    lines = [f"### {_headline(findings, against)}", *table(_told(against, emergency)), *addresses(against[:ROWS])]
    lines += table(rest[: max(0, ROWS - len(against))])
    if len(findings) > ROWS:
        lines += ["", f"… and {len(findings) - ROWS} more; all of them are in the run's artifact *gates*."]
    if any(who_may_waive(it, emergency) not in {"", NOBODY} for it in against):
        lines += ["", _how(emergency, people or {})]
    return "\n".join(lines)


def _told(against: Iterable[Finding], emergency: EmergencyPolicy) -> list[dict[str, str]]:
    return why_not_rows(map(without_address, against), emergency)[:ROWS]


def _brief(row: Mapping[str, str]) -> dict[str, str]:
    """Of what stands not in the way: then nothing is to be done, and nobody has to be found."""
    return {column: words for column, words in row.items() if column not in {COULD_BE_MET, WHO_MAY}}


def why_not_rows(findings: Iterable[Finding], emergency: EmergencyPolicy) -> list[dict[str, str]]:
    """One row a gate: gate, state, why, when or by what it could be met, who may leave it out. The unmet first."""
    ordered = sorted(findings, key=lambda it: (not it.blocks, not it.waived, -it.verdict.badness))
    return [
        {
            "gate": it.gate,
            "state": state(it),
            "why": _why(it),
            COULD_BE_MET: it.could_be_met if it.blocks else "",
            WHO_MAY: who_may_waive(it, emergency),
        }
        for it in ordered
    ]


def _why(finding: Finding) -> str:
    """The sentence, and the excuse unless the sentence has it already."""
    said = finding.waived in finding.sentence
    return finding.sentence if said else f"{finding.sentence} Excused because: {finding.waived}"


def state(finding: Finding) -> str:
    """`met`, `excused`, `not met`, and `not known` where there is no data, which is not met either."""
    if not finding.blocks:
        return "excused" if finding.verdict is not Verdict.PASSED else "met"
    return "not met" if finding.verdict is Verdict.FAILED else "not known"


def who_may_waive(finding: Finding, emergency: EmergencyPolicy) -> str:
    """`an emergency, approved by 2 people`, or nobody; empty where nothing stands in the way."""
    if not finding.blocks:
        return ""
    if waivable_gate(finding.gate) not in emergency.waivable:
        return NOBODY
    return f"an emergency, approved by {approved_by(emergency.approvals)}"


def approved_by(policy: ApprovalPolicy) -> str:
    """`2 people`, `1 of team-leads and 1 of operations`."""
    return " and ".join(_needed(stage) for stage in policy.stages if stage.count > 0) or NOBODY


def _needed(stage: ApprovalStage) -> str:
    if stage.group:
        return f"{stage.count} of {stage.group}"
    return f"{stage.count} {'person' if stage.count == 1 else 'people'}"


def _headline(findings: Sequence[Finding], against: Sequence[Finding]) -> str:
    if not findings:
        return "No gate gave an answer, and that is not met"
    if not against:
        return f"Nothing stands in the way: {len(findings)} findings"
    return f"{len(against)} of {len(findings)} findings stand in the way"


def _how(emergency: EmergencyPolicy, people: Mapping[str, Person]) -> str:
    """What an emergency asks for."""
    groups = {stage.group for stage in emergency.approvals.stages if stage.count > 0}
    who = [it for it in people.values() if it.active and ("" in groups or groups.intersection(it.groups))]
    could = f" Who could: {literal(listed(who))}." if who else ""
    return (
        "An emergency names its reason and its incident, leaves out these gates by name, and needs the approval of "
        f"{literal(approved_by(emergency.approvals))}, each with a code; whoever asks is not one of them.{could}"
    )
