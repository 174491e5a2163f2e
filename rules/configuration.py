"""What of the source's configuration the target gets, and whether that is safe to write.

    read both sides → plan_configuration → plan.raise_if_unsafe() → record plan.intent() → write plan.changes

A plan only ever adds and changes. It deletes nothing: what stands in the target alone is shown and left alone.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rules.catalogue import ConfigurationPolicy, KeyAction
from rules.configuration_gates import ConfigurationGates
from rules.configuration_intents import ConfigurationIntent, IntentItem, digest_of, merge_intents
from rules.configuration_keys import WRITTEN, KeyDecisions, Outcome, PlannedKey
from rules.errors import Refused
from rules.key_patterns import covers, is_literal
from rules.parameters import Parameter, Secret, same_content
from rules.vocabulary import Environment, Finding, unmet

__all__ = [
    "ConfigurationChange",
    "ConfigurationIntent",
    "ConfigurationPlan",
    "Outcome",
    "Parameter",
    "PlannedKey",
    "Secret",
    "merge_intents",
    "not_arrived",
    "plan_configuration",
]

SHOWN_CHARACTERS = 80


@dataclass(frozen=True, slots=True)
class ConfigurationChange:
    """One write: the target's parameter as it shall be, against the version that the plan saw."""

    key: str
    before: int | None
    """The target's version; None where the parameter does not exist yet."""
    desired: Parameter
    current: Parameter | None = None
    origin: tuple[str, int] | None = None
    """Environment and version that the value is copied from; None where the catalogue gives it."""

    @property
    def writes_version(self) -> bool:
        """Whether a new version is needed; else only tags differ, which AWS keeps outside the versions."""
        return self.current is None or not same_content(self.current, self.desired)

    @property
    def tags(self) -> dict[str, str]:
        """The tags that are not yet as they shall be."""
        present = self.current.tags if self.current else {}
        return {name: value for name, value in self.desired.tags.items() if present.get(name) != value}


