"""Why a promotion may not begin: every gate at once, when it could be met, and who may leave it out."""

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.production_policies import ApprovalPolicy, ApprovalStage, EmergencyPolicy, Person, Waivable
from rules.run_pages import could_be_met, literal
from rules.vocabulary import Finding, Verdict
from rules.why_not import NOBODY, ROWS, approved_by, state, who_may_waive, why_not_page, why_not_rows

POLICY = EmergencyPolicy((Waivable.WINDOW, Waivable.STABILITY), ApprovalPolicy((ApprovalStage("emergency", count=2),)))
CLOSED = Finding("window", Verdict.FAILED, "It is Sunday.", could_be_met="Monday 23 November, 09:00 CET")
SILENT = Finding("evidence", Verdict.INCONCLUSIVE, "Nothing was found.")
EXCUSED = Finding("load", Verdict.INCONCLUSIVE, "Not validated.", waived="not yet")
UP = Finding("health", Verdict.PASSED, "All is UP.", could_be_met="never said")
PEOPLE = {
    "a": Person("a", "Anna Meier", ("leads",)),
    "b": Person("b", "Reto Keller", ("operations",)),
    "c": Person("c", "Otto Alt", ("leads",), active=False),
}


def test_every_gate_is_told_at_once_what_is_not_met_first() -> None:
    rows = why_not_rows([UP, EXCUSED, SILENT, CLOSED], POLICY)
    assert [(row["gate"], row["state"]) for row in rows] == [
        ("window", "not met"),
        ("evidence", "not known"),
        ("load", "excused"),
        ("health", "met"),
    ]


def test_an_unmet_gate_tells_when_it_could_be_met_and_who_may_waive_it() -> None:
    row, *_ = why_not_rows([CLOSED], POLICY)
    assert row["could be met"] == "Monday 23 November, 09:00 CET"
    assert row["who may waive it"] == "an emergency, approved by 2 people"


def test_what_no_emergency_may_leave_out_can_be_waived_by_nobody() -> None:
    assert who_may_waive(SILENT, POLICY) == NOBODY
    assert who_may_waive(replace(CLOSED, gate="health"), POLICY) == NOBODY


def test_the_gate_of_one_service_is_waived_by_the_name_of_the_gate() -> None:
    assert who_may_waive(replace(CLOSED, gate="stability/gateway"), POLICY) != NOBODY


@pytest.mark.parametrize("finding", [UP, EXCUSED])
def test_nobody_has_to_waive_what_does_not_stand_in_the_way(finding: Finding) -> None:
    row, *_ = why_not_rows([finding], POLICY)
    assert (row["who may waive it"], row["could be met"]) == ("", "")


def test_an_excused_gate_tells_why() -> None:
    assert state(EXCUSED) == "excused"
    assert why_not_rows([EXCUSED], POLICY)[0]["why"] == "Not validated. Excused because: not yet"


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ((ApprovalStage("e", count=1),), "1 person"),
        ((ApprovalStage("e", count=2),), "2 people"),
        ((ApprovalStage("l", "leads", 1), ApprovalStage("o", "operations", 2)), "1 of leads and 2 of operations"),
        ((), NOBODY),
    ],
)
def test_who_approves_an_emergency_follows_from_the_policy(stages: tuple[ApprovalStage, ...], words: str) -> None:
    assert approved_by(ApprovalPolicy(stages)) == words


def test_the_page_counts_and_says_what_an_emergency_asks_for_and_who_could_approve_it() -> None:
    page = why_not_page([CLOSED, UP], POLICY, PEOPLE)
    assert page.startswith("### 1 of 2 findings stand in the way")
    assert "needs the approval of 2 people" in page
    assert "Who could: Anna Meier or Reto Keller." in page


def test_an_address_stands_below_the_table_whose_columns_it_would_push_aside() -> None:
    url = "https://jira.example/browse/CHG-1"
    ticket = Finding("change ticket", Verdict.FAILED, "Open.", evidence=url, could_be_met=f"Have it approved. {url}")
    [row] = [line for line in why_not_page([ticket, UP], POLICY).splitlines() if line.startswith("| change ticket")]
    assert "jira" not in row
    assert "Have it approved." in row
    assert f"- change ticket: {literal(url)}" in why_not_page([ticket, UP], POLICY).splitlines()


def test_what_is_met_has_no_columns_about_what_is_to_be_done() -> None:
    page = why_not_page([CLOSED, EXCUSED, UP], POLICY)
    assert [line for line in page.splitlines() if line.startswith("| gate")] == [
        "| gate | state | why | could be met | who may waive it |",
        "| gate | state | why |",
    ]


def test_only_the_groups_that_are_asked_could_approve_an_emergency() -> None:
    leads = replace(POLICY, approvals=ApprovalPolicy((ApprovalStage("e", "leads", 1),)))
    assert "Who could: Anna Meier." in why_not_page([CLOSED], leads, PEOPLE)


def test_where_an_emergency_would_not_help_it_is_not_mentioned() -> None:
    assert "emergency" not in why_not_page([SILENT, UP], POLICY, PEOPLE)


def test_no_finding_at_all_is_not_met() -> None:
    assert "No gate gave an answer" in why_not_page([], POLICY)


def test_where_all_is_met_the_page_says_so() -> None:
    assert why_not_page([UP], POLICY).startswith("### Nothing stands in the way")


def test_a_table_has_the_column_only_where_some_finding_says_when() -> None:
    assert could_be_met(SILENT, [SILENT]) == {}
    assert could_be_met(SILENT, [SILENT, CLOSED]) == {"could be met": ""}
    assert could_be_met(CLOSED, [SILENT, CLOSED]) == {"could be met": CLOSED.could_be_met}


def test_more_gates_than_fit_are_counted() -> None:
    page = why_not_page([CLOSED] * (ROWS + 5), POLICY)
    assert "… and 5 more" in page


texts = st.text(max_size=40)
findings = st.builds(Finding, texts, st.sampled_from(Verdict), texts, waived=texts, could_be_met=texts)


@given(st.lists(findings, max_size=8))
def test_every_finding_has_its_row_and_no_markup_of_others(found: list[Finding]) -> None:
    assert len(why_not_rows(found, POLICY)) == len(found)
    assert "<" not in re.sub(r"\\.", "", why_not_page(found, POLICY))
