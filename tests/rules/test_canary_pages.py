"""A canary's page: what is said of it, by which numbers, what comes next and when, and who can do what."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.canary import fold, judge
from rules.canary_pages import (
    Phase,
    Standing,
    answers,
    canary_page,
    clock,
    headline,
    next_words,
    number,
    odds,
    percent,
    question_page,
    rows_of,
)
from rules.catalogue import CanaryPolicy, JudgePolicy
from rules.judgements import Decision, Judgement

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
POLICY = JudgePolicy()
STANDING = Standing(
    application="batbern",
    environment="staging",
    service="gateway",
    version="3f2a1bc",
    phase=Phase.JUDGED,
    weight=10.0,
    policy=CanaryPolicy(),
    judged_by=POLICY,
    source="CloudWatch, one number every 5 s, complete 10 s later",
    reached_at=NOON,
    back_at=NOON + timedelta(hours=1),
    at=NOON + timedelta(minutes=2, seconds=3),
)
FEW = Judgement("gateway", Decision.NOT_ENOUGH_DATA, "Of 3 canary requests 0 failed.")
SILENT = Judgement("gateway", Decision.HOLD, "Not one canary request has been seen.")
WORSE = Judgement("gateway", Decision.ROLL_BACK, "Of 50 canary requests 8 failed.")


def counts(errors: int) -> pd.DataFrame:
    rows = [("gateway", arm, t * 5.0, 50, errors * (arm == "new"), 0, 2) for t in range(24) for arm in ("old", "new")]
    return pd.DataFrame(rows, columns=["service", "arm", "t", "n", "errors", "slow", "slow_ref"])


def story(standing: Standing, judgement: Judgement | None = FEW) -> str:
    return " ".join(next_words(standing, judgement))


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.STARTED, "is about to get its first visitors in staging"),
        (Phase.JUDGED, "has 10 % of the traffic in staging"),
        (Phase.MOVING, "goes on from 10 % in staging"),
        (Phase.ASKED, "is held at 10 % in staging: a person decides"),
        (Phase.RETURNED, "goes back in staging"),
        (Phase.ARRIVED, "has all of the traffic in staging"),
    ],
)
def test_every_phase_has_its_headline(phase: Phase, words: str) -> None:
    assert headline(replace(STANDING, phase=phase)) == f"gateway 3f2a1bc {words}"


def test_the_judgement_stands_on_top() -> None:
    lines = canary_page(STANDING, WORSE).splitlines()
    assert lines[0].startswith("## gateway 3f2a1bc")
    assert lines[2] == "**Worse:** Of 50 canary requests 8 failed."


def test_no_numbers_are_said_and_not_passed_over() -> None:
    assert "No numbers have come yet." in canary_page(STANDING, None)


def test_a_reason_that_only_repeats_the_judgement_is_told_once() -> None:
    page = canary_page(replace(STANDING, why=f"gateway: held at 10 %. {FEW.sentence}"), FEW)
    assert page.count("Of 3 canary requests") == 1


def test_another_reason_is_told_beside_the_judgement() -> None:
    page = canary_page(replace(STANDING, phase=Phase.RETURNED, why="A person said abort."), FEW)
    assert "A person said abort." in page
    assert FEW.sentence in page


def test_it_says_until_when_it_is_judged_and_what_follows() -> None:
    told = story(STANDING)
    assert "judged at 10 % until 12:05 UTC" in told
    assert "goes on to 50 %" in told
    assert "judged until 12:20 UTC, and then a person is asked" in told


def test_after_the_last_step_comes_all_of_the_traffic() -> None:
    assert "goes on to 100 %" in story(replace(STANDING, weight=50.0))


def test_it_says_what_happens_when_everybody_of_ours_is_dead() -> None:
    told = story(STANDING)
    assert "by 13:00 UTC" in told
    assert "the controller itself gives all traffic back" in told


def test_nobody_is_promised_a_way_back_that_only_a_run_knows() -> None:
    told = story(replace(STANDING, stays_without_us=True))
    assert "the weights stay as they are" in told
    assert "the controller itself" not in told


def test_a_controller_that_does_not_wait_promises_no_way_back() -> None:
    assert "controller itself" not in story(replace(STANDING, back_at=None))


@pytest.mark.parametrize(
    ("judgement", "words"), [(WORSE, "goes back to the old version now"), (SILENT, "A person is asked now")]
)
def test_what_comes_next_follows_the_judgement(judgement: Judgement, words: str) -> None:
    assert words in story(STANDING, judgement)
    assert "goes on to 50 %" not in story(STANDING, judgement)


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.STARTED, "10 % of the visitors"),
        (Phase.MOVING, "next stop is 50 %"),
        (Phase.ASKED, "menu ⋮ at the top right of the run: Resume"),
        (Phase.RETURNED, "the old version again"),
        (Phase.ARRIVED, "It bakes"),
    ],
)
def test_every_phase_says_what_comes_next(phase: Phase, words: str) -> None:
    assert words in story(replace(STANDING, phase=phase))


def test_who_is_asked_reads_what_each_answer_does_and_what_silence_does() -> None:
    asked = replace(STANDING, phase=Phase.ASKED)
    for page in (question_page(asked, SILENT), canary_page(asked, SILENT).replace("\\", "")):
        for words in ("goes on to 50 % without evidence", "5 minutes more", "all traffic goes back", "at 13:00 UTC"):
            assert words in page


def test_above_the_form_there_is_no_table_which_would_be_cut_off_there() -> None:
    page = question_page(replace(STANDING, phase=Phase.ASKED), FEW, judge(counts(errors=0), POLICY, until=120))
    assert "|" not in page
    assert "- errors: 0 of 1 200, 0 %; limit 1 %; odds under 1:1" in page


def test_until_when_is_the_time_after_which_an_answer_comes_too_late() -> None:
    asked = replace(STANDING, phase=Phase.ASKED, answer_by=NOON + timedelta(minutes=59))
    assert "the same as abort, at 12:59 UTC" in question_page(asked, SILENT)


def test_above_the_form_it_is_said_that_there_is_one_and_nothing_of_numbers_that_are_none() -> None:
    page = question_page(
        replace(STANDING, phase=Phase.ASKED), SILENT, judge(counts(0)[:0], POLICY, services=["gateway"])
    )
    assert "Decide below this text" in page
    assert "The numbers" not in page


def test_the_answers_are_those_that_the_form_takes() -> None:
    assert [row["answer"] for row in answers(STANDING)] == ["promote", "extend", "abort", "(nothing)"]
    assert len(answers(replace(STANDING, back_at=None))) == 3


def test_only_who_is_asked_reads_of_answers() -> None:
    assert "What you can say" not in canary_page(STANDING, FEW)


def test_the_four_questions_have_numbers_limit_band_and_odds() -> None:
    verdicts = judge(counts(errors=5), POLICY, until=120)
    errors, slow, errors_to_old, slow_to_old = rows_of(verdicts, "gateway")
    assert (errors["answer"], errors["limit"], errors["old"]) == ("worse", "1 %", "0 %")
    assert int(errors["bad of all"].split(" of ")[0]) >= POLICY.least_bad
    assert errors["rate"] == "10 %"
    assert " to " in errors["band"]
    assert (slow["answer"], slow["limit"]) == ("fine", "5 %")
    assert errors_to_old["asked of"] == "errors beside old"
    assert slow_to_old["odds"] == "under 1:1"


def test_another_services_verdicts_are_not_shown() -> None:
    assert rows_of(judge(counts(errors=0), POLICY, until=120), "other") == []


def test_a_page_names_the_source_its_resolution_and_its_delay() -> None:
    verdicts = judge(counts(errors=0), POLICY, until=120)
    page = canary_page(STANDING, fold(verdicts, POLICY)["gateway"], verdicts)
    assert "Numbers: CloudWatch, one number every 5 s, complete 10 s later." in page
    assert "400:1" in page


def test_a_page_without_one_request_has_no_numbers_that_are_none() -> None:
    none = counts(errors=0).iloc[:0]
    page = canary_page(STANDING, SILENT, judge(none, POLICY, until=120, services=["gateway"]))
    assert "nan" not in page
    assert "| errors | silent | 0 of 0 |" in page


def test_a_running_page_says_of_when_it_is_and_an_ended_one_does_not() -> None:
    assert "As of 12:02:03 UTC" in canary_page(STANDING, FEW)
    assert "As of" not in canary_page(replace(STANDING, phase=Phase.RETURNED), WORSE)


def test_the_picture_stands_below_the_sentence() -> None:
    page = canary_page(STANDING, FEW, picture="data:image/svg+xml;base64,AAAA")
    assert page.index(FEW.sentence) < page.index("](data:image/svg+xml;base64,AAAA)") < page.index("What happens next")


@given(st.text(), st.text())
def test_what_comes_from_outside_never_becomes_markup(service: str, why: str) -> None:
    page = canary_page(replace(STANDING, service=service, why=why + "<b>"), FEW, picture="data:,")
    assert "<b>" not in page.replace("\\<b\\>", "")


def test_a_time_is_told_with_its_zone() -> None:
    assert clock(NOON) == "12:00 UTC"
    assert clock(NOON.astimezone(timezone(timedelta(hours=1), "CET"))) == "13:00 CET"


@pytest.mark.parametrize(
    ("evidence", "words"),
    [(-1.2, "under 1:1"), (0.0, "1:1"), (2.602, "400:1"), (3.2, "1 585:1"), (9, "over 1 000 000:1")],
)
def test_evidence_is_told_as_odds(evidence: float, words: str) -> None:
    assert odds(evidence) == words


def test_numbers_are_for_people() -> None:
    assert (number(12345.0), number(0), number(0.25)) == ("12 345", "0", "0.25")
    assert (percent(0.01234), percent(float("nan"))) == ("1.23 %", "")
