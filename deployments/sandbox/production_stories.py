"""The stories of production: what runs in staging is asked for, people approve it or not, and it goes there or not.

A lead of a team and somebody from operations approve, as the shipped catalogue wants it. Where the canary is not the
point the traffic moves all at once, so that a story is short.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deployments.sandbox import proofs
from deployments.sandbox.patience import closed, impatient
from deployments.sandbox.room import ControlRoom, view_of
from deployments.sandbox.story import Act, Parameters, Proof, Says, Scene, Story

TO_PRODUCTION = "promote-to-production/batbern"
STAGING, PRODUCTION = "staging", "production"
LEAD, OTHER_LEAD, OPERATOR, OTHER_OPERATOR = "anna-meier", "reto-keller", "sofia-rossi", "urs-frei"
REQUESTER = "release.manager"
APPROVED, NOT_APPROVED, DONE = "Approved", "Awaiting approval", "Done"
TTL = "redis/cache-ttl"
"""A parameter that travels with a release."""
ELSEWHERE = "0ddba11"
"""A version that runs nowhere."""
MANY = 50.0
"""Visitors a second: enough to judge a canary in one window."""
DEADLINE_SECONDS = 20.0
EXTRA_SECONDS = 420.0
NOT_TODAY = "The network is being rebuilt today."
BOTH = (
    Says(LEAD, comment="Read the plan; the team is there."),
    Says(OPERATOR, comment="Nothing else is going on."),
)


def asked(**more: Any) -> Parameters:
    """The fields of the Run form."""

    def parameters(scene: Scene) -> Mapping[str, Any]:
        usual = {
            "application": "batbern",
            "requested_by": REQUESTER,
            "version": scene.version,
            "change_ticket": scene.ticket,
            "strategy": "blue_green",
        }
        return {**usual, **more}

    return parameters


def approving_flags(environment: str) -> Act:
    """The approver of feature flags who is not there: says yes to every open request of an environment."""

    def approve(room: ControlRoom) -> None:
        for request in room.state()["vendors"]["flags"]["approvals"]:
            if request["environment"] == environment and request["review"] == "pending":
                room.approve_flag_change(request["id"])

    return approve


def moving(state: Mapping[str, Any]) -> bool:
    """Whether something is being rolled out in production."""
    deployments = [service["deployment"] for service in view_of(state, PRODUCTION)["services"]]
    return any(it is not None and it["finished_at"] is None for it in deployments)


def jira_fails_once_traffic_moves(room: ControlRoom) -> None:
    FLAGS_APPROVED(room)
    state = room.state()
    if moving(state) and not any(fault["target"] == "jira" for fault in state["faults"]):
        room.add_fault("jira", "error")


def edit_staging(room: ControlRoom) -> None:
    """Somebody changes a parameter in staging that travels with the release, to what it is not."""
    room.put_parameter(STAGING, TTL, str(1000 + int(datetime.now(UTC).timestamp()) % 8000))


def closed_now(text: str, _scene: Scene) -> str:
    return closed(text, datetime.now(UTC))


def soon_too_late(text: str, _scene: Scene) -> str:
    return impatient(text, DEADLINE_SECONDS)


ALL_AT_ONCE, FLAGS_APPROVED = asked(), approving_flags(PRODUCTION)
HOTFIX = {"reason": "Nobody can register for the event.", "incident": "INC-4711", "waives": ["window"]}
REFUSED_AT_THE_GATES = (proofs.nobody_asked, proofs.nothing_begun)
CARRIED_OUT = (proofs.snapshot_before_traffic, proofs.ticket_is(DONE), proofs.ticket_links_the_run)


def production(
    name: str,
    tells: str,
    ends: str = "Completed",
    *,
    proof: tuple[Proof, ...] = (),
    parameters: Parameters = ALL_AT_ONCE,
    meanwhile: Act = FLAGS_APPROVED,
    ticket: str = APPROVED,
    **more: Any,
) -> Story:
    return Story(
        name,
        tells,
        ends=ends,
        source=STAGING,
        target=PRODUCTION,
        deployment=TO_PRODUCTION,
        parameters=parameters,
        meanwhile=meanwhile,
        ticket=ticket,
        extra_seconds=EXTRA_SECONDS,
        proof=proofs.all_of(*proof),
        **more,
    )


PRODUCTION_STORIES = (
    production(
        "production",
        "What runs in staging is approved by two people and goes to production, the gateway by canary.",
        takes_what_runs=True,
        parameters=asked(strategy="as the catalogue says"),
        visitors=MANY,
        approvers=BOTH,
        proof=(proofs.approved_by(LEAD, OPERATOR), *CARRIED_OUT),
    ),
    production(
        "unapproved-ticket",
        "The change ticket is not approved: refused.",
        "Refused",
        ticket=NOT_APPROVED,
        proof=(*REFUSED_AT_THE_GATES, proofs.refused_by("change ticket"), proofs.ticket_is(NOT_APPROVED)),
    ),
    production(
        "outside-window",
        "Production's window is closed: refused, and the next opening is named.",
        "Refused",
        catalogue=closed_now,
        proof=(*REFUSED_AT_THE_GATES, proofs.refused_by("window"), proofs.names_when("window")),
    ),
    production(
        "emergency",
        "The window is closed, and a hotfix cannot wait: two people of the emergency's own approve it.",
        catalogue=closed_now,
        parameters=asked(emergency=HOTFIX),
        approvers=(Says(OTHER_OPERATOR, comment="I see the incident."), Says(OTHER_LEAD, comment="It is the fix.")),
        proof=(proofs.waived("window"), proofs.approved_by(OTHER_OPERATOR, OTHER_LEAD), *CARRIED_OUT),
    ),
    production(
        "rejected",
        "One approver says yes, the next one says no: rejected.",
        "Rejected",
        approvers=(BOTH[0], Says(OPERATOR, "reject", NOT_TODAY)),
        proof=(proofs.nothing_begun, proofs.rejected_by(OPERATOR, NOT_TODAY)),
    ),
    production(
        "deadline",
        "Nobody answers before the deadline: rejected.",
        "Rejected",
        catalogue=soon_too_late,
        keeper=True,
        proof=(proofs.nothing_begun, proofs.says("Nobody approved in time")),
    ),
    production(
        "plan-changed",
        "Configuration is edited while it waits: what was approved is void, and both approve the new plan.",
        approvers=(
            BOTH[0],
            Says(OPERATOR, "approve", "As I have read it.", edit_staging, f"somebody edits {TTL} in {STAGING}"),
            Says(LEAD, comment="The new plan, too."),
            Says(OPERATOR, comment="Now I have read the new one."),
        ),
        proof=(
            proofs.void(LEAD),
            proofs.not_admitted(OPERATOR, "another plan"),
            proofs.approved_by(LEAD, OPERATOR),
            *CARRIED_OUT,
        ),
    ),
    production(
        "superseded",
        "While it waits a newer release is asked for: the older run ends Superseded, the newer one goes on.",
        is_superseded=True,
        parameters=asked(version=""),
        approvers=BOTH,
        proof=(proofs.took_the_place_of_one, proofs.approved_by(LEAD, OPERATOR), *CARRIED_OUT),
    ),
    production(
        "stale-evidence",
        "Nobody has validated what runs in staging, so the gates run first, and find it bad: refused.",
        "Refused",
        behaviour="bad",
        proof=(*REFUSED_AT_THE_GATES, proofs.evidence_was_bad(STAGING)),
    ),
    production(
        "wrong-version",
        "The version that is asked for does not run in staging: refused.",
        "Refused",
        parameters=asked(version=ELSEWHERE),
        proof=(*REFUSED_AT_THE_GATES, proofs.says(ELSEWHERE)),
    ),
    production(
        "jira-down",
        "Jira fails from the roll-out on: the release arrives all the same, and the ticket hears of it later.",
        meanwhile=jira_fails_once_traffic_moves,
        afterwards=lambda room: room.clear_faults(),
        keeper=True,
        approvers=BOTH,
        proof=(proofs.approved_by(LEAD, OPERATOR), proofs.ticket_was_not(DONE), *CARRIED_OUT),
    ),
)
