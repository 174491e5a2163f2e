"""A canary as a page for people: what is said of it, by which numbers, what comes next, and who can do what.

The same page stands above the form when a person is asked. Times are the world's (UTC), never "in five minutes":
a page is read later than it was written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import pandas as pd

from rules.canary_bounds import BAND_ALPHA
from rules.canary_memory import Answer
from rules.canary_running import Question
from rules.catalogue import CanaryPolicy, JudgePolicy
from rules.judgements import Decision, Judgement
from rules.run_pages import literal, table


class Phase(StrEnum):
    """How far a canary is, as people are told."""

    STARTED = "started"
    JUDGED = "judged"
    """It has a share of the traffic, and the judge looks."""
    MOVING = "moving"
    """It may go on to the next step."""
    ASKED = "asked"
    """A person is to decide."""
    RETURNED = "rolled back"
    ARRIVED = "arrived"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one canary stands at this moment."""

    application: str
    environment: str
    service: str
    version: str
    phase: Phase
    weight: float
    """Percent of the traffic on the new version."""
    policy: CanaryPolicy
    judged_by: JudgePolicy
    source: str = ""
    """`Source.words` of the metrics."""
    reached_at: datetime | None = None
    """When the present step got its traffic."""
    back_at: datetime | None = None
    """When the traffic is taken back if nobody says anything; None while nobody waits for a word."""
    answer_by: datetime | None = None
    """When an answer comes too late; somewhat before `back_at`."""
    stays_without_us: bool = False
    """Whether nobody takes it back where no process of ours lives any more."""
    why: str = ""
    """What the last step said, where that is more than the judgement."""

    at: datetime | None = None
    """When this was so."""

    @property
    def what(self) -> str:
        return f"{self.service} {self.version}".strip()

    @property
    def until(self) -> datetime | None:
        """Until when somebody may answer."""
        return self.answer_by or self.back_at

    @property
    def further(self) -> int:
        """The next share of the traffic."""
        return next((step for step in sorted(self.policy.steps) if step > self.weight), 100)


SAYINGS = {
    Decision.ROLL_BACK: "Worse",
    Decision.PROMOTE: "Good enough",
    Decision.NOT_ENOUGH_DATA: "Too little to tell",
    Decision.HOLD: "Nothing is seen",
}
SHORT_SAYINGS = {
    Decision.ROLL_BACK: "worse",
    Decision.PROMOTE: "fine",
    Decision.NOT_ENOUGH_DATA: "too few",
    Decision.HOLD: "silent",
}
QUESTIONS = {
    Question.ERRORS: "errors",
    Question.SLOW: "slow",
    Question.ERRORS_TO_OLD: "errors beside old",
    Question.SLOW_TO_OLD: "slow beside old",
}
RUNNING = frozenset({Phase.STARTED, Phase.JUDGED, Phase.MOVING, Phase.ASKED})
WHERE = "in the Prefect UI, in the menu ⋮ at the top right of the run: Resume"
"""The menu has no name on the screen."""
BELOW = "**Decide below this text**: scroll down, choose, and press Resume."
"""On a usual screen the form is not in sight."""
ANSWERS = {
    Answer.PROMOTE: "goes on to {further} % without evidence. Whoever says so answers for it.",
    Answer.EXTEND: "stays at {weight:g} % and is judged for {window:g} minutes more.",
    Answer.ABORT: "all traffic goes back to the old version at once, and that of the other services of the wave.",
}
_ASKED = (
    f"Whoever may resume runs answers {WHERE}. Meanwhile nothing moves.",
    "If the judge finds it worse meanwhile, it goes back without waiting for an answer.",
)
MOST_ODDS = 6
"""Powers of ten of the odds: beyond a million to one nobody counts."""


def canary_page(
    standing: Standing, judgement: Judgement | None, verdicts: pd.DataFrame | None = None, picture: str = ""
) -> str:
    """The whole page as Markdown. `verdicts` as `rules.canary.judge` gives them; `picture` is an image's address."""
    lines = [f"## {literal(headline(standing))}", "", *_said(standing, judgement), *_as_of(standing)]
    if picture:
        lines += ["", f"![Evidence, rates and requests of {literal(standing.service)}]({picture})"]
    lines += _chapter("What happens next", next_words(standing, judgement))
    if standing.phase is Phase.ASKED:
        lines += ["", "### What you can say", *table(answers(standing))]
    if verdicts is not None:
        lines += _questions(standing, verdicts)
    return "\n".join(lines)


