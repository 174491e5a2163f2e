"""A canary: which share of the traffic the new version may have next, and who says so.

Pure: a deployment as it was observed and what is known of its judgement in, one step out. ECS waits for our word
before every step; most are answered at once, those of the policy only after the judge, or a person, said so.
"""

from dataclasses import dataclass, field, replace

from rules.catalogue import CanaryPolicy, RolloutPolicy
from rules.judgements import Decision, Judgement
from rules.rollouts import Deployment, Move, Observation, Step, next_step

MARGIN_MINUTES = 1.0
"""So long before CodeDeploy goes on by itself it is stopped, unless it was allowed to."""


@dataclass(frozen=True, slots=True)
class Canary:
    """What is known of one canary beside its deployment."""

    policy: CanaryPolicy
    waits: bool = True
    """Whether who moves the traffic waits for our word at each step: CodeDeploy does not."""
    judgement: Judgement | None = None
    """None: not judged yet."""
    cleared: frozenset[int] = field(default_factory=frozenset)
    """The steps of the policy that it was allowed to go on from."""
    held_minutes: float = 0.0
    """Since it reached the step at which it is held."""
    granted: int = 0
    """Windows that a person gave it at this step, beyond those of the policy."""
    excused_minutes: float | None = None
    """Since a person last said that it may stay. None: nobody did."""
    trusted: bool = False
    """Whether a person said "promote" at this step."""
    trusted_before: bool = False
    """Whether a person said so at any step: then nobody waits for numbers at the end."""
    aborted: str = ""
    """Why it must go back, whatever else is seen: once said it is never unsaid."""

    def held_at(self, weight: float) -> int | None:
        """The lowest step that it has reached and was not allowed to go on from. None: it is under way."""
        return next((step for step in sorted(self.policy.steps) if step <= weight and step not in self.cleared), None)


def next_step_of_canary(seen: Observation, policy: RolloutPolicy, canary: Canary) -> Step:
    """As `rules.rollouts.next_step`, and while ours goes forward by the canary's own rules."""
    patient = replace(
        policy, total_minutes=policy.total_minutes + len(canary.policy.steps) * canary.policy.hold_minutes
    )
    step = next_step(seen, patient)
    if step.move is Move.DONE and canary.aborted:  # it arrived in the moment in which it was stopped
        return Step(Move.FAIL, f"{canary.aborted} It had arrived all the same.", step.weight)
    if step.move not in {Move.WAIT, Move.CONTINUE} or seen.ongoing is None or seen.ongoing.status.going_back:
        return step
    judged = next_canary_step(seen.service, seen.ongoing, canary)
    return step if step.move is Move.CONTINUE and judged.move is Move.WAIT else judged


def next_canary_step(service: str, seen: Deployment, canary: Canary) -> Step:
    """The next step of a deployment that goes forward. Total: every observation has an answer."""
    weight = seen.weight
    if canary.aborted:
        return Step(Move.STOP, canary.aborted, weight)
    if weight == 0:  # never judged before anybody can reach it
        return _first(service, seen)
    if canary.judgement and canary.judgement.decision is Decision.ROLL_BACK:
        return Step(Move.STOP, canary.judgement.sentence, weight)
    if weight >= 100:  # noqa: PLR2004 - percent
        return _last(service, seen, canary)
    step = canary.held_at(weight)
    if step is None:
        return _between(service, seen, canary)
    return _held(service, seen, canary, step)


def _first(service: str, seen: Deployment) -> Step:
    if seen.pause is None or not seen.complete:
        return Step(Move.WAIT, f"{service}: {seen.stage or seen.status}, the new version has no traffic yet", 0.0)
    return Step(Move.CONTINUE, f"all new tasks of {service} are healthy; its first visitors come", 0.0)


