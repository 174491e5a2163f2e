"""What an approver reads before deciding, as Markdown above the form: what, who asks, what changes, what stays changed.

The form is narrow, and a table in it hides its last column, so everything is a list. Times are the world's, never "in
five minutes": a page is read later than it was written. Its length is bounded, whatever the plan contains.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from rules.approval_words import Standing
from rules.messages import cut
from rules.plans import Plan
from rules.production_policies import Emergency, Waivable
from rules.run_pages import ADDRESS, QUIET, literal
from rules.vocabulary import Finding, Verdict, short

MOST = 60_000
"""Characters of a page at the very most, if each of them has to be escaped; a usual one has three thousand."""
ROWS, FINDINGS, NEWS, AUTHORS = 20, 12, 5, 6
"""So many are shown of each kind; the rest is counted, and it is said where all of them are."""
NAME, CELL, SENTENCE, WORDS = 60, 80, 400, 120
IMAGE, FLAG = "image", "flag"
EMERGENCY = "EMERGENCY"

TO_DO = "**Read this to its end before you decide**: scroll, the form is below it."
"""Without a scroll bar in sight: of a usual plan the dialog shows twenty lines, in Prefect's old UI three."""
FORM = (
    "**approver**: you, by your id, name or account in the catalogue.",
    (
        "**decision**: *approve* counts for you alone. *reject* ends this promotion for everybody, whoever's turn it "
        "is. *show the plan again* needs no code and decides nothing: gates and plan are looked at anew."
    ),
    (
        "**code**: the six digits that your authenticator app shows now. A code works once, also when the answer does "
        "not count: then wait for the next one."
    ),
    "**plan**: leave it as it is. It says which plan you have read.",
    "**comment**: why. It stands in the ledger, and people read it.",
)
MIGRATIONS = (
    "Migrations are applied before traffic moves. When it fails they are undone, the last one first, up to one without "
    "an undo script. What then is left stays if its review found it safe, else a person is needed. What a service does "
    "to its database when it starts is not put back."
)


def approval_page(
    *,
    plan: Plan,
    findings: Sequence[Finding],
    standing: Standing,
    requester: str,
    authors: frozenset[str],
    deadline: datetime,
    run_url: str = "",
    news: Sequence[str] = (),
    begins: str = "",
    database: str = "",
) -> str:
    """The page for one question about one plan.

    `findings` are all of the run's. `news`: what has happened since people were first asked, the latest last.
    `begins`: when traffic would move, as a sentence, where that is known better than by the plan's terms. `database`:
    what is snapshotted before the first change; empty: nothing is. Times are shown in the zone of `deadline`.
    """
    emergency = plan.terms.emergency if plan.terms else None
    shown = [
        *_title(plan, emergency),
        *_asked(plan, requester, authors, begins, deadline),
        *_list("What is new", [_text(it) for it in news[-NEWS:]]),
        *_turn(standing, deadline),
        *_emergency(emergency, findings),
        *_changes(plan, run_url),
        *_list("What cannot be taken back", irreversible(database)),
        *_found(findings, run_url),
        *_list("How to fill in the form", FORM),
    ]
    return "\n".join(shown)


def moment(at: datetime) -> str:
    """`Thursday 26 November 2026, 10:00 CET (09:00 UTC)`. By the wall clock of `at`, which must have a zone."""
    told = f"{at:%A} {at.day} {at:%B %Y}, {at:%H:%M} {at.tzname()}"
    return told if at.tzname() == UTC.tzname(None) else f"{told} ({at.astimezone(UTC):%H:%M} UTC)"


def irreversible(database: str) -> tuple[str, ...]:
    """What stays when the promotion fails and is put back, and what does not. `database` as in `approval_page`."""
    saved = (
        f"Before the first change a snapshot of {_text(database, NAME)} is taken. Nothing restores it by itself: a "
        "person does, and what was written since is lost."
        if database
        else "**No snapshot** is taken: the catalogue names no database of this environment."
    )
    return (
        "Images, configuration and flags are put back when it fails, in reverse order.",
        MIGRATIONS,
        saved,
        "What visitors do meanwhile, and messages that were sent, stay.",
    )


def start_words(plan: Plan, begins: str = "", like: datetime | None = None) -> str:
    """When traffic would move, by what was asked for. Times are shown in the zone of `like`."""
    terms = plan.terms
    if begins:
        return begins
    if terms is None:
        return "as soon as it is approved"
    if terms.start_at:
        at = datetime.fromisoformat(terms.start_at)
        return f"at the promised time, {moment(at.astimezone(like.tzinfo) if like else at)}"
    if terms.next_window:
        return "when the next window opens, or now if one is open"
    if terms.emergency and Waivable.WINDOW in terms.emergency.waives:
        return "as soon as it is approved, in a window or not"
    return "as soon as it is approved and a window is open"


# ------------------------------------------------------------------------------------------- the chapters, in order


def _title(plan: Plan, emergency: Emergency | None) -> Iterator[str]:
    what = _text(f"{plan.application} {plan.release.version}", WORDS)
    incident = _text(emergency.incident, WORDS) or "no incident" if emergency else ""
    banner = f"{EMERGENCY} {incident}: " if emergency else ""
    yield f"### {banner}{what}, {_text(plan.source, NAME)} → {_text(plan.target, NAME)}?"
    yield from ("", f"Plan **{_text(plan.hash, NAME)}**. {TO_DO}")


