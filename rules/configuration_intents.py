"""What was about to be written, and what going back means. Without a single value, so that it can be recorded.

AWS keeps a parameter's versions, so a version number is enough to find its former content again; tags have no
versions, so the intent remembers those that it touches.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from rules.errors import InvalidInput
from rules.parameters import Parameter, same_content


@dataclass(frozen=True, slots=True)
class IntentItem:
    """One key that is about to be written."""

    key: str
    before: int | None
    """The target's version before the first write; None where there was no parameter."""
    after: int
    """The version that the last of our writes makes. Equal to `before` where only tags are written."""
    tags: Mapping[str, str | None] = field(default_factory=dict)
    """The former values of the tags that are written; None for a tag that was not there."""


@dataclass(frozen=True, slots=True)
class ConfigurationIntent:
    """All keys that a promotion is about to write in one environment."""

    target: str
    root: str
    items: tuple[IntentItem, ...] = ()

    def to_details(self) -> dict[str, Any]:
        """As JSON, for the record."""
        items = [{"key": it.key, "before": it.before, "after": it.after, "tags": dict(it.tags)} for it in self.items]
        return {"target": self.target, "root": self.root, "items": items}

    @classmethod
    def from_details(cls, details: Mapping[str, Any]) -> "ConfigurationIntent":
        """Read `to_details` back. Raises InvalidInput when it is something else."""
        try:
            items = tuple(IntentItem(it["key"], it["before"], it["after"], dict(it["tags"])) for it in details["items"])
            return cls(details["target"], details["root"], items)
        except (KeyError, TypeError) as error:
            allowed = "what ConfigurationIntent.to_details wrote"
            raise InvalidInput("a recorded configuration intent", sorted(details), allowed) from error


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
    continues = later.before == earlier.before or (earlier.before or 0) <= (later.before or 0) <= earlier.after
    if not continues:
        # Somebody else wrote in between: what they wrote is what the later apply would go back to.
        return later
    return replace(later, before=earlier.before, tags={**later.tags, **earlier.tags})


class Return(StrEnum):
    """The next step on the way back, for one key."""

    NOTHING = "nothing"
    DELETE = "delete"
    RESTORE = "restore"
    STUCK = "stuck"


def step_back(item: IntentItem, current: Parameter | None, former: Parameter | None, ours: bool) -> Return:
    """What leads from the observed state back to before the intent.

    `current` is what stands there now, `former` the content of version `item.before` (None when there was none or
    when AWS no longer has it), `ours` whether the current content is one that we wrote. What somebody else wrote
    since is never touched: then the answer is STUCK, and a person decides.
    """
    if item.before is None:
        return Return.NOTHING if current is None else Return.DELETE if ours else Return.STUCK
    if current is None or former is None:
        return Return.STUCK
    if same_content(current, former):
        return Return.NOTHING
    return Return.RESTORE if ours else Return.STUCK


def tags_back(item: IntentItem, current: Parameter) -> tuple[dict[str, str], tuple[str, ...]]:
    """The tags to set and the tags to remove, so that those which the intent touched are as they were."""
    wrong = {name: value for name, value in item.tags.items() if current.tags.get(name) != value}
    sets = {name: value for name, value in wrong.items() if value is not None}
    return sets, tuple(sorted(name for name, value in wrong.items() if value is None))
