"""LaunchDarkly's answers read into our types. Variations by place become variations by id."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from rules.errors import Outage
from rules.flag_states import Flag, FlagApproval
from rules.flag_targeting import Clause, Prerequisite, Serving, Target, Targeting, TargetingRule, Variation

Raw = Mapping[str, Any]
Ids = Sequence[str]


def read_flag(raw: Raw, environment: str, variations: Mapping[str, Ids]) -> Flag:
    """A flag of the list or of a single answer, as it stands in one environment.

    `variations`: variation ids by flag key, for this flag and its prerequisites.
    Raises Outage when the answer lacks what every flag has.
    """
    key = str(raw.get("key"))
    try:
        state = raw["environments"][environment]
        return Flag(
            key,
            tuple(_variation(each) for each in raw["variations"]),
            _targeting(state, variations[key], variations),
            int(state["version"]),
            tuple(raw.get("tags", ())),
            _obstacles(state),
        )
    except (KeyError, IndexError, TypeError, ValueError) as error:
        what = f"the answer lacks {error} or it is not what it should be"
        raise Outage("LaunchDarkly", f"reading flag {key} in {environment}", what) from error


def variations_of(flags: Sequence[Raw]) -> dict[str, list[str]]:
    """Variation ids in their order, by flag: answers name a variation by its place."""
    return {str(flag["key"]): [str(each["_id"]) for each in flag.get("variations", ())] for flag in flags}


def read_approval_rule(raw: Raw) -> FlagApproval:
    """An environment's rule on approvals. No settings at all: none are required."""
    settings = raw.get("approvalSettings") or {}
    return FlagApproval(bool(settings.get("required")), frozenset(settings.get("requiredApprovalTags") or ()))


def _variation(raw: Raw) -> Variation:
    return Variation(str(raw["_id"]), json.dumps(raw["value"], ensure_ascii=False), str(raw.get("name") or ""))


def _targeting(state: Raw, ids: Ids, variations: Mapping[str, Ids]) -> Targeting:
    off = state.get("offVariation")
    return Targeting(
        on=bool(state["on"]),
        fallthrough=_serving(state["fallthrough"], ids),
        off_variation="" if off is None else ids[off],
        rules=tuple(_rule(rule, ids) for rule in state["rules"]),
        targets=_targets([*state["targets"], *state.get("contextTargets", ())], ids),
        prerequisites=tuple(
            _prerequisite(each, variations)
            for each in sorted(state["prerequisites"], key=lambda each: str(each["key"]))
        ),
    )


def _prerequisite(raw: Raw, variations: Mapping[str, Ids]) -> Prerequisite:
    """An archived flag is not among the others; the plan refuses to depend on it, so its place may do for an id."""
    key, place = str(raw["key"]), int(raw["variation"])
    return Prerequisite(key, variations[key][place] if key in variations else f"variation {place}")


def _serving(raw: Raw, ids: Ids) -> Serving:
    rollout = raw.get("rollout")
    if not rollout:
        return Serving(variation=ids[raw["variation"]])
    weights: dict[str, int] = defaultdict(int)
    for each in rollout["variations"]:
        weights[ids[each["variation"]]] += int(each["weight"])
    return Serving(
        weights=tuple(sorted((variation, weight) for variation, weight in weights.items() if weight)),
        bucket_by=rollout.get("bucketBy") or "key",
        context_kind=rollout.get("contextKind") or "user",
    )


def _rule(raw: Raw, ids: Ids) -> TargetingRule:
    return TargetingRule(
        tuple(_clause(clause) for clause in raw["clauses"]),
        _serving(raw, ids),
        str(raw.get("description") or ""),
        bool(raw.get("trackEvents")),
    )


def _clause(raw: Raw) -> Clause:
    return Clause(
        str(raw["attribute"]),
        str(raw["op"]),
        tuple(json.dumps(value, sort_keys=True, ensure_ascii=False) for value in raw["values"]),
        str(raw.get("contextKind") or "user"),
        bool(raw.get("negate")),
    )


def _targets(raw: Sequence[Raw], ids: Ids) -> tuple[Target, ...]:
    """Targets of users stand in one list and, without their values, in the other: joined, without empty ones."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for target in raw:
        place = (str(target.get("contextKind") or "user"), ids[target["variation"]])
        values[place].update(map(str, target["values"]))
    return tuple(
        Target(variation, tuple(sorted(names)), kind) for (kind, variation), names in sorted(values.items()) if names
    )


def _obstacles(state: Raw) -> tuple[str, ...]:
    places = [("its fallthrough", state["fallthrough"])]
    places += [(f"rule {number}", rule) for number, rule in enumerate(state["rules"], 1)]
    return tuple(
        f"{place} runs an experiment, which cannot be promoted. End it or take the flag out of the catalogue."
        for place, serving in places
        if (serving.get("rollout") or {}).get("kind", "rollout") != "rollout"
    )
