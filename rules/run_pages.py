"""What a person reads in the Prefect UI, as Markdown: the plan before the act, the run after its end.

The UI draws Markdown with HTML in it. What comes from outside (a parameter's value, an answer of a service) is
written so that it stays plain text, whatever it is.
"""

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from rules.configuration_keys import Outcome
from rules.messages import VALIDATION, Ending, RunSummary, headline_of, spoken
from rules.records import EventKind, Head, Record
from rules.summaries import run_findings
from rules.vocabulary import Finding, short

QUIET = frozenset(f"parameter: {it}" for it in (Outcome.SAME, Outcome.KEEP, Outcome.ONLY_IN_TARGET))
WRONG = frozenset(f"parameter: {it}" for it in (Outcome.MISSING, Outcome.UNMAPPED, Outcome.UNRULED))
"""Rows of a plan's table, by what they say: nothing happens there; nothing may happen anywhere because of it."""
COULD_BE_MET = "could be met"
"""Name of the column that says when, or by what."""
ADDRESS = re.compile(r"https?://[^\s()<>\[\]|\\\"'`]{1,500}")
"""One that can stand in Markdown."""
_PLAIN = {ord(sign): f"\\{sign}" for sign in string.punctuation if sign not in ".,;()'%-/"}
"""Backslashes, because the UI draws numbered entities (`&#58;`) as they stand."""
_PLAIN |= dict.fromkeys((*range(32), 0x2028, 0x2029), " ")
ARRIVED, RETURNED = EventKind.ROLLOUT_SUCCEEDED, EventKind.ROLLOUT_ROLLED_BACK


def literal(text: str) -> str:
    """The text as one line of Markdown that is drawn as it was written: no markup, no HTML."""
    return text.translate(_PLAIN)


