"""The door to the feature flag service: LaunchDarkly's REST API, spoken with semantic patches.

What it hands out are the frozen types of `rules.feature_flags`. An answer "this environment needs approval" (405)
is a value, not a failure; a lost race is a `Conflict` after looking again.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from httpx import codes
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.flag_answers import read_approval_rule, read_flag
from blocks.wire import Answer, Wire, Wiring
from rules.errors import ApplyFailed, Conflict, Outage
from rules.feature_flags import EnvironmentFlags, Flag, FlagChange
from rules.flag_targeting import Targeting

SYSTEM = "LaunchDarkly"
API_VERSION = "20240415"
SEMANTIC_PATCH = "application/json; domain-model=launchdarkly.semanticpatch"
PAGE = 50


@dataclass(frozen=True, slots=True)
class Applied:
    """The flag does in the environment what was asked for."""

    key: str
    version: int
    changed: bool = True
    """False where it already did."""


@dataclass(frozen=True, slots=True)
class ApprovalRequired:
    """The environment takes this change only through an approval request."""

    key: str
    environment: str


class Decision(StrEnum):
    """Where an approval request stands."""

    PENDING = "pending"
    APPROVED = "approved"
    """And not applied yet."""
    DECLINED = "declined"
    APPLIED = "applied"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A change that waits for people in the flag service."""

    id: str
    key: str
    environment: str
    decision: Decision
    marker: str


