"""What people see in the Prefect UI: tables of findings and changes, progress while traffic moves."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)

from rules.vocabulary import Finding, Verdict

MARKS = {Verdict.PASSED: "✅", Verdict.INCONCLUSIVE: "❔", Verdict.FAILED: "❌"}


def publish_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table artifact. Same key, same history in the UI."""
    create_table_artifact(key=key, table=[dict(row) for row in rows], description=description)


def publish_markdown(key: str, markdown: str, description: str) -> None:
    create_markdown_artifact(key=key, markdown=markdown, description=description)


def publish_findings(key: str, findings: Iterable[Finding], description: str) -> None:
    """One row a finding, the unmet ones first."""
    ordered = sorted(findings, key=lambda finding: -finding.verdict.badness)
    publish_table(key, [_row(finding) for finding in ordered], description)


def _row(finding: Finding) -> dict[str, str]:
    return {
        "": MARKS[finding.verdict],
        "gate": finding.gate,
        "finding": finding.sentence,
        "measured": finding.measured,
        "allowed": finding.allowed,
    }


class Progress:
    """A progress bar in the UI that moves while a task works."""

    def __init__(self, key: str, description: str) -> None:
        created = create_progress_artifact(progress=0.0, key=key, description=description)
        if not isinstance(created, UUID):  # typed as "or a coroutine", which it is not in synchronous code
            raise TypeError(f"progress artifact {key} has no id: {created!r}")
        self._id = created
        self._shown: tuple[float, str] = (0.0, description)

    def show(self, percent: float, description: str) -> None:
        """Moves the bar, unless it stands there already."""
        if self._shown != (percent, description):
            update_progress_artifact(self._id, progress=percent, description=description)
            self._shown = (percent, description)
