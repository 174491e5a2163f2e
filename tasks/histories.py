"""What came to an environment, as a table in the UI. It grows by a row with every run that ends."""

from blocks.doors import Application
from rules.histories import history, history_rows
from tasks.announcing import run_link
from tasks.artifacts import artifact_key, courtesy, publish_table


def publish_history(application: Application, environment: str) -> None:
    """The newest runs first. Nothing depends on it: where it cannot be shown, the log says so."""
    with courtesy("the history"):
        entries = history(application.ledger.records(), environment)
        rows = history_rows(entries, run_link)
        title = f"{application.name} in {environment}: the last {len(rows)} of {len(entries)} runs."
        if rows:
            publish_table(artifact_key(application.name, environment, "history"), rows, title)
