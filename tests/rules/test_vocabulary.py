from hypothesis import given
from hypothesis import strategies as st

from rules.vocabulary import Finding, Verdict, unmet, worst

VERDICTS = st.sampled_from(list(Verdict))


def test_no_verdict_at_all_is_inconclusive() -> None:
    assert worst([]) is Verdict.INCONCLUSIVE


@given(st.lists(VERDICTS, min_size=1))
def test_the_worst_verdict_is_one_of_them_and_none_is_worse(verdicts: list[Verdict]) -> None:
    folded = worst(verdicts)
    assert folded in verdicts
    assert all(verdict.badness <= folded.badness for verdict in verdicts)


def test_no_findings_stand_in_the_way() -> None:
    assert [finding.verdict for finding in unmet([])] == [Verdict.INCONCLUSIVE]


def test_an_inconclusive_finding_blocks_as_a_failed_one_does() -> None:
    findings = [
        Finding("a", Verdict.PASSED, ""),
        Finding("b", Verdict.INCONCLUSIVE, ""),
        Finding("c", Verdict.FAILED, ""),
    ]
    assert [finding.gate for finding in unmet(findings)] == ["b", "c"]


def test_a_waived_finding_keeps_its_verdict_and_does_not_block() -> None:
    waived = Finding("a", Verdict.FAILED, "", waived="OPS-1")
    assert waived.verdict is Verdict.FAILED
    assert unmet([waived]) == ()
