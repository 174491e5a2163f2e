"""What stands in the way of promoting feature flags. Each obstacle is a sentence that says what to do."""

from collections.abc import Iterator, Mapping

from rules.catalogue import FlagPolicy
from rules.flag_states import EnvironmentFlags, Flag
from rules.flag_targeting import Targeting


def unknown_keys(source: EnvironmentFlags, policy: FlagPolicy) -> Iterator[str]:
    for key in policy.keys:
        if not set(key) & set("*?[") and key not in source.flags:
            yield (
                f"The catalogue promotes the flag {key!r}, and {source.environment} has no live flag of that name "
                "(archived, deleted or misspelt). Correct the catalogue or restore the flag."
            )


def obstacles(source: EnvironmentFlags, target: EnvironmentFlags, chosen: list[Flag]) -> Iterator[str]:
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


def collateral(target: EnvironmentFlags, desired: Mapping[str, Targeting]) -> Iterator[str]:
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
