"""Which feature flags travel with a release, what would change, and whether it arrived.

Opt-in: a flag that the policy does not name is not touched, and is not switched off through the back door (as
the prerequisite of a flag that stays). The plan is a value; its fingerprint is taken over the state that is
wanted, so a half applied plan keeps the fingerprint that was approved.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from rules.catalogue import FlagPolicy
from rules.errors import Refused
from rules.flag_targeting import (
    Difference,
    Instruction,
    Targeting,
    Variation,
    differences,
    instructions,
    targeting_from,
)
from rules.vocabulary import Finding, Verdict, worst

GATE = "feature flags"
VERIFIED = "feature flags after deployment"


@dataclass(frozen=True, slots=True)
class Flag:
    """A flag with what it does in one environment."""

    key: str
    variations: tuple[Variation, ...]
    targeting: Targeting
    version: int
    """Of the flag in this environment: grows with each change."""
    tags: tuple[str, ...] = ()
    obstacles: tuple[str, ...] = ()
    """What we cannot carry over, in words (a running experiment)."""

    @property
    def names(self) -> dict[str, str]:
        return {variation.id: variation.label for variation in self.variations}


@dataclass(frozen=True, slots=True)
class FlagApproval:
    """The environment's own rule in the flag service on who must agree to a change."""

    required: bool = False
    tags: frozenset[str] = frozenset()
    """Empty: all flags, else only those with one of these tags."""

    def covers(self, flag: Flag) -> bool:
        return self.required and (not self.tags or not self.tags.isdisjoint(flag.tags))


@dataclass(frozen=True, slots=True)
class EnvironmentFlags:
    """All live flags of a project as they stand in one environment."""

    environment: str
    flags: Mapping[str, Flag]
    segments: frozenset[str] = frozenset()
    approval: FlagApproval = FlagApproval()


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One flag of the target that becomes different."""

    key: str
    before: Targeting
    after: Targeting
    version: int
    """The target's version that this was planned against."""
    needs_approval: bool = False
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def instructions(self) -> tuple[Instruction, ...]:
        return instructions(self.before, self.after)

    @property
    def differences(self) -> tuple[Difference, ...]:
        return differences(self.before, self.after, self.names)

    @property
    def switches_off(self) -> bool:
        return self.before.on and not self.after.on

    def marker(self, reference: str) -> str:
        """What an approval request for exactly this change is recognised by, for instance under a version."""
        return f"promotion-flows {reference} {_sha256([self.key, self.instructions])[:16]}"


@dataclass(frozen=True, slots=True)
class FlagPlan:
    """What would change in the target. `changes` stand in the order in which they are to be applied."""

    source: str
    target: str
    changes: tuple[FlagChange, ...] = ()
    desired: Mapping[str, Targeting] = field(default_factory=dict)
    """Of every flag that the policy covers, changed or not."""
    problems: tuple[str, ...] = ()
    nothing_because: str = ""
    """Why no flag travels, where none does."""

    @property
    def needs_approval(self) -> bool:
        return any(change.needs_approval for change in self.changes)

    def findings(self) -> tuple[Finding, ...]:
        if self.problems:
            return tuple(Finding(GATE, Verdict.FAILED, problem) for problem in self.problems)
        return (Finding(GATE, Verdict.PASSED, self._sentence(), measured=f"{len(self.changes)} changes"),)

    def raise_if_unsafe(self) -> None:
        """Stands between plan and apply. Raises Refused with all findings."""
        if worst(finding.verdict for finding in self.findings()) is not Verdict.PASSED:
            raise Refused(f"Promotion of feature flags from {self.source} to {self.target}", self.findings())

    def table(self) -> list[dict[str, str]]:
        """One row per flag and aspect that changes, ready for a table artifact."""
        return [_row(self, change, difference) for change in self.changes for difference in change.differences]

    def fingerprint(self) -> str:
        """SHA-256 over the wanted state: stays when half of it is already so."""
        desired = {key: targeting.to_details() for key, targeting in self.desired.items()}
        return _sha256({"environment": self.target, "flags": desired})

    def intent(self) -> dict[str, Any]:
        """JSON for the record that is written before anything changes; `plan_put_back` reads it."""
        flags = [
            {"key": change.key, "before": change.before.to_details(), "after": change.after.to_details()}
            for change in self.changes
        ]
        return {"source": self.source, "environment": self.target, "flags": flags}

    def _sentence(self) -> str:
        if not self.desired:
            return self.nothing_because or "No feature flag travels with this release."
        changed = ", ".join(change.key for change in self.changes)
        off = ", ".join(change.key for change in self.changes if change.switches_off)
        return (
            f"{len(self.desired)} feature flags travel from {self.source} to {self.target}; "
            + (f"{len(self.changes)} of them change: {changed}." if changed else "all of them already agree.")
            + (f" SWITCHED OFF in {self.target}: {off}." if off else "")
            + (" The flag service asks for approval first." if self.needs_approval else "")
        )


