"""What people are told at each end of a run: a Slack message, and for the worst a page.

Pure text work within the vendors' documented limits: texts are cut on code points, & < > are escaped, and the
link to the run always survives.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from rules.vocabulary import Finding

MOST_FINDINGS = 8
"""Told in a message; the run page has all of them."""
HEADER, SECTION, SUMMARY, DEDUP_KEY = 150, 2_900, 1_024, 255
FALLBACK = 300
FINDING = 600
SENTENCE = 1_500
FIELD = 300
URL = 2_900
MINUTE, HOUR = 60, 3_600


class Ending(StrEnum):
    """How a run stands when people are told."""

    SUCCEEDED = "succeeded"
    REFUSED = "refused"
    REJECTED = "rejected"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    """It failed, and what is true now is in the sentence: nothing was changed, or it says what was."""
    PUT_BACK = "put back"
    PUT_BACK_FAILED = "put back failed"
    CANCELLED = "cancelled"
    WAITING = "waiting"


SIGNS = {
    Ending.SUCCEEDED: ":white_check_mark:",
    Ending.REFUSED: ":no_entry:",
    Ending.REJECTED: ":no_entry:",
    Ending.SUPERSEDED: ":fast_forward:",
    Ending.FAILED: ":x:",
    Ending.PUT_BACK: ":leftwards_arrow_with_hook:",
    Ending.PUT_BACK_FAILED: ":rotating_light:",
    Ending.CANCELLED: ":heavy_minus_sign:",
    Ending.WAITING: ":hourglass_flowing_sand:",
}
VALIDATION = "validate"
"""Name of the flow that looks at an environment, and brings nothing to it."""
HEADLINES = {
    Ending.SUCCEEDED: "{what} succeeded",
    Ending.REFUSED: "{what} was refused; nothing was changed",
    Ending.REJECTED: "{what} was rejected; nothing was changed",
    Ending.SUPERSEDED: "{what} was superseded; nothing was changed",
    Ending.FAILED: "{what} failed",
    Ending.PUT_BACK: "{what} failed and was put back",
    Ending.PUT_BACK_FAILED: "{what} FAILED AND COULD NOT BE PUT BACK: a person is needed now",
    Ending.CANCELLED: "{what} was cancelled",
    Ending.WAITING: "{what} is waiting for people",
}


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What a run has to tell. `source` is empty where nothing comes from another environment."""

    flow: str
    application: str
    source: str
    target: str
    version: str
    outcome: Ending
    sentence: str
    findings: tuple[Finding, ...] = ()
    run_url: str = ""
    duration_s: float = 0
    serving: Mapping[str, str] = field(default_factory=dict)
    """What runs in the target now: version (or what is known of it) by service."""


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`text` is what notifications and screen readers show; `blocks` are Slack's."""

    text: str
    blocks: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Page:
    """An alert that wakes somebody."""

    summary: str
    source: str
    severity: str
    dedup_key: str
    details: Mapping[str, str]
    run_url: str = ""
    component: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class ChangeNote:
    """A change that on-call people see beside their alerts; it wakes nobody."""

    summary: str
    source: str
    details: Mapping[str, str]
    run_url: str = ""


def chat_message(summary: RunSummary) -> ChatMessage:
    """The message for the release channel."""
    headline = headline_of(summary)
    blocks = [
        header(SIGNS[summary.outcome], headline),
        section(cut(escaped(summary.sentence.strip()), SENTENCE) or "No further words."),
        *facts(_facts(summary)),
        *_findings_block(summary.findings),
        *_serving_block(summary),
        *links({"Look at the run": summary.run_url}),
    ]
    return ChatMessage(cut(escaped(f"{headline}. {summary.sentence}"), FALLBACK), tuple(blocks))


def page(summary: RunSummary) -> Page | None:
    """Wakes somebody when putting back failed, else nobody."""
    if summary.outcome is not Ending.PUT_BACK_FAILED:
        return None
    return Page(
        summary=cut(f"{headline_of(summary)}. {summary.sentence}", SUMMARY),
        source=f"{summary.application}/{summary.target}",
        severity="critical",
        dedup_key=page_key(summary.application, summary.target),
        details=_details(summary),
        run_url=summary.run_url,
        component=summary.application,
        group=summary.target,
    )


def page_key(application: str, target: str) -> str:
    """One open page per application and environment: a second failed put-back adds to it, a success resolves it."""
    return cut(f"promotion-flows/{application}/{target}/put-back", DEDUP_KEY)


def change_note(summary: RunSummary) -> ChangeNote | None:
    """For the runs that changed what serves: success, put back, put back failed. Others changed nothing."""
    if summary.outcome not in (Ending.SUCCEEDED, Ending.PUT_BACK, Ending.PUT_BACK_FAILED):
        return None
    return ChangeNote(
        summary=cut(headline_of(summary), SUMMARY),
        source=f"{summary.application}/{summary.target}",
        details=_details(summary),
        run_url=summary.run_url,
    )


