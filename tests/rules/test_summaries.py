"""The end of a run, told from its records."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rules.messages import Ending
from rules.records import Event, EventKind, Record
from rules.summaries import CHAT, PAGER, PAGER_OVER, already_told, cancelled_sentence, page_is_open, summarise
from rules.vocabulary import Finding, Verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
STARTED = (EventKind.STARTED, {"source": "dev", "requested": ""})
PLAN = (EventKind.PLAN, {"version": "3f2a1bc"})


def log(*events: tuple[EventKind, dict[str, Any]], environment: str = "staging") -> list[Record]:
    return [
        Record(at, NOW + timedelta(seconds=at), Event("r1", "h", environment, kind, f"{kind} said", details), "", "")
        for at, (kind, details) in enumerate(events)
    ]


def test_a_run_that_goes_on_has_no_summary() -> None:
    assert summarise(log(STARTED, PLAN), "f", "batbern", "") is None
    assert summarise([], "f", "batbern", "") is None


def test_the_summary_is_what_the_records_say() -> None:
    finding = Finding("health", Verdict.FAILED, "DOWN", waived="OPS-1")
    records = log(STARTED, PLAN, (EventKind.FINDINGS, {"findings": [finding]}), (EventKind.PUT_BACK, {}))
    summary = summarise(records, "promote-to-staging", "batbern", "http://ui/run")
    assert summary is not None
    assert (summary.source, summary.target, summary.version) == ("dev", "staging", "3f2a1bc")
    assert (summary.outcome, summary.sentence) == (Ending.PUT_BACK, "put_back said")
    assert summary.findings == (finding,)
    assert (summary.duration_s, summary.run_url) == (3.0, "http://ui/run")


def test_what_came_after_the_end_does_not_change_it() -> None:
    records = log(STARTED, (EventKind.COMPLETED, {"serving": {"gateway": "3f2a1bc"}}), (EventKind.NOTIFIED, {}))
    summary = summarise(records, "f", "batbern", "")
    assert summary is not None
    assert summary.outcome is Ending.SUCCEEDED
    assert summary.serving == {"gateway": "3f2a1bc"}


def test_nobody_is_told_twice() -> None:
    records = log(STARTED, (EventKind.COMPLETED, {}), (EventKind.NOTIFIED, {"channel": CHAT}))
    assert already_told(records, CHAT)
    assert not already_told(records, PAGER)


def test_a_page_is_open_until_somebody_was_told_that_it_is_over() -> None:
    paged, over = (EventKind.NOTIFIED, {"channel": PAGER}), (EventKind.NOTIFIED, {"channel": PAGER_OVER})
    assert not page_is_open(log(STARTED), "staging")
    assert page_is_open(log(paged), "staging")
    assert not page_is_open(log(paged), "production")
    assert not page_is_open(log(paged, over), "staging")
    assert page_is_open(log(paged, over, paged), "staging")


def test_a_cancelled_run_says_what_it_leaves() -> None:
    started = Event("r1", "h", "staging", EventKind.STARTED, "")
    intent = Event("r1", "h", "staging", EventKind.CONFIGURATION_INTENT, "")
    assert cancelled_sentence("Cancelled.", [started], []) == "Cancelled. Nothing had been changed."
    assert cancelled_sentence("Cancelled.", [started, intent], []).endswith("What it had changed was put back.")
    assert "STILL CHANGED: configuration." in cancelled_sentence("Cancelled.", [started, intent], [intent])