def question_page(standing: Standing, judgement: Judgement | None, verdicts: pd.DataFrame | None = None) -> str:
    """What a person reads above the form: the same in lists, because the form is too narrow for a table."""
    lines = [f"## {literal(headline(standing))}", "", *_said(standing, judgement), "", BELOW]
    lines += _chapter("What you can say", [f"**{row['answer']}**: {row['then']}" for row in answers(standing)])
    if verdicts is not None:
        counted = verdicts[verdicts["n_canary"] > 0]
        lines += _chapter("The numbers", [_told(row) for row in rows_of(counted, standing.service)])
    lines += ["", "The chart is among the artifacts of this run. If the judge finds it worse meanwhile, it goes back."]
    return "\n".join(lines)


def headline(standing: Standing) -> str:
    """For instance: `event-management 3f2a1bc has 10 % of staging's traffic`."""
    where, what = standing.environment, standing.what
    return {
        Phase.STARTED: f"{what} is about to get its first visitors in {where}",
        Phase.JUDGED: f"{what} has {standing.weight:g} % of the traffic in {where}",
        Phase.MOVING: f"{what} goes on from {standing.weight:g} % in {where}",
        Phase.ASKED: f"{what} is held at {standing.weight:g} % in {where}: a person decides",
        Phase.RETURNED: f"{what} goes back in {where}",
        Phase.ARRIVED: f"{what} has all of the traffic in {where}",
    }[standing.phase]


def next_words(standing: Standing, judgement: Judgement | None) -> list[str]:
    """What happens next and when, as sentences; the judgement decides which of them come true."""
    match standing.phase:
        case Phase.RETURNED:
            return ["Every visitor gets the old version again. The whole story is in the run and in the ledger."]
        case Phase.ARRIVED:
            return ["It bakes, and while it does it can still go back; then the old version's tasks are stopped."]
        case Phase.STARTED:
            first = min(standing.policy.steps, default=100)
            return [f"Then {first} % of the visitors get the new version, and the judge starts to count."]
        case Phase.MOVING:
            return [f"The next stop is {standing.further} %."]
        case Phase.ASKED:
            return [*_ASKED, *_dead_hand(standing)]
    return [*_judged(standing, judgement), *_dead_hand(standing)]


def answers(standing: Standing) -> list[dict[str, str]]:
    """Rows: what a person may say, and what that does."""
    filling = {
        "further": standing.further,
        "weight": standing.weight,
        "window": standing.policy.window_minutes,
    }
    rows = [{"answer": answer.value, "then": text.format(**filling)} for answer, text in ANSWERS.items()]
    if standing.until:
        silence = f"the same as abort, at {clock(standing.until)}."
        rows.append({"answer": "(nothing)", "then": silence})
    return rows


def rows_of(verdicts: pd.DataFrame, service: str) -> list[dict[str, str]]:
    """The four questions of a service as a table's rows, in words."""
    mine = verdicts[verdicts["service"] == service]
    return [_row(row) for row in mine.to_dict("records")]


def clock(at: datetime, *, seconds: bool = False) -> str:
    return f"{at:{'%H:%M:%S' if seconds else '%H:%M'}} {at.tzname() or ''}".strip()


def _said(standing: Standing, judgement: Judgement | None) -> Iterator[str]:
    """The judgement's sentence comes first; what else is known of the reason, after it."""
    if judgement is None and not standing.why:
        yield "No numbers have come yet."
    if judgement:
        yield f"**{SAYINGS[judgement.decision]}:** {literal(judgement.sentence)}"
    if standing.why and not (judgement and judgement.sentence in standing.why):
        yield from ("", literal(standing.why)) if judgement else (literal(standing.why),)