class FeatureFlags(Block):
    """Where feature flags are kept (LaunchDarkly)."""

    _block_type_name = "Feature Flags"
    _block_type_slug = "feature-flags"

    url: str = Field(default="https://app.launchdarkly.com", description="Address of the flag service.")
    project: str = Field(description="Key of the project that holds the flags.")
    token: SecretStr = Field(description="Access token that may read and write flags of this project.")
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def read(self, environment: str) -> EnvironmentFlags:
        """All live flags of the project in this environment, its segments and its rule on approvals."""
        with self._open() as wire:
            flags = list(self._flags(wire, environment))
            return EnvironmentFlags(
                environment,
                {key: read_flag(flag, environment, variations_of(flags)) for key, flag in by_key(flags).items()},
                frozenset(self._segments(wire, environment)),
                read_approval_rule(self._environment(wire, environment)),
            )

    def apply(self, change: FlagChange, environment: str, comment: str) -> Applied | ApprovalRequired:
        """Change one flag, all or nothing, if it still is as planned.

        Raises Conflict when it is neither as planned nor as wanted.
        """
        with self._open() as wire:
            now = self._settled(wire, change, environment)
            if now is not None:
                return Applied(change.key, now.version, changed=False)
            answer = self._patch(wire, change, environment, comment)
            if answer.status == codes.CONFLICT:
                return self._after_conflict(wire, change, environment, comment)
            return self._outcome(wire, answer, change, environment)

    def request_approval(self, change: FlagChange, environment: str, marker: str, reason: str) -> ApprovalRequest:
        """Ask the flag service's approvers for this change, once: a request with this marker is found again."""
        with self._open() as wire:
            known = self._requested(wire, change, environment, marker)
            return known or self._request(wire, change, environment, marker, reason)

    def decision(self, request: ApprovalRequest) -> ApprovalRequest:
        """The request as it stands now."""
        with self._open() as wire:
            path = f"{self._requests_path(request.key, request.environment)}/{request.id}"
            answer = wire.ask("GET", path, doing=f"asking for the approval of flag {request.key}")
            return _request_from(answer.require(codes.OK).mapping(), request.key, request.environment, request.marker)

    def apply_approved(self, request: ApprovalRequest, change: FlagChange, comment: str) -> Applied:
        """Carry an approved request out, if the flag still is as planned. Raises Conflict as `apply` does."""
        with self._open() as wire:
            now = self._settled(wire, change, request.environment)
            if now is not None:
                return Applied(change.key, now.version, changed=False)
            path = f"{self._requests_path(request.key, request.environment)}/{request.id}/apply"
            doing = f"applying the approved change of flag {request.key}"
            wire.ask("POST", path, doing=doing, body={"comment": comment}).require(codes.OK, codes.CREATED)
            return self._confirmed(wire, change, request.environment)

    # --- the wire ------------------------------------------------------------------------------------------

    def _open(self) -> Wire:
        token = self.token.get_secret_value().strip()
        headers = {"Authorization": token, "LD-API-Version": API_VERSION}
        return Wire(SYSTEM, self.url, headers=headers, secrets=[self.token], wiring=self._wiring)

    def _pages(self, wire: Wire, path: str, doing: str, query: Mapping[str, str | int]) -> Iterator[dict[str, Any]]:
        """Every item of a list. A list that ends before its own count is an Outage, never a short answer."""
        offset, total = 0, 1
        while offset < total:
            answer = wire.ask("GET", path, doing=doing, query={**query, "limit": PAGE, "offset": offset})
            page = answer.require(codes.OK).mapping()
            items, total = page.get("items"), page.get("totalCount", 0)
            if not isinstance(items, list) or not isinstance(total, int) or (total > offset and not items):
                raise Outage(SYSTEM, doing, f"a list of {total} items ended after {offset}: {answer.excerpt}")
            yield from items
            offset += len(items)

    def _flags(self, wire: Wire, environment: str) -> Iterator[dict[str, Any]]:
        doing = f"reading the flags of project {self.project} in {environment}"
        return self._pages(wire, f"/api/v2/flags/{self.project}", doing, {"env": environment, "summary": "0"})

    def _segments(self, wire: Wire, environment: str) -> Iterator[str]:
        doing = f"reading the segments of project {self.project} in {environment}"
        pages = self._pages(wire, f"/api/v2/segments/{self.project}/{environment}", doing, {})
        return (str(segment["key"]) for segment in pages)

    def _environment(self, wire: Wire, environment: str) -> dict[str, Any]:
        path = f"/api/v2/projects/{self.project}/environments/{environment}"
        answer = wire.ask("GET", path, doing=f"reading the settings of environment {environment}")
        return answer.require(codes.OK).mapping()

    def _flag(self, wire: Wire, key: str, environment: str) -> Flag:
        raw = self._raw_flag(wire, key, environment)
        others = (
            self._raw_flag(wire, prerequisite["key"], environment)
            for prerequisite in raw.get("environments", {}).get(environment, {}).get("prerequisites", ())
        )
        return read_flag(raw, environment, variations_of([raw, *others]))

    def _raw_flag(self, wire: Wire, key: str, environment: str) -> dict[str, Any]:
        answer = wire.ask(
            "GET", f"/api/v2/flags/{self.project}/{key}", doing=f"reading flag {key}", query={"env": environment}
        )
        return answer.require(codes.OK).mapping()

    def _settled(self, wire: Wire, change: FlagChange, environment: str) -> Flag | None:
        """The flag if nothing is left to do; None if it stands as planned; else Conflict."""
        now = self._flag(wire, change.key, environment)
        if now.targeting == change.after:
            return now
        if now.targeting != change.before:
            raise Conflict(*_race(change, environment, now))
        return None

    def _patch(self, wire: Wire, change: FlagChange, environment: str, comment: str) -> Answer:
        body = {"comment": comment, "environmentKey": environment, "instructions": list(change.instructions)}
        return wire.ask(
            "PATCH",
            f"/api/v2/flags/{self.project}/{change.key}",
            doing=f"changing flag {change.key} in {environment}",
            body=body,
            headers={"Content-Type": SEMANTIC_PATCH},
            repeatable=True,  # a semantic patch asks for a state: once there, asking again changes nothing
        )

    def _after_conflict(
        self, wire: Wire, change: FlagChange, environment: str, comment: str
    ) -> Applied | ApprovalRequired:
        """Somebody wrote at the same moment. Look again: wanted state, planned state (try once more) or Conflict."""
        now = self._settled(wire, change, environment)
        if now is not None:
            return Applied(change.key, now.version)
        answer = self._patch(wire, change, environment, comment)
        if answer.status == codes.CONFLICT:
            raise Conflict(*_race(change, environment, self._flag(wire, change.key, environment)))
        return self._outcome(wire, answer, change, environment)

    def _outcome(self, wire: Wire, answer: Answer, change: FlagChange, environment: str) -> Applied | ApprovalRequired:
        if answer.status == codes.METHOD_NOT_ALLOWED:
            return ApprovalRequired(change.key, environment)
        answer.require(codes.OK)
        return self._confirmed(wire, change, environment)

    def _confirmed(self, wire: Wire, change: FlagChange, environment: str) -> Applied:
        """Read back what was answered with success. Raises Conflict when it is already different again."""
        now = self._settled(wire, change, environment)
        if now is None:
            raise ApplyFailed(
                f"{SYSTEM} answered that flag {change.key} was changed in {environment}, and it is as before. "
                "Look at the flag's history there."
            )
        return Applied(change.key, now.version)

    # --- approval requests ---------------------------------------------------------------------------------

    def _requests_path(self, key: str, environment: str) -> str:
        return f"/api/v2/projects/{self.project}/flags/{key}/environments/{environment}/approval-requests"

    def _requested(self, wire: Wire, change: FlagChange, environment: str, marker: str) -> ApprovalRequest | None:
        """The youngest request of ours for exactly this change, if it is still of use."""
        path = self._requests_path(change.key, environment)
        answer = wire.ask("GET", path, doing=f"looking for approval requests of flag {change.key}")
        items = [item for item in answer.require(codes.OK).mapping().get("items", ()) if marked(item, marker)]
        items.sort(key=lambda item: item.get("creationDate", 0))
        found = [_request_from(item, change.key, environment, marker) for item in items]
        alive = [request for request in found if request.decision not in (Decision.APPLIED, Decision.FAILED)]
        return alive[-1] if alive else None

    def _request(self, wire: Wire, change: FlagChange, environment: str, marker: str, reason: str) -> ApprovalRequest:
        body = {"description": f"{reason} [{marker}]", "instructions": list(change.instructions)}
        doing = f"requesting approval for flag {change.key} in {environment}"
        try:
            answer = wire.ask("POST", self._requests_path(change.key, environment), doing=doing, body=body)
        except Outage:  # it may have arrived and only its answer been lost
            if known := self._requested(wire, change, environment, marker):
                return known
            raise
        raw = answer.require(codes.OK, codes.CREATED).mapping()
        return _request_from(raw, change.key, environment, marker)


