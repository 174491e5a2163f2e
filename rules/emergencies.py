"""A hotfix that cannot wait: which gates it may leave out, and that each left out stands in the record by name."""

from collections.abc import Iterable
from dataclasses import replace

from rules.production_policies import Emergency, EmergencyPolicy, Waivable, Weekday, Window, WindowPolicy
from rules.vocabulary import Finding, Verdict

ALWAYS = Window(tuple(Weekday), "00:00", "24:00", "UTC")


def check_emergency(emergency: Emergency | None, policy: EmergencyPolicy) -> tuple[Finding, ...]:
    """Whether it says why, and leaves out only what may be left out. Nothing where there is no emergency."""
    if emergency is None:
        return ()
    return (_told(emergency), _waives(emergency, policy))


def excused(findings: Iterable[Finding], emergency: Emergency | None, policy: EmergencyPolicy) -> tuple[Finding, ...]:
    """The findings, with those excused that an emergency leaves out. Their verdict stays what it is."""
    if emergency is None or not emergency.reason.strip():
        return tuple(findings)
    left_out = set(emergency.waives) & set(policy.waivable)
    why = f"Emergency {emergency.incident}: {emergency.reason}"
    return tuple(replace(it, waived=why) if it.blocks and waivable_gate(it.gate) in left_out else it for it in findings)


def windows_under(emergency: Emergency | None, policy: WindowPolicy, emergencies: EmergencyPolicy) -> WindowPolicy:
    """The windows for which a promotion has to wait, when its emergency leaves windows or freezes out."""
    left_out = set(emergency.waives) & set(emergencies.waivable) if emergency else set()
    open_ = (ALWAYS,) if Waivable.WINDOW in left_out else policy.open
    return replace(policy, open=open_, freezes=() if Waivable.FREEZE in left_out else policy.freezes)


def waivable_gate(gate: str) -> str:
    """The name under which a gate may be left out: `stability/gateway` is `stability`."""
    return gate.partition("/")[0]


def _told(emergency: Emergency) -> Finding:
    lacking = [name for name in ("reason", "incident") if not getattr(emergency, name).strip()]
    if lacking:
        sentence = f"An emergency needs its {' and its '.join(lacking)}."
        return Finding(
            "emergency", Verdict.FAILED, sentence, "nothing", "a sentence", could_be_met="Say it and run again."
        )
    sentence = f"Emergency {emergency.incident}: {emergency.reason}"
    return Finding("emergency", Verdict.PASSED, sentence, emergency.incident)


def _waives(emergency: Emergency, policy: EmergencyPolicy) -> Finding:
    allowed = ", ".join(policy.waivable) or "nothing"
    strangers = [gate for gate in emergency.waives if gate not in policy.waivable]
    asked = ", ".join(emergency.waives) or "nothing"
    if strangers:
        sentence = f"No emergency may leave out {', '.join(strangers)}."
        return Finding("emergency waivers", Verdict.FAILED, sentence, asked, allowed)
    return Finding("emergency waivers", Verdict.PASSED, f"The emergency leaves out: {asked}.", asked, allowed)
