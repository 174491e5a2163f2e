"""What people are told while a canary runs: where it stands, what to do and until when, and how it ended.

The words are those of its page (`rules.canary_pages`), within the limits of Slack and PagerDuty (`rules.messages`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from rules.canary_pages import WHERE, Phase, Standing, answers, clock, headline, number, percent
from rules.judgements import Decision, Judgement
from rules.messages import (
    DEDUP_KEY,
    FALLBACK,
    SECTION,
    SENTENCE,
    SUMMARY,
    ChatMessage,
    Page,
    cut,
    escaped,
    facts,
    header,
    links,
    section,
)

SIGNS = {
    Phase.STARTED: ":hatching_chick:",
    Phase.JUDGED: ":baby_chick:",
    Phase.MOVING: ":arrow_forward:",
    Phase.ASKED: ":raised_hand:",
    Phase.RETURNED: ":leftwards_arrow_with_hook:",
    Phase.ARRIVED: ":white_check_mark:",
}
URGENT = ":rotating_light:"


@dataclass(frozen=True, slots=True)
class Met:
    """What visitors really met since the canary started, both versions together."""

    requests: float
    new: float
    """Requests that the new version answered."""
    failed: float
    """Of `new`."""
    slow: float
    """Of `new`; one that failed slowly is in both."""
    slow_ms: float

    @property
    def sentence(self) -> str:
        """For instance: `Of 5 021 requests 502 met the new version (10 %): 41 failed (0.817 % of all), 12 were …`."""
        if self.requests <= 0:
            return "No request is known since it started."
        return (
            f"Of {number(self.requests)} requests {number(self.new)} met the new version "
            f"({percent(self.new / self.requests)}): {number(self.failed)} failed "
            f"({percent(self.failed / self.requests)} of all), {number(self.slow)} took longer than "
            f"{self.slow_ms:g} ms."
        )


@dataclass(frozen=True, slots=True)
class Places:
    """Where to look. Empty where no UI address is set."""

    run: str = ""
    chart: str = ""


def met(counts: pd.DataFrame, service: str, slow_ms: float) -> Met:
    """`counts` as in `rules.canary_counts`."""
    mine = counts[(counts["service"] == service) & (counts["t"] >= 0)]
    new = mine[mine["arm"] == "new"]
    requests, *bad = (float(column.sum()) for column in (mine["n"], new["n"], new["errors"], new["slow"]))
    return Met(requests, bad[0], bad[1], bad[2], slow_ms)


def canary_message(
    standing: Standing, judgement: Judgement | None, places: Places, harm: Met | None = None
) -> ChatMessage:
    """The message for the release channel. `harm` is told where the canary has ended."""
    sign = URGENT if urgent(standing, judgement) else SIGNS[standing.phase]
    said = _sentence(standing, judgement)
    blocks = [
        header(sign, headline(standing)),
        *(section(cut(text, SECTION)) for text in _texts(standing, said, harm)),
        *facts(_facts(standing)),
        *links({"Answer in the run" if standing.phase is Phase.ASKED else "Look at the run": places.run}
               | {"The chart": places.chart}),
    ]  # fmt: skip
    return ChatMessage(cut(escaped(f"{headline(standing)}. {said}"), FALLBACK), tuple(blocks))


def urgent(standing: Standing, judgement: Judgement | None) -> bool:
    """Somebody must look now: nobody can tell how the new version does, and people meet it."""
    return standing.phase is Phase.ASKED and judgement is not None and judgement.decision is Decision.HOLD


def hold_page(standing: Standing, judgement: Judgement, places: Places) -> Page | None:
    """Wakes somebody for a canary of which nothing is seen, else nobody."""
    if not urgent(standing, judgement):
        return None
    until = f" Answer by {clock(standing.until)}, or it goes back." if standing.until else ""
    details = {
        "what happened": judgement.sentence,
        "what to do": f"Answer {WHERE}. {'; '.join(_choices(standing))}",
        "traffic on the new version": f"{standing.weight:g} %",
        "numbers": standing.source,
        "chart": places.chart,
    }
    return Page(
        summary=cut(f"{headline(standing)}.{until} {judgement.sentence}", SUMMARY),
        source=f"{standing.application}/{standing.environment}",
        severity="critical",
        dedup_key=hold_key(standing),
        details={name: cut(value, SECTION) for name, value in details.items() if value},
        run_url=places.run,
        component=standing.service,
        group=standing.environment,
    )


def hold_key(standing: Standing) -> str:
    """One open page per service: asked again it adds to it, and its end resolves it."""
    return cut(f"promotion-flows/{standing.application}/{standing.environment}/canary/{standing.service}", DEDUP_KEY)


def _sentence(standing: Standing, judgement: Judgement | None) -> str:
    if standing.why:
        return standing.why
    if judgement and standing.phase is not Phase.STARTED:
        return judgement.sentence
    return f"Judged at {', '.join(f'{step} %' for step in sorted(standing.policy.steps))}, then all traffic."


def _texts(standing: Standing, said: str, harm: Met | None) -> Iterator[str]:
    yield cut(escaped(said.strip()), SENTENCE) or "No further words."
    if standing.phase is Phase.ASKED:
        yield "\n".join(_to_do(standing))
    if harm and standing.phase in {Phase.RETURNED, Phase.ARRIVED}:
        yield escaped(harm.sentence)


def _to_do(standing: Standing) -> Iterator[str]:
    until = f"*until {clock(standing.until)}*" if standing.until else "now"
    yield f"A person decides {until}, {WHERE}."
    yield from (f"• {escaped(choice)}" for choice in _choices(standing))


def _choices(standing: Standing) -> list[str]:
    return [f"{row['answer']}: {row['then']}" for row in answers(standing)]


def _facts(standing: Standing) -> dict[str, str]:
    return {
        "Service": standing.service,
        "Version": standing.version,
        "Environment": standing.environment,
        "Traffic on it": f"{standing.weight:g} %" if standing.phase is not Phase.STARTED else "",
    }