@dataclass(frozen=True, slots=True)
class ConfigurationPlan:
    """Everything that a promotion would do to the target's configuration, and what speaks against it."""

    source: str
    target: str
    root: str
    entries: tuple[PlannedKey, ...]
    max_changes: int
    lacks_source: bool = False
    """Whether the policy has rules and the source not one parameter, which is suspicious."""

    @property
    def changes(self) -> tuple[ConfigurationChange, ...]:
        """What is written, adds and changes, by key."""
        return tuple(
            ConfigurationChange(
                it.key, it.current.version if it.current else None, it.desired, it.current, self._origin(it)
            )
            for it in self.entries
            if it.outcome in WRITTEN and it.desired
        )

    def _origin(self, entry: PlannedKey) -> tuple[str, int] | None:
        if entry.action is KeyAction.COPY and entry.source:
            return self.source, entry.source.version
        return None

    @property
    def adds(self) -> tuple[str, ...]:
        return self.keys(Outcome.ADD)

    @property
    def keeps(self) -> tuple[str, ...]:
        return self.keys(Outcome.KEEP)

    @property
    def missing(self) -> tuple[str, ...]:
        return self.keys(Outcome.MISSING)

    @property
    def type_changes(self) -> tuple[str, ...]:
        return self.keys(Outcome.TYPE_CHANGE)

    @property
    def unruled(self) -> tuple[str, ...]:
        return self.keys(Outcome.UNRULED)

    @property
    def conflicts(self) -> tuple[str, ...]:
        """Keys that would be overwritten although their value is not the one the last promotion left."""
        return tuple(it.key for it in self.entries if it.conflict)

    def keys(self, outcome: Outcome) -> tuple[str, ...]:
        return tuple(it.key for it in self.entries if it.outcome is outcome)

    def findings(self) -> tuple[Finding, ...]:
        """One finding per gate, the passed ones too; a failed one names every key that it is about."""
        return ConfigurationGates(
            self.source, self.target, self.entries, self.max_changes, self.lacks_source
        ).findings()

    def raise_if_unsafe(self) -> None:
        """Stands between plan and apply. Raises Refused with all findings unless each has passed."""
        findings = self.findings()
        if unmet(findings):
            raise Refused(f"Configuration of {self.source} for {self.target}", findings)

    def table(self) -> list[dict[str, str]]:
        """One row per key, what is written or wrong first: what, name, now, then, note. Secrets are masked."""
        shown = [it for it in self.entries if it.outcome is not Outcome.IGNORED]
        return [_row(it) for it in sorted(shown, key=lambda it: (_is_quiet(it), it.key))]

    def fingerprint(self) -> str:
        """SHA-256 over what is wished for, not over what is left to do: a half-applied plan keeps it."""
        wishes = [_wish(it) for it in self.entries if it.source or it.action is KeyAction.MAP]
        text = json.dumps([self.source, self.target, self.root, wishes], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def intent(self) -> ConfigurationIntent:
        """What is about to be written, without values: it goes into the record before the first write."""
        return ConfigurationIntent(self.target, self.root, tuple(map(_intended, self.changes)))


def plan_configuration(
    source: Iterable[Parameter],
    target: Iterable[Parameter],
    policy: ConfigurationPolicy,
    source_environment: Environment,
    target_environment: Environment,
    *,
    left_behind: Mapping[str, int] | None = None,
) -> ConfigurationPlan:
    """Decide about every key of both environments. Total: what is wrong stands in the plan's findings.

    `left_behind` gives the target's versions after the last finished promotion, by key, where they are known.
    """
    sources, targets = ({it.name: it for it in side} for side in (source, target))
    decisions = KeyDecisions(policy, source_environment, target_environment, left_behind or {})
    keys = _named(policy).union(sources, targets)
    entries = [decisions.decide(key, sources.get(key), targets.get(key)) for key in keys]
    return ConfigurationPlan(
        source_environment.name,
        target_environment.name,
        target_environment.parameter_path,
        tuple(sorted((*entries, *_unanswered(policy, targets)), key=lambda it: it.key)),
        policy.max_changes,
        lacks_source=bool(policy.rules) and not sources,
    )


def not_arrived(changes: Iterable[ConfigurationChange], present: Iterable[Parameter]) -> tuple[str, ...]:
    """The keys that do not stand in the target as their change wanted them."""
    standing = {it.name: it for it in present}
    return tuple(it.key for it in changes if not _arrived(it.desired, standing.get(it.key)))


def _arrived(desired: Parameter, current: Parameter | None) -> bool:
    if current is None or not same_content(desired, current):
        return False
    return all(current.tags.get(name) == value for name, value in desired.tags.items())


def _named(policy: ConfigurationPolicy) -> set[str]:
    """The keys that the policy asks for by name, whether or not anybody has them."""
    asking = (KeyAction.REQUIRE, KeyAction.MAP)
    return {it.pattern for it in policy.rules if it.action in asking and is_literal(it.pattern)}


def _unanswered(policy: ConfigurationPolicy, targets: Iterable[str]) -> list[PlannedKey]:
    """The required patterns for which the target has no key at all."""
    present = tuple(targets)
    wide = [it.pattern for it in policy.rules if it.action is KeyAction.REQUIRE and not is_literal(it.pattern)]
    return [
        PlannedKey(pattern, Outcome.MISSING, KeyAction.REQUIRE)
        for pattern in wide
        if not any(covers(pattern, key) for key in present)
    ]


def _intended(change: ConfigurationChange) -> IntentItem:
    present = change.current.tags if change.current else {}
    return IntentItem(
        change.key,
        change.before,
        origins=(change.origin,) if change.origin else (),
        digests=() if change.origin else (digest_of(change.desired.text),),
        tags={name: (present.get(name), value) for name, value in change.tags.items()},
    )


def _wish(entry: PlannedKey) -> list[object]:
    """What the plan wants of one key, from source and catalogue alone, so that writing it changes nothing here."""
    if entry.action is KeyAction.MAP:  # its type may come from the target, so the value alone is the wish
        return [entry.key, "map", entry.desired.text if entry.desired else None]
    if entry.action is not KeyAction.COPY or entry.source is None:
        return [entry.key, entry.action]
    it = entry.source
    # A hash of a short secret could be guessed back; its version says as much.
    value = ["secret", it.version] if isinstance(it.value, Secret) else it.value
    content = [it.type, value, it.tier, it.key_id, it.allowed_pattern, it.data_type, it.description]
    return [entry.key, "copy", *content, dict(it.tags)]


def _is_quiet(entry: PlannedKey) -> bool:
    return entry.outcome in {Outcome.SAME, Outcome.KEEP, Outcome.ONLY_IN_TARGET} and not entry.problems


def _row(entry: PlannedKey) -> dict[str, str]:
    now, then = _sides(entry)
    notes = [*entry.problems, *entry.notes]
    if entry.conflict and entry.current:
        notes.append(f"version {entry.current.version}; the last promotion left version {entry.left}")
    what = f"parameter: {entry.outcome}" + (" (conflict)" if entry.conflict else "")
    return {"what": what, "name": entry.key, "now": now, "then": then, "note": "; ".join(notes)}


def _sides(entry: PlannedKey) -> tuple[str, str]:
    desired = entry.desired if entry.outcome in {*WRITTEN, Outcome.TYPE_CHANGE} else None
    parts = (entry.source, entry.current, entry.desired)
    if not any(part is not None and isinstance(part.value, Secret) for part in parts):
        return _shown(entry.current), _shown(desired)
    before = "secret" if entry.current else ""
    if desired is None:
        return before, ""
    return before, "same" if entry.current and entry.current.text == desired.text else "differs"


def _shown(parameter: Parameter | None) -> str:
    """One line of a value that is no secret, cut to a readable length."""
    if parameter is None:
        return ""
    text = "".join(it if it.isprintable() else repr(it)[1:-1] for it in parameter.text)
    if len(text) <= SHOWN_CHARACTERS:
        return text
    return f"{text[:SHOWN_CHARACTERS]}… ({len(parameter.text)} characters)"