def _between(service: str, seen: Deployment, canary: Canary) -> Step:
    if _silent(canary) and not canary.trusted_before and not _excused(canary):
        return _ask(seen, canary, f"{service}: {seen.weight:g} %. {_sentence(canary)}")
    if seen.pause is None:
        return Step(Move.WAIT, f"{service}: {seen.weight:g} % on the new version, more is on its way", seen.weight)
    if not seen.complete:
        return Step(Move.WAIT, f"{service}: {seen.weight:g} %, and not all new tasks are healthy", seen.weight)
    return Step(Move.CONTINUE, f"{service}: {seen.weight:g} % on the new version, straight on", seen.weight)


def _held(service: str, seen: Deployment, canary: Canary, step: int) -> Step:
    decision = canary.judgement.decision if canary.judgement else Decision.NOT_ENOUGH_DATA
    why = _sentence(canary)
    held = f"{service}: held at {step} % for {canary.held_minutes:.1f} minutes"
    if canary.trusted:
        return _on(seen, canary, f"{held}; a person said: promote.")
    if decision is Decision.HOLD and not _excused(canary):
        return _ask(seen, canary, f"{held}. {why}")
    policy = canary.policy
    if canary.held_minutes < policy.window_minutes:
        return Step(Move.WAIT, f"{held} of {policy.window_minutes:g}. {why}", seen.weight)
    if decision is Decision.PROMOTE:
        return _on(seen, canary, f"{held}. {why}")
    return _inconclusive(seen, canary, held, why)


def _silent(canary: Canary) -> bool:
    return canary.judgement is not None and canary.judgement.decision is Decision.HOLD


def _sentence(canary: Canary) -> str:
    return canary.judgement.sentence if canary.judgement else "No numbers have come yet."


def _excused(canary: Canary) -> bool:
    return canary.excused_minutes is not None and canary.excused_minutes < canary.policy.window_minutes


def _inconclusive(seen: Deployment, canary: Canary, held: str, why: str) -> Step:
    policy = canary.policy
    if not canary.waits and canary.held_minutes < policy.codedeploy_minutes - MARGIN_MINUTES:
        return Step(Move.WAIT, f"{held}, where it stays for {policy.codedeploy_minutes:g} minutes. {why}", seen.weight)
    windows = 1 + policy.extensions + canary.granted
    if canary.waits and (_excused(canary) or canary.held_minutes < policy.window_minutes * windows):
        return Step(Move.WAIT, f"{held}, {windows} windows of {policy.window_minutes:g} at most. {why}", seen.weight)
    return _ask(seen, canary, f"{held}. {why}")


def _ask(seen: Deployment, canary: Canary, why: str) -> Step:
    if canary.waits and seen.pause is None:  # until it waits there is nothing that an answer could decide
        return Step(Move.WAIT, why, seen.weight)
    if canary.waits:
        return Step(Move.ASK, why, seen.weight)
    # It would go on while the person thinks, and without evidence there is no going on.
    return Step(Move.STOP, f"{why} CodeDeploy does not wait for a decision.", seen.weight)


def _on(seen: Deployment, canary: Canary, why: str) -> Step:
    # Who does not wait for our word goes on at its own time; that it may is written down all the same.
    if seen.complete and (seen.pause is not None or not canary.waits):
        return Step(Move.CONTINUE, why, seen.weight)
    return Step(Move.WAIT, why, seen.weight)


def _last(service: str, seen: Deployment, canary: Canary) -> Step:
    skipped = canary.held_at(seen.weight)
    if skipped is not None:
        return Step(Move.STOP, f"{service} went on from {skipped} % before anybody could say that it may.", seen.weight)
    if _silent(canary) and not canary.trusted_before:
        # Nothing waits for a person any more, and no data is never a pass.
        return Step(Move.STOP, f"{_sentence(canary)} At 100 % it cannot be held.", seen.weight)
    return Step(Move.WAIT, f"{service}: {seen.stage or seen.status}, all traffic on the new version", seen.weight)
