"""Feature flags, planned, approved, changed, verified and put back. Each step looks first, so each may be repeated."""

from __future__ import annotations  # Promotion is named only: its module imports this one

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prefect import get_run_logger

from blocks.feature_flags import ApprovalRequest, ApprovalRequired, Decision, FeatureFlags
from rules.errors import ApplyFailed, PromotionError, Refused
from rules.feature_flags import FlagChange, FlagPlan, judge_flags, plan_flags, plan_put_back
from rules.flag_states import EnvironmentFlags
from rules.messages import Ending, RunSummary, chat_message
from rules.records import Event, EventKind
from rules.settling import of_kind
from rules.summaries import already_told
from rules.vocabulary import Finding, Verdict, unmet
from tasks.announcing import run_link
from tasks.artifacts import Progress, artifact_key
from tasks.kinds import acting, asking
from tasks.records import write

if TYPE_CHECKING:
    from blocks.doors import Doors
    from rules.catalogue import Catalogue
    from rules.plans import Plan
    from tasks.promotions import Promotion

GATE = "feature flag approval"
POLL_SECONDS = 5.0
WAITING_CHANNEL = "chat, while waiting for flag approvals"


def plan_flag_change(flags: FeatureFlags, source: Doors, target: Doors, catalogue: Catalogue) -> FlagPlan:
    """What of the source's flags the target gets. Asks nobody when the catalogue promotes no flags."""
    policy = catalogue.flags
    here, there = source.environment.flag_environment, target.environment.flag_environment
    if not policy.enabled:
        return plan_flags(EnvironmentFlags(here, {}), EnvironmentFlags(there, {}), policy)
    return plan_flags(flags.read(policy.project, here), flags.read(policy.project, there), policy)


@acting("wait for flag approvals")
def wait_for_flag_approvals(promotion: Promotion, plan: Plan) -> None:
    """Asks the flag service's own approvers where its rules ask for them, and waits; nothing is locked meanwhile.

    Raises Refused when they decline or do not answer in time.
    """
    changes = [change for change in plan.flags.changes if change.needs_approval]
    if not changes:
        return
    door, policy = promotion.application.flags, promotion.catalogue.flags
    requests = request_flag_approvals(door, changes, plan.release.version, _comment(promotion, plan.hash))
    tell_waiting(promotion, plan, requests)
    key = artifact_key(promotion.application.name, plan.target, "flag-approvals")
    progress = Progress(key, f"{len(requests)} flag changes wait for approval")
    findings = await_flag_approvals(door, requests, policy.approval_wait_minutes, progress.show)
    if unmet(findings):
        raise Refused(f"Promotion of {promotion}", findings)


def request_flag_approvals(
    door: FeatureFlags, changes: Sequence[FlagChange], reference: str, reason: str
) -> tuple[ApprovalRequest, ...]:
    """One approval request a change; one that is there already under this reference is taken again."""
    return tuple(door.request_approval(change, change.marker(reference), reason) for change in changes)


