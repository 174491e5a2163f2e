"""The sandbox's ledger, read as a file: by those who have no Prefect server to ask where it is."""

from pathlib import Path

from rules.records import Record, read

RECORDS = "records.jsonl"


def read_ledger(folder: Path) -> list[Record]:
    """Everything in it, the oldest first; nothing before the first record. A line that is being written is left out."""
    file = folder / RECORDS
    if not file.exists():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [read(line) for line in whole.splitlines() if line]
