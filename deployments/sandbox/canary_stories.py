"""The stories of canaries: the gateway's new version gets 10 %, then 50 %, then all of staging's traffic.

All visitors pass the gateway, so it alone is rolled out; old and new version answer with the times of a real service.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from deployments.sandbox.room import ControlRoom
from deployments.sandbox.story import TARGET, Act, Decide, Scene, Story, nothing

ROLL_OUT = "roll-out/batbern"
ENTRANCE = "gateway"
MANY, FEW = 50.0, 1.0
"""Visitors a second."""
KNOWN_REQUESTS = 1000
"""Twenty seconds of the old version's past."""
EXTRA_SECONDS = 420.0
"""Two windows at each step, and a person; or until Amazon ECS goes back by itself, and a run after that."""


def by_canary(scene: Scene) -> Mapping[str, Any]:
    return {
        "application": "batbern",
        "environment": TARGET,
        "version": scene.version,
        "strategy": "canary",
        "services": [ENTRANCE],
    }


def fewer_come(room: ControlRoom) -> None:
    room.set_visitors(TARGET, FEW)


def abort_when_paged(state: Mapping[str, Any], began: datetime) -> Mapping[str, str] | None:
    """The engineer on call: decides nothing before there is an incident."""
    incidents = state["vendors"]["pager"]["incidents"]
    mine = [it for it in incidents if datetime.fromisoformat(it["created_at"]) >= began and it["status"] != "resolved"]
    return {"decision": "abort", "comment": "I was paged, and nobody can see how it does."} if mine else None


def promote_all_the_same(_state: Mapping[str, Any], _began: datetime) -> Mapping[str, str] | None:
    """The release manager who knows that hardly anybody comes at this hour."""
    return {"decision": "promote", "comment": "Hardly anybody comes now; I watch it myself."}


def canary(
    name: str,
    tells: str,
    ends: str,
    *,
    behaviour: str = "",
    arrange: Act = nothing,
    decide: Decide | None = None,
    kills_worker: bool = False,
) -> Story:
    return Story(
        name,
        tells,
        behaviour=behaviour or name,
        arrange=arrange,
        ends=ends,
        deployment=ROLL_OUT,
        parameters=by_canary,
        services=(ENTRANCE,),
        before="canary-good",
        visitors=MANY,
        known_requests=KNOWN_REQUESTS,
        decide=decide,
        kills_worker=kills_worker,
        extra_seconds=EXTRA_SECONDS,
    )


CANARY_STORIES = (
    canary("canary-good", "A good canary is judged at 10 % and at 50 %, and gets all the traffic.", "Completed"),
    canary("canary-errors", "One request in twenty of the canary fails: back at once.", "PutBack"),
    canary("canary-slow", "The canary takes three times as long: back at once.", "PutBack"),
    canary("canary-dead", "Every request of the canary fails, its health says UP: back at once.", "PutBack"),
    canary("canary-leak", "The canary begins well and fails more and more: back when it is too much.", "PutBack"),
    canary(
        "canary-silent",
        "The canary serves, but no number of it arrives: held, somebody is paged and says abort.",
        "PutBack",
        decide=abort_when_paged,
    ),
    canary(
        "canary-thin",
        "One visitor a second is too little evidence: the run asks, and a person says promote.",
        "Completed",
        behaviour="canary-good",
        arrange=fewer_come,
        decide=promote_all_the_same,
    ),
    canary(
        "canary-worker-killed",
        "Worker and run are killed at 10 %: Amazon ECS takes the traffic back, and the next run writes down why.",
        "Completed",
        behaviour="canary-good",
        kills_worker=True,
    ),
)
