"""Rolling deployments: in place, within the minimum and maximum, with the circuit breaker."""

from typing import Any

import pytest

from deployments.sandbox.aws.ecs_stages import Status
from tests.sandbox.aws.ecs.conftest import ACCOUNT, CLUSTER, SERVICE, World

BREAKER = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}


def rolling(least: int = 100, most: int = 200, **more: Any) -> dict[str, Any]:
    return {"strategy": "ROLLING", "minimumHealthyPercent": least, "maximumPercent": most, **more}


def test_a_good_revision_replaces_the_old_one(world: World) -> None:
    world.created(deploymentConfiguration=rolling())
    new = world.definition("bbbbbbb")
    arn = world.update(new)
    world.tick(3)
    service = world.service()
    assert [(d["status"], d["rolloutState"]) for d in service["deployments"]] == [
        ("PRIMARY", "IN_PROGRESS"),
        ("ACTIVE", "COMPLETED"),
    ]
    world.until(Status.SUCCESSFUL, arn)
    assert {task["taskDefinitionArn"] for task in world.tasks()} == {new}
    assert [d["rolloutState"] for d in world.service()["deployments"]] == ["COMPLETED"]


@pytest.mark.parametrize(("least", "most"), [(100, 200), (50, 100), (50, 150)])
def test_the_number_of_tasks_stays_within_its_bounds(world: World, least: int, most: int) -> None:
    world.created(deploymentConfiguration=rolling(least, most), desiredCount=4)
    arn = world.update(world.definition("bbbbbbb"))
    while world.deployment(arn)["status"] != Status.SUCCESSFUL:
        world.tick()
        health = [task["healthStatus"] for task in world.tasks()]
        assert len(health) <= 4 * most // 100
        assert health.count("HEALTHY") >= 4 * least // 100
        assert sum(weight for _, weight, _ in world.weights()) == pytest.approx(100)


def test_the_circuit_breaker_rolls_back_a_crashing_revision(world: World) -> None:
    old = world.created(deploymentConfiguration=rolling(**BREAKER))
    arn = world.update(world.definition("bbbbbbb", crash_at_start=True, start_seconds=0.2))
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert ended["deploymentCircuitBreaker"]["status"] == "TRIGGERED"
    assert ended["deploymentCircuitBreaker"]["threshold"] == 3
    assert "circuit breaker" in ended["rollback"]["reason"]
    assert world.service()["taskDefinition"] == old
    assert {task["taskDefinitionArn"] for task in world.tasks()} == {old}


def test_a_rollback_is_seen_among_the_deployments(world: World) -> None:
    world.created(deploymentConfiguration=rolling(**BREAKER))
    arn = world.update(world.definition("bbbbbbb"))
    world.tick(7)
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    primary, failed = world.service()["deployments"]
    assert (primary["rolloutState"], failed["rolloutState"]) == ("IN_PROGRESS", "FAILED")
    assert "Rolling back to deploymentId" in primary["rolloutStateReason"]


def test_without_circuit_breaker_a_crashing_revision_is_tried_for_ever(world: World) -> None:
    world.created(deploymentConfiguration=rolling())
    world.update(world.definition("bbbbbbb", crash_at_start=True, start_seconds=0.2))
    world.pass_seconds(30)
    assert world.deployment()["status"] == Status.IN_PROGRESS
    assert world.service()["deployments"][0]["failedTasks"] >= 3


def test_services_stable_is_also_true_after_a_rollback(world: World) -> None:
    world.created(deploymentConfiguration=rolling(**BREAKER))
    arn = world.update(world.definition("bbbbbbb", crash_at_start=True, start_seconds=0.2))
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    world.ecs.get_waiter("services_stable").wait(cluster=CLUSTER, services=[SERVICE], WaiterConfig={"MaxAttempts": 1})


def test_requests_follow_the_healthy_tasks(world: World) -> None:
    world.created(deploymentConfiguration=rolling(75, 125), desiredCount=4)
    world.update(world.definition("bbbbbbb"))
    world.pass_seconds(2)
    routes = world.simulator.routing(ACCOUNT, CLUSTER, SERVICE)
    assert len(routes) == 2
    for route in routes:
        assert route.weight == pytest.approx(
            100 * len(route.addresses) / sum(len(r.addresses) for r in routes), abs=0.1
        )