def plan_flags(source: EnvironmentFlags, target: EnvironmentFlags, policy: FlagPolicy) -> FlagPlan:
    """What must change so that the covered flags do in the target what they do in the source."""
    if not policy.enabled:
        return FlagPlan(
            source.environment, target.environment, nothing_because="The catalogue names no feature flags to promote."
        )
    chosen = [flag for flag in source.flags.values() if _is_covered(flag, policy)]
    pairs = [(flag, target.flags[flag.key]) for flag in chosen if flag.key in target.flags]
    changes = [_change(flag, there, target.approval) for flag, there in pairs]
    desired = {flag.key: flag.targeting for flag in chosen}
    return FlagPlan(
        source.environment,
        target.environment,
        changes=_in_order(change for change in changes if change.differences),
        desired=desired,
        problems=(*_unknown_keys(source, policy), *_obstacles(source, target, chosen), *_collateral(target, desired)),
        nothing_because="" if chosen else f"No live flag of {source.environment} is covered by the catalogue's policy.",
    )


def plan_put_back(intent: Mapping[str, Any], now: EnvironmentFlags) -> FlagPlan:
    """The way back to what an intent found, in reverse order. What others changed since is a problem, not ours.

    Raises KeyError when the intent is not one that `FlagPlan.intent` wrote.
    """
    steps = [_step_back(recorded, now) for recorded in reversed(intent["flags"])]
    before = {recorded["key"]: targeting_from(recorded["before"]) for recorded in intent["flags"]}
    return FlagPlan(
        source=f"{now.environment} before",
        target=now.environment,
        changes=tuple(step for step in steps if isinstance(step, FlagChange) and step.differences),
        desired=before,
        problems=tuple(step for step in steps if isinstance(step, str)),
    )


def judge_flags(plan: FlagPlan, now: EnvironmentFlags) -> Finding:
    """Whether the target does what was planned, read back: every covered flag, changed or not."""
    if not plan.desired:
        return Finding(VERIFIED, Verdict.PASSED, plan.findings()[0].sentence)
    wrong = [sentence for key, wanted in plan.desired.items() for sentence in _deviations(key, wanted, now)]
    measured = f"{len(plan.desired) - len(wrong)} of {len(plan.desired)} as planned"
    if wrong:
        return Finding(VERIFIED, Verdict.FAILED, " ".join(wrong), measured, allowed="all as planned")
    sentence = f"All {len(plan.desired)} promoted feature flags do in {now.environment} what was planned."
    return Finding(VERIFIED, Verdict.PASSED, sentence, measured, allowed="all as planned")


def _is_covered(flag: Flag, policy: FlagPolicy) -> bool:
    return any(fnmatchcase(flag.key, pattern) for pattern in policy.keys) or any(
        tag in flag.tags for tag in policy.tags
    )


def _change(source: Flag, target: Flag, approval: FlagApproval) -> FlagChange:
    return FlagChange(
        source.key, target.targeting, source.targeting, target.version, approval.covers(target), source.names
    )


def _in_order(changes: Iterable[FlagChange]) -> tuple[FlagChange, ...]:
    """A flag after its prerequisites: it must not serve on the strength of a prerequisite's old state."""
    waiting = sorted(changes, key=lambda change: change.key)
    ordered: list[FlagChange] = []
    while waiting:
        keys = {change.key for change in waiting}
        free = [change for change in waiting if keys.isdisjoint(_prerequisite_keys(change) - {change.key})]
        ordered += free or waiting  # the flag service refuses circles; one in the plan stays in the order of keys
        waiting = [change for change in waiting if change not in ordered]
    return tuple(ordered)


def _prerequisite_keys(change: FlagChange) -> set[str]:
    return {prerequisite.key for prerequisite in change.after.prerequisites}


