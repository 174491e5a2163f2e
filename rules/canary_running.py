"""The four questions put to the counts, each as running numbers over all services and ticks."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from rules.canary_arrays import Flags, Floats, Whole, share
from rules.canary_counts import Grid, Tally
from rules.canary_guards import Bursts, breaking, shared_incident, trailing, warming_up
from rules.canary_scores import against_limit, against_old, scores, start_weights
from rules.catalogue import JudgePolicy


class Question(StrEnum):
    """What is asked of the new version. Four, because one of alpha's four shares is paid for each."""

    ERRORS = "errors"
    """Does it fail more often than the budget allows?"""
    SLOW = "slow"
    """Are more of its requests slower than the limit than may be?"""
    ERRORS_TO_OLD = "errors_to_old"
    """Does it fail more often than the old version does at the same time, beyond what is tolerated?"""
    SLOW_TO_OLD = "slow_to_old"
    """Is it slower than the old version's own 95th percentile more often than the old one is now?"""

    @property
    def to_old(self) -> bool:
        return self in (Question.ERRORS_TO_OLD, Question.SLOW_TO_OLD)

    @property
    def about_slowness(self) -> bool:
        return self in (Question.SLOW, Question.SLOW_TO_OLD)

    @property
    def column(self) -> str:
        """The column of the counts that holds its bad requests."""
        if self is Question.SLOW_TO_OLD:
            return "slow_ref"
        return "slow" if self is Question.SLOW else "errors"


@dataclass(frozen=True, slots=True)
class Running:
    """One question's numbers up to the end of each tick: services x ticks. Only what counts for it is counted."""

    question: Question
    n: Floats
    bad: Floats
    old_n: Floats
    old_bad: Floats
    tempered: Floats
    """Requests divided by the burstiness: what they are worth as evidence."""
    evidence: Floats
    """Natural logarithm of the odds."""
    left_out: Flags
    """Ticks with canary requests that do not count: an incident of the old version, or the warm-up."""
    crossed: Whole
    """By service the first tick at which the evidence passed the line; -1 where it did not."""


def limit_of(question: Question, policy: JudgePolicy) -> float:
    """The share of bad requests that the policy allows."""
    return policy.max_slow_share if question.about_slowness else policy.max_error_rate


def tolerance_of(question: Question, policy: JudgePolicy) -> float:
    return policy.slow_tolerance if question.about_slowness else policy.error_tolerance


def line(policy: JudgePolicy) -> float:
    """Natural logarithm of the odds at which a roll-out goes back: each question has its share of alpha."""
    return float(np.log(len(Question) / policy.alpha))


def all_running(grid: Grid, policy: JudgePolicy) -> Iterator[Running]:
    for question in Question:
        yield running(question, grid, policy)


def running(question: Question, grid: Grid, policy: JudgePolicy) -> Running:
    """The numbers of one question, with all guards."""
    counts = _counts(question, grid, policy)
    old_bad, bad = (np.where(counts, _bad(question, it), 0.0) for it in (grid.old, grid.new))
    old_n, n = (np.where(counts, it.n, 0.0) for it in (grid.old, grid.new))
    limit, segments = limit_of(question, policy), grid.past_segments
    bursts = Bursts(_bad(question, grid.past), grid.past.n, segments, limit, policy)
    temper = bursts.temper(_together(question, grid, policy), grid.ticks)
    if question.to_old:
        factors = against_old((bad, old_bad), (n, old_n), tolerance_of(question, policy), temper)
    else:
        factors = against_limit(bad / temper, n / temper, limit)
    lately = [trailing(it, grid.ticks, policy.segment_seconds) for it in (bad, n, old_bad, old_n)]
    at_once = breaking(
        (lately[0], lately[1]), share(lately[2], lately[3]), limit, bursts=bursts, ticks=grid.ticks, policy=policy
    )
    evidence = _held(_evidence(factors, at_once, grid.ticks, policy), counts)
    all_bad = np.cumsum(bad, axis=1)
    return Running(
        question=question,
        n=np.cumsum(n, axis=1),
        bad=all_bad,
        old_n=np.cumsum(old_n, axis=1),
        old_bad=np.cumsum(old_bad, axis=1),
        tempered=np.cumsum(n / temper, axis=1),
        evidence=evidence,
        left_out=(grid.new.n > 0) & ~counts,
        crossed=_crossed((evidence >= line(policy)) & (all_bad >= policy.least_bad)),
    )


def _counts(question: Question, grid: Grid, policy: JudgePolicy) -> Flags:
    """The ticks that count for a question."""
    counts: Flags = grid.new.n > 0
    if question.about_slowness:
        counts &= ~warming_up(grid.new.n, grid.ticks, policy.warm_up_seconds)
    if question.to_old:
        return counts & (grid.old.n > 0)
    limit, old_bad = limit_of(question, policy), _bad(question, grid.old)
    return counts & ~shared_incident(old_bad, grid.old.n, limit, grid.ticks, policy.segment_seconds)


def _bad(question: Question, tally: Tally) -> Floats:
    bad: Floats = getattr(tally, question.column)
    return bad


def _together(question: Question, grid: Grid, policy: JudgePolicy) -> Floats:
    """Requests that one burst hits together, extrapolated from the tick to its segment.

    Against the old version both versions' bursts blur the coin, each in its own way: hence twice the smaller share.
    """
    segments = policy.segment_seconds / np.minimum(grid.width, policy.segment_seconds)
    new, old = grid.new.n, grid.old.n
    together: Floats = 2 * share(new * old, new + old) if question.to_old else new
    return together * segments[:, None]


def _evidence(factors: Floats, at_once: Flags, ticks: Floats, policy: JudgePolicy) -> Floats:
    numbers = np.floor(ticks / policy.segment_seconds).astype(np.int64)
    segments, segment_of = np.unique(numbers, return_inverse=True)
    weights = start_weights(segments)
    evidence = scores(factors, segment_of, weights, policy.segment_nats)
    hot = np.flatnonzero(at_once.any(axis=1))
    if hot.size:
        whole = scores(factors[hot], segment_of, weights, np.inf)
        evidence[hot] = np.where(at_once[hot], whole, evidence[hot])
    return evidence


def _held(evidence: Floats, counts: Flags) -> Floats:
    """Where a tick does not count the evidence stands still."""
    ticks = np.arange(evidence.shape[1])
    last = np.maximum.accumulate(np.where(counts, ticks, -1), axis=1)
    held: Floats = np.where(last >= 0, np.take_along_axis(evidence, np.maximum(last, 0), axis=1), 0.0)
    return held


def _crossed(past_line: Flags) -> Whole:
    if not past_line.shape[1]:
        return np.full(len(past_line), -1, dtype=np.int64)
    return np.where(past_line.any(axis=1), np.argmax(past_line, axis=1), -1)
