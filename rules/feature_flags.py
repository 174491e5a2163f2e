"""Which feature flags travel with a release, what would change, and whether it arrived.

Opt-in: a flag that the policy does not name is not touched, and is not switched off through the back door (as
the prerequisite of a flag that stays). The plan is a value; its fingerprint is taken over the state that is
wanted, so a half applied plan keeps the fingerprint that was approved.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from rules.catalogue import FlagPolicy
from rules.errors import Refused
from rules.flag_obstacles import collateral, obstacles, unknown_keys
from rules.flag_states import EnvironmentFlags, Flag
from rules.flag_targeting import (
    Difference,
    Instruction,
    Targeting,
    differences,
    instructions,
    targeting_from,
)
from rules.vocabulary import Finding, Verdict, unmet

GATE = "feature flags"
VERIFIED = "feature flags after deployment"


@dataclass(frozen=True, slots=True)
class FlagChange:
    """One flag of the target that becomes different. Knows where, so that the door needs nothing else."""

    project: str
    environment: str
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
    """Key of the environment in the flag service, as `source`."""
    project: str = ""
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
        if unmet(self.findings()):
            raise Refused(f"Promotion of feature flags from {self.source} to {self.target}", self.findings())

    def table(self) -> list[dict[str, str]]:
        """One row per flag and aspect that changes, ready for a table artifact."""
        return [_row(change, difference) for change in self.changes for difference in change.differences]

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
        return {
            "source": self.source,
            "environment": self.target,
            "project": self.project,
            "flags": flags,
        }

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
    changes = [_change(policy.project, flag, there, target) for flag, there in pairs]
    desired = {flag.key: flag.targeting for flag in chosen}
    return FlagPlan(
        source.environment,
        target.environment,
        policy.project,
        changes=_in_order(change for change in changes if change.differences),
        desired=desired,
        problems=(*unknown_keys(source, policy), *obstacles(source, target, chosen), *collateral(target, desired)),
        nothing_because="" if chosen else f"No live flag of {source.environment} is covered by the catalogue's policy.",
    )


def plan_put_back(intents: Sequence[Mapping[str, Any]], now: EnvironmentFlags) -> FlagPlan:
    """The way back to what the first of these intents found, in reverse order.

    What somebody else changed since is a problem that is told, and not overwritten. Raises KeyError when an
    intent is not one that `FlagPlan.intent` wrote.
    """
    recorded = [flag | {"project": intent["project"]} for intent in intents for flag in intent["flags"]]
    ours: dict[str, list[Mapping[str, Any]]] = {}
    for flag in recorded:
        ours.setdefault(flag["key"], []).append(flag)
    steps = [_step_back(states, now) for states in reversed(ours.values())]
    return FlagPlan(
        source=f"{now.environment} before",
        target=now.environment,
        changes=tuple(step for step in steps if isinstance(step, FlagChange) and step.differences),
        desired={key: targeting_from(states[0]["before"]) for key, states in ours.items()},
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


def _change(project: str, source: Flag, there: Flag, target: EnvironmentFlags) -> FlagChange:
    return FlagChange(
        project=project,
        environment=target.environment,
        key=source.key,
        before=there.targeting,
        after=source.targeting,
        version=there.version,
        needs_approval=target.approval.covers(there),
        names=source.names,
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


def _step_back(recorded: Sequence[Mapping[str, Any]], now: EnvironmentFlags) -> FlagChange | str:
    """Back to the first state recorded of one flag, if what is there now is one that our runs saw or made."""
    first, states = recorded[0], [targeting_from(each[at]) for each in recorded for at in ("before", "after")]
    flag = now.flags.get(first["key"])
    if flag is None:
        return f"Flag {first['key']} is not in {now.environment} any more and cannot be put back."
    if flag.targeting not in states:
        return (
            f"Flag {flag.key} in {now.environment} was changed by somebody else after the promotion (version "
            f"{flag.version}) and was not overwritten. Look at it in the flag service."
        )
    return _change(first["project"], replace(flag, targeting=states[0]), flag, now)


def _deviations(key: str, wanted: Targeting, now: EnvironmentFlags) -> Iterator[str]:
    flag = now.flags.get(key)
    if flag is None:
        yield f"Flag {key} is missing in {now.environment}."
    elif found := differences(flag.targeting, wanted, flag.names):
        told = ", ".join(f"{each.aspect} is {each.now} instead of {each.planned}" for each in found)
        yield f"Flag {key} in {now.environment}: {told}."


def _row(change: FlagChange, difference: Difference) -> dict[str, str]:
    return {
        "what": "flag",
        "name": f"{change.key}: {difference.aspect}",
        "now": difference.now,
        "then": difference.planned + (" (after approval)" if change.needs_approval else ""),
    }


def _sha256(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
