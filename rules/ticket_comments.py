"""What is written on a change ticket, as the documents that the ticket system takes (Atlassian Document Format).

Every word is the text of a text node, so that what looks like markup in it stays text. Each comment ends with its
marker in a paragraph of its own: whoever writes looks first whether a comment with this marker is there.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rules.approval_pages import seen
from rules.change_tickets import Moved, ending_of
from rules.histories import details_of
from rules.messages import Ending, spoken
from rules.production_policies import Person, TicketPolicy
from rules.records import EventKind, Record
from rules.summaries import summarise

Document = dict[str, Any]
Node = dict[str, Any]
Part = str | Mapping[str, str]
"""A paragraph, or a table of names and values."""

MOST_CHARACTERS = 32_767
"""Of a document as JSON: the ticket system counts some way of its own, never more than that."""
LENGTHS = (2_000, 500, 100)
"""Of one text; the shorter ones where the document would be too long otherwise."""
MOST_ROWS = 20
SUMMARY = 255
TOO_LONG = "The rest was too long for a comment; it stands in the run."
LABEL = re.compile(r"[^A-Za-z0-9._-]+")

HEADLINES = {
    Ending.SUCCEEDED: "Deployed: {what} serves in {target}.",
    Ending.REFUSED: "Refused: {what} was not promoted to {target}, and nothing was changed.",
    Ending.REJECTED: "Rejected: {what} was not promoted to {target}, and nothing was changed.",
    Ending.SUPERSEDED: "Superseded: a newer plan took the place of {what}, and nothing was changed.",
    Ending.FAILED: "Failed: {what} did not arrive in {target}.",
    Ending.PUT_BACK: "Rolled back: {what} failed in {target}, and everything was put back.",
    Ending.PUT_BACK_FAILED: "ROLL-BACK FAILED: {what} failed in {target}, and putting back did not finish.",
    Ending.CANCELLED: "Cancelled: the promotion of {what} to {target} was stopped.",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """What comments need beside the records."""

    application: str
    people: Mapping[str, Person]
    run_url: str
    """Empty where the run has no address."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A ticket to be made."""

    project: str
    issue_type: str
    summary: str
    description: Document
    label: str
    """The same for the same change: by it a ticket is found whose making was not heard of."""


def marker(run_id: str, about: str) -> str:
    """`[run 0190… · put back]`. The whole id: those of runs of the same minute begin alike."""
    return f"[run {run_id} · {about.replace('_', ' ')}]"


# ------------------------------------------------------------------------------------------------------- documents


def document(parts: Sequence[Part], sign: str = "") -> Document:
    """The parts one below the other, and the sign, with texts short enough for the whole to be taken."""
    for longest in LENGTHS:
        made = _document(_nodes(parts, longest), sign)
        if len(json.dumps(made)) <= MOST_CHARACTERS:
            return made
    return _document([_paragraph(TOO_LONG, LENGTHS[-1])], sign)


def bears(document: object, sign: str) -> bool:
    """Whether one of the document's own paragraphs is that sign and nothing else.

    Takes anything, because others write comments, too. What stands in a table is somebody's words, never a sign.
    """
    content = document.get("content") if isinstance(document, dict) else None
    return any(_is_sign(node, sign) for node in content) if isinstance(content, list) else False


def _is_sign(node: object, sign: str) -> bool:
    if not isinstance(node, dict) or node.get("type") != "paragraph":
        return False
    content = node.get("content")
    return isinstance(content, list) and "".join(map(_words, content)) == sign


def _document(nodes: Iterable[Node | None], sign: str) -> Document:
    kept = [node for node in (*nodes, _paragraph(sign, SUMMARY)) if node is not None]
    return {"type": "doc", "version": 1, "content": kept}


def _nodes(parts: Sequence[Part], longest: int) -> Iterator[Node | None]:
    for part in parts:
        yield _paragraph(part, longest) if isinstance(part, str) else _table(part, longest)


def _table(rows: Mapping[str, str], longest: int) -> Node | None:
    """A row for each name whose value is not empty."""
    shown = [(name, text) for name, value in rows.items() if (text := _text(value, longest))]
    made = [
        {"type": "tableRow", "content": [_cell("tableHeader", _text(name, longest)), _cell("tableCell", text)]}
        for name, text in shown[:MOST_ROWS]
    ]
    return {"type": "table", "content": made} if made else None


def _cell(kind: str, text: Node | None) -> Node:
    return {"type": kind, "content": [{"type": "paragraph", "content": [text] if text else []}]}


def _paragraph(text: str, longest: int) -> Node | None:
    node = _text(text, longest)
    return {"type": "paragraph", "content": [node]} if node else None


