"""Evidence of a release: the same digests, all gates, lately."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.evidence import LOOKED_AT, check_evidence
from rules.production_policies import EvidencePolicy
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Finding, Verdict, Waiver

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DIGESTS = {"gateway": "sha256:" + "a" * 64, "events": "sha256:" + "b" * 64}
OTHER = DIGESTS | {"events": "sha256:" + "c" * 64}
GATES = ("arrival/gateway", "arrival/events", *LOOKED_AT)
GOOD = tuple(Finding(gate, Verdict.PASSED, f"{gate} is fine.") for gate in GATES)
NOT_YET = Finding("validation: load", Verdict.INCONCLUSIVE, "Not validated.", waived="not yet")
BAD = tuple(Finding("soak", Verdict.FAILED, "4 of 20 requests failed.") if it.gate == "soak" else it for it in GOOD)
POLICY = EvidencePolicy(hours=24)


def look(
    hours_ago: float,
    findings: Iterable[Finding] = GOOD,
    digests: Mapping[str, str] = DIGESTS,
    environment: str = "staging",
) -> tuple[datetime, Event]:
    details: dict[str, Any] = {"version": "3f2a1bc", "digests": dict(digests), "findings": list(findings)}
    event = Event("run-1", "", environment, EventKind.VALIDATED, "Validated.", details)
    return NOW - timedelta(hours=hours_ago), event


def ledger(*looks: tuple[datetime, Event]) -> list[Record]:
    records: list[Record] = []
    for at, event in looks:
        records.append(chain(records[-1] if records else None, event, at))
    return records


def judged(*looks: tuple[datetime, Event], digests: Mapping[str, str] = DIGESTS) -> Finding:
    return check_evidence(ledger(*looks), "staging", digests, POLICY, NOW)


def test_fresh_evidence_of_these_digests_is_enough() -> None:
    found = judged(look(30, digests=OTHER), look(3, (*GOOD, NOT_YET)))
    assert (found.gate, found.verdict) == ("evidence", Verdict.PASSED)
    assert "3 h ago: 11 findings, none in the way, 1 of them excused" in found.sentence
    assert found.evidence == "record 2, run run-1"


def test_no_evidence_is_no_pass() -> None:
    found = judged()
    assert found.verdict is Verdict.INCONCLUSIVE
    assert found.sentence == "Nothing was ever validated in staging."
    assert found.could_be_met


def test_a_release_without_digests_is_not_validated() -> None:
    assert judged(look(1, digests={}), digests={}).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("digests", [OTHER, {"gateway": DIGESTS["gateway"]}, DIGESTS | {"media": "sha256:" + "d" * 64}])
def test_evidence_of_other_digests_is_none(digests: dict[str, str]) -> None:
    found = judged(look(1, digests=digests))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "never validated in staging" in found.sentence
    assert any(service in found.sentence for service in ("events", "media"))


def test_evidence_of_another_environment_is_none() -> None:
    assert judged(look(1, environment="dev")).sentence == "Nothing was ever validated in staging."


@pytest.mark.parametrize(("hours", "verdict"), [(24, Verdict.PASSED), (24.01, Verdict.INCONCLUSIVE)])
def test_evidence_grows_old(hours: float, verdict: Verdict) -> None:
    found = judged(look(hours))
    assert found.verdict is verdict
    assert found.allowed == "validated in staging within 24 h, by the same digests"
    assert found.measured == "24 h ago" or verdict is Verdict.INCONCLUSIVE


def test_a_newer_look_that_went_wrong_outweighs_a_good_one() -> None:
    found = judged(look(3), look(1, BAD))
    assert found.verdict is Verdict.FAILED
    assert found.sentence == "The last look at these images in staging, 1 h ago, did not pass: soak."
    assert found.could_be_met == "mend it in staging, and run again"


def test_a_look_at_a_part_that_went_wrong_counts_against_the_whole() -> None:
    part = {"gateway": DIGESTS["gateway"]}
    down = Finding("health", Verdict.FAILED, "gateway is not UP.")
    assert judged(look(3), look(1, [down], part)).verdict is Verdict.FAILED
    assert judged(look(3), look(1, GOOD, part)).verdict is Verdict.PASSED


def test_a_newer_good_look_outweighs_one_that_went_wrong() -> None:
    assert judged(look(3, BAD), look(1)).verdict is Verdict.PASSED


def test_what_went_wrong_with_other_images_does_not_count_against_these() -> None:
    assert judged(look(3), look(1, BAD, OTHER)).verdict is Verdict.PASSED


def test_a_look_that_could_not_tell_is_no_pass() -> None:
    unsure = replace(GOOD[-1], verdict=Verdict.INCONCLUSIVE)
    assert judged(look(1, (*GOOD[:-1], unsure))).verdict is Verdict.INCONCLUSIVE


def test_a_look_without_findings_is_no_pass() -> None:
    assert judged(look(1, [])).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("left_out", GATES)
def test_a_look_that_left_a_gate_out_is_no_pass(left_out: str) -> None:
    found = judged(look(1, [it for it in GOOD if it.gate != left_out]))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert f"left out {left_out}" in found.sentence


def test_evidence_from_the_future_is_none_beyond_what_clocks_differ_by() -> None:
    assert judged(look(-1)).verdict is Verdict.INCONCLUSIVE
    assert judged(look(-1 / 60)).verdict is Verdict.PASSED


moments = st.floats(min_value=-2, max_value=60)
contents = st.sampled_from([GOOD, BAD, (), GOOD[:2]])
whose = st.sampled_from([DIGESTS, OTHER, {}, {"gateway": DIGESTS["gateway"]}])


@given(st.lists(st.tuples(moments, contents, whose), max_size=6))
def test_it_passes_only_by_a_whole_fresh_look_at_these_images_that_nothing_outweighs(
    looks: list[tuple[float, tuple[Finding, ...], dict[str, str]]],
) -> None:
    found = judged(*(look(*one) for one in looks))
    if found.verdict is Verdict.PASSED:
        last = max(at for at, (_, _, digests) in enumerate(looks) if digests == DIGESTS)
        hours, findings, _ = looks[last]
        assert findings == GOOD
        assert -1 <= hours <= POLICY.hours
        assert all(it.verdict is Verdict.PASSED for _, found_, d in looks[last:] if d == DIGESTS for it in found_)


@pytest.mark.parametrize(("expires", "verdict"), [(23, Verdict.PASSED), (22, Verdict.FAILED)])
def test_what_a_look_found_is_excused_by_the_waivers_of_today(expires: int, verdict: Verdict) -> None:
    bad = tuple(Finding(it.gate, Verdict.FAILED, "Slow.") if it.gate == "load" else it for it in GOOD)
    waiver = Waiver("load", "3f2a1bc", "Anna", "The peak is over.", datetime(2026, 11, expires, tzinfo=UTC).date())
    records = ledger(look(3, bad))
    assert check_evidence(records, "staging", DIGESTS, POLICY, NOW, waivers=[waiver]).verdict is verdict
    assert check_evidence(records, "staging", DIGESTS, POLICY, NOW).verdict is Verdict.FAILED


def test_a_part_of_a_gate_answers_for_it() -> None:
    parts = (*(it for it in GOOD if it.gate != "security"), Finding("security/image", Verdict.PASSED, "Clean."))
    assert judged(look(3, parts)).verdict is Verdict.PASSED