def _asked(plan: Plan, requester: str, authors: frozenset[str], begins: str, deadline: datetime) -> list[str]:
    ticket = plan.terms.ticket if plan.terms else ""
    facts = {
        "Asked for by": _text(requester, WORDS) or "nobody says who",
        "Written by": _authors(authors),
        "Change ticket": _text(ticket, NAME) or "none",
        "Begins": _text(start_words(plan, begins, deadline)),
        "How traffic moves": _strategies(plan),
    }
    return ["", *(f"- **{name}**: {words}" for name, words in facts.items())]


def _authors(authors: frozenset[str]) -> str:
    known = sorted(authors)
    more = f" and {len(known) - AUTHORS} more names" if len(known) > AUTHORS else ""
    return ", ".join(_text(it, NAME) for it in known[:AUTHORS]) + more if known else "nobody is known"


def _strategies(plan: Plan) -> str:
    moving = [one for one in plan.services if one.changes]
    by: dict[str, int] = {}
    for one in moving:
        name = one.strategy.value.replace("_", "-")
        by[name] = by.get(name, 0) + 1
    told = ", ".join(f"{name} in {_counted(count, 'service')}" for name, count in sorted(by.items()))
    return told or "no image changes"


def _turn(standing: Standing, deadline: datetime) -> Iterator[str]:
    yield from ("", "### Whose turn it is", "", _text(standing.sentence))
    if standing.awaited:
        yield from ("", f"Until **{moment(deadline)}**. If it is not approved by then, it ends as rejected.")


def _emergency(emergency: Emergency | None, findings: Sequence[Finding]) -> list[str]:
    if emergency is None:
        return []
    left_out = [it for it in findings if it.waived.startswith("Emergency ")]
    told = [f"**{_text(it.gate, NAME)}** is not met and left out: {_text(it.sentence)}" for it in left_out[:FINDINGS]]
    gates = _text(", ".join(emergency.waives)) or "no gate"
    lines = [f"It may leave out: {gates}.", *(told or ["All of these are met; nothing had to be left out."])]
    return ["", f"### {EMERGENCY}", "", f"**{_text(emergency.reason)}**", "", *(f"- {it}" for it in lines)]


def _changes(plan: Plan, run_url: str) -> list[str]:
    rows = [row for row in plan.table() if row["what"] not in QUIET]
    images = [(one.service, _digests(one.before), _digests(one.after)) for one in plan.services if one.changes]
    flags = [(row["name"], row["now"], row["then"]) for row in rows if row["what"] == FLAG]
    configuration = [(row["name"], row["now"], row["then"]) for row in rows if row["what"] not in {IMAGE, FLAG}]
    return [
        *_rows("Images", images, "no image changes", run_url),
        *_rows("Configuration", configuration, "no parameter changes", run_url),
        *_rows("Feature flags", flags, "no flag changes", run_url),
    ]


def _digests(joined: str) -> str:
    """The twelve digits that tell an image; of a service that serves two, of both."""
    return ", ".join(short(it).removeprefix("sha256:") for it in joined.split("+") if it) or "nothing"


def _rows(title: str, rows: Sequence[tuple[str, str, str]], none: str, run_url: str) -> list[str]:
    """What, how it is now, and how it would be then."""
    if not rows:
        return ["", f"**{title}**: {none}."]
    lines = [f"- **{_text(name, NAME)}**: {_side(now)} → {_side(then)}" for name, now, then in rows[:ROWS]]
    if len(rows) > ROWS:
        lines.append(f"- … and {len(rows) - ROWS} more: {_whole('plan', run_url)}.")
    return ["", f"### {title} ({len(rows)})", "", *lines]


def _side(value: str) -> str:
    return _text(value, CELL) or "*nothing*"


def _found(findings: Sequence[Finding], run_url: str) -> list[str]:
    told = [it for it in findings if it.verdict is not Verdict.PASSED]
    told.sort(key=lambda it: (not it.blocks, -it.verdict.badness))
    passed = len(findings) - len(told)
    lines = [_finding(it) for it in told[:FINDINGS]]
    if len(told) > FINDINGS:
        lines.append(f"… and {len(told) - FINDINGS} more: {_whole('gates', run_url)}.")
    counted = f"{_counted(passed, 'finding')} passed" + ("; these did not:" if lines else ".")
    return ["", "### What was looked at", "", counted, *([""] if lines else []), *(f"- {it}" for it in lines)]


def _finding(finding: Finding) -> str:
    state = "NOT MET" if finding.blocks else "excused, not passed"
    seen = ", ".join(
        f"{name} {_text(value, NAME)}"
        for name, value in (("measured", finding.measured), ("allowed", finding.allowed))
        if value
    )
    said = finding.waived in finding.sentence
    why = "" if said else f" Excused because: {_text(finding.waived, WORDS * 2)}"
    return f"**{_text(finding.gate, NAME)}** ({state}): {_text(finding.sentence)}{f' ({seen})' if seen else ''}{why}"


# ------------------------------------------------------------------------------------------------------ words


def _list(title: str, sentences: Iterable[str]) -> list[str]:
    lines = [f"- {it}" for it in sentences if it]
    return ["", f"### {title}", "", *lines] if lines else []


def _whole(what: str, run_url: str) -> str:
    """Where all of it is."""
    place = f"[this run]({run_url})" if ADDRESS.fullmatch(run_url) else "this run"
    return f"all of them are in the artifact *{what}* of {place}"


def _text(text: str, limit: int = SENTENCE) -> str:
    """From outside: drawn as it was written, and bounded."""
    return literal(seen(text, limit))


def seen(text: str, limit: int) -> str:
    """What the eye sees of a text, on one line, cut: signs that hide or turn round their neighbours are left out."""
    return cut(" ".join("".join(it if it.isprintable() else " " for it in text).split()), limit)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
