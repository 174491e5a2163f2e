"""What the feature flag service remembers: a project, its environments, segments, flags and approval requests."""

import copy
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployments.sandbox.clock import Clock
from deployments.sandbox.vendors.desk import Json, RequestError
from deployments.sandbox.vendors.flag_instructions import Scene, apply, bad

APPROVAL_SETTINGS: Json = {
    "required": False,
    "bypassApprovalsForPendingChanges": False,
    "minNumApprovals": 1,
    "canReviewOwnRequest": False,
    "canApplyDeclinedChanges": False,
    "autoApplyApprovedChanges": False,
    "serviceKind": "launchdarkly",
    "serviceConfig": {},
    "requiredApprovalTags": [],
}


def missing(what: str) -> RequestError:
    return RequestError(404, "not_found", f"unknown {what}")


@dataclass(slots=True)
class FlagStore:
    """One project. Documents have the shape that the real API answers with."""

    clock: Clock
    project: str = "batbern"
    environments: dict[str, Json] = field(default_factory=dict)
    segments: dict[str, set[str]] = field(default_factory=dict)
    flags: dict[str, Json] = field(default_factory=dict)
    approvals: dict[str, Json] = field(default_factory=dict)
    collisions: dict[str, int] = field(default_factory=dict)
    """So many of the next patches of a flag meet somebody else's at the same moment and get a 409."""

    def milliseconds(self) -> int:
        return int(self.clock.now().timestamp() * 1000)

    def environment(self, project: str, key: str) -> Json:
        if project != self.project:
            raise missing(f"project {project}")
        if key not in self.environments:
            raise missing(f"environment {key}")
        return self.environments[key]

    def flag(self, project: str, key: str) -> Json:
        if project != self.project:
            raise missing(f"project {project}")
        if key not in self.flags:
            raise missing(f"flag {key}")
        return self.flags[key]

    def add_environment(self, key: str, *, approval_required: bool = False) -> None:
        self.environments[key] = {
            "_id": secrets.token_hex(12),
            "key": key,
            "name": key.capitalize(),
            "critical": approval_required,
            "approvalSettings": copy.deepcopy(APPROVAL_SETTINGS) | {"required": approval_required},
            "tags": [],
        }
        self.segments.setdefault(key, set())

    def needs_approval(self, environment: str, flag: Json) -> bool:
        settings = self.environments[environment]["approvalSettings"]
        tags = settings["requiredApprovalTags"]
        return bool(settings["required"]) and (not tags or bool(set(tags) & set(flag["tags"])))

    def scene(self, flag: Json, environment: str) -> Scene:
        return Scene(flag, environment, self.flags, frozenset(self.segments[environment]))

    def patch(self, flag: Json, environment: str, instructions: list[Json], *, ignore_conflicts: bool = False) -> None:
        """All instructions or none; what changes nothing leaves the version as it is."""
        if self.collisions.get(flag["key"], 0) > 0:
            self.collisions[flag["key"]] -= 1
            raise RequestError(409, "optimistic_locking_error", "the flag was changed by a concurrent request")
        changed = apply(self.scene(flag, environment), instructions)
        if not ignore_conflicts:
            self._check_pending(flag, environment, changed)
        self.store(flag, environment, changed)

    def store(self, flag: Json, environment: str, config: Json) -> None:
        if config == flag["environments"][environment]:
            return
        config["version"] += 1
        config["lastModified"] = self.milliseconds()
        flag["environments"][environment] = config
        flag["_version"] += 1

    def _check_pending(self, flag: Json, environment: str, changed: Json) -> None:
        """A change that would break a request still waiting for approval is refused."""
        after = copy.deepcopy(flag)
        after["environments"][environment] = changed
        for request in self.pending(flag["key"], environment):
            try:
                apply(self.scene(after, environment), request["instructions"])
            except RequestError as error:
                raise bad(f"the change conflicts with approval request {request['_id']}: {error.message}") from error

    def pending(self, flag: str = "", environment: str = "") -> list[Json]:
        return [
            request
            for request in self.approvals.values()
            if request["status"] == "pending"
            and flag in {"", request["_flag"]}
            and environment in {"", request["_environment"]}
        ]

    def ask_approval(self, flag: Json, environment: str, wish: Mapping[str, Any], member: str) -> Json:
        """A new approval request; its instructions must be ones that could be applied now."""
        apply(self.scene(flag, environment), list(wish["instructions"]))
        request: Json = {
            "_id": secrets.token_hex(12),
            "_version": 1,
            "_flag": flag["key"],
            "_environment": environment,
            "creationDate": self.milliseconds(),
            "serviceKind": "launchdarkly",
            "requestorId": member,
            "description": wish["description"],
            "reviewStatus": "pending",
            "allReviews": [],
            "notifyMemberIds": list(wish.get("notifyMemberIds", [])),
            "status": "pending",
            "instructions": copy.deepcopy(list(wish["instructions"])),
            "conflicts": [],
        }
        self.approvals[request["_id"]] = request
        return request

    def approval(self, request_id: str) -> Json:
        if request_id not in self.approvals:
            raise missing(f"approval request {request_id}")
        return self.approvals[request_id]

    def review(self, request_id: str, member: str, kind: str, comment: str = "") -> Json:
        """Approve, decline or comment. Nobody approves their own request unless the environment allows it."""
        request = self.approval(request_id)
        settings = self.environments[request["_environment"]]["approvalSettings"]
        if member == request["requestorId"] and kind != "comment" and not settings["canReviewOwnRequest"]:
            raise RequestError(403, "forbidden", "members may not review their own request in this environment")
        review = {"kind": kind, "comment": comment, "memberId": member, "creationDate": self.milliseconds()}
        request["allReviews"].append({"_id": secrets.token_hex(12), **review})
        request["reviewStatus"] = _review_status(request["allReviews"], settings["minNumApprovals"])
        request["_version"] += 1
        if request["reviewStatus"] == "approved" and settings["autoApplyApprovedChanges"]:
            self.apply_approval(request_id, member)
        return request

    def apply_approval(self, request_id: str, member: str) -> Json:
        """Put an approved request into effect. Raises RequestError 400 when not approved or already done."""
        request = self.approval(request_id)
        if request["status"] != "pending":
            raise bad(f"approval request {request_id} is {request['status']}")
        settings = self.environments[request["_environment"]]["approvalSettings"]
        if settings["required"] and not _may_apply(request, settings):
            raise bad(f"approval request {request_id} is {request['reviewStatus']}, not approved")
        flag = self.flag(self.project, request["_flag"])
        environment = request["_environment"]
        self.store(flag, environment, apply(self.scene(flag, environment), request["instructions"]))
        request |= {"status": "completed", "appliedDate": self.milliseconds(), "appliedByMemberId": member}
        request["_version"] += 1
        return request


def _review_status(reviews: list[Json], needed: int) -> str:
    latest = {review["memberId"]: review["kind"] for review in reviews if review["kind"] != "comment"}
    if "decline" in latest.values():
        return "declined"
    return "approved" if list(latest.values()).count("approve") >= needed else "pending"


def _may_apply(request: Json, settings: Json) -> bool:
    if request["reviewStatus"] == "approved":
        return True
    approvals = [review for review in request["allReviews"] if review["kind"] == "approve"]
    return bool(settings["canApplyDeclinedChanges"] and approvals)