def by_key(flags: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(flag["key"]): flag for flag in flags if not flag.get("archived")}


def variations_of(flags: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Variation ids in their order, by flag: answers name a variation by its place."""
    return {str(flag["key"]): [str(each["_id"]) for each in flag.get("variations", ())] for flag in flags}


def marked(item: Mapping[str, Any], marker: str) -> bool:
    return f"[{marker}]" in str(item.get("description", ""))


def _request_from(raw: Mapping[str, Any], key: str, environment: str, marker: str) -> ApprovalRequest:
    identifier = raw.get("_id")
    if not identifier:
        raise Outage(SYSTEM, f"reading an approval request of flag {key}", "it has no id")
    return ApprovalRequest(str(identifier), key, environment, _decision(raw), marker)


def _decision(raw: Mapping[str, Any]) -> Decision:
    status, review = raw.get("status"), raw.get("reviewStatus")
    if status == "completed":
        return Decision.APPLIED
    if status == "failed":
        return Decision.FAILED
    return {"approved": Decision.APPROVED, "declined": Decision.DECLINED}.get(str(review), Decision.PENDING)


def _race(change: FlagChange, environment: str, now: Flag) -> tuple[str, str, str]:
    return (
        f"Flag {change.key} in {environment}",
        f"version {change.version}: {_short(change.before)}",
        f"version {now.version}: {_short(now.targeting)}",
    )


def _short(targeting: Targeting) -> str:
    return json.dumps({"on": targeting.on, "rules": len(targeting.rules), "targets": len(targeting.targets)})
