"""What a feature flag does in one environment, as values that can be compared, shown, stored and asked for.

Variations are named by their id, which is the same in every environment, never by their place in a list.
The vocabulary of the instructions is LaunchDarkly's semantic patch.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

Instruction = Mapping[str, Any]
WHOLE = 100_000
"""The weights of a rollout add up to this: thousandths of a percent."""


@dataclass(frozen=True, slots=True)
class Variation:
    """One of the values that a flag can have."""

    id: str
    value: str
    """As JSON text."""
    name: str = ""

    @property
    def label(self) -> str:
        return self.name or self.value


@dataclass(frozen=True, slots=True)
class Serving:
    """One variation for all, or a rollout by weights."""

    variation: str = ""
    weights: tuple[tuple[str, int], ...] = ()
    """(variation id, thousandths of a percent), sorted, without zeros."""
    bucket_by: str = "key"
    context_kind: str = "user"

    def wish(self) -> dict[str, Any]:
        """As an instruction spells it."""
        if not self.weights:
            return {"variationId": self.variation}
        bucketing = {"rolloutBucketBy": self.bucket_by} if self.bucket_by != "key" else {}
        return {"rolloutWeights": dict(self.weights), "rolloutContextKind": self.context_kind, **bucketing}


@dataclass(frozen=True, slots=True)
class Clause:
    attribute: str
    operator: str
    values: tuple[str, ...]
    """Each as JSON text, so that 1, true and "1" stay three values."""
    context_kind: str = "user"
    negate: bool = False

    def wish(self) -> dict[str, Any]:
        return {
            "contextKind": self.context_kind,
            "attribute": self.attribute,
            "op": self.operator,
            "negate": self.negate,
            "values": [json.loads(value) for value in self.values],
        }


@dataclass(frozen=True, slots=True)
class TargetingRule:
    clauses: tuple[Clause, ...]
    serves: Serving
    description: str = ""
    track_events: bool = False

    def wish(self) -> dict[str, Any]:
        return {
            "clauses": [clause.wish() for clause in self.clauses],
            **self.serves.wish(),
            "description": self.description,
            "trackEvents": self.track_events,
        }


@dataclass(frozen=True, slots=True)
class Target:
    """Contexts that get one variation by name."""

    variation: str
    values: tuple[str, ...]
    context_kind: str = "user"

    def wish(self) -> dict[str, Any]:
        return {"contextKind": self.context_kind, "variationId": self.variation, "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Prerequisite:
    """Another flag that must serve this variation, else our flag serves its off variation."""

    key: str
    variation: str

    def wish(self) -> dict[str, Any]:
        return {"key": self.key, "variationId": self.variation}


@dataclass(frozen=True, slots=True)
class Targeting:
    """Everything that decides which variation a context gets in one environment."""

    on: bool
    fallthrough: Serving
    off_variation: str
    """Empty where the flag has none, and the caller's default value is served."""
    rules: tuple[TargetingRule, ...] = ()
    """In order: the first rule that matches serves."""
    targets: tuple[Target, ...] = ()
    prerequisites: tuple[Prerequisite, ...] = ()

    @property
    def segments(self) -> frozenset[str]:
        """Keys of the segments that the rules ask for."""
        clauses = (clause for rule in self.rules for clause in rule.clauses if clause.operator == "segmentMatch")
        return frozenset(str(json.loads(value)) for clause in clauses for value in clause.values)

    def to_details(self) -> dict[str, Any]:
        """JSON for a record; `targeting_from` reads it back."""
        details: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return details


def targeting_from(details: Mapping[str, Any]) -> Targeting:
    """The targeting that `to_details` wrote down."""
    return Targeting(
        on=details["on"],
        fallthrough=_serving(details["fallthrough"]),
        off_variation=details["off_variation"],
        rules=tuple(_rule(rule) for rule in details["rules"]),
        targets=tuple(Target(**(target | {"values": tuple(target["values"])})) for target in details["targets"]),
        prerequisites=tuple(Prerequisite(**prerequisite) for prerequisite in details["prerequisites"]),
    )


def _serving(details: Mapping[str, Any]) -> Serving:
    weights = tuple((variation, weight) for variation, weight in details["weights"])
    return Serving(details["variation"], weights, details["bucket_by"], details["context_kind"])