def headline_of(summary: RunSummary) -> str:
    """For instance: `batbern 3f2a1bc dev → staging failed and was put back`."""
    way = f"{summary.source} → {summary.target}".strip()
    if summary.flow == VALIDATION:
        way = f"in {summary.target}"
    what = " ".join(filter(None, (summary.application, summary.version, way)))
    return HEADLINES[summary.outcome].format(what=f"Validation of {what}" if summary.flow == VALIDATION else what)


def escaped(text: str) -> str:
    """The three characters that mean something to Slack."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def cut(text: str, limit: int) -> str:
    """At most `limit` code points, never half of an escape."""
    if len(text) <= limit:
        return text
    kept = text[: limit - 1]
    start = kept.rfind("&", -5)
    half = (
        start >= 0
        and ";" not in kept[start:]
        and any(text.startswith(escape, start) for escape in ("&amp;", "&lt;", "&gt;"))
    )
    return (kept[:start] if half else kept) + "…"


def spoken(seconds: float) -> str:
    """A duration for people: `47 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 // 60 else "")


def facts(told: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """What is known, by its name; what is empty is left out. At most ten, which is Slack's limit."""
    shown = {name: cut(escaped(value), FIELD) for name, value in told.items() if value}
    if shown:
        yield {"type": "section", "fields": [words(f"*{name}*\n{value}") for name, value in shown.items()]}


def _facts(summary: RunSummary) -> dict[str, str]:
    way = " → ".join(filter(None, (summary.source, summary.target)))
    return {
        "Application": summary.application,
        "Version": summary.version,
        "Environments": way,
        "Took": spoken(summary.duration_s) if summary.duration_s else "",
        "Run of": summary.flow,
    }


def _unmet(findings: Iterable[Finding]) -> list[Finding]:
    unmet = [finding for finding in findings if finding.blocks]
    return sorted(unmet, key=lambda finding: -finding.verdict.badness)


def _finding_lines(findings: Sequence[Finding]) -> Iterator[str]:
    unmet = _unmet(findings)
    for finding in unmet[:MOST_FINDINGS]:
        yield cut(f"• *{escaped(finding.gate)}* ({finding.verdict.value}): {escaped(finding.sentence)}", FINDING)
    if len(unmet) > MOST_FINDINGS:
        yield f"… and {len(unmet) - MOST_FINDINGS} more on the run page."
    if waived := [finding.gate for finding in findings if finding.waived]:
        yield cut(f"Excused, not passed: {escaped(', '.join(waived))}.", FINDING)


def _findings_block(findings: Sequence[Finding]) -> Iterator[dict[str, Any]]:
    if text := "\n".join(_finding_lines(findings)):
        yield section(cut(text, SECTION))


def _serving_block(summary: RunSummary) -> Iterator[dict[str, Any]]:
    if summary.serving:
        yield section(cut(f"*Now in {escaped(summary.target)}:* {escaped(_serving_words(summary))}", SENTENCE))


def _serving_words(summary: RunSummary) -> str:
    """`all 6 services on 3f2a1bc` where they agree, else each with its own."""
    versions = set(summary.serving.values())
    if len(versions) == 1:
        return f"all {len(summary.serving)} services on {versions.pop()}"
    return ", ".join(f"{service} on {version}" for service, version in sorted(summary.serving.items()))


def links(places: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """A line of links, by what they are called. An address that would break the message is left out."""
    shown = [words(f"<{escaped(url)}|{escaped(name)}>") for name, url in places.items() if _is_address(url)]
    if shown:
        yield {"type": "context", "elements": shown}


def _is_address(url: str) -> bool:
    return url.startswith(("https://", "http://")) and len(url) <= URL and not set(url) & set("<>| \n")


def header(sign: str, headline: str) -> dict[str, Any]:
    return {"type": "header", "text": {"type": "plain_text", "text": cut(f"{sign} {headline}", HEADER)}}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": words(text)}


def words(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def _details(summary: RunSummary) -> dict[str, str]:
    unmet = "; ".join(f"{finding.gate}: {finding.sentence}" for finding in _unmet(summary.findings)[:MOST_FINDINGS])
    details = {
        "version": summary.version,
        "from": summary.source,
        "to": summary.target,
        "outcome": summary.outcome.value,
        "what happened": summary.sentence,
        "serving now": _serving_words(summary) if summary.serving else "",
        "findings": unmet,
        "took": spoken(summary.duration_s),
    }
    return {name: cut(value, SECTION) for name, value in details.items() if value}
