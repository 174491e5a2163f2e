"""What people see and hear of a canary while it runs: its page with the chart, and the release channel."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from rules.canary_pages import Phase, Standing, question_page
from rules.judgements import Judgement
from rules.rollouts import Deployment
from rules.vocabulary import Service
from tasks.canary_numbers import Numbers
from tasks.promotions import Promotion


class Telling:
    """Of one service. Nothing here can fail a roll-out."""

    def __init__(self, promotion: Promotion, version: str, service: Service, numbers: Numbers) -> None:
        self._promotion, self._service, self._numbers = promotion, service, numbers
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

    def stands(self, deployment: Deployment, reached_at: datetime | None) -> None:
        """Where it is now: for everything that is told next."""
        expires = deployment.pause.expires_at if deployment.pause else None
        self._standing = replace(
            self._standing, phase=Phase.JUDGED, weight=deployment.weight, reached_at=reached_at, back_at=expires
        )

    def picture(self, judgement: Judgement, stages: Sequence[tuple[float, float]]) -> None:
        """The page as it is now."""

    def question(self, why: str, judgement: Judgement | None) -> str:
        """The page that a person reads above the form."""
        asked = replace(self._standing, phase=Phase.ASKED, why=why)
        return question_page(asked, judgement, self._numbers.verdicts)

    def tell(self, phase: Phase, why: str, judgement: Judgement | None, *, urgent: bool = False) -> None:
        """The release channel, and where it is urgent the pager."""