def _rule(details: Mapping[str, Any]) -> TargetingRule:
    clauses = tuple(Clause(**(clause | {"values": tuple(clause["values"])})) for clause in details["clauses"])
    return TargetingRule(clauses, _serving(details["serves"]), details["description"], details["track_events"])


Names = Mapping[str, str]
"""Label by variation id."""


@dataclass(frozen=True, slots=True)
class Aspect:
    """One part of a targeting: how it is read, asked for and worded."""

    name: str
    of: Callable[[Targeting], Any]
    instruction: Callable[[Targeting], Instruction]
    words: Callable[[Targeting, Names], str]


@dataclass(frozen=True, slots=True)
class Difference:
    """One aspect that changes, in words."""

    aspect: str
    now: str
    planned: str


def differing(now: Targeting, wanted: Targeting) -> tuple[Aspect, ...]:
    return tuple(aspect for aspect in ASPECTS if aspect.of(now) != aspect.of(wanted))


def instructions(now: Targeting, wanted: Targeting) -> tuple[Instruction, ...]:
    """What leads from one targeting to the other: nothing where nothing differs, on/off last."""
    return tuple(aspect.instruction(wanted) for aspect in differing(now, wanted))


def differences(now: Targeting, wanted: Targeting, names: Names) -> tuple[Difference, ...]:
    return tuple(
        Difference(aspect.name, aspect.words(now, names), aspect.words(wanted, names))
        for aspect in differing(now, wanted)
    )


def _wishes(parts: Sequence[TargetingRule] | Sequence[Target] | Sequence[Prerequisite]) -> list[dict[str, Any]]:
    return [part.wish() for part in parts]


def _serving_words(serving: Serving, names: Names) -> str:
    if not serving.weights:
        return names.get(serving.variation, serving.variation)
    shares = (f"{names.get(variation, variation)} {weight * 100 / WHOLE:g} %" for variation, weight in serving.weights)
    return ", ".join(shares) + ("" if serving.context_kind == "user" else f" of {serving.context_kind}s")


def _clause_words(clause: Clause) -> str:
    subject = clause.attribute or clause.context_kind
    return f"{subject} {'not ' * clause.negate}{clause.operator} {', '.join(clause.values)}"


def _rule_words(rule: TargetingRule, names: Names) -> str:
    return f"{' and '.join(map(_clause_words, rule.clauses))} → {_serving_words(rule.serves, names)}"


def _target_words(target: Target, names: Names) -> str:
    return f"{names.get(target.variation, target.variation)}: {len(target.values)} {target.context_kind}(s)"


def _joined(parts: Sequence[str]) -> str:
    return "; ".join(parts) or "none"


ASPECTS = (
    Aspect(
        "prerequisites",
        lambda targeting: frozenset(targeting.prerequisites),
        lambda wanted: {"kind": "replacePrerequisites", "prerequisites": _wishes(wanted.prerequisites)},
        lambda targeting, _: _joined([prerequisite.key for prerequisite in targeting.prerequisites]),
    ),
    Aspect(
        "targets",
        lambda targeting: frozenset(targeting.targets),
        lambda wanted: {"kind": "replaceTargets", "targets": _wishes(wanted.targets)},
        lambda targeting, names: _joined([_target_words(target, names) for target in targeting.targets]),
    ),
    Aspect(
        "rules",
        lambda targeting: targeting.rules,
        lambda wanted: {"kind": "replaceRules", "rules": _wishes(wanted.rules)},
        lambda targeting, names: _joined([_rule_words(rule, names) for rule in targeting.rules]),
    ),
    Aspect(
        "serves otherwise",
        lambda targeting: targeting.fallthrough,
        lambda wanted: {"kind": "updateFallthroughVariationOrRollout", **wanted.fallthrough.wish()},
        lambda targeting, names: _serving_words(targeting.fallthrough, names),
    ),
    Aspect(
        "serves when off",
        lambda targeting: targeting.off_variation,
        lambda wanted: {"kind": "updateOffVariation", "variationId": wanted.off_variation},
        lambda targeting, names: names.get(targeting.off_variation, targeting.off_variation) or "the caller's default",
    ),
    Aspect(
        "switch",
        lambda targeting: targeting.on,
        lambda wanted: {"kind": "turnFlagOn" if wanted.on else "turnFlagOff"},
        lambda targeting, _: "on" if targeting.on else "off",
    ),
)
