"""Everything that the ledger knows of one release's promotion, as one readable page for people who were not there.

    records of the run, of its promotion to the environment before, and of the evidence ──▶ Dossier ──▶ Markdown, HTML

The same records give the same page, to the byte: it has no clock and asks nobody.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rules.dossier_approvals import approval_chapters, moment, of, requested, times
from rules.dossier_changes import change_rows, planned_rows, return_rows
from rules.dossier_pages import Chapter, Dossier
from rules.errors import InvalidInput
from rules.evidence import GATE, LOOKED_AT
from rules.histories import details_of, is_rehearsal
from rules.messages import spoken
from rules.records import RUN_ENDINGS, Event, EventKind, Record
from rules.run_pages import QUIET, headline, verdict_words
from rules.summaries import read_findings, run_findings, summarise
from rules.vocabulary import Finding

_REFERENCE = re.compile(r"record (\d+)\b")
TOLD = (EventKind.NOTIFIED, EventKind.TICKET_CREATED, EventKind.TICKET_TOLD)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a dossier is about. All of it stands in one piece of the ledger, from `first` to `last`."""

    run: tuple[Record, ...]
    """Of the run, the oldest first; never empty."""
    origin: tuple[Record, ...] = ()
    """Of the promotion that brought the same digests to the environment before; empty where none is known."""
    evidence: Record | None = None
    """The validation that the run relied on."""

    @property
    def first(self) -> int:
        told = [*self.run, *self.origin, *filter(None, [self.evidence])]
        return min(record.seq for record in told)

    @property
    def last(self) -> int:
        return self.run[-1].seq


def find_subject(records: Sequence[Record], run_id: str) -> Subject:
    """The run, where its release came from, and its evidence. Raises InvalidInput where the run left no record."""
    run = tuple(record for record in records if record.event.run_id == run_id)
    if not run:
        raise InvalidInput("the run", run_id, "the id of a run that the ledger knows")
    return Subject(run, _origin(records, run), _evidence(records, run))


def find_run(records: Iterable[Record], version: str, environment: str = "") -> str:
    """Id of the last completed run of a version (or its beginning). Raises InvalidInput where there is none.

    Without an environment the last one wherever it went.
    """
    done = [it.event for it in records if it.event.kind is EventKind.COMPLETED and not it.event.details.get("dry_run")]
    mine = [it for it in done if str(it.details.get("version", "")).startswith(version)]
    mine = [it for it in mine if environment in {"", it.environment}]
    if not mine:
        where = f" to {environment}" if environment else ""
        raise InvalidInput("the version", version, f"one whose promotion{where} was completed, or its beginning")
    return mine[-1].run_id


def dossier(subject: Subject, application: str = "") -> Dossier:
    """The page. `application` stands in its title; records do not name it."""
    run = subject.run
    chapters = (
        _how_it_ended(run),
        requested(run),
        _from_where(subject),
        _plan(run),
        Chapter("Findings", _asked_again(run), tuple(_finding(it) for it in _ordered(run_findings(run)))),
        _evidence_chapter(subject),
        *approval_chapters(run),
        Chapter("Waited for its time", tuple(it.event.sentence for it in of(run, EventKind.WAITING))),
        Chapter("Database", (), _said(of(run, EventKind.SNAPSHOT_INTENT, EventKind.SNAPSHOT_TAKEN))),
        Chapter("Changes", (), tuple(change_rows(run))),
        Chapter("Put back", (), tuple(return_rows(run))),
        Chapter("Change ticket and messages", (), _said(of(run, *TOLD))),
        Chapter("Every record of the run", (), tuple(_line(it) for it in run)),
        _proof(subject),
    )
    return Dossier(_title(run, application), tuple(it for it in chapters if it.sentences or it.rows))


# ------------------------------------------------------------------------------------------------ what it is about


def _origin(records: Sequence[Record], run: Sequence[Record]) -> tuple[Record, ...]:
    source = str(details_of(run, EventKind.STARTED).get("source", ""))
    digests = _digests(run)
    earlier = [it for it in records if it.seq < run[-1].seq and it.event.environment == source and source]
    arrived = {it.event.run_id for it in earlier if _arrived(it.event)}
    brought = [it.event.run_id for it in earlier if it.event.run_id in arrived and _brings(it.event, digests)]
    return tuple(it for it in records if brought and it.event.run_id == brought[-1] and it.seq < run[-1].seq)


def _arrived(event: Event) -> bool:
    return event.kind is EventKind.COMPLETED and not event.details.get("dry_run")


def _brings(event: Event, digests: Mapping[str, str]) -> bool:
    return event.kind is EventKind.PLAN and bool(digests) and event.details.get("digests") == digests


def _digests(run: Sequence[Record]) -> Mapping[str, str]:
    return dict(details_of(run, EventKind.PLAN).get("digests", {}))


def _evidence(records: Sequence[Record], run: Sequence[Record]) -> Record | None:
    cited = (_REFERENCE.search(it.evidence) for it in run_findings(run) if it.gate == GATE)
    number = next((int(found[1]) for found in cited if found), 0)
    return next((it for it in records if it.seq == number and it.event.kind is EventKind.VALIDATED), None)


# ---------------------------------------------------------------------------------------------------- the chapters


