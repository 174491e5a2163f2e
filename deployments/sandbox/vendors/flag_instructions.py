"""LaunchDarkly's semantic patch: instructions applied to one flag, all or nothing.

Every function takes the environment's configuration of a flag and one instruction, and changes the configuration.
`apply` works on a copy, so an instruction that is refused leaves nothing behind; an instruction that asks for
what already is changes nothing.
"""

import copy
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.sandbox.vendors.contracts import INSTRUCTION_KINDS, problems
from deployments.sandbox.vendors.desk import Json, RequestError


@dataclass(frozen=True, slots=True)
class Scene:
    """What an instruction may refer to: the flag, the environment and what else stands in the project."""

    flag: Json
    environment: str
    flags: Mapping[str, Json]
    segments: frozenset[str]


def bad(message: str) -> RequestError:
    return RequestError(400, "invalid_request", message)


def apply(scene: Scene, instructions: list[Json]) -> Json:
    """The environment's configuration after all instructions. Raises RequestError 400 when one cannot be done."""
    config: Json = copy.deepcopy(scene.flag["environments"][scene.environment])
    for instruction in instructions:
        kind = instruction["kind"]
        if kind not in _KINDS:
            raise bad(f"unknown instruction kind {kind!r}; allowed are {', '.join(sorted(_KINDS))}")
        found = problems(INSTRUCTION_KINDS[kind], instruction)
        if found:
            raise bad(f"{kind}: {'; '.join(found)}")
        _KINDS[kind](config, instruction, scene)
    return config


def variation_index(flag: Json, variation_id: str) -> int:
    """Configurations hold indexes, instructions hold ids."""
    for index, variation in enumerate(flag["variations"]):
        if variation["_id"] == variation_id:
            return index
    raise bad(f"flag {flag['key']} has no variation with the id {variation_id!r}")


def _served(scene: Scene, wish: Json) -> Json:
    """Either one variation or a rollout by weights of thousandths of a percent."""
    if ("variationId" in wish) == ("rolloutWeights" in wish):
        raise bad("exactly one of variationId and rolloutWeights must be given")
    if "variationId" in wish:
        return {"variation": variation_index(scene.flag, wish["variationId"])}
    weights = wish["rolloutWeights"]
    if sum(weights.values()) != 100_000:
        raise bad(f"rolloutWeights add up to {sum(weights.values())}; they must add up to 100000")
    given = {variation_index(scene.flag, key): weight for key, weight in weights.items()}
    rollout: Json = {
        "variations": [{"variation": index, "weight": given[index]} for index in sorted(given)],
        "contextKind": wish.get("rolloutContextKind", "user"),
    }
    return {"rollout": rollout | ({"bucketBy": wish["rolloutBucketBy"]} if "rolloutBucketBy" in wish else {})}


def _clause(scene: Scene, wish: Json) -> Json:
    if wish["op"] == "segmentMatch":
        unknown = [value for value in wish["values"] if value not in scene.segments]
        if unknown:
            raise bad(f"environment {scene.environment} has no segment {', '.join(map(str, unknown))}")
    kept = {key: wish[key] for key in ("attribute", "op", "values")}
    return {
        "_id": secrets.token_hex(12),
        **copy.deepcopy(kept),
        "contextKind": wish.get("contextKind", "user"),
        "negate": wish.get("negate", False),
    }


def _rule(scene: Scene, wish: Json) -> Json:
    return {
        "_id": secrets.token_hex(12),
        **_served(scene, wish),
        "clauses": [_clause(scene, clause) for clause in wish["clauses"]],
        "trackEvents": wish.get("trackEvents", False),
        "description": wish.get("description", ""),
    }


def _bare(rule: Any) -> Any:
    """A rule without the ids that the service gives, to see whether two rules say the same."""
    if isinstance(rule, dict):
        return {key: _bare(value) for key, value in rule.items() if key != "_id"}
    return [_bare(item) for item in rule] if isinstance(rule, list) else rule


def _find(config: Json, rule_id: str) -> Json:
    for rule in config["rules"]:
        if rule["_id"] == rule_id:
            return dict_of(rule)
    raise bad(f"no rule has the id {rule_id!r} in this environment; rule ids differ per environment")


