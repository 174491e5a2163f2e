"""What was about to be written, and what going back means. Without a single value, so that it can be recorded.

AWS keeps a parameter's versions. So it is enough to know which of them are ours: going back means back to the
newest version that is not. What we write is either a version of the source's parameter (then that is recorded) or
a value of the reviewed catalogue (then its hash is). Tags have no versions, so both their states are recorded.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from rules.errors import InvalidInput
from rules.parameters import Parameter, same_content

Origin = tuple[str, int]
"""Environment and version of a parameter that was copied."""


@dataclass(frozen=True, slots=True)
class IntentItem:
    """One key that is about to be written."""

    key: str
    before: int | None
    """The target's version before the first write; None where there was no parameter."""
    origins: tuple[Origin, ...] = ()
    """Where the written value comes from."""
    digests: tuple[str, ...] = ()
    """SHA-256 of the written value, where the catalogue gives it."""
    tags: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    """For each tag that is written: its former value (None: it was not there) and the new one."""


@dataclass(frozen=True, slots=True)
class ConfigurationIntent:
    """All keys that a promotion is about to write in one environment."""

    target: str
    root: str
    items: tuple[IntentItem, ...] = ()

    def to_details(self) -> dict[str, Any]:
        """As JSON, for the record."""
        return {"target": self.target, "root": self.root, "items": [_item_details(it) for it in self.items]}

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "ConfigurationIntent":
        """Read `to_details` back. Raises InvalidInput when it is something else."""
        try:
            return cls(details["target"], details["root"], tuple(map(_item, details["items"])))
        except (KeyError, TypeError, ValueError) as error:
            allowed = "what ConfigurationIntent.to_details wrote"
            raise InvalidInput("a recorded configuration intent", sorted(details), allowed) from error


def digest_of(value: str) -> str:
    """For values of the catalogue only: the hash of a short secret could be guessed back."""
    return hashlib.sha256(value.encode()).hexdigest()


def merge_intents(earlier: ConfigurationIntent, later: ConfigurationIntent) -> ConfigurationIntent:
    """One intent for two applies of which the first never finished: going back means back to before both."""
    if (earlier.target, earlier.root) != (later.target, later.root):
        place = f"the earlier one's {earlier.target} ({earlier.root})"
        raise InvalidInput("the target of the later intent", f"{later.target} ({later.root})", place)
    merged = {it.key: it for it in earlier.items}
    for it in later.items:
        merged[it.key] = _merge_items(merged[it.key], it) if it.key in merged else it
    return replace(later, items=tuple(merged.values()))


def _merge_items(earlier: IntentItem, later: IntentItem) -> IntentItem:
    return IntentItem(
        earlier.key,
        earlier.before,
        tuple(dict.fromkeys((*earlier.origins, *later.origins))),
        tuple(dict.fromkeys((*earlier.digests, *later.digests))),
        {
            **later.tags,
            **{name: (was, later.tags.get(name, (was, set_))[1]) for name, (was, set_) in earlier.tags.items()},
        },
    )


class Return(StrEnum):
    """The next step on the way back, for one key."""

    NOTHING = "nothing"
    DELETE = "delete"
    RESTORE = "restore"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class WayBack:
    """What leads one key back, against the version that was observed."""

    step: Return
    observed: int | None = None
    """The version that stands now; None when there is no parameter."""
    former: Parameter | None = None
    """What to write, where the step is to restore."""


def way_back(
    item: IntentItem, versions: Mapping[int, Parameter], origin: Callable[[str, int], Parameter | None]
) -> WayBack:
    """The next step from the observed history of a key (empty: no parameter) back to before the intent.

    `origin(environment, version)` gives what was copied. What somebody else wrote on top of ours is never
    touched: then the step is STUCK, and a person decides.
    """
    if not versions:
        return WayBack(Return.NOTHING if item.before is None else Return.STUCK)
    current = versions[max(versions)]
    since = [it for number, it in versions.items() if number > (item.before or 0)]
    texts = {it.text for it in (origin(*one) for one in item.origins) if it} if since else set()
    ours = {it.version for it in since if it.text in texts or digest_of(it.text) in item.digests}
    if not ours:
        return WayBack(Return.NOTHING, current.version)
    return _from_ours(item, versions, ours, current)


def _from_ours(item: IntentItem, versions: Mapping[int, Parameter], ours: set[int], current: Parameter) -> WayBack:
    theirs = [number for number in versions if number < max(ours) and number not in ours]
    if not theirs:
        # All there is, is ours: the parameter was added, or AWS has forgotten the version to go back to.
        added = item.before is None and current.version in ours
        return WayBack(Return.DELETE if added else Return.STUCK, current.version)
    # AWS does not lower a tier again, so the one that stands now is the best that can be had.
    former = replace(versions[max(theirs)], tier=current.tier)
    if same_content(current, former):
        return WayBack(Return.NOTHING, current.version)
    return WayBack(Return.RESTORE if current.version in ours else Return.STUCK, current.version, former)


def tags_back(item: IntentItem, present: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tags to set and the tags to remove, so that those which still are as we wrote them are as before."""
    ours = {name: was for name, (was, wrote) in item.tags.items() if present.get(name) == wrote}
    sets = {name: was for name, was in ours.items() if was is not None}
    return sets, tuple(sorted(name for name, was in ours.items() if was is None))


def versions_left(details: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """The target's versions as finished promotions left them, from the details of their records, oldest first."""
    left: dict[str, int | None] = {}
    for each in details:
        left.update(each.get("versions", {}))
    return {key: version for key, version in left.items() if version is not None}


def _item_details(it: IntentItem) -> dict[str, Any]:
    return {
        "key": it.key,
        "before": it.before,
        "origins": [list(origin) for origin in it.origins],
        "digests": list(it.digests),
        "tags": {name: list(states) for name, states in it.tags.items()},
    }


def _item(it: Mapping[str, Any]) -> IntentItem:
    return IntentItem(
        it["key"],
        it["before"],
        tuple((environment, version) for environment, version in it["origins"]),
        tuple(it["digests"]),
        {name: (was, wrote) for name, (was, wrote) in it["tags"].items()},
    )
