"""Services that are rolled out side by side: one that goes back takes the others with it, and people are asked once."""

import threading
from dataclasses import dataclass

from rules.canary_memory import Answer


@dataclass(frozen=True, slots=True)
class Question:
    """What a person is to decide for one service. It can be answered once."""

    service: str
    key: str
    """Names the question in Prefect: a run that is asked again finds its answer under it."""
    page: str
    """Markdown that the person sees above the form."""
    seconds: float
    """So long there is time to answer."""
    urgent: bool = False
    """Nobody can tell how the new version does: somebody is paged."""


@dataclass(frozen=True, slots=True)
class Reply:
    answer: Answer
    comment: str


class Wave:
    """What the followers of one wave tell each other. Safe to use from any of their threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: dict[str, str] = {}
        self._questions: dict[str, Question] = {}
        self._replies: dict[str, Reply] = {}

    def fail(self, service: str, why: str) -> None:
        """A service goes back; its first reason stands."""
        with self._lock:
            self._failed.setdefault(service, why)
            self._questions.pop(service, None)

    def failed_beside(self, service: str) -> str:
        """Why another service of the wave goes back; empty while none does."""
        with self._lock:
            return next((f"{other} goes back: {why}" for other, why in self._failed.items() if other != service), "")

    def ask(self, question: Question) -> None:
        with self._lock:
            if question.key not in self._replies:
                self._questions[question.service] = question

    def withdraw(self, service: str) -> None:
        """The question has answered itself: the judge has made up its mind, or the service goes back."""
        with self._lock:
            self._questions.pop(service, None)

    def open_question(self) -> Question | None:
        with self._lock:
            return next(iter(self._questions.values()), None)

    def is_open(self, question: Question) -> bool:
        with self._lock:
            return self._questions.get(question.service) == question

    def reply(self, question: Question, reply: Reply) -> None:
        with self._lock:
            self._replies[question.key] = reply
            self._questions.pop(question.service, None)

    def reply_to(self, key: str) -> Reply | None:
        with self._lock:
            return self._replies.get(key)
