"""The door to the feature flag service: LaunchDarkly.

What it hands out are the frozen types of `rules.feature_flags`. An answer "this environment needs approval" (405)
is a value, not a failure; a lost race is a `Conflict`, after looking again. LaunchDarkly has no conditional write
for targeting, so the state is read just before each change and read back just after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from httpx import codes
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.flag_calls import SYSTEM, FlagCalls
from blocks.wire import Answer, Wire, Wiring
from rules.errors import Outage
from rules.feature_flags import FlagChange
from rules.flag_states import EnvironmentFlags

API_VERSION = "20240415"


@dataclass(frozen=True, slots=True)
class Applied:
    """The flag does in the environment what was asked for, read back."""

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
    project: str
    environment: str
    key: str
    decision: Decision


class FeatureFlags(Block):
    """Where feature flags are kept (LaunchDarkly)."""

    _block_type_name = "Feature Flags"
    _block_type_slug = "feature-flags"

    url: str = Field(default="https://app.launchdarkly.com", description="Address of the flag service.")
    token: SecretStr = Field(description="Access token that may read and write the project's flags.")
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def read(self, project: str, environment: str) -> EnvironmentFlags:
        """All live flags of the project in this environment, its segments and its rule on approvals."""
        with self._open() as wire:
            return FlagCalls(wire, project, environment).everything()

    def apply(self, change: FlagChange, comment: str) -> Applied | ApprovalRequired:
        """Change one flag, all or nothing, if it still is as planned, and read it back.

        Raises Conflict when it is neither as planned nor as wanted.
        """
        with self._open() as wire:
            calls = FlagCalls(wire, change.project, change.environment)
            if now := calls.settled(change):
                return Applied(change.key, now.version, changed=False)
            answer = calls.patch(change, comment)
            if answer.status == codes.CONFLICT:
                return _second_try(calls, change, comment)
            return _outcome(calls, answer, change)

    def request_approval(self, change: FlagChange, marker: str, reason: str) -> ApprovalRequest:
        """Ask the flag service's approvers for this change, once: a request with this marker is found again."""
        with self._open() as wire:
            calls = FlagCalls(wire, change.project, change.environment)
            if known := _requested(calls, change, marker):
                return known
            try:
                return _request_from(calls.request_approval(change, f"{reason} [{marker}]"), change)
            except Outage:  # it may have arrived and only its answer been lost
                if known := _requested(calls, change, marker):
                    return known
                raise

    def decision(self, request: ApprovalRequest) -> ApprovalRequest:
        """The request as it stands now."""
        with self._open() as wire:
            raw = FlagCalls(wire, request.project, request.environment).approval_request(request.key, request.id)
        return replace(request, decision=_decision(raw))

    def apply_approved(self, request: ApprovalRequest, change: FlagChange, comment: str) -> Applied:
        """Carry an approved request out, if the flag still is as planned. Raises Conflict as `apply` does."""
        with self._open() as wire:
            calls = FlagCalls(wire, request.project, request.environment)
            if now := calls.settled(change):
                return Applied(change.key, now.version, changed=False)
            calls.apply_approval(change.key, request.id, comment)
            return Applied(change.key, calls.confirmed(change).version)

    def _open(self) -> Wire:
        headers = {"Authorization": self.token.get_secret_value().strip(), "LD-API-Version": API_VERSION}
        return Wire(SYSTEM, self.url, headers=headers, secrets=[self.token], wiring=self._wiring)


def _second_try(calls: FlagCalls, change: FlagChange, comment: str) -> Applied | ApprovalRequired:
    """Somebody wrote at the same moment. Look again: wanted state, planned state (try once more) or Conflict."""
    if now := calls.settled(change):
        return Applied(change.key, now.version)
    answer = calls.patch(change, comment)
    if answer.status == codes.CONFLICT:
        raise calls.race(change, calls.flag(change.key))
    return _outcome(calls, answer, change)


def _outcome(calls: FlagCalls, answer: Answer, change: FlagChange) -> Applied | ApprovalRequired:
    if answer.status == codes.METHOD_NOT_ALLOWED:
        return ApprovalRequired(change.key, change.environment)
    answer.require(codes.OK)
    return Applied(change.key, calls.confirmed(change).version)


def _requested(calls: FlagCalls, change: FlagChange, marker: str) -> ApprovalRequest | None:
    """The youngest request for exactly this change that is still of use."""
    marked = [raw for raw in calls.approval_requests(change.key) if f"[{marker}]" in str(raw.get("description", ""))]
    found = [_request_from(raw, change) for raw in marked]
    useful = [request for request in found if request.decision not in (Decision.APPLIED, Decision.FAILED)]
    return useful[-1] if useful else None


def _request_from(raw: Mapping[str, Any], change: FlagChange) -> ApprovalRequest:
    identifier = raw.get("_id")
    if not identifier:
        raise Outage(SYSTEM, f"reading an approval request of flag {change.key}", "it has no id")
    return ApprovalRequest(str(identifier), change.project, change.environment, change.key, _decision(raw))


def _decision(raw: Mapping[str, Any]) -> Decision:
    status, review = raw.get("status"), raw.get("reviewStatus")
    if status == "completed":
        return Decision.APPLIED
    if status == "failed":
        return Decision.FAILED
    return {"approved": Decision.APPROVED, "declined": Decision.DECLINED}.get(str(review), Decision.PENDING)
