"""What a rehearsal proves, and what it does not."""

from dataclasses import replace

import pytest

from rules.rehearsals import GATE, BrokenStatement, Rehearsal, ScriptFailure, ScriptRun, judge
from rules.vocabulary import Verdict

PENDING = ["V2__a.sql", "V3__b.sql"]
DONE = Rehearsal((ScriptRun("V2__a.sql", 0.15), ScriptRun("V3__b.sql", 0.25)), tables=12, rows=240, statements=48)


def test_what_ran_and_still_works_passes_with_its_numbers() -> None:
    finding = judge(DONE, PENDING)
    assert (finding.gate, finding.verdict) == (GATE, Verdict.PASSED)
    assert finding.sentence == (
        "2 scripts on 12 tables with 240 rows in 0.4 s; 48 statements of the running version still work."
    )


def test_no_pending_script_needs_no_rehearsal() -> None:
    assert judge(Rehearsal(), []).verdict is Verdict.PASSED


def test_a_script_that_failed_on_data_is_told_with_line_and_code() -> None:
    failed = ScriptRun("V2__a.sql", 0.1, ScriptFailure('column "a" contains null values', "23502", 4))
    finding = judge(replace(DONE, scripts=(failed,)), PENDING)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence == 'V2__a.sql fails on data, at line 4: column "a" contains null values (SQLSTATE 23502).'


def test_a_script_that_would_fail_without_data_is_not_said_to_fail_on_data() -> None:
    failed = ScriptRun("V2__a.sql", 0.1, ScriptFailure('relation "a" does not exist', "42P01", 1))
    assert "V2__a.sql fails, at line 1" in judge(replace(DONE, scripts=(failed,)), PENDING).sentence


def test_broken_statements_fail_it_and_three_are_named() -> None:
    broken = tuple(BrokenStatement(f"SELECT from t{number}", "it is gone") for number in range(5))
    finding = judge(replace(DONE, broken=broken), PENDING)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence == (
        "After the scripts 5 of 48 statements of the running version no longer work: SELECT from t0: it is gone; "
        "SELECT from t1: it is gone; SELECT from t2: it is gone; and 2 more."
    )


@pytest.mark.parametrize(
    ("rehearsal", "said"),
    [
        (Rehearsal(), "Rehearsed were none, pending are V2__a.sql, V3__b.sql."),
        (Rehearsal(problem="pg_dump is not there"), "Nothing was rehearsed: pg_dump is not there."),
        (replace(DONE, scripts=DONE.scripts[:1]), "Rehearsed were V2__a.sql, pending are V2__a.sql, V3__b.sql."),
        (replace(DONE, unfilled={"public.t": "no row fits"}), "public.t has no rows, so nothing is known of it"),
        (replace(DONE, tables=0, statements=0), "The target has no table, so nothing was tried on data."),
        (replace(DONE, statements=0), "No statement of the running version was tried."),
    ],
)
def test_what_was_not_tried_is_never_a_pass(rehearsal: Rehearsal, said: str) -> None:
    finding = judge(rehearsal, PENDING)
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert said in finding.sentence


def test_a_target_to_which_nothing_was_ever_applied_may_be_empty() -> None:
    assert judge(replace(DONE, tables=0, rows=0, statements=0), PENDING, is_new=True).verdict is Verdict.PASSED