def await_flag_approvals(
    door: FeatureFlags,
    requests: Sequence[ApprovalRequest],
    minutes: float,
    show: Callable[[float, str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[Finding, ...]:
    """A finding for each request, as soon as all are decided, one is declined, or the time is up."""
    deadline = clock() + minutes * 60
    while True:
        requests = [door.decision(request) if is_open(request) else request for request in requests]
        pending = [request for request in requests if is_open(request)]
        decided = len(requests) - len(pending)
        show(100 * decided / len(requests), f"{decided} of {len(requests)} flag approvals given")
        if not pending or any(is_refused(request) for request in requests) or clock() >= deadline:
            return tuple(judge_approval(request, minutes) for request in requests)
        pause(min(POLL_SECONDS, max(0.0, deadline - clock())))


def is_open(request: ApprovalRequest) -> bool:
    return request.decision is Decision.PENDING


def is_refused(request: ApprovalRequest) -> bool:
    return request.decision in (Decision.DECLINED, Decision.FAILED)


def judge_approval(request: ApprovalRequest, minutes: float) -> Finding:
    what, measured, allowed = (
        f"The change of flag {request.key} in {request.environment}",
        str(request.decision),
        "approved",
    )
    if is_refused(request):
        sentence = f"{what} was {request.decision} in the flag service. Delete the request there to ask again."
        return Finding(GATE, Verdict.FAILED, sentence, measured, allowed, request.id)
    if is_open(request):
        sentence = (
            f"{what} was not approved within {minutes:g} minutes. The request stays open: approve it in the flag "
            "service and run the promotion again, which finds it."
        )
        return Finding(GATE, Verdict.INCONCLUSIVE, sentence, measured, allowed, request.id)
    return Finding(GATE, Verdict.PASSED, f"{what} is approved.", measured, allowed, request.id)


def tell_waiting(promotion: Promotion, plan: Plan, requests: Sequence[ApprovalRequest]) -> None:
    """One message a run to the channel, so that approvers know. Not hearing it does not stop the run."""
    keys = ", ".join(request.key for request in requests if is_open(request))
    ledger, run_id = promotion.application.ledger, promotion.run_id
    if not keys or already_told(ledger.records(run_id), WAITING_CHANNEL):
        return
    sentence = f"Please decide on these feature flags in the flag service ({plan.flags.target}): {keys}."
    get_run_logger().info(sentence)
    try:
        promotion.application.chat.post(chat_message(_waiting(promotion, plan, sentence)))
    except PromotionError as trouble:
        get_run_logger().warning("chat did not hear that this run waits: %s", trouble)
        return
    write(ledger, EventKind.NOTIFIED, plan.target, sentence, plan.hash, channel=WAITING_CHANNEL)


@acting("apply feature flags")
def apply_flags(promotion: Promotion, plan: Plan) -> None:
    """Changes the planned flags one after the other, prerequisites first, each read back."""
    ledger, changes, door = promotion.application.ledger, plan.flags.changes, promotion.application.flags
    about = f"About to change {len(changes)} feature flags in {plan.flags.target}."
    write(ledger, EventKind.FLAGS_INTENT, plan.target, about, plan.hash, **plan.flags.intent())
    versions = {
        change.key: apply_one(door, change, plan.release.version, _comment(promotion, plan.hash)) for change in changes
    }
    done = f"{len(versions)} feature flags changed in {plan.flags.target} and read back."
    get_run_logger().info(done)
    write(ledger, EventKind.FLAGS_APPLIED, plan.target, done, plan.hash, versions=versions)


def apply_one(door: FeatureFlags, change: FlagChange, reference: str, comment: str) -> int:
    """One flag to its wanted state, through its approval where one is needed; returns its version.

    Raises ApplyFailed when an approval is needed that nobody gave, Conflict when somebody else changed the flag.
    """
    outcome = door.apply(change, comment)
    if not isinstance(outcome, ApprovalRequired):
        return outcome.version
    request = door.request_approval(change, change.marker(reference), comment)
    if request.decision is not Decision.APPROVED:
        raise ApplyFailed(
            f"Flag {change.key} in {change.environment} needs an approval that is {request.decision} (request "
            f"{request.id}). Decide on it in the flag service, then run again."
        )
    return door.apply_approved(request, change, comment).version


@acting("put feature flags back")
def put_back_flags(promotion: Promotion, plan_hash: str, intents: Sequence[Event]) -> None:
    """Back to what the first unsettled intent found, the last flag first.

    Raises ApplyFailed naming each flag that could not be put back; all others then are.
    """
    target, ledger = promotion.target.environment, promotion.application.ledger
    recorded = [details for details in of_kind(intents, EventKind.FLAGS_INTENT) if details["flags"]]
    versions: dict[str, int] = {}
    if recorded:
        versions, stuck = undo(promotion.application.flags, recorded, plan_hash, _comment(promotion, plan_hash))
        if stuck:
            raise ApplyFailed(" ".join(stuck))
    done = f"{len(versions)} feature flags in {target.flag_environment} are again what they were."
    write(ledger, EventKind.FLAGS_PUT_BACK, target.name, done, plan_hash, versions=versions)


def undo(
    door: FeatureFlags, recorded: Sequence[Mapping[str, Any]], reference: str, comment: str
) -> tuple[dict[str, int], list[str]]:
    """Puts back what can be. Returns the version by flag, and what is stuck, in words."""
    project, environment = str(recorded[0]["project"]), str(recorded[0]["environment"])
    plan = plan_put_back(recorded, door.read(project, environment))
    versions: dict[str, int] = {}
    stuck = list(plan.problems)
    for change in plan.changes:
        try:
            versions[change.key] = apply_one(door, change, f"put back {reference}", f"{comment}: put back")
        except PromotionError as trouble:  # the others are still put back
            stuck.append(str(trouble))
    return versions, stuck


@asking("verify feature flags")
def verify_flags(promotion: Promotion, plan: Plan) -> Finding:
    """Reads back, after traffic moved, whether every covered flag does what was planned."""
    flags = plan.flags
    if not flags.desired:
        return judge_flags(flags, EnvironmentFlags(flags.target, {}))
    return judge_flags(flags, promotion.application.flags.read(flags.project, flags.target))


def _comment(promotion: Promotion, plan_hash: str) -> str:
    return f"promotion-flows: {promotion}, plan {plan_hash}, run {promotion.run_id}"


def _waiting(promotion: Promotion, plan: Plan, sentence: str) -> RunSummary:
    return RunSummary(
        flow="",
        application=plan.application,
        source=plan.source,
        target=plan.target,
        version=plan.release.version,
        outcome=Ending.WAITING,
        sentence=sentence,
        run_url=run_link(promotion.run_id),
    )
