"""Services that are rolled out side by side: one that goes back takes the others with it, and people are asked once."""

import threading
from collections import Counter
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is to decide for one service."""

    service: str
    deployment: str
    step: int
    key: str
    """Names the question in Prefect, which keeps the answer under it."""
    page: str
    """Markdown that the person sees above the form."""
    until: datetime
    """By then it must be answered; nobody's word is to abort."""


class Wave:
    """What the followers of one wave tell each other. Safe to use from any of their threads.

    Of answers it tells only how many there were: what was said is in the ledger, for this run as for the next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: dict[str, str] = {}
        self._questions: dict[str, Question] = {}
        self._answers: Counter[str] = Counter()

    def fail(self, service: str, why: str) -> None:
        """A service goes back; its first reason stands."""
        with self._lock:
            self._failed.setdefault(service, why)
            self._questions.pop(service, None)

    def failed_beside(self, service: str) -> str:
        """Why another service of the wave goes back; empty while none does."""
        with self._lock:
            return next((f"{other} goes back: {why}" for other, why in self._failed.items() if other != service), "")

    def ask(self, question: Question, heard: int) -> bool:
        """Whether the question is open now. Not while an answer is unheard: whoever asks must hear that first."""
        with self._lock:
            if self._answers[question.service] != heard:
                return False
            self._questions[question.service] = question
            return True

    def withdraw(self, service: str) -> None:
        """The question has answered itself: the judge has made up its mind, or the service goes back."""
        with self._lock:
            self._questions.pop(service, None)

    def asks(self, service: str) -> bool:
        with self._lock:
            return service in self._questions

    def open_question(self) -> Question | None:
        with self._lock:
            return next(iter(self._questions.values()), None)

    def is_open(self, question: Question) -> bool:
        with self._lock:
            return self._questions.get(question.service) == question

    def answered(self, question: Question) -> None:
        """There is an answer in the ledger. Whether the question was still open or not: what a person says counts."""
        with self._lock:
            self._answers[question.service] += 1
            self._questions.pop(question.service, None)

    def answers(self, service: str) -> int:
        with self._lock:
            return self._answers[service]
