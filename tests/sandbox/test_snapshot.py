"""What the control room shows of a service: a canary's weights, and until when it waits for a word."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from deployments.sandbox.aws.ecs_stages import DeploymentPlan, Hook, HookStatus, Progress, Stage, Status, Strategy
from deployments.sandbox.aws.ecs_state import ContainerImage, Deployment, Revision, ServiceState
from deployments.sandbox.control_room.shape import ServiceView
from deployments.sandbox.snapshot import Build, service_view
from rules.vocabulary import Service

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
GATEWAY = Service("gateway", "Gateway", "batbern/gateway", "app", "/health")
HOOK = Hook("h1", Stage.PRE_PRODUCTION_TRAFFIC_SHIFT, HookStatus.AWAITING_ACTION, NOON + timedelta(hours=1), True)


def revision(name: str) -> Revision:
    image = ContainerImage("app", f"gateway:{name}", f"sha256:{name}")
    return Revision(f"arn:revision/{name}", f"ecs-svc/{name}", f"task-definition/gateway:{name}", (image,), NOON, {})


def seen(progress: Progress, *, finished: bool = False) -> ServiceView:
    old, new = revision("1"), revision("2")
    plan = DeploymentPlan("d1", Strategy.LINEAR, has_source=True, weights=(10.0, 50.0, 100.0))
    deployment = Deployment("arn:deployment/d1", plan, new, progress, NOON, {}, old, NOON)
    state = ServiceState("1", "eu", "c", "arn:c", "Gateway", "arn:s", {}, NOON, 2, steady=old)
    state.revisions = {it.arn: it for it in (old, new)}
    state.history = [deployment]
    if finished:
        deployment.finished_at = NOON
    else:
        state.current = deployment
    return service_view(GATEWAY, "Gateway", state, lambda digest: Build(digest[-1], "good"))


def canary(weight: float, *hooks: Hook) -> Progress:
    return Progress(NOON, Status.IN_PROGRESS, Stage.PRE_PRODUCTION_TRAFFIC_SHIFT, weight, hooks=hooks)


@pytest.mark.parametrize("percent", [10.0, 50.0, 100.0])
def test_a_canarys_weight_is_shown_for_both_versions(percent: float) -> None:
    shares = {it["role"]: it["weight"] for it in seen(canary(percent))["revisions"]}
    assert shares["new"] == pytest.approx(percent / 100)
    assert shares.get("old", 0.0) == pytest.approx(1 - percent / 100)


def test_a_waiting_canary_shows_its_steps_and_when_it_goes_back_by_itself() -> None:
    deployment = seen(canary(10.0, HOOK))["deployment"]
    assert deployment is not None
    assert deployment["weights"] == [10.0, 50.0, 100.0]
    assert deployment["pause"] == {
        "hook": "h1",
        "stage": "PRE_PRODUCTION_TRAFFIC_SHIFT",
        "expires_at": "2026-11-22T13:00:00+00:00",
        "goes_back": True,
    }


@pytest.mark.parametrize("status", [it for it in HookStatus if it is not HookStatus.AWAITING_ACTION])
def test_a_decided_pause_is_none(status: HookStatus) -> None:
    deployment = seen(canary(10.0, replace(HOOK, status=status)))["deployment"]
    assert deployment is not None
    assert deployment["pause"] is None


def test_who_has_ended_waits_for_nobody() -> None:
    deployment = seen(replace(canary(0.0, HOOK), status=Status.ROLLBACK_SUCCESSFUL), finished=True)["deployment"]
    assert deployment is not None
    assert deployment["pause"] is None