def _text(text: str, longest: int) -> Node | None:
    """A text node. None for what nobody would see: the ticket system refuses empty ones."""
    shown = seen(text, longest)
    return {"type": "text", "text": shown} if shown else None


def _words(node: object) -> str:
    return str(node.get("text", "")) if isinstance(node, dict) else ""


# -------------------------------------------------------------------------------------------------------- what is said


def draft(setting: Setting, target: str, version: str, asked: Mapping[str, Any], policy: TicketPolicy) -> Draft:
    """The ticket for a change that nobody has made one for. `asked`: details of the run's beginning, as recorded."""
    summary = f"Release of {setting.application} {version} to {target}"
    allowed = " or ".join(policy.approved)
    how = f"When this ticket is {allowed}, promote again and name it as the change ticket."
    told = {
        "Application": setting.application,
        "Version": version,
        "From": str(asked.get("source", "")),
        "To": target,
        "Asked for by": str(asked.get("requested_by", "")),
        "Emergency": _emergency(asked),
        "Run that was refused for want of a ticket": setting.run_url,
    }
    opening = f"{setting.application} {version} is to be promoted to {target}."
    return Draft(
        project=policy.project,
        issue_type=policy.issue_type,
        summary=seen(summary, SUMMARY),
        description=document([opening, told, how]),
        label=label(setting.application, target, version),
    )


def label(application: str, target: str, version: str) -> str:
    """One word of plain signs, as labels and queries take it."""
    return LABEL.sub("-", f"promotion-flows.{application}.{target}.{version}")[:SUMMARY]


def link_title(setting: Setting, story: Sequence[Record]) -> str:
    return seen(f"Promotion of {_what(setting, story)} to {story[0].event.environment}", SUMMARY)


def link_comment(setting: Setting, story: Sequence[Record], sign: str) -> Document:
    """That a run goes by this ticket, with which plan."""
    target = story[0].event.environment
    opening = f"A promotion of {_what(setting, story)} to {target} goes by this ticket."
    return document([opening, {**_about(story), "Run": setting.run_url}], sign)


def ending_comment(setting: Setting, story: Sequence[Record], flow: str, sign: str) -> Document:
    """How the run ended, with which plan, by whose approval, and how long it took."""
    summary = summarise(story, flow, setting.application, setting.run_url)
    if summary is None:
        raise ValueError("a run that has not ended has no ending to tell")
    headline = HEADLINES[summary.outcome].format(what=_what(setting, story), target=summary.target)
    told = {
        **_about(story),
        "Approved by": ", ".join(_approvers(setting, story)),
        "Took": _took(story, summary.duration_s),
        "Run": setting.run_url,
    }
    return document([headline, summary.sentence, told], sign)


def stuck_comment(moved: Moved, status: str, sign: str) -> Document:
    """That the ticket is not where the run would have it, for people to move."""
    return document([f"This ticket could not be moved to {status}: {moved.why_not}", "Please move it by hand."], sign)


def _about(story: Sequence[Record]) -> dict[str, str]:
    started, plan = details_of(story, EventKind.STARTED), details_of(story, EventKind.PLAN)
    return {
        "Version": _version(story),
        "From": str(started.get("source", "")),
        "To": story[0].event.environment,
        "Plan": next((it.event.plan_hash for it in reversed(story) if it.event.plan_hash), ""),
        "Changes": str(len(plan.get("changes", ())) or "") if plan else "",
        "Asked for by": str(started.get("requested_by", "")),
        "Emergency": _emergency(started),
    }


def _what(setting: Setting, story: Sequence[Record]) -> str:
    return f"{setting.application} {_version(story)}".strip()


def _version(story: Sequence[Record]) -> str:
    started, plan = details_of(story, EventKind.STARTED), details_of(story, EventKind.PLAN)
    return str(plan.get("version") or started.get("requested") or "")


def _approvers(setting: Setting, story: Sequence[Record]) -> list[str]:
    by = details_of(story, EventKind.APPROVED).get("by") or ()
    return [setting.people[one].name if one in setting.people else str(one) for one in by]


def _took(story: Sequence[Record], seconds: float) -> str:
    """From its beginning, and of that the time in which it had the environment to itself."""
    ending = ending_of(story)
    taken = next((it.at for it in story if it.event.kind is EventKind.LOCK_TAKEN), None)
    if ending is None or taken is None:
        return spoken(seconds)
    return f"{spoken(seconds)}, {spoken((ending.at - taken).total_seconds())} of it for the change itself"


def _emergency(started: Mapping[str, Any]) -> str:
    told = started.get("emergency") or {}
    if not told:
        return ""
    waives = ", ".join(str(one) for one in told.get("waives") or ()) or "nothing"
    return f"{told.get('reason', '')} (incident {told.get('incident', '')}; leaves out {waives})"