def _title(run: Sequence[Record], application: str) -> str:
    summary = summarise(run, "", application, "")
    if summary is not None:
        return headline(summary, run)
    return f"{application} run {run[0].event.run_id} has not ended yet".strip()


def _how_it_ended(run: Sequence[Record]) -> Chapter:
    ending = next((it for it in reversed(run) if it.event.kind in RUN_ENDINGS), None)
    sentence = ending.event.sentence if ending else "The run has not ended: this is what was known so far."
    rows = {
        "run": run[0].event.run_id,
        "version": str(details_of(run, EventKind.PLAN).get("version", "")),
        "plan": next((it.event.plan_hash for it in reversed(run) if it.event.plan_hash), ""),
        "began": moment(run[0]),
        "ended": moment(ending) if ending else "",
        **_durations(run, ending),
        "rehearsal": "yes: nothing was changed" if is_rehearsal(run) else "",
    }
    return Chapter("How it ended", (sentence,), _facts(rows))


def _durations(run: Sequence[Record], ending: Record | None) -> dict[str, str]:
    passes = len(of(run, EventKind.RESUMED))
    return {
        "took in all": _between(run[0], ending),
        "from the first question to the approval": _between(
            _first(run, EventKind.APPROVAL_ASKED), _last(run, EventKind.APPROVED)
        ),
        "from the lock to the end": _between(_first(run, EventKind.LOCK_TAKEN), ending),
        "went on after waiting": times(passes) if passes else "",
    }


def _first(run: Sequence[Record], kind: EventKind) -> Record | None:
    return next(iter(of(run, kind)), None)


def _last(run: Sequence[Record], kind: EventKind) -> Record | None:
    return next(reversed(of(run, kind)), None)


def _between(begun: Record | None, ended: Record | None) -> str:
    return spoken(max(0.0, (ended.at - begun.at).total_seconds())) if begun and ended else ""


def _from_where(subject: Subject) -> Chapter:
    origin = subject.origin
    if not origin:
        return Chapter("Where the release came from")
    rows = {
        "run": origin[0].event.run_id,
        "environment": origin[0].event.environment,
        "completed": next((moment(it) for it in origin if _arrived(it.event)), ""),
        "records": f"{origin[0].seq} to {origin[-1].seq}",
    }
    sentence = "The same digests, in every service, were brought to the environment before by this run:"
    return Chapter("Where the release came from", (sentence,), _facts(rows))


def _plan(run: Sequence[Record]) -> Chapter:
    plans = of(run, EventKind.PLAN)
    if not plans:
        return Chapter("Plan", ("There was no plan: the run ended before.",))
    rows = planned_rows(run)
    shown = tuple(row for row in rows if row["what"] not in QUIET)
    stays = len(rows) - len(shown)
    first = {
        it.event.plan_hash: it for it in reversed(plans)
    }  # a plan is made anew on every pass; the first time counts
    told = [f"Plan {name}, first made on {moment(it)} (record {it.seq})." for name, it in reversed(first.items())]
    told += [f"Parameters that stay as they are: {stays}. The record of the plan has them."] * bool(stays)
    return Chapter("Plan", tuple(told) if rows else (*told, "Nothing changes."), shown)


def _asked_again(run: Sequence[Record]) -> tuple[str, ...]:
    asked = len(of(run, EventKind.FINDINGS))
    return (f"Gates were asked {times(asked)}; each is shown as it was when it was asked last.",) if asked else ()


def _ordered(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda it: (not it.blocks, -it.verdict.badness))


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "verdict": verdict_words(finding),
        "gate": finding.gate,
        "finding": finding.sentence,
        "measured": finding.measured,
        "allowed": finding.allowed,
        "excused because": finding.waived,
        "evidence": finding.evidence,
    }


def _evidence_chapter(subject: Subject) -> Chapter:
    if subject.evidence is None:
        return Chapter("Evidence that it was validated before")
    record = subject.evidence
    sentence = f"{record.event.sentence} On {moment(record)}, by run {record.event.run_id}, record {record.seq}."
    rows = tuple(_finding(it) for it in _ordered(read_findings(record.event.details["findings"])))
    needed = f"None of these may be missing: arrival of every service, {', '.join(LOOKED_AT)}."
    return Chapter("Evidence that it was validated before", (sentence, needed), rows)


def _said(records: Sequence[Record]) -> tuple[dict[str, str], ...]:
    return tuple({"when": moment(it), "what": it.event.sentence, "record": str(it.seq)} for it in records)


def _line(record: Record) -> dict[str, str]:
    event = record.event
    return {
        "record": str(record.seq),
        "when": moment(record),
        "environment": event.environment,
        "kind": event.kind.value,
        "what": event.sentence,
        "hash": record.hash[:12],
    }


def _proof(subject: Subject) -> Chapter:
    last = subject.run[-1]
    told = (
        (
            "Each record carries the hash of the one before it, so that none can be changed, removed or put between "
            "without changing all that follow."
        ),
        f"The last record of this run is number {last.seq}, with the hash",
        last.hash,
        (
            "Where the ledger is at hand, `python -m deployments.audit verify --expect` with this hash proves that "
            "nobody has touched anything before it. Without it, check.py beside this page proves it of chain.jsonl."
        ),
    )
    return Chapter("Proof", told)


def _facts(told: Mapping[str, str]) -> tuple[dict[str, str], ...]:
    return tuple({"what": name, "value": value} for name, value in told.items() if value)
