"""What people see in the Prefect UI: findings, the plan, progress while traffic moves, and the run on one page."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.logging import get_logger
from prefect.runtime import flow_run

from blocks.doors import Application
from rules.production_policies import EmergencyPolicy
from rules.run_pages import could_be_met, headline, literal, run_page, verdict_words
from rules.summaries import summarise
from rules.vocabulary import Finding
from rules.why_not import WHO_MAY, who_may_waive

logger = get_logger("promotion-flows.artifacts")


@contextmanager
def courtesy(what: str) -> Iterator[None]:
    """A picture that cannot be shown is no reason to take a release back; it is logged, and the work goes on."""
    try:
        yield
    except Exception as trouble:  # noqa: BLE001 - Prefect's client raises what its HTTP library raises, and more
        logger.warning("%s is not shown: %s: %s", what, type(trouble).__name__, trouble)


def artifact_key(*words: str) -> str:
    """`batbern-staging-gates`. The same key is the same history in the UI, so it names application and environment."""
    return re.sub(r"[^a-z0-9]+", "-", " ".join(words).lower()).strip("-")


def publish_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table artifact. No column's name may be empty: the UI cannot draw that."""
    with courtesy(f"table {key}"):
        create_table_artifact(key=key, table=[dict(row) for row in rows], description=literal(description))


def publish_markdown(key: str, markdown: str, description: str) -> None:
    with courtesy(f"page {key}"):
        create_markdown_artifact(key=key, markdown=markdown, description=literal(description))


def publish_findings(
    key: str, findings: Iterable[Finding], description: str, emergency: EmergencyPolicy | None = None
) -> None:
    """One row a finding: the unmet ones first, then the excused. `emergency`: what may be left out, and by whom."""
    publish_table(key, findings_rows(findings, emergency), description)


def findings_rows(findings: Iterable[Finding], emergency: EmergencyPolicy | None = None) -> list[dict[str, str]]:
    """When an unmet gate could be met is a column where some finding says so; who may waive it, with `emergency`."""
    ordered = sorted(findings, key=lambda finding: (not finding.blocks, -finding.verdict.badness))
    return [_row(it) | could_be_met(it, ordered) | _who_may(it, emergency) for it in ordered]


def _row(finding: Finding) -> dict[str, str]:
    return {
        "verdict": verdict_words(finding),
        "gate": finding.gate,
        "finding": finding.sentence,
        "measured": finding.measured,
        "allowed": finding.allowed,
        "excused because": finding.waived,
    }


def _who_may(finding: Finding, emergency: EmergencyPolicy | None) -> dict[str, str]:
    return {WHO_MAY: who_may_waive(finding, emergency)} if emergency else {}


def publish_end(application: Application, run_id: str) -> None:
    """The run on one page, from its records, after its end: why, what serves now, where the proof is."""
    with courtesy("the summary"):
        records = list(application.ledger.records(run_id))
        summary = summarise(records, str(flow_run.flow_name or ""), application.name, "")
        if summary:
            page = run_page(summary, records, application.ledger.head())
            title = headline(summary, records)
            publish_markdown(artifact_key(application.name, summary.target, "summary"), page, title)


class Progress:
    """A progress bar in the UI that moves while a task works."""

    def __init__(self, key: str, description: str) -> None:
        self._key, self._shown = key, (0.0, description)
        self._id: UUID | None = None
        with courtesy(f"progress {key}"):  # typed as "or a coroutine", which it is not in synchronous code
            self._id = cast("UUID", create_progress_artifact(progress=0.0, key=key, description=description))

    def show(self, percent: float, description: str) -> None:
        """Moves the bar, unless it stands there already."""
        if self._id is None or self._shown == (percent, description):
            return
        with courtesy(f"progress {self._key}"):
            update_progress_artifact(self._id, progress=percent, description=description)
            self._shown = (percent, description)
