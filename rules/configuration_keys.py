"""What is decided about one key of the configuration."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from rules.catalogue import ConfigurationPolicy, KeyAction, KeyRule
from rules.foreign_words import named_in, words_of
from rules.key_patterns import first_rule
from rules.parameters import (
    DEFAULT_KEY,
    INTELLIGENT,
    SECURE,
    STANDARD,
    Parameter,
    breaches,
    guarded,
    same_content,
)
from rules.vocabulary import Environment


class Outcome(StrEnum):
    """What the plan says about one key, in the words of the table that approvers read."""

    ADD = "add"
    CHANGE = "change"
    SAME = "same"
    KEEP = "keep"
    MISSING = "missing in target"
    TYPE_CHANGE = "type change"
    UNMAPPED = "no value for target"
    UNRULED = "no rule"
    ONLY_IN_TARGET = "only in target"
    IGNORED = "ignored"


WRITTEN = frozenset({Outcome.ADD, Outcome.CHANGE})


@dataclass(frozen=True, slots=True)
class PlannedKey:
    """One key with everything that is known and decided about it."""

    key: str
    outcome: Outcome
    action: KeyAction | None = None
    source: Parameter | None = None
    current: Parameter | None = None
    desired: Parameter | None = None
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    """Why the desired parameter must not be written."""
    left: int | None = None
    """The version that the last finished promotion left in the target, where that is known."""

    @property
    def conflict(self) -> bool:
        """Whether the value to be replaced is not the one that the last promotion left."""
        if self.left is None or self.current is None:
            return False
        return self.outcome is Outcome.CHANGE and self.current.version != self.left


@dataclass(frozen=True, slots=True)
class KeyDecisions:
    """Decides about one key at a time, between two environments."""

    policy: ConfigurationPolicy
    source: Environment
    target: Environment
    left_behind: Mapping[str, int]

    def decide(self, key: str, source: Parameter | None, current: Parameter | None) -> PlannedKey:
        rule = first_rule(self.policy.rules, key)
        action, left = rule.action if rule else None, self.left_behind.get(key)
        entry = PlannedKey(key, Outcome.UNRULED, action, source, current, left=left)
        match rule:
            case None:
                return entry
            case KeyRule(action=KeyAction.IGNORE):
                return replace(entry, outcome=Outcome.IGNORED)
            case KeyRule(action=KeyAction.KEEP | KeyAction.REQUIRE):
                return replace(entry, outcome=Outcome.KEEP if current else Outcome.MISSING)
            case KeyRule(action=KeyAction.COPY):
                return self._copied(entry)
            case _:
                return self._mapped(entry, rule)

    def _copied(self, entry: PlannedKey) -> PlannedKey:
        if entry.source is None:
            return replace(entry, outcome=Outcome.ONLY_IN_TARGET)
        settled = self._settled(entry, entry.source)
        return replace(settled, problems=(*settled.problems, *self._foreign(entry.source)))

    def _mapped(self, entry: PlannedKey, rule: KeyRule) -> PlannedKey:
        if (value := rule.values.get(self.target.name)) is None:
            return replace(entry, outcome=Outcome.UNMAPPED)
        model = entry.source or entry.current or Parameter(entry.key, value)
        settled = self._settled(entry, replace(model, value=guarded(entry.key, model.type, value)))
        if model.type != SECURE:
            return settled
        # The mapped value stands in a reviewed file, in the clear.
        problem = "a SecureString's value must not stand in the catalogue; let the target keep its own"
        return replace(settled, problems=(*settled.problems, problem))

    def _settled(self, entry: PlannedKey, wished: Parameter) -> PlannedKey:
        """The wished parameter as it can be in the target's account, and how it compares."""
        key_id, key_note = self._key(wished, entry.current)
        tags, tag_note = self._tags(wished, entry.current)
        tier, tier_note = _tier(wished, entry.current)
        desired = replace(wished, key_id=key_id, tags=tags, tier=tier, version=0, policies=())
        outcome = _compare(desired, entry.current)
        problems = (*breaches(desired, self.target.parameter_path), *_uncopied(wished))
        return replace(
            entry,
            desired=desired,
            outcome=outcome,
            notes=tuple(note for note in (key_note, tag_note, tier_note) if note),
            problems=problems if outcome in WRITTEN else (),
        )

    def _foreign(self, source: Parameter) -> list[str]:
        words = (*words_of(self.source, self.target), *self.policy.forbidden_in_target)
        return [f"the value still names {word!r}" for word in named_in(source.text, words)]

    def _key(self, wished: Parameter, current: Parameter | None) -> tuple[str, str]:
        """A KMS alias travels; the key of one account is unknown in the other."""
        if wished.type != SECURE:
            return "", ""
        if self._travels(wished.key_id):
            return wished.key_id or DEFAULT_KEY, ""
        own = (current.key_id if current else "") or DEFAULT_KEY
        return own, f"encrypted with {own}: the source's key belongs to {self.source.name}"

    def _travels(self, key_id: str) -> bool:
        if self.source.account == self.target.account:
            return True
        alias = not key_id or key_id.startswith("alias/")
        return alias and not named_in(key_id, words_of(self.source, self.target))

    def _tags(self, wished: Parameter, current: Parameter | None) -> tuple[dict[str, str], str]:
        """The target's tags with the source's on top, save those that speak of the source environment."""
        words = words_of(self.source, self.target)
        own = {name for name, value in wished.tags.items() if named_in(value, words)}
        copied = {name: value for name, value in wished.tags.items() if name not in own and _settable(name)}
        note = f"tags that name {self.source.name} stay there: {', '.join(sorted(own))}" if own else ""
        return {**(current.tags if current else {}), **copied}, note


def _settable(tag: str) -> bool:
    return not tag.lower().startswith("aws:")


def _tier(wished: Parameter, current: Parameter | None) -> tuple[str, str]:
    """AWS raises a parameter's tier and never lowers it."""
    if current is None or current.tier == wished.tier:
        return wished.tier, ""
    if wished.tier == STANDARD or current.tier == INTELLIGENT:
        return current.tier, f"stays in tier {current.tier}: AWS does not lower a tier"
    return wished.tier, f"moves from tier {current.tier} to {wished.tier}, which cannot be taken back"


def _compare(desired: Parameter, current: Parameter | None) -> Outcome:
    if current is None:
        return Outcome.ADD
    if (current.type, current.data_type) != (desired.type, desired.data_type):
        return Outcome.TYPE_CHANGE
    same = same_content(current, desired) and dict(current.tags) == dict(desired.tags)
    return Outcome.SAME if same else Outcome.CHANGE


def _uncopied(wished: Parameter) -> list[str]:
    if not wished.policies:
        return []
    kinds = ", ".join(wished.policies)
    return [f"it carries parameter policies ({kinds}), which a promotion does not copy"]
