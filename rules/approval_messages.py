"""What the release channel hears while a promotion waits for people, told from the run's records.

    records of a run ──approval_news──▶ News, each with the key under which it is told once

Because the ledger is asked and not the process, whatever was not heard (the chat was out of reach, the run died) is
told by whoever looks next. How a run ended is told elsewhere (`rules.messages`): once it has, nothing here is news.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any

from rules.approval_pages import moment, seen
from rules.approval_people import listed
from rules.approval_words import FAILED_CODES, Decision, Reason
from rules.approvals import locked_until
from rules.messages import (
    FALLBACK,
    FIELD,
    SECTION,
    SENTENCE,
    ChatMessage,
    cut,
    escaped,
    facts,
    header,
    links,
    section,
)
from rules.production_policies import ApprovalPolicy, Person
from rules.records import RUN_ENDINGS, EventKind, Record
from rules.summaries import run_findings
from rules.waiting import WaitingRun

ASKED, EMERGENCY, COUNTED, REFUSED, LOCKED, VOID, WAITS, BEGAN, REMINDED = (
    ":raised_hand:", ":rotating_light:", ":ballot_box_with_check:", ":warning:", ":rotating_light:", ":wastebasket:",
    ":hourglass_flowing_sand:", ":rotating_light:", ":alarm_clock:",
)  # fmt: skip
MOST_CHANGES = 8
ANSWER, LOOK = "Answer in the run", "Look at the run"
CODE = re.compile(r"\b\d{3}\s?\d{3}\b")
"""A one-time code that somebody typed into the wrong field may still be good."""
FAILING = FAILED_CODES | {Reason.LOCKED_OUT}


@dataclass(frozen=True, slots=True)
class Setting:
    """What a message needs beside the records."""

    application: str
    people: Mapping[str, Person] = field(default_factory=dict)
    policy: ApprovalPolicy = field(default_factory=ApprovalPolicy)
    """By which answers of this run are judged."""
    run_url: str = ""
    zone: tzinfo = UTC
    """In which times are told."""


@dataclass(frozen=True, slots=True)
class News:
    """Something to be told once."""

    about: str
    message: ChatMessage
    aside: bool = False
    """Whether it is told in the thread of the question, where it disturbs only those who follow it."""
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, as the run's records say."""

    run_id: str
    what: str
    """`batbern 3f2a1bc staging → production`."""
    by: str
    ticket: str
    emergency: Mapping[str, Any]


def approval_news(records: Iterable[Record], run_id: str, setting: Setting) -> tuple[News, ...]:
    """Everything that the channel should have heard of a run by now, the oldest first.

    `records` are all of the application, the oldest first: wrong codes count wherever they were tried.
    """
    known = list(records)
    story = [record for record in known if record.event.run_id == run_id]
    if not story or any(record.event.kind in RUN_ENDINGS for record in story):
        return ()
    request = request_of(story, setting.application)
    first: dict[str, News] = {}
    for one in _told(known, story, request, setting):
        first.setdefault(one.about, one)
    return tuple(first.values())


def reminder(run: WaitingRun, records: Iterable[Record], setting: Setting) -> ChatMessage:
    """To those who are awaited. `records`: of the run."""
    request = request_of(list(records), setting.application)
    who = _names(run.awaited, setting)
    said = f"Still awaited: {who}, until {_when(run.deadline, setting)}. If it is not approved by then, it is rejected."
    headline = f"{request.what} still waits for approval"
    return _message(
        _sign(request, REMINDED), headline, [said, _how(request)], setting, told={"Plan": run.plan_hash}, link=ANSWER
    )


def request_of(story: Sequence[Record], application: str) -> Request:
    started, plan = _first(story, EventKind.STARTED), _last(story, EventKind.PLAN)
    details = started.event.details if started else {}
    version = str((plan and plan.event.details.get("version")) or details.get("requested") or "")
    target = story[0].event.environment if story else ""
    way = " → ".join(filter(None, (str(details.get("source", "")), target)))
    what = " ".join(filter(None, (application, version, way)))
    return Request(
        story[0].event.run_id if story else "",
        what,
        str(details.get("requested_by", "")),
        str(details.get("ticket", "")),
        dict(details.get("emergency") or {}),
    )


def changed_names(records: Iterable[Record], was: str, now: str) -> tuple[str, ...]:
    """What differs between two plans of a run, by name; of the catalogue and the terms that they differ."""
    plans = {record.event.plan_hash: record.event.details for record in records if record.event.kind is EventKind.PLAN}
    if was not in plans or now not in plans:
        return ()
    old, new = plans[was], plans[now]
    names = [row[1] for row in sorted(_rows(old) ^ _rows(new))]
    names += [key for key in ("version", "catalogue") if old.get(key) != new.get(key)]
    names += [service for service in _differing(old.get("digests", {}), new.get("digests", {})) if service not in names]
    return tuple(dict.fromkeys(names)) or ("the ticket, the time or how traffic moves",)


