"""The calls to LaunchDarkly's REST API, for one project and environment on one open connection."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from httpx import codes

from blocks.flag_answers import read_approval_rule, read_flag, variations_of
from blocks.wire import Answer, Wire
from rules.errors import ApplyFailed, Conflict, Outage
from rules.feature_flags import FlagChange
from rules.flag_states import EnvironmentFlags, Flag
from rules.flag_targeting import Targeting

SYSTEM = "LaunchDarkly"
SEMANTIC_PATCH = "application/json; domain-model=launchdarkly.semanticpatch"
PAGE = 50
Raw = dict[str, Any]


@dataclass(frozen=True, slots=True)
class FlagCalls:
    """What can be asked of one environment of one project."""

    wire: Wire
    project: str
    environment: str

    def everything(self) -> EnvironmentFlags:
        """Live flags, segments and the rule on approvals."""
        approval = read_approval_rule(self._settings())  # first: it says whether there is such an environment
        flags = [flag for flag in self._flags() if not flag.get("archived")]
        variations = variations_of(flags)
        return EnvironmentFlags(
            self.environment,
            {str(flag["key"]): read_flag(flag, self.environment, variations) for flag in flags},
            frozenset(self._segments()),
            approval,
        )

    def flag(self, key: str) -> Flag:
        raw = self._raw_flag(key)
        prerequisites = raw.get("environments", {}).get(self.environment, {}).get("prerequisites", ())
        others = [self._raw_flag(str(prerequisite["key"])) for prerequisite in prerequisites]
        return read_flag(raw, self.environment, variations_of([raw, *others]))

    def settled(self, change: FlagChange) -> Flag | None:
        """The flag if nothing is left to do, None if it stands as planned. Raises Conflict if neither."""
        now = self.flag(change.key)
        if now.targeting == change.after:
            return now
        if now.targeting != change.before:
            raise self.race(change, now)
        return None

    def confirmed(self, change: FlagChange) -> Flag:
        """Read back what was answered with success. Raises Conflict when it is already different again."""
        now = self.settled(change)
        if now is None:
            raise ApplyFailed(
                f"{SYSTEM} answered that flag {change.key} was changed in {self.environment}, and it is as before. "
                "Look at the flag's history there."
            )
        return now

    def patch(self, change: FlagChange, comment: str) -> Answer:
        """Ask for the wanted state: all instructions or none. The status says what became of it."""
        return self.wire.ask(
            "PATCH",
            f"/api/v2/flags/{self.project}/{change.key}",
            doing=f"changing flag {change.key} in {self.environment}",
            body={"comment": comment, "environmentKey": self.environment, "instructions": list(change.instructions)},
            headers={"Content-Type": SEMANTIC_PATCH},
            repeatable=True,  # it asks for a state: once there, asking again changes nothing
        )

    def race(self, change: FlagChange, now: Flag) -> Conflict:
        return Conflict(
            f"Flag {change.key} in {self.environment}",
            f"version {change.version} ({_outline(change.before)})",
            f"version {now.version} ({_outline(now.targeting)})",
        )

    # --- approval requests ---------------------------------------------------------------------------------

    def approval_requests(self, key: str) -> list[Raw]:
        """All approval requests of a flag here, the oldest first."""
        doing = f"looking for approval requests of flag {key} in {self.environment}"
        items = self.wire.ask("GET", self._requests(key), doing=doing).require(codes.OK).mapping().get("items") or []
        return sorted(items, key=lambda item: int(item.get("creationDate", 0)))

    def approval_request(self, key: str, identifier: str) -> Raw:
        path, doing = f"{self._requests(key)}/{identifier}", f"asking for the approval of flag {key}"
        return self.wire.ask("GET", path, doing=doing).require(codes.OK).mapping()

    def request_approval(self, change: FlagChange, description: str) -> Raw:
        body = {"description": description, "instructions": list(change.instructions)}
        doing = f"requesting approval for flag {change.key} in {self.environment}"
        answer = self.wire.ask("POST", self._requests(change.key), doing=doing, body=body)
        return answer.require(codes.OK, codes.CREATED).mapping()

    def apply_approval(self, key: str, identifier: str, comment: str) -> None:
        path, doing = f"{self._requests(key)}/{identifier}/apply", f"applying the approved change of flag {key}"
        self.wire.ask("POST", path, doing=doing, body={"comment": comment}).require(codes.OK, codes.CREATED)

    # --- reading -------------------------------------------------------------------------------------------

    def _requests(self, key: str) -> str:
        return f"/api/v2/projects/{self.project}/flags/{key}/environments/{self.environment}/approval-requests"

    def _flags(self) -> Iterator[Raw]:
        doing = f"reading the flags of project {self.project} in {self.environment}"
        return self._pages(f"/api/v2/flags/{self.project}", doing, {"env": self.environment, "summary": "0"})

    def _segments(self) -> Iterator[str]:
        doing = f"reading the segments of project {self.project} in {self.environment}"
        pages = self._pages(f"/api/v2/segments/{self.project}/{self.environment}", doing, {})
        return (str(segment["key"]) for segment in pages)

    def _settings(self) -> Raw:
        path = f"/api/v2/projects/{self.project}/environments/{self.environment}"
        doing = f"reading the settings of environment {self.environment} of project {self.project}"
        return self.wire.ask("GET", path, doing=doing).require(codes.OK).mapping()

    def _raw_flag(self, key: str) -> Raw:
        path, doing = f"/api/v2/flags/{self.project}/{key}", f"reading flag {key} in {self.environment}"
        return self.wire.ask("GET", path, doing=doing, query={"env": self.environment}).require(codes.OK).mapping()

    def _pages(self, path: str, doing: str, query: Mapping[str, str | int]) -> Iterator[Raw]:
        """Every item of a list. A list that ends before its own count is an Outage, never a short answer."""
        offset, total = 0, 1
        while offset < total:
            answer = self.wire.ask("GET", path, doing=doing, query={**query, "limit": PAGE, "offset": offset})
            page = answer.require(codes.OK).mapping()
            items, count = page.get("items"), page.get("totalCount")
            if not isinstance(items, list) or not isinstance(count, int) or (count > offset and not items):
                raise Outage(SYSTEM, doing, f"a list of {count} items ended after {offset}: {answer.excerpt}")
            yield from items
            offset, total = offset + len(items), count


def _outline(targeting: Targeting) -> str:
    return f"{'on' if targeting.on else 'off'}, {len(targeting.rules)} rules, {len(targeting.targets)} targets"
