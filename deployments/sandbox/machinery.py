"""The processes and files of a sandbox, as far as a story may lay hands on them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from rules.records import Record


class Machinery(Protocol):
    def kill_worker(self) -> int:
        """End the worker and its flow runs at once, as a power cut would. How many processes there were."""

    def start_worker(self) -> None:
        """A new one, once the old one was killed."""

    def ledger_says(self, run_id: str) -> str:
        """Why a roll-out that this run began was taken back, as the ledger has it; empty when it does not say."""

    def records(self, run_id: str) -> list[Record]:
        """What the ledger has of a run, the oldest first."""

    def other_catalogue(self, edit: Callable[[str], str]) -> AbstractContextManager[None]:
        """Inside, each run that begins finds another catalogue; its text is made of the usual one's."""