# --------------------------------------------------------------------------------------------- what there is to tell


def _told(known: Sequence[Record], story: Sequence[Record], request: Request, setting: Setting) -> Iterator[News]:
    yield from _asked(story, request, setting)
    for at, record in enumerate(story):
        event, details = record.event, record.event.details
        match event.kind:
            case EventKind.APPROVAL_GIVEN if details.get("decision") == Decision.APPROVE:
                yield from _counted(record, story[at + 1 :], request, setting)
            case EventKind.APPROVAL_NOT_ADMITTED:
                yield _not_admitted(record, request, setting)
                yield from _locked(record, known, request, setting)
            case EventKind.APPROVALS_VOID:
                yield _void(record, story, request, setting)
            case EventKind.WAITING if not _goes_on(story[at + 1 :]):
                yield _waits(record, request, setting)
            case EventKind.LOCK_TAKEN if request.emergency:
                yield _began(story, request, setting)


def _asked(story: Sequence[Record], request: Request, setting: Setting) -> Iterator[News]:
    """The question, as it stands now: one that was not heard at first is not told as it was then."""
    asked = _last(story, EventKind.APPROVAL_ASKED)
    if asked is None:
        return
    details = asked.event.details
    deadline = datetime.fromisoformat(str(details["deadline"]))
    said = f"Awaited: {_names(details['awaited'], setting)}, until {_when(deadline, setting)}."
    headline = f"{'EMERGENCY: ' if request.emergency else ''}{request.what} waits for approval"
    told = {
        "Asked for by": request.by,
        "Change ticket": request.ticket,
        "Plan": asked.event.plan_hash,
        "Stage": str(details.get("stage", "")),
    }
    texts = [*_emergency(story, request), said, _how(request)]
    message = _message(_sign(request, ASKED), headline, texts, setting, told=told, link=ANSWER)
    yield News("asked", message, urgent=bool(request.emergency))


def _counted(record: Record, later: Sequence[Record], request: Request, setting: Setting) -> Iterator[News]:
    """An approval, and what is missing after it. That stands in the next question, or in the decision."""
    stands = next((it for it in later if it.event.kind in {EventKind.APPROVAL_ASKED, EventKind.APPROVED}), None)
    if stands is None:
        return
    headline = f"{_person(record, setting)} approved {request.what}"
    texts = [record.event.sentence, stands.event.sentence]
    yield News(f"counted {_key(record)}", _message(_sign(request, COUNTED), headline, texts, setting))


def _not_admitted(record: Record, request: Request, setting: Setting) -> News:
    details = record.event.details
    claimed = CODE.sub("······", seen(str(details.get("claimed", "")), FIELD)) or "nobody"
    told = {
        "Claimed to be": claimed,
        "Wanted to": str(details.get("decision", "")),
        "Why not": str(details.get("reason", "")),
    }
    headline = f"An answer about {request.what} does not count"
    message = _message(REFUSED, headline, [CODE.sub("······", record.event.sentence)], setting, told=told)
    return News(f"not admitted {_key(record)}", message, aside=True)


def _locked(record: Record, known: Sequence[Record], request: Request, setting: Setting) -> Iterator[News]:
    """Once for each time that somebody is locked out, however often it is tried meanwhile."""
    details = record.event.details
    person = setting.people.get(str(details.get("person", "")))
    if person is None or details.get("reason") not in FAILING:
        return
    at = datetime.fromisoformat(str(details["at"]))
    until = locked_until(person, setting.policy, at, (it for it in known if it.seq <= record.seq))
    if until is None:
        return
    said = f"No answer of {person.name} counts until {_when(until, setting)}."
    tried = "Somebody may be trying out codes. If it was not that person, tell those who run this."
    headline = f"TOO MANY WRONG CODES for {person.name}, about {request.what}"
    message = _message(LOCKED, headline, [f"{said} {tried}"], setting)
    yield News(f"locked out {person.id} {until.isoformat()}", message, urgent=True)


