"""The gates of the validation suite that are not asked, told as findings: nothing is left out in silence."""

from rules.validation_policies import GATES, ValidationPolicy
from rules.vocabulary import Finding, Verdict

LAST = "Nothing is promoted from here, so there is no database that must serve two releases."


def not_asked(gate: str, policy: ValidationPolicy) -> Finding | None:
    """Why a gate of `GATES` is not asked: excused where the catalogue gives its reason; None where it is declared."""
    if policy.is_declared(gate):
        return None
    if reason := policy.left_out.get(gate, ""):
        return Finding(gate, Verdict.INCONCLUSIVE, f"Left out by the catalogue: {reason}", "nothing", waived=reason)
    sentence = f"Nothing says how a release's {gate} is validated."
    remedy = f"declare validation.{gate} in the catalogue, or say in validation.left_out why it is not"
    return Finding(gate, Verdict.INCONCLUSIVE, sentence, "nothing", f"{gate} declared", could_be_met=remedy)


def nothing_follows(gate: str) -> Finding:
    """Of a gate that compares with the next environment, in the chain's last one."""
    return Finding(gate, Verdict.INCONCLUSIVE, LAST, "nothing", waived=LAST)


def all_not_asked(policy: ValidationPolicy) -> dict[str, Finding]:
    """By gate: those that are not asked."""
    told = {gate: not_asked(gate, policy) for gate in GATES}
    return {gate: finding for gate, finding in told.items() if finding is not None}
