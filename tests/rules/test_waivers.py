"""What a waiver excuses, and what it never does."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.vocabulary import Finding, Verdict, Waiver, unmet
from rules.waivers import LONGEST_DAYS, WAIVABLE, check_waivers, waived

TODAY = date(2026, 3, 2)
VERSION = "3f2a1bc"
FULL = "3f2a1bc" + "0" * 33
SLOW = Finding("load", Verdict.FAILED, "p95 is 812 ms.", "812 ms", "500 ms")
WAIVER = Waiver("load", VERSION, "anna-meier", "The report page is known to be slow", TODAY + timedelta(days=3))


def test_a_waiver_excuses_its_gate_and_says_who_why_and_until_when() -> None:
    [finding] = waived([SLOW], [WAIVER], VERSION, TODAY)
    assert not finding.blocks
    assert finding.verdict is Verdict.FAILED
    assert finding.waived == "Waived by anna-meier until 5 March 2026: The report page is known to be slow"


def test_it_holds_on_its_last_day_and_not_on_the_next() -> None:
    assert not unmet(waived([SLOW], [WAIVER], VERSION, WAIVER.expires))
    [over] = unmet(waived([SLOW], [WAIVER], VERSION, WAIVER.expires + timedelta(days=1)))
    assert over.sentence == "p95 is 812 ms. Its waiver by anna-meier ended on 5 March 2026."


@pytest.mark.parametrize(
    "waiver",
    [
        replace(WAIVER, version="aaaaaaa"),
        replace(WAIVER, version="3f2a1b"),
        replace(WAIVER, version=""),
        replace(WAIVER, version=VERSION.upper()),
        replace(WAIVER, gate="loa"),
        replace(WAIVER, gate="load/search"),
        replace(WAIVER, gate="security"),
        replace(WAIVER, gate=""),
        replace(WAIVER, person=" "),
        replace(WAIVER, reason=""),
        replace(WAIVER, expires=TODAY + timedelta(days=LONGEST_DAYS + 1)),
    ],
)
def test_what_is_not_meant_or_not_whole_excuses_nothing(waiver: Waiver) -> None:
    assert waived([SLOW], [waiver], VERSION, TODAY) == (SLOW,)


def test_a_part_of_a_gate_is_excused_with_it_or_alone() -> None:
    search, basket = replace(SLOW, gate="load/search"), replace(SLOW, gate="load/basket")
    assert not unmet(waived([search, basket], [WAIVER], VERSION, TODAY))
    assert unmet(waived([search, basket], [replace(WAIVER, gate="load/search")], VERSION, TODAY)) == (basket,)


@pytest.mark.parametrize(("written", "promoted"), [(VERSION, FULL), (FULL, VERSION)])
def test_short_and_full_names_of_a_release_are_the_same_release(written: str, promoted: str) -> None:
    assert not unmet(waived([SLOW], [replace(WAIVER, version=written)], promoted, TODAY))


@pytest.mark.parametrize("gate", ["approvals", "window", "change ticket", "arrival/gateway", "release", "evidence"])
def test_who_decides_and_what_is_deployed_cannot_be_waived(gate: str) -> None:
    stranger = replace(SLOW, gate=gate)
    waiver = replace(WAIVER, gate=gate)
    assert waived([stranger], [waiver], VERSION, TODAY) == (stranger,)
    [told] = check_waivers([waiver], VERSION, TODAY)
    assert told.blocks
    assert f"no waiver can excuse the gate '{gate}'" in told.sentence


def test_every_waiver_of_the_release_is_named_in_one_finding() -> None:
    over = replace(WAIVER, gate="schema", expires=TODAY - timedelta(days=1))
    [told] = check_waivers([WAIVER, over, replace(WAIVER, version="aaaaaaa")], VERSION, TODAY)
    assert told.verdict is Verdict.PASSED
    assert told.measured == "2 of this release"
    assert (
        "anna-meier waived 'load' of 3f2a1bc until 5 March 2026: The report page is known to be slow." in told.sentence
    )
    assert "until 1 March 2026, which is over" in told.sentence


def test_without_waivers_nothing_is_said() -> None:
    assert check_waivers([replace(WAIVER, version="aaaaaaa")], VERSION, TODAY) == ()


WAIVERS = st.builds(
    Waiver,
    st.sampled_from([*WAIVABLE, "load/search", "approvals", "window", ""]),
    st.sampled_from([VERSION, FULL, "aaaaaaa", ""]),
    st.sampled_from(["anna-meier", ""]),
    st.sampled_from(["It is known", ""]),
    st.dates(TODAY - timedelta(days=40), TODAY + timedelta(days=60)),
)
FINDINGS = st.builds(
    Finding,
    st.sampled_from([*WAIVABLE, "load/search", "load/basket", "approvals", "window"]),
    st.sampled_from(Verdict),
    st.just("It was looked at."),
)


@given(st.lists(FINDINGS), st.lists(WAIVERS))
def test_no_verdict_changes_and_nothing_is_lost(findings: list[Finding], waivers: list[Waiver]) -> None:
    after = waived(findings, waivers, VERSION, TODAY)
    assert [(it.gate, it.verdict) for it in after] == [(it.gate, it.verdict) for it in findings]
    assert not [it for it in after if it.waived and it.gate in {"approvals", "window"}]
    assert not [it for it in after if it.waived and it.verdict is Verdict.PASSED]


@given(st.lists(FINDINGS), st.lists(WAIVERS))
def test_waiving_again_changes_nothing(findings: list[Finding], waivers: list[Waiver]) -> None:
    in_force = [it for it in waivers if it.expires >= TODAY]
    once = waived(findings, in_force, VERSION, TODAY)
    assert waived(once, in_force, VERSION, TODAY) == once