def _find_clause(config: Json, wish: Json) -> Json:
    for clause in _find(config, wish["ruleId"])["clauses"]:
        if clause["_id"] == wish["clauseId"]:
            return dict_of(clause)
    raise bad(f"rule {wish['ruleId']} has no clause with the id {wish['clauseId']!r}")


def dict_of(value: Any) -> Json:
    """The same object, known to be a dict."""
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {value!r}")
    return value


def _turn(on: bool) -> "Act":
    def act(config: Json, _wish: Json, _scene: Scene) -> None:
        config["on"] = on

    return act


def _update_off_variation(config: Json, wish: Json, scene: Scene) -> None:
    config["offVariation"] = variation_index(scene.flag, wish["variationId"])


def _update_fallthrough(config: Json, wish: Json, scene: Scene) -> None:
    config["fallthrough"] = _served(scene, wish)


def _add_rule(config: Json, wish: Json, scene: Scene) -> None:
    rule = _rule(scene, wish)
    before = wish.get("beforeRuleId")
    index = config["rules"].index(_find(config, before)) if before else len(config["rules"])
    config["rules"].insert(index, rule)


def _remove_rule(config: Json, wish: Json, _scene: Scene) -> None:
    config["rules"].remove(_find(config, wish["ruleId"]))


def _reorder_rules(config: Json, wish: Json, _scene: Scene) -> None:
    if sorted(wish["ruleIds"]) != sorted(rule["_id"] for rule in config["rules"]):
        raise bad("reorderRules must list the id of every rule of the environment exactly once")
    config["rules"] = [_find(config, rule_id) for rule_id in wish["ruleIds"]]


def _replace_rules(config: Json, wish: Json, scene: Scene) -> None:
    rules = [_rule(scene, rule) for rule in wish["rules"]]
    if _bare(rules) != _bare(config["rules"]):
        config["rules"] = rules


def _update_rule_served(config: Json, wish: Json, scene: Scene) -> None:
    rule, served = _find(config, wish["ruleId"]), _served(scene, wish)
    rule.pop("variation", None)
    rule.pop("rollout", None)
    rule.update(served)


def _set_on_rule(key: str) -> "Act":
    def act(config: Json, wish: Json, _scene: Scene) -> None:
        _find(config, wish["ruleId"])[key] = wish[key]

    return act


def _add_clauses(config: Json, wish: Json, scene: Scene) -> None:
    _find(config, wish["ruleId"])["clauses"] += [_clause(scene, clause) for clause in wish["clauses"]]


def _remove_clauses(config: Json, wish: Json, _scene: Scene) -> None:
    rule = _find(config, wish["ruleId"])
    rule["clauses"] = [clause for clause in rule["clauses"] if clause["_id"] not in wish["clauseIds"]]


def _update_clause(config: Json, wish: Json, scene: Scene) -> None:
    clause = _find_clause(config, wish)
    clause.update(_clause(scene, wish["clause"]) | {"_id": clause["_id"]})


def _add_values(config: Json, wish: Json, _scene: Scene) -> None:
    values = _find_clause(config, wish)["values"]
    values += [value for value in wish["values"] if value not in values]


def _remove_values(config: Json, wish: Json, _scene: Scene) -> None:
    clause = _find_clause(config, wish)
    clause["values"] = [value for value in clause["values"] if value not in wish["values"]]


def _target_list(config: Json, context_kind: str) -> list[Json]:
    found: list[Json] = config["targets" if context_kind == "user" else "contextTargets"]
    return found


def _add_targets(config: Json, wish: Json, scene: Scene) -> None:
    kind, index = wish.get("contextKind", "user"), variation_index(scene.flag, wish["variationId"])
    targets = _target_list(config, kind)
    for target in targets:
        if target["contextKind"] == kind:
            target["values"] = [value for value in target["values"] if value not in wish["values"]]
    match = next((t for t in targets if (t["contextKind"], t["variation"]) == (kind, index)), None)
    if match is None:
        match = {"values": [], "variation": index, "contextKind": kind}
        targets.append(match)
    match["values"] = [*match["values"], *dict.fromkeys(wish["values"])]
    _tidy_targets(config)


def _remove_targets(config: Json, wish: Json, scene: Scene) -> None:
    kind, index = wish.get("contextKind", "user"), variation_index(scene.flag, wish["variationId"])
    for target in _target_list(config, kind):
        if (target["contextKind"], target["variation"]) == (kind, index):
            target["values"] = [value for value in target["values"] if value not in wish["values"]]
    _tidy_targets(config)


