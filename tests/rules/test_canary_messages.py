"""What people hear of a canary: where it stands, what to do and until when, and what visitors met."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.canary_messages import Met, Places, canary_message, hold_key, hold_page, met, urgent
from rules.canary_pages import Phase, Standing
from rules.catalogue import CanaryPolicy, JudgePolicy
from rules.judgements import Decision, Judgement
from rules.messages import ChatMessage

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
STANDING = Standing(
    application="batbern",
    environment="staging",
    service="gateway",
    version="3f2a1bc",
    phase=Phase.JUDGED,
    weight=10.0,
    policy=CanaryPolicy(),
    judged_by=JudgePolicy(),
    source="CloudWatch",
    reached_at=NOON,
    back_at=NOON + timedelta(hours=1),
)
ASKED = replace(STANDING, phase=Phase.ASKED)
FEW = Judgement("gateway", Decision.NOT_ENOUGH_DATA, "Of 3 canary requests 0 failed.")
SILENT = Judgement("gateway", Decision.HOLD, "Not one canary request has been seen.")
WORSE = Judgement("gateway", Decision.ROLL_BACK, "Of 50 canary requests 8 failed.")
PLACES = Places("https://prefect.test/runs/flow-run/1", "https://prefect.test/artifacts/artifact/2")
HARM = Met(requests=5000, new=500, failed=25, slow=12, slow_ms=500)


def told(message: ChatMessage) -> str:
    return json.dumps(message.blocks, ensure_ascii=False)


def test_a_start_is_told_with_the_steps_to_come_and_where_to_watch() -> None:
    text = told(canary_message(replace(STANDING, phase=Phase.STARTED), None, PLACES))
    assert "gateway 3f2a1bc is about to get its first visitors in staging" in text
    assert "Judged at 10 %, 50 %, then all traffic." in text
    assert f"<{PLACES.chart}|The chart>" in text
    assert f"<{PLACES.run}|Look at the run>" in text


def test_a_step_that_was_reached_is_told_with_its_share() -> None:
    text = told(canary_message(replace(STANDING, weight=50.0), FEW, PLACES))
    assert "gateway 3f2a1bc has 50 % of the traffic in staging" in text
    assert "*Traffic on it*\\n50 %" in text


def test_who_is_asked_reads_what_to_do_and_until_when() -> None:
    text = told(canary_message(ASKED, FEW, PLACES))
    for words in ("A person decides *until 13:00 UTC*", "• promote: goes on to 50 %", "• extend:", "• abort:"):
        assert words in text
    assert f"<{PLACES.run}|Answer in the run>" in text


def test_only_who_is_asked_reads_what_to_do() -> None:
    assert "A person decides" not in told(canary_message(STANDING, FEW, PLACES))


def test_a_canary_that_went_back_is_told_with_the_reason_and_what_visitors_met() -> None:
    text = told(canary_message(replace(STANDING, phase=Phase.RETURNED), WORSE, PLACES, HARM))
    assert WORSE.sentence in text
    assert "Of 5 000 requests 500 met the new version (10 %): 25 failed (0.5 % of all)" in text


def test_the_last_step_s_own_reason_is_told_rather_than_the_judgement() -> None:
    text = told(canary_message(replace(STANDING, phase=Phase.RETURNED, why="A person said abort."), FEW, PLACES))
    assert "A person said abort." in text
    assert FEW.sentence not in text


def test_an_arrival_is_told_with_what_visitors_met() -> None:
    message = canary_message(replace(STANDING, phase=Phase.ARRIVED, weight=100.0), None, PLACES, HARM)
    assert "has all of the traffic in staging" in message.text
    assert "25 failed" in told(message)


def test_what_visitors_met_is_not_told_before_the_end() -> None:
    assert "25 failed" not in told(canary_message(STANDING, FEW, PLACES, HARM))


def test_a_message_without_an_address_of_the_ui_has_no_links() -> None:
    assert all(block["type"] != "context" for block in canary_message(STANDING, FEW, Places()).blocks)


def test_only_a_canary_of_which_nothing_is_seen_is_urgent() -> None:
    assert urgent(ASKED, SILENT)
    assert not urgent(ASKED, FEW)
    assert not urgent(STANDING, SILENT)
    assert not urgent(ASKED, None)
    assert ":rotating_light:" in told(canary_message(ASKED, SILENT, PLACES))
    assert ":rotating_light:" not in told(canary_message(ASKED, FEW, PLACES))


def test_a_held_canary_wakes_somebody_and_says_what_to_do_until_when() -> None:
    page = hold_page(ASKED, SILENT, PLACES)
    assert page is not None
    assert "Answer by 13:00 UTC, or it goes back. Not one canary request" in page.summary
    assert "extend: stays at 10 %" in page.details["what to do"]
    assert (page.severity, page.source, page.run_url) == ("critical", "batbern/staging", PLACES.run)


@pytest.mark.parametrize(("standing", "judgement"), [(ASKED, FEW), (STANDING, SILENT), (STANDING, WORSE)])
def test_nothing_else_wakes_anybody(standing: Standing, judgement: Judgement) -> None:
    assert hold_page(standing, judgement, PLACES) is None


def test_one_page_is_open_for_each_service() -> None:
    first, again = hold_page(ASKED, SILENT, PLACES), hold_page(replace(ASKED, weight=50.0), SILENT, PLACES)
    assert first
    assert again
    assert first.dedup_key == again.dedup_key == hold_key(ASKED)
    assert hold_key(replace(ASKED, service="other")) != hold_key(ASKED)


def test_what_visitors_met_is_counted_since_the_start() -> None:
    rows = [("gateway", "old", -60.0, 900, 9, 9, 9), ("gateway", "old", 0.0, 90, 1, 0, 0)]
    rows += [("gateway", "new", 0.0, 10, 2, 3, 0), ("other", "new", 0.0, 10, 10, 10, 0)]
    counts = pd.DataFrame(rows, columns=["service", "arm", "t", "n", "errors", "slow", "slow_ref"])
    assert met(counts, "gateway", 500) == Met(requests=100, new=10, failed=2, slow=3, slow_ms=500)


def test_that_nothing_is_known_is_said() -> None:
    assert Met(0, 0, 0, 0, 500).sentence == "No request is known since it started."


any_text = st.builds(lambda text, times: text * times, st.text(max_size=12), st.sampled_from([0, 1, 600]))
standings = st.builds(
    Standing,
    application=any_text,
    environment=any_text,
    service=any_text,
    version=any_text,
    phase=st.sampled_from(Phase),
    weight=st.floats(0, 100),
    policy=st.just(CanaryPolicy()),
    judged_by=st.just(JudgePolicy()),
    source=any_text,
    back_at=st.sampled_from([None, NOON]),
    why=any_text,
)
judgements = st.builds(Judgement, any_text, st.sampled_from(Decision), any_text)


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in texts(inner)]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list | tuple) else []


@given(standings, st.none() | judgements, any_text)
def test_every_message_keeps_to_slacks_limits(standing: Standing, judgement: Judgement | None, url: str) -> None:
    message = canary_message(standing, judgement, Places(url, url), HARM)
    assert 1 <= len(message.text) <= 300
    for block in message.blocks:
        limit = {"header": 150, "section": 3000, "context": 3000}[block["type"]]
        assert all(1 <= len(text) <= limit for text in texts(block))
        assert len(block.get("fields", [0])) in range(1, 11)


@given(standings, judgements)
def test_every_page_keeps_to_pagerdutys_limits(standing: Standing, judgement: Judgement) -> None:
    page = hold_page(standing, judgement, PLACES)
    assert page is None or (1 <= len(page.summary) <= 1024 and len(page.dedup_key) <= 255)
