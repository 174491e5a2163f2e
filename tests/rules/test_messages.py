"""What people are told: every end, within the limits, escaped, with the link."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.messages import (
    ChatMessage,
    Ending,
    RunSummary,
    change_note,
    chat_message,
    cut,
    escaped,
    headline_of,
    page,
    page_key,
    spoken,
)
from rules.vocabulary import Finding, Verdict

URL = "https://prefect.test/runs/flow-run/1234"
SUMMARY = RunSummary(
    flow="promote-to-staging",
    application="batbern",
    source="dev",
    target="staging",
    version="3f2a1bc",
    outcome=Ending.SUCCEEDED,
    sentence="3f2a1bc serves in staging.",
    run_url=URL,
    duration_s=200,
    serving={"gateway": "3f2a1bc", "event-management": "3f2a1bc"},
)
FAILED = Finding("stability", Verdict.FAILED, "event-management has run for 30 minutes, 120 are needed.")


def told(message: ChatMessage) -> str:
    return json.dumps(message.blocks, ensure_ascii=False)


def test_a_validation_is_told_as_one() -> None:
    seen = replace(SUMMARY, flow="validate", source="", target="dev", outcome=Ending.REFUSED)
    assert headline_of(seen) == "Validation of batbern 3f2a1bc in dev was refused; nothing was changed"


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Ending.SUCCEEDED, "batbern 3f2a1bc dev → staging succeeded"),
        (Ending.REFUSED, "was refused; nothing was changed"),
        (Ending.FAILED, "batbern 3f2a1bc dev → staging failed"),
        (Ending.PUT_BACK, "failed and was put back"),
        (Ending.PUT_BACK_FAILED, "a person is needed now"),
        (Ending.CANCELLED, "was cancelled"),
        (Ending.WAITING, "is waiting for people"),
    ],
)
def test_each_end_has_its_headline(outcome: Ending, words: str) -> None:
    message = chat_message(replace(SUMMARY, outcome=outcome))
    assert words in headline_of(replace(SUMMARY, outcome=outcome))
    assert words in message.text
    assert words in message.blocks[0]["text"]["text"]


def test_a_message_tells_version_environments_duration_and_what_serves_now() -> None:
    text = told(chat_message(SUMMARY))
    for words in ("3f2a1bc", "dev → staging", "3 min 20 s", "all 2 services on 3f2a1bc", URL):
        assert words in text


def test_services_on_different_versions_are_told_one_by_one() -> None:
    mixed = replace(SUMMARY, serving={"gateway": "3f2a1bc", "event-management": "9a8b7c6"})
    assert "event-management on 9a8b7c6, gateway on 3f2a1bc" in told(chat_message(mixed))


def test_unmet_findings_are_told_and_passed_ones_are_not() -> None:
    passed = Finding("health", Verdict.PASSED, "All services are UP.")
    text = told(chat_message(replace(SUMMARY, outcome=Ending.REFUSED, findings=(passed, FAILED))))
    assert "event-management has run for 30 minutes" in text
    assert "All services are UP" not in text


def test_an_excused_gate_is_told_as_excused_and_not_as_passed() -> None:
    excused = Finding("validation", Verdict.INCONCLUSIVE, "Not validated.", waived="not yet")
    text = told(chat_message(replace(SUMMARY, findings=(excused,))))
    assert "Excused, not passed: validation." in text


def test_failed_findings_come_before_inconclusive_ones() -> None:
    unclear = Finding("smoke", Verdict.INCONCLUSIVE, "Nothing was looked at.")
    text = told(chat_message(replace(SUMMARY, findings=(unclear, FAILED))))
    assert text.index("stability") < text.index("smoke")


def test_many_findings_are_counted_and_not_all_told() -> None:
    text = told(chat_message(replace(SUMMARY, findings=tuple(replace(FAILED, gate=f"gate {n}") for n in range(40)))))
    assert "and 32 more on the run page" in text


def test_the_three_characters_that_slack_reads_are_escaped() -> None:
    text = told(chat_message(replace(SUMMARY, sentence="<!channel> a & b", version="<v>")))
    assert "&lt;!channel&gt; a &amp; b" in text
    assert "<!channel>" not in text


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "https://x.test/a|b", "https://x.test/<>", "https://" + "x" * 4000]
)
def test_an_address_that_would_break_the_message_is_left_out(url: str) -> None:
    assert all(block["type"] != "context" for block in chat_message(replace(SUMMARY, run_url=url)).blocks)


any_text = st.builds(lambda text, times: text * times, st.text(max_size=12), st.sampled_from([0, 1, 600]))
summaries = st.builds(
    RunSummary,
    flow=any_text,
    application=any_text,
    source=any_text,
    target=any_text,
    version=any_text,
    outcome=st.sampled_from(Ending),
    sentence=any_text,
    findings=st.lists(
        st.builds(Finding, any_text, st.sampled_from(Verdict), any_text, waived=st.sampled_from(["", "x"])), max_size=12
    ).map(tuple),
    run_url=st.sampled_from(["", URL, "nonsense"]),
    duration_s=st.floats(0, 1e6),
    serving=st.dictionaries(any_text, any_text, max_size=4),
)


def texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["text"]] if isinstance(value.get("text"), str) else []
        return own + [text for inner in value.values() for text in texts(inner)]
    return [text for inner in value for text in texts(inner)] if isinstance(value, list | tuple) else []


@given(summaries)
def test_every_message_keeps_to_slacks_limits(summary: RunSummary) -> None:
    message = chat_message(summary)
    assert 1 <= len(message.text) <= 300
    assert len(message.blocks) <= 50
    assert sum(map(len, texts(message.blocks))) < 12_000
    for block in message.blocks:
        limit = {"header": 150, "section": 3000, "context": 3000}[block["type"]]
        assert all(1 <= len(text) <= limit for text in texts(block))
        assert len(block.get("fields", [0])) in range(1, 11)


@given(summaries)
def test_every_page_and_note_keeps_to_pagerdutys_limits(summary: RunSummary) -> None:
    alert, note = page(summary), change_note(summary)
    assert all(1 <= len(each.summary) <= 1024 for each in (alert, note) if each)
    assert all(len(json.dumps(dict(each.details))) < 400_000 for each in (alert, note) if each)
    assert alert is None or len(alert.dedup_key) <= 255


def test_only_a_failed_put_back_wakes_somebody() -> None:
    woken = [outcome for outcome in Ending if page(replace(SUMMARY, outcome=outcome))]
    assert woken == [Ending.PUT_BACK_FAILED]


def test_only_ends_that_changed_something_are_noted() -> None:
    noted = {outcome for outcome in Ending if change_note(replace(SUMMARY, outcome=outcome))}
    assert noted == {Ending.SUCCEEDED, Ending.PUT_BACK, Ending.PUT_BACK_FAILED}


def test_one_page_is_open_for_each_application_and_environment() -> None:
    alert = page(replace(SUMMARY, outcome=Ending.PUT_BACK_FAILED))
    assert alert is not None
    assert alert.dedup_key == page_key("batbern", "staging")
    assert (alert.severity, alert.source, alert.run_url) == ("critical", "batbern/staging", URL)


@given(st.text(alphabet="ab&<>😀", max_size=60), st.integers(1, 40))
def test_cutting_never_leaves_half_an_escape(text: str, limit: int) -> None:
    shown = cut(escaped(text), limit)
    assert len(shown) <= limit
    rest = shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
    assert "&" not in rest


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (47, "47 s"), (60, "1 min"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_durations_are_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
