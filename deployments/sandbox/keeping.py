"""The keeper of waiting runs, started by the stories: its schedule, every five minutes, is too seldom for them."""

import time
from collections.abc import Callable

from rich.markup import escape

from deployments.sandbox.narration import Narrator
from deployments.sandbox.runs import Prefect, RunState

KEEPER = "promote-waiting/batbern"
PARAMETERS = {"application": "batbern"}
KEEPER_SECONDS = 8.0
"""From the end of one of its runs to the beginning of the next."""
ONCE_SECONDS = 90.0


class Keeper:
    def __init__(self, prefect: Prefect, narrator: Narrator, now: Callable[[], float] = time.monotonic) -> None:
        self._prefect, self._narrator, self._now = prefect, narrator, now
        self._run_id = ""
        self._next = now()

    def now_and_then(self) -> None:
        """Start it, unless its last run is not over yet or was a moment ago. What it did is told."""
        if self._run_id:
            if (state := self._prefect.state(self._run_id)).final:
                self._tell(state)
        elif self._now() >= self._next:
            self._run_id = self._prefect.start(KEEPER, PARAMETERS)

    def once(self, pause: Callable[[], None]) -> None:
        """Let it end what it is at, then start it once and wait until it is over."""
        end = self._now() + ONCE_SECONDS
        while self._run_id and self._now() < end:
            self.now_and_then()
            pause()
        self._next = self._now()
        self.now_and_then()
        while self._run_id and self._now() < end:
            pause()
            self.now_and_then()

    def _tell(self, state: RunState) -> None:
        self._run_id, self._next = "", self._now() + KEEPER_SECONDS
        self._narrator.say(f"keeper     {escape(state.message or state.name)}")
