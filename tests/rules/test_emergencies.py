"""What an emergency may leave out, and what it never may."""

from rules.emergencies import ALWAYS, check_emergency, excused, windows_under
from rules.production_policies import Emergency, EmergencyPolicy, Freeze, Waivable, WindowPolicy
from rules.vocabulary import Finding, Verdict, unmet

POLICY = EmergencyPolicy()
FIRE = Emergency("Nobody can log in.", "INC-7", (Waivable.WINDOW, Waivable.STABILITY))
FREEZE = Freeze("2026-12-19", "2027-01-03", "The end of the year.", "Sofia Rossi")


def failed(gate: str) -> Finding:
    return Finding(gate, Verdict.FAILED, "No.")


def test_what_it_leaves_out_is_excused_by_name_and_keeps_its_verdict() -> None:
    window, stable = excused([failed("window"), failed("stability/gateway")], FIRE, POLICY)
    assert (window.verdict, window.blocks, stable.blocks) == (Verdict.FAILED, False, False)
    assert window.waived == "Emergency INC-7: Nobody can log in."


def test_what_it_does_not_name_stays_in_the_way() -> None:
    findings = [failed("freeze"), failed("health"), failed("release"), failed("change ticket")]
    assert unmet(excused(findings, FIRE, POLICY)) == tuple(findings)


def test_a_gate_that_has_passed_is_not_called_excused() -> None:
    [finding] = excused([Finding("window", Verdict.PASSED, "Open.")], FIRE, POLICY)
    assert not finding.waived


def test_without_a_reason_nothing_is_excused() -> None:
    silent = Emergency(" ", "INC-7", FIRE.waives)
    assert unmet(excused([failed("window")], silent, POLICY))
    assert [it.sentence for it in unmet(check_emergency(silent, POLICY))] == ["An emergency needs its reason."]


def test_what_policy_does_not_allow_is_refused_and_not_excused() -> None:
    strict = EmergencyPolicy((Waivable.WINDOW,))
    [finding] = unmet(check_emergency(FIRE, strict))
    assert (finding.gate, finding.allowed) == ("emergency waivers", "window")
    assert unmet(excused([failed("stability/gateway")], FIRE, strict))


def test_an_emergency_that_leaves_nothing_out_is_one_all_the_same() -> None:
    assert not unmet(check_emergency(Emergency("Slow.", "INC-8"), POLICY))


def test_without_an_emergency_nothing_is_asked_and_nothing_excused() -> None:
    assert check_emergency(None, POLICY) == ()
    assert excused([failed("window")], None, POLICY) == (failed("window"),)


def test_it_waits_for_no_window_that_it_leaves_out_but_for_the_end_of_a_freeze() -> None:
    policy = WindowPolicy((), (FREEZE,))
    assert windows_under(FIRE, policy, POLICY) == WindowPolicy((ALWAYS,), (FREEZE,))
    both = Emergency("Fire.", "INC-9", (Waivable.WINDOW, Waivable.FREEZE))
    assert windows_under(both, policy, POLICY).freezes == ()
    assert windows_under(None, policy, POLICY) == policy
