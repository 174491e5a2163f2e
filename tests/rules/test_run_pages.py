"""The plan and the end of a run, as pages."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rules.messages import RunSummary
from rules.records import Event, EventKind, Head, Record
from rules.run_pages import literal, plan_page, run_page, table, verdict_words
from rules.summaries import run_findings, summarise
from rules.vocabulary import Finding, Verdict

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
STARTED = (EventKind.STARTED, {"source": "dev", "requested": ""})
PLAN = (EventKind.PLAN, {"version": "3f2a1bc"})
MOVE = {"service": "gateway", "before": {"digests": [OLD]}, "after": {"digest": NEW}}
INTENT, ARRIVED, RETURNED = (
    (EventKind.ROLLOUT_INTENT, MOVE),
    (EventKind.ROLLOUT_SUCCEEDED, {"service": "gateway"}),
    (EventKind.ROLLOUT_ROLLED_BACK, {"service": "gateway"}),
)
DOWN = Finding("health", Verdict.FAILED, "gateway is DOWN.", "DOWN", "UP")
EXCUSED = Finding("validation", Verdict.INCONCLUSIVE, "Not validated.", waived="OPS-1")


def log(*events: tuple[EventKind, dict[str, Any]]) -> list[Record]:
    return [
        Record(at, NOW + timedelta(seconds=at), Event("r1", "4711", "staging", kind, f"{kind} said", details), "", "")
        for at, (kind, details) in enumerate(events)
    ]


def found(*findings: Finding) -> tuple[EventKind, dict[str, Any]]:
    return EventKind.FINDINGS, {"findings": list(findings)}


def page(*events: tuple[EventKind, dict[str, Any]]) -> str:
    records = log(STARTED, PLAN, *events)
    summary = summarise(records, "promote-to-staging", "batbern", "")
    assert isinstance(summary, RunSummary)
    return drawn(run_page(summary, records, Head(9, "c" * 64)))


def drawn(markdown: str) -> str:
    """As Markdown draws a sign after a backslash: the sign itself."""
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", markdown)


def row(what: str, name: str, then: str = "") -> dict[str, str]:
    return {"what": what, "name": name, "now": "1", "then": then, "note": ""}


@given(st.text())
def test_what_comes_from_outside_is_drawn_as_it_was_written(text: str) -> None:
    written = literal(text)
    assert not re.search(r"[<>|`*_\[\]~\"!$&#:\n\r]", re.sub(r"\\.", "", written))
    assert drawn(written) == re.sub(r"[\x00-\x1f\u2028\u2029]", " ", text)


def test_markup_of_others_is_no_markup() -> None:
    assert drawn(literal("<b>|x|</b> & `y`: 3\\")) == "<b>|x|</b> & `y`: 3\\"


def test_a_cell_with_a_bar_or_a_line_break_stays_one_cell() -> None:
    *_, line = table([{"name": "a|b", "value": "one\ntwo"}])
    assert len(re.findall(r"(?<!\\)\|", line)) == 3


def test_a_refusal_lists_its_reasons_once() -> None:
    told = page(found(DOWN, EXCUSED), (EventKind.REFUSED, {}))
    assert "## batbern 3f2a1bc dev → staging was refused; nothing was changed" in told
    assert "| health | failed | gateway is DOWN. | DOWN | UP |" in told
    assert "refused said" not in told


def test_a_refusal_without_recorded_findings_gives_its_sentence() -> None:
    assert "refused said" in page((EventKind.REFUSED, {}))


def test_what_was_excused_is_said_beside_a_success() -> None:
    told = page(found(EXCUSED), (EventKind.COMPLETED, {"serving": {"gateway": "3f2a1bc"}}))
    assert "### Excused, not passed" in told
    assert "| validation | Not validated. | OPS-1 |" in told
    assert "All 1 services of staging run 3f2a1bc." in told


def test_a_target_that_serves_two_versions_is_told_service_by_service() -> None:
    told = page((EventKind.COMPLETED, {"serving": {"gateway": "3f2a1bc", "events": "4711abc"}}))
    assert "### What serves in staging now" in told
    assert "| events | 4711abc |" in told


def test_each_service_tells_where_it_came_from_and_how_it_ended() -> None:
    begun = "| gateway | sha256:aaaaaaaaaaaa | sha256:bbbbbbbbbbbb |"
    assert f"{begun} arrived | 1 s |" in page(INTENT, ARRIVED, (EventKind.COMPLETED, {}))
    assert f"{begun} arrived then put back | 2 s |" in page(INTENT, ARRIVED, RETURNED, (EventKind.PUT_BACK, {}))
    assert f"{begun} not arrived |  |" in page(INTENT, (EventKind.PUT_BACK_FAILED, {}))


def test_a_dry_run_is_not_called_a_success() -> None:
    told = page((EventKind.COMPLETED, {"dry_run": True}))
    assert "could be promoted (dry run)" in told
    assert "succeeded" not in told


def test_a_dry_run_that_was_refused_is_not_said_to_be_possible() -> None:
    told = page((EventKind.STARTED, {"dry_run": True}), (EventKind.REFUSED, {}))
    assert "was refused; nothing was changed (dry run)" in told
    assert "could be promoted" not in told


def test_the_proof_is_one_command_away() -> None:
    told = page((EventKind.COMPLETED, {}))
    assert f"audit verify --expect {'c' * 64}" in told
    assert "audit show r1" in told
    assert "Plan `4711`." in told


def test_a_plan_tells_what_is_wrong_before_what_changes_before_what_stays() -> None:
    rows = [row("image", "gateway", "2"), row("parameter: no rule", "x"), row("parameter: keep", "y")]
    titles = [line for line in plan_page(rows).splitlines() if line.startswith("#")]
    assert titles == ["### What is wrong (1)", "### What changes (1)", "### What stays as it is (1)"]


def test_a_plan_without_changes_says_so() -> None:
    assert plan_page([]) == "### Nothing changes"


def test_a_gate_that_was_asked_again_counts_as_it_is_now() -> None:
    again = Finding("health", Verdict.PASSED, "UP")
    assert run_findings(log(found(DOWN, EXCUSED), found(again))) == (EXCUSED, again)


def test_a_gate_with_two_findings_keeps_both() -> None:
    assert run_findings(log(found(DOWN, DOWN))) == (DOWN, DOWN)


def test_an_excused_finding_is_not_called_passed() -> None:
    assert [verdict_words(it) for it in (DOWN, EXCUSED)] == ["failed", "excused"]