def _tidy_targets(config: Json) -> None:
    for key in ("targets", "contextTargets"):
        config[key] = [target for target in config[key] if target["values"]]


def _clear_targets(config: Json, _wish: Json, _scene: Scene) -> None:
    config["targets"], config["contextTargets"] = [], []


def _clear_user_targets(config: Json, wish: Json, scene: Scene) -> None:
    index = variation_index(scene.flag, wish["variationId"])
    config["targets"] = [target for target in config["targets"] if target["variation"] != index]


def _replace_targets(config: Json, wish: Json, scene: Scene) -> None:
    config["targets"], config["contextTargets"] = [], []
    for target in wish["targets"]:
        _add_targets(config, target, scene)


def _replace_user_targets(config: Json, wish: Json, scene: Scene) -> None:
    config["targets"] = []
    for target in wish["targets"]:
        _add_targets(config, target | {"contextKind": "user"}, scene)


def _prerequisite(scene: Scene, wish: Json) -> Json:
    other = scene.flags.get(wish["key"])
    if other is None:
        raise bad(f"prerequisite flag {wish['key']!r} does not exist in the project")
    if _reaches(scene, wish["key"], scene.flag["key"]):
        raise bad(f"prerequisite {wish['key']} would make a circle with {scene.flag['key']}")
    return {"key": wish["key"], "variation": variation_index(other, wish["variationId"])}


def _reaches(scene: Scene, start: str, goal: str) -> bool:
    if start == goal:
        return True
    config = scene.flags[start]["environments"][scene.environment] if start in scene.flags else {}
    return any(_reaches(scene, step["key"], goal) for step in config.get("prerequisites", []))


def _set_prerequisite(config: Json, wish: Json, scene: Scene) -> None:
    others = [item for item in config["prerequisites"] if item["key"] != wish["key"]]
    config["prerequisites"] = [*others, _prerequisite(scene, wish)]


def _remove_prerequisite(config: Json, wish: Json, _scene: Scene) -> None:
    config["prerequisites"] = [item for item in config["prerequisites"] if item["key"] != wish["key"]]


def _replace_prerequisites(config: Json, wish: Json, scene: Scene) -> None:
    config["prerequisites"] = [_prerequisite(scene, item) for item in wish["prerequisites"]]


def _update_track_events(config: Json, wish: Json, _scene: Scene) -> None:
    config["trackEvents"] = wish["trackEvents"]


def _update_track_fallthrough(config: Json, wish: Json, _scene: Scene) -> None:
    config["trackEventsFallthrough"] = wish["trackEvents"]


Act = Callable[[Json, Json, Scene], None]
_KINDS: dict[str, Act] = {
    "turnFlagOn": _turn(on=True),
    "turnFlagOff": _turn(on=False),
    "updateOffVariation": _update_off_variation,
    "updateFallthroughVariationOrRollout": _update_fallthrough,
    "addRule": _add_rule,
    "removeRule": _remove_rule,
    "reorderRules": _reorder_rules,
    "replaceRules": _replace_rules,
    "updateRuleDescription": _set_on_rule("description"),
    "updateRuleTrackEvents": _set_on_rule("trackEvents"),
    "updateRuleVariationOrRollout": _update_rule_served,
    "addClauses": _add_clauses,
    "removeClauses": _remove_clauses,
    "updateClause": _update_clause,
    "addValuesToClause": _add_values,
    "removeValuesFromClause": _remove_values,
    "addTargets": _add_targets,
    "removeTargets": _remove_targets,
    "clearTargets": _clear_targets,
    "replaceTargets": _replace_targets,
    "addUserTargets": _add_targets,
    "removeUserTargets": _remove_targets,
    "clearUserTargets": _clear_user_targets,
    "replaceUserTargets": _replace_user_targets,
    "addPrerequisite": _set_prerequisite,
    "removePrerequisite": _remove_prerequisite,
    "updatePrerequisite": _set_prerequisite,
    "replacePrerequisites": _replace_prerequisites,
    "updateTrackEvents": _update_track_events,
    "updateTrackEventsFallthrough": _update_track_fallthrough,
}