def _unknown_keys(source: EnvironmentFlags, policy: FlagPolicy) -> Iterator[str]:
    for key in policy.keys:
        if not set(key) & set("*?[") and key not in source.flags:
            yield (
                f"The catalogue promotes the flag {key!r}, and {source.environment} has no live flag of that name "
                "(archived, deleted or misspelt). Correct the catalogue or restore the flag."
            )


def _obstacles(source: EnvironmentFlags, target: EnvironmentFlags, chosen: list[Flag]) -> Iterator[str]:
    keys = {flag.key for flag in chosen}
    for flag in chosen:
        there = target.flags.get(flag.key)
        if there is None:
            yield f"Flag {flag.key} does not exist in {target.environment}. Create the environment in the flag service."
            continue
        yield from (f"Flag {flag.key} in {source.environment}: {obstacle}" for obstacle in flag.obstacles)
        yield from (f"Flag {flag.key} in {target.environment}: {obstacle}" for obstacle in there.obstacles)
        yield from _missing_segments(flag, target)
        yield from _unmet_prerequisites(flag, source, target, keys)
        if there.targeting.off_variation and not flag.targeting.off_variation:
            yield f"Flag {flag.key} serves nothing when off in {source.environment}, which cannot be asked for by API."


def _missing_segments(flag: Flag, target: EnvironmentFlags) -> Iterator[str]:
    for segment in sorted(flag.targeting.segments - target.segments):
        yield (
            f"Flag {flag.key} asks for the segment {segment!r}, which {target.environment} does not have. "
            f"Create the segment in {target.environment} first."
        )


def _unmet_prerequisites(
    flag: Flag, source: EnvironmentFlags, target: EnvironmentFlags, promoted: set[str]
) -> Iterator[str]:
    for key in sorted(prerequisite.key for prerequisite in flag.targeting.prerequisites):
        if key in promoted or not flag.targeting.on:
            continue
        here, there = source.flags.get(key), target.flags.get(key)
        if there is None or (here and here.targeting.on and not there.targeting.on):
            state = "missing" if there is None else "off"
            yield (
                f"Flag {flag.key} depends on the flag {key}, which is {state} in {target.environment} and is not "
                f"promoted. Add {key} to the catalogue's flags or switch it on in {target.environment}."
            )


def _collateral(target: EnvironmentFlags, desired: Mapping[str, Targeting]) -> Iterator[str]:
    """Flags that nobody promotes, and that would go off because a promoted prerequisite does."""
    for flag in target.flags.values():
        if flag.key in desired or not flag.targeting.on:
            continue
        for prerequisite in flag.targeting.prerequisites:
            wanted, there = desired.get(prerequisite.key), target.flags.get(prerequisite.key)
            if wanted and there and there.targeting.on and not wanted.on:
                yield (
                    f"Switching {prerequisite.key} off in {target.environment} would switch off {flag.key} too, which "
                    f"depends on it and is not promoted. Add {flag.key} to the catalogue's flags, or remove "
                    f"{prerequisite.key} from them."
                )


def _step_back(recorded: Mapping[str, Any], now: EnvironmentFlags) -> FlagChange | str:
    key, before, after = recorded["key"], targeting_from(recorded["before"]), targeting_from(recorded["after"])
    flag = now.flags.get(key)
    if flag is None:
        return f"Flag {key} is not in {now.environment} any more and cannot be put back."
    if flag.targeting not in (before, after):
        return (
            f"Flag {key} in {now.environment} was changed by somebody else after the promotion (version "
            f"{flag.version}) and was not overwritten. Look at it in the flag service."
        )
    return FlagChange(key, flag.targeting, before, flag.version, now.approval.covers(flag), flag.names)


def _deviations(key: str, wanted: Targeting, now: EnvironmentFlags) -> Iterator[str]:
    flag = now.flags.get(key)
    if flag is None:
        yield f"Flag {key} is missing in {now.environment}."
    elif found := differences(flag.targeting, wanted, flag.names):
        told = ", ".join(f"{each.aspect} is {each.now} instead of {each.planned}" for each in found)
        yield f"Flag {key} in {now.environment}: {told}."


def _row(plan: FlagPlan, change: FlagChange, difference: Difference) -> dict[str, str]:
    return {
        "flag": change.key,
        "aspect": difference.aspect,
        f"{plan.target} now": difference.now,
        f"as in {plan.source}": difference.planned,
        "approval": "needed" if change.needs_approval else "",
    }


def _sha256(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
