"""The stories that the sandbox tells: how the world is arranged, and how the promotion must end."""

from deployments.sandbox.canary_stories import CANARY_STORIES
from deployments.sandbox.gate_stories import GATE_STORIES
from deployments.sandbox.production_stories import PRODUCTION_STORIES, approving_flags
from deployments.sandbox.room import ControlRoom
from deployments.sandbox.story import SOURCE, TARGET, Story

UNRULED = "experiments/new-recommender"
"""A parameter that no rule of the shipped catalogue covers."""


def add_parameter_without_rule(room: ControlRoom) -> None:
    room.put_parameter(SOURCE, UNRULED, "on")


def remove_parameter_without_rule(room: ControlRoom) -> None:
    room.delete_parameter(SOURCE, UNRULED)


def require_approvals(room: ControlRoom) -> None:
    room.require_flag_approvals(TARGET, required=True)


def require_no_approvals(room: ControlRoom) -> None:
    room.require_flag_approvals(TARGET, required=False)


PROMOTION_STORIES = (
    Story("good", "A good release walks from dev to staging."),
    Story("bad", "One request in five fails, but not in dev: put back.", behaviour="bad", ends="PutBack"),
    Story("slow", "Answers take 1.5 s, but not in dev: put back.", behaviour="slow", ends="PutBack"),
    Story("crash", "The release crashes at its start, but not in dev: put back.", behaviour="crash", ends="PutBack"),
    Story("unstable", "Deployed to dev only 30 minutes ago: refused.", age_minutes=30, ends="Refused"),
    Story("unhealthy", "Health says DOWN in dev: refused.", behaviour="unhealthy", ends="Refused"),
    Story(
        "config-unsafe",
        "A parameter in dev that no rule covers: refused, and named.",
        arrange=add_parameter_without_rule,
        tidy=remove_parameter_without_rule,
        ends="Refused",
    ),
    Story(
        "flag-approval",
        "Staging's feature flags need an approval: the promotion asks, waits and goes on.",
        arrange=require_approvals,
        meanwhile=approving_flags(TARGET),
        tidy=require_no_approvals,
    ),
)
STORIES = {story.name: story for story in (*PROMOTION_STORIES, *GATE_STORIES, *CANARY_STORIES, *PRODUCTION_STORIES)}
DEMO = ("good", "production", "bad")
