"""What people see in the Prefect UI: tables of findings and changes, progress while traffic moves."""

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

from rules.vocabulary import Finding, Verdict

logger = get_logger("promotion-flows.artifacts")

MARKS = {Verdict.PASSED: "✅", Verdict.INCONCLUSIVE: "❔", Verdict.FAILED: "❌"}


@contextmanager
def courtesy(what: str) -> Iterator[None]:
    """A picture that cannot be shown is no reason to take a release back; it is logged, and the work goes on."""
    try:
        yield
    except Exception as trouble:  # noqa: BLE001 - Prefect's client raises what its HTTP library raises, and more
        logger.warning("%s is not shown: %s: %s", what, type(trouble).__name__, trouble)


def publish_table(key: str, rows: Sequence[Mapping[str, Any]], description: str) -> None:
    """A table artifact. Same key, same history in the UI."""
    with courtesy(f"table {key}"):
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