def _void(record: Record, story: Sequence[Record], request: Request, setting: Setting) -> News:
    details = record.event.details
    was, now = str(details.get("was", "")), str(details.get("now", ""))
    names = changed_names(story, was, now)
    shown = ", ".join(names[:MOST_CHANGES]) + (f" and {len(names) - MOST_CHANGES} more" * (len(names) > MOST_CHANGES))
    people = details.get("people") or ()
    lost = f"The approval of {_names(people, setting, 'and')} is void." if people else "Nobody had approved it yet."
    asked = next((it for it in story if it.seq > record.seq and it.event.kind is EventKind.APPROVAL_ASKED), None)
    again = f" Awaited now: {_names(asked.event.details['awaited'], setting)}." if asked else ""
    texts = [f"{lost} It is another plan now, and must be read and approved as such.{again}"]
    texts += [f"What changed: {shown}."] if names else []
    message = _message(_sign(request, VOID), f"THE PLAN HAS CHANGED: {request.what}", texts, setting,
                       told={"Plan was": was, "Plan is now": now}, link=ANSWER)  # fmt: skip
    return News(f"void {record.seq}", message)


def _waits(record: Record, request: Request, setting: Setting) -> News:
    until = str(record.event.details["until"])
    at = _when(datetime.fromisoformat(until), setting)
    said = f"It begins {at}. Nobody needs to do anything. Whoever wants to stop it cancels the run."
    texts = [said, str(record.event.details.get("why", ""))]
    message = _message(_sign(request, WAITS), f"{request.what} is approved and waits for its time", texts, setting)
    return News(f"waits {record.event.plan_hash} {until}", message)


def _goes_on(later: Sequence[Record]) -> bool:
    """Whether it waits for that time no more."""
    return any(record.event.kind in {EventKind.WAITING, EventKind.LOCK_TAKEN} for record in later)


def _began(story: Sequence[Record], request: Request, setting: Setting) -> News:
    approved = _last(story, EventKind.APPROVED)
    by = _names(approved.event.details.get("by") or (), setting, "and") if approved else "nobody"
    texts = [*_emergency(story, request), f"Approved by {by}. {story[0].event.environment} is being changed now."]
    message = _message(EMERGENCY, f"EMERGENCY: {request.what} has begun", texts, setting)
    return News("emergency began", message, urgent=True)


# ------------------------------------------------------------------------------------------------------- the words


def _emergency(story: Sequence[Record], request: Request) -> list[str]:
    """Why, for which incident, and which gates are really left out."""
    if not request.emergency:
        return []
    told = request.emergency
    left_out = [it.gate for it in run_findings(story) if it.waived.startswith("Emergency ")]
    allowed = ", ".join(map(str, told.get("waives") or ())) or "nothing"
    not_met = f"Not met and left out: {', '.join(left_out)}." if left_out else "All of that is met."
    return [f"{told.get('reason', '')} (incident {told.get('incident', '')})", f"May leave out: {allowed}. {not_met}"]


def _message(
    sign: str,
    headline: str,
    texts: Sequence[str],
    setting: Setting,
    *,
    told: Mapping[str, str] | None = None,
    link: str = LOOK,
) -> ChatMessage:
    said = [cut(escaped(shown), SECTION) for text in texts if (shown := seen(text, SENTENCE))]
    blocks = [
        header(sign, seen(headline, SENTENCE)),
        *map(section, said),
        *facts({name: seen(value, FIELD) for name, value in (told or {}).items()}),
        *links({link: setting.run_url}),
    ]
    return ChatMessage(cut(escaped(seen(f"{headline}. {' '.join(texts)}", SENTENCE)), FALLBACK), tuple(blocks))


def _how(request: Request) -> str:
    return f"Resume the run in the Prefect UI with your code, or call `python -m deployments.approve {request.run_id}`."


def _sign(request: Request, usual: str) -> str:
    return EMERGENCY if request.emergency else usual


def _names(ids: Iterable[object], setting: Setting, last: str = "or") -> str:
    return listed((setting.people.get(str(one), Person(str(one), str(one))) for one in ids), last)


def _person(record: Record, setting: Setting) -> str:
    return _names([record.event.details.get("person", "")], setting)


def _when(at: datetime, setting: Setting) -> str:
    return moment(at.astimezone(setting.zone))


def _key(record: Record) -> str:
    return str(record.event.details.get("key", record.seq))


def _rows(plan: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    """What a plan would bring about; what is there now belongs to no plan."""
    return {(row.get("what", ""), row.get("name", ""), row.get("then", "")) for row in plan.get("changes", ())}


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in {*old, *new} if old.get(key) != new.get(key))


def _first(story: Sequence[Record], kind: EventKind) -> Record | None:
    return next((record for record in story if record.event.kind is kind), None)


def _last(story: Sequence[Record], kind: EventKind) -> Record | None:
    return next((record for record in reversed(story) if record.event.kind is kind), None)
