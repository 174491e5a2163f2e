"""What people see and hear of a canary while it runs: its page with the chart, the release channel, the pager."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from prefect.logging import get_logger

from blocks.chat import Posted
from rules.canary_messages import Places, canary_message, hold_key, hold_page, met, urgent
from rules.canary_pages import Phase, Standing, question_page
from rules.judgements import Judgement
from rules.rollouts import Deployment
from rules.vocabulary import Service
from tasks.announcing import run_link
from tasks.canary_charts import draw
from tasks.canary_numbers import Numbers
from tasks.canary_screens import chart_link, publish_canary
from tasks.promotions import Promotion

FOR_EVERYBODY = {Phase.ASKED, Phase.RETURNED, Phase.ARRIVED}
"""What stands in the channel itself; the rest is an answer to the first message, which only those see who open it."""

logger = get_logger("promotion-flows.canaries")


class Telling:
    """Of one service. Nothing here can fail a roll-out."""

    def __init__(self, promotion: Promotion, version: str, service: Service, numbers: Numbers) -> None:
        self._application, self._numbers = promotion.application, numbers
        self._standing = Standing(
            application=promotion.application.name,
            environment=promotion.target.environment.name,
            service=service.id,
            version=version,
            phase=Phase.STARTED,
            weight=0.0,
            policy=promotion.catalogue.canary,
            judged_by=promotion.catalogue.judge,
            source=numbers.source.words,
        )
        self._places = Places(run_link(promotion.run_id), chart_link(self._standing))
        self._stages: Sequence[tuple[float, float]] = ()
        self._thread: Posted | None = None
        self._paged = False

    def stands(self, deployment: Deployment, reached_at: datetime | None) -> None:
        """Where it is now: for everything that is told next."""
        back_at = deployment.pause.expires_at if deployment.pause else None
        self._standing = replace(
            self._standing, phase=Phase.JUDGED, weight=deployment.weight, reached_at=reached_at, back_at=back_at, why=""
        )

    def picture(self, judgement: Judgement | None, stages: Sequence[tuple[float, float]]) -> None:
        """The page with its chart, as it is now."""
        self._stages = stages
        self._say("the chart", lambda: self._publish(judgement))

    def question(self, why: str, judgement: Judgement | None) -> str:
        """The page that a person reads above the form."""
        asked = replace(self._standing, phase=Phase.ASKED, why=why)
        return question_page(asked, judgement, self._numbers.verdicts)

    def tell(self, phase: Phase, why: str, judgement: Judgement | None) -> None:
        """The release channel, and the pager where nobody can tell how the new version does. The page follows."""
        self._standing = replace(self._standing, phase=phase, why=why)
        self._say("the message about the canary", lambda: self._post(judgement))
        if judgement and (alert := hold_page(self._standing, judgement, self._places)):
            self._paged = True
            self._say("the page to the on-call person", lambda: self._application.pager.trigger(alert))
        elif self._paged and phase is not Phase.ASKED:
            self._paged = False
            self._say("the end of the page", lambda: self._application.pager.resolve(hold_key(self._standing)))
        self.picture(judgement, self._stages)

    def _post(self, judgement: Judgement | None) -> None:
        counts = self._numbers.counts
        harm = met(counts, self._standing.service, self._standing.judged_by.slow_ms) if counts is not None else None
        message = canary_message(self._standing, judgement, self._places, harm)
        thread = None if self._standing.phase in FOR_EVERYBODY else self._thread
        posted = self._application.chat.post(message, thread=thread, urgent=urgent(self._standing, judgement))
        self._thread = self._thread or posted

    def _publish(self, judgement: Judgement | None) -> None:
        numbers, chart = self._numbers, ""
        if numbers.counts is not None and numbers.trace is not None and len(numbers.trace):
            chart = draw(self._standing.service, numbers.counts, numbers.trace, numbers.policy, self._stages)
        place = publish_canary(self._standing, judgement, numbers.verdicts, chart)
        self._places = replace(self._places, chart=place)

    def _say(self, what: str, say: Callable[[], object]) -> None:
        try:
            say()
        except Exception as trouble:  # noqa: BLE001 - nobody's traffic depends on what is told of it
            logger.warning("%s did not get through: %s: %s", what, type(trouble).__name__, trouble)