def table(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """Lines of a table. The first row's keys are the columns; nothing without rows."""
    if not rows:
        return []
    columns = list(rows[0])
    body = [_line(literal(row.get(column, "")) for column in columns) for row in rows]
    return ["", _line(columns), _line("---" for _ in columns), *body]


def plan_page(rows: Sequence[Mapping[str, str]]) -> str:
    """The rows of a plan's table: what is wrong, what changes, and what stays as it is."""
    wrong = [row for row in rows if row["what"] in WRONG]
    stays = [_without_then(row) for row in rows if row["what"] in QUIET]
    changes = [row for row in rows if row["what"] not in WRONG | QUIET]
    lines = [*_counted("What is wrong", [_without_then(row) for row in wrong])]
    lines += _counted("What changes", changes) or ["", "### Nothing changes"]
    return "\n".join(lines + _counted("What stays as it is", stays)).lstrip()


def run_page(summary: RunSummary, records: Sequence[Record], head: Head | None = None) -> str:
    """The end of a run: how, why, what serves now, and where the proof is. `records` are the run's, oldest first."""
    findings = run_findings(records)
    lines = [f"## {literal(headline(summary, records))}", "", *_told(summary, findings), *_serving(summary)]
    lines += _chapter("Services", [_service(it, records) for it in _moved(records)])
    lines += _chapter("Excused, not passed", [_excused(it) for it in findings if it.waived])
    lines += _proof(summary, records, head)
    return "\n".join(lines)


def headline(summary: RunSummary, records: Iterable[Record]) -> str:
    """As people hear it in the chat; of a dry run, which nobody hears of, that it was one."""
    if summary.flow != VALIDATION and any(record.event.details.get("dry_run") for record in records):
        told = headline_of(summary)
        met = told.removesuffix("succeeded")
        return f"{told} (dry run)" if met == told else f"{met}could be promoted (dry run)"
    return headline_of(summary)


def verdict_words(finding: Finding) -> str:
    """`passed`, `excused`, `failed`, `inconclusive`."""
    return "excused" if finding.waived and not finding.blocks else finding.verdict.value


def _without_then(row: Mapping[str, str]) -> dict[str, str]:
    return {column: words for column, words in row.items() if column != "then"}


def _told(summary: RunSummary, findings: Sequence[Finding]) -> list[str]:
    """The sentence, unless it only strings together the reasons that follow as a table."""
    against = [it for it in findings if it.blocks]
    said = [] if against and summary.outcome is Ending.REFUSED else [literal(summary.sentence)]
    shown = [without_address(it) for it in against]
    rows = [_unmet(it) | could_be_met(it, shown) for it in shown]
    return [*said, *_counted("What is not met", rows), *addresses(against)]


def without_address(finding: Finding) -> Finding:
    """For a table on a page: a column cannot break an address, and would push the next ones over the page's edge."""
    return replace(finding, could_be_met=finding.could_be_met.removesuffix(finding.evidence).rstrip())


def addresses(findings: Iterable[Finding]) -> list[str]:
    """Lines of a list: where each finding can be looked at, of those that have an address."""
    lines = [f"- {literal(it.gate)}: {literal(it.evidence)}" for it in findings if ADDRESS.fullmatch(it.evidence)]
    return ["", *lines] if lines else []


def _unmet(finding: Finding) -> dict[str, str]:
    return {"gate": finding.gate, "verdict": finding.verdict.value, "finding": finding.sentence} | {
        "measured": finding.measured,
        "allowed": finding.allowed,
    }


def could_be_met(finding: Finding, among: Iterable[Finding]) -> dict[str, str]:
    """The cell that says when an unmet gate could be met; none where no finding of the table says so."""
    if not any(it.could_be_met for it in among):
        return {}
    return {COULD_BE_MET: finding.could_be_met if finding.blocks else ""}


def _excused(finding: Finding) -> dict[str, str]:
    return {"gate": finding.gate, "finding": finding.sentence, "why it does not block": finding.waived}


def _moved(records: Sequence[Record]) -> list[Record]:
    """The first intent of each service."""
    intents = [record for record in records if record.event.kind is EventKind.ROLLOUT_INTENT]
    return list({str(it.event.details["service"]): it for it in reversed(intents)}.values())[::-1]


def _service(intent: Record, records: Sequence[Record]) -> dict[str, str]:
    details = intent.event.details
    ends = [
        record
        for record in records
        if record.event.kind in {ARRIVED, RETURNED} and record.event.details.get("service") == details["service"]
    ]
    before = " ".join(short(digest) for digest in details["before"]["digests"]) or "nothing"
    words = {ARRIVED: "arrived", RETURNED: "put back"}
    return {
        "service": str(details["service"]),
        "before": before,
        "after": short(details["after"]["digest"]),
        "end": " then ".join(words[it.event.kind] for it in ends) or "not arrived",
        "took": spoken(_seconds(intent.at, ends[-1].at)) if ends else "",
    }


def _seconds(begun: datetime, ended: datetime) -> float:
    return (ended - begun).total_seconds()


def _serving(summary: RunSummary) -> list[str]:
    """One line where all services agree, else a table."""
    versions = set(summary.serving.values())
    if len(versions) == 1:
        return ["", f"All {len(summary.serving)} services of {literal(summary.target)} run {literal(versions.pop())}."]
    rows = [{"service": service, "version": version} for service, version in sorted(summary.serving.items())]
    return _chapter(f"What serves in {literal(summary.target)} now", rows)


def _proof(summary: RunSummary, records: Sequence[Record], head: Head | None) -> list[str]:
    took = f"Took {spoken(summary.duration_s)}." if summary.duration_s else ""
    plan = next((it.event.plan_hash for it in reversed(records) if it.event.plan_hash), "")
    lines = ["", "### Record", "", " ".join(filter(None, (took, f"Plan `{plan}`." if plan else "")))]
    run = records[0].event.run_id
    lines += ["", f"The whole story: `python -m deployments.audit show {run}`"]
    if head:
        lines += ["", f"The ledger had {head.seq} records. That nobody has touched them since is proven by"]
        lines += ["", f"`python -m deployments.audit verify --expect {head.hash}`"]
    return lines


def _counted(title: str, rows: Sequence[Mapping[str, str]]) -> list[str]:
    return _chapter(f"{title} ({len(rows)})", rows)


def _chapter(title: str, rows: Sequence[Mapping[str, str]]) -> list[str]:
    return ["", f"### {title}", *table(rows)] if rows else []


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
