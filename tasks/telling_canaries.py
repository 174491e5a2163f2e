"""What people see and hear of a canary while it runs: its page with the chart, the release channel, the pager.

All of it from a thread of its own: a chat service that hangs must not hold up the way back by a second.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from datetime import datetime

from prefect.logging import get_logger

from blocks.chat import Posted
from rules.canary_messages import Places, canary_message, hold_key, hold_page, met, urgent
from rules.canary_pages import Phase, Standing, question_page
from rules.judgements import Judgement
from rules.rollouts import Deployment
from rules.vocabulary import Controller, Service
from tasks.announcing import run_link
from tasks.canary_charts import draw
from tasks.canary_numbers import NOTHING_READ, Reading
from tasks.canary_screens import chart_link, publish_canary
from tasks.promotions import Promotion

FOR_EVERYBODY = {Phase.ASKED, Phase.RETURNED, Phase.ARRIVED}
"""What stands in the channel itself; the rest is an answer to the first message, which only those see who open it."""

logger = get_logger("promotion-flows.canaries")


@dataclass(frozen=True, slots=True)
class Moment:
    """All that a page or a message is made of."""

    standing: Standing
    judgement: Judgement | None = None
    reading: Reading = NOTHING_READ
    stages: Sequence[tuple[float, float]] = ()
    """(seconds since the start, percent) of each step that was reached."""


class Telling:
    """Of one service. Nothing here can fail a roll-out, nor delay it. Close it at the end."""

    def __init__(self, promotion: Promotion, version: str, service: Service, source: str) -> None:
        self._application = promotion.application
        self.standing = Standing(
            application=promotion.application.name,
            environment=promotion.target.environment.name,
            service=service.id,
            version=version,
            phase=Phase.STARTED,
            weight=0.0,
            policy=promotion.catalogue.canary,
            judged_by=promotion.catalogue.judge,
            source=source,
            stays_without_us=service.controller is Controller.LISTENER,
        )
        self._places = Places(run_link(promotion.run_id), chart_link(self.standing))
        self._thread: Posted | None = None
        self._paged = False
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="telling")
        self._drawing: Future[None] | None = None

    def close(self) -> None:
        """Waits for what is being said; every one of its calls has its own time limit."""
        self._worker.shutdown(wait=True)

    def stands(self, deployment: Deployment, reached_at: datetime | None, *, asked: bool = False) -> None:
        """Where it is now: for everything that is told next. `asked`: a question is open, and stays on the page."""
        back_at = deployment.pause.expires_at if deployment.pause else None
        now = replace(self.standing, weight=deployment.weight, reached_at=reached_at, back_at=back_at, why="")
        self.standing = now if asked else replace(now, phase=Phase.JUDGED, answer_by=None)

    def question(self, why: str, moment: Moment, until: datetime) -> str:
        """The page that a person reads above the form, who must have answered by `until`."""
        self.standing = replace(self.standing, answer_by=until)
        asked = replace(self.standing, phase=Phase.ASKED, why=why)
        return question_page(asked, moment.judgement, moment.reading.verdicts)

    def picture(self, moment: Moment) -> None:
        """The page with its chart, as it is now; skipped while the one before is still being drawn."""
        if self._drawing is None or self._drawing.done():
            self._drawing = self._soon("the chart", lambda: self._publish(moment))

    def tell(self, phase: Phase, why: str, moment: Moment) -> None:
        """The release channel, and the pager where nobody can tell how the new version does. The page follows."""
        self.standing = replace(self.standing, phase=phase, why=why)
        now = replace(moment, standing=self.standing)
        self._soon("the message about the canary", lambda: self._post(now))
        self._soon("the page to the on-call person", lambda: self._page(now))
        self._soon("the chart", lambda: self._publish(now))

    def _post(self, moment: Moment) -> None:
        standing, counts = moment.standing, moment.reading.counts
        harm = met(counts, standing.service, standing.judged_by.slow_ms) if counts is not None else None
        message = canary_message(standing, moment.judgement, self._places, harm)
        thread = None if standing.phase in FOR_EVERYBODY else self._thread
        posted = self._application.chat.post(message, thread=thread, urgent=urgent(standing, moment.judgement))
        self._thread = self._thread or posted

    def _page(self, moment: Moment) -> None:
        standing, judgement = moment.standing, moment.judgement
        if judgement and (alert := hold_page(standing, judgement, self._places)):
            self._paged = True
            self._application.pager.trigger(alert)
        elif self._paged and standing.phase is not Phase.ASKED:
            self._application.pager.resolve(hold_key(standing))
            self._paged = False

    def _publish(self, moment: Moment) -> None:
        standing, reading, chart = moment.standing, moment.reading, ""
        if reading.counts is not None and reading.trace is not None and len(reading.trace):
            chart = draw(standing.service, reading.counts, reading.trace, standing.judged_by, moment.stages)
        place = publish_canary(standing, moment.judgement, reading.verdicts, chart)
        self._places = replace(self._places, chart=place)

    def _soon(self, what: str, say: Callable[[], object]) -> "Future[None]":
        # In a copy of this context: the run, and with it its server, are part of it.
        return self._worker.submit(copy_context().run, _say, what, say)


def _say(what: str, say: Callable[[], object]) -> None:
    try:
        say()
    except Exception as trouble:  # noqa: BLE001 - nobody's traffic depends on what is told of it
        logger.warning("%s did not get through: %s: %s", what, type(trouble).__name__, trouble)