def _judged(standing: Standing, judgement: Judgement | None) -> Iterator[str]:
    policy = standing.policy
    if standing.reached_at is None:
        return
    decision = judgement.decision if judgement else Decision.NOT_ENOUGH_DATA
    window = standing.reached_at + timedelta(minutes=policy.window_minutes)
    last = standing.reached_at + timedelta(minutes=policy.window_minutes * (1 + policy.extensions))
    if decision is Decision.ROLL_BACK:
        yield "All traffic goes back to the old version now, and that of the other services of the wave with it."
        return
    if decision is Decision.HOLD:
        yield "A person is asked now: without numbers nobody can tell."
        return
    yield f"It is judged at {standing.weight:g} % until {clock(window)}. If it is worse by then, it goes back at once."
    yield f"If it is good enough at {clock(window)}, it goes on to {standing.further} %."
    yield f"If there is too little to tell, it is judged until {clock(last)}, and then a person is asked."


def _dead_hand(standing: Standing) -> Iterator[str]:
    if standing.back_at and standing.stays_without_us:
        yield (
            f"If nothing says otherwise by {clock(standing.back_at)}, all traffic goes back to the old version. "
            "**Only a run does that**: if no process of ours lives any more, the weights stay as they are."
        )
    elif standing.back_at:
        yield (
            f"If nothing says otherwise by {clock(standing.back_at)}, and even if no process of ours lives any more, "
            "the controller itself gives all traffic back to the old version."
        )


def _questions(standing: Standing, verdicts: pd.DataFrame) -> Iterator[str]:
    rows, policy = rows_of(verdicts, standing.service), standing.judged_by
    if rows:
        border = number(len(Question) / policy.alpha)
        yield from ("", "### The four questions", *table(rows), "")
        yield (
            f"*Slow* is over {policy.slow_ms:g} ms, beside the old version over that one's own 95th percentile. "
            f"Beside the old version {policy.error_tolerance:g} times its errors and {policy.slow_tolerance:g} times "
            f"its slow requests are tolerated. *Odds* say how much likelier these requests are if the new version is "
            f"worse; at {border}:1 it goes back. The *band* holds the true rate in {100 * (1 - BAND_ALPHA):g} % of "
            "roll-outs, however often one looks."
        )
    if standing.source:
        yield from ("", f"Numbers: {literal(standing.source)}.")


def _as_of(standing: Standing) -> Iterator[str]:
    """The UI does not draw a page anew by itself."""
    if standing.at and standing.phase in RUNNING:
        yield from ("", f"As of {clock(standing.at, seconds=True)}. Reload the page for what has come since.")


def _row(row: Mapping[Any, Any]) -> dict[str, str]:
    return {
        "asked of": QUESTIONS[Question(row["test"])],
        "answer": SHORT_SAYINGS[Decision(row["verdict"])],
        "bad of all": f"{number(row['bad_canary'])} of {number(row['n_canary'])}",
        "rate": percent(row["rate"]),
        "band": f"{percent(row['low'])} to {percent(row['high'])}" if row["n_canary"] > 0 else "",
        "limit": percent(row["limit"]) if row["limit"] else "",  # the old version failed not once: no limit to tell
        "old": _old(row),
        "odds": odds(row["evidence"]),
    }


def _told(row: Mapping[str, str]) -> str:
    """One question's row as a sentence."""
    allowed = f"; limit {row['limit']}" if row["limit"] else ""
    rate = f", {row['rate']}" if row["rate"] else ""
    return f"{row['asked of']}: {row['bad of all']}{rate}{allowed}; odds {row['odds']}"


def _old(row: Mapping[Any, Any]) -> str:
    n = row.get("n_old", 0)
    return percent(row["bad_old"] / n) if n > 0 else ""


def _chapter(title: str, sentences: Sequence[str]) -> list[str]:
    return ["", f"### {title}", "", *(f"- {it}" for it in sentences)] if sentences else []


def number(value: float) -> str:
    """A count for people: `12 345`; of a fraction of a request two digits."""
    return f"{round(value):,}".replace(",", " ") if value >= 1 or value == 0 else f"{value:.2g}"


def percent(share: float) -> str:
    """`0.42 %`; empty where there is no number."""
    return "" if share != share else f"{100 * share:.3g} %"  # noqa: PLR0124 - NaN


def odds(evidence: float) -> str:
    """From a power of ten: `81:1`, `under 1:1`, `over 1 000 000:1`."""
    if evidence < 0:
        return "under 1:1"
    if evidence > MOST_ODDS:
        return f"over {number(10**MOST_ODDS)}:1"
    return f"{number(10**evidence)}:1"
