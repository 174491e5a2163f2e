"""Releases that are put in place at once, as a seed or a control room does it."""

from datetime import timedelta

import pytest

from deployments.sandbox.aws.ecs_stages import Status
from tests.sandbox.aws.ecs.conftest import ACCOUNT, CLUSTER, SERVICE, Balancer, World


def place(world: World, version: str, hours: float = 3.0) -> str:
    definition = world.definition(version)
    when = world.clock.now() - timedelta(hours=hours)
    world.simulator.place(ACCOUNT, CLUSTER, SERVICE, definition, when)
    return definition


def test_a_placed_revision_is_steady_at_once_and_as_old_as_told(world: World) -> None:
    world.create(world.definition("aaaaaaa"))
    placed = place(world, "bbbbbbb")
    service = world.service()
    assert service["taskDefinition"] == placed
    primary = service["deployments"][0]
    assert (primary["status"], primary["rolloutState"], primary["runningCount"]) == ("PRIMARY", "COMPLETED", 2)
    age = timedelta(hours=3)
    for at in (primary["createdAt"], primary["updatedAt"], *(task["startedAt"] for task in world.tasks())):
        assert world.clock.now() - at == age
    deployment = world.deployment()
    assert (deployment["status"], world.clock.now() - deployment["finishedAt"]) == (Status.SUCCESSFUL, age)


def test_placed_tasks_really_run(world: World) -> None:
    world.create(world.definition("aaaaaaa"))
    place(world, "bbbbbbb")
    world.pass_seconds(2)
    assert [(weight, addresses) for _, weight, addresses in world.weights()] == [(100.0, 2)]
    assert {task["containers"][0]["imageDigest"] for task in world.tasks()} == {
        task.digest for task in world.runtime.running()
    }


@pytest.mark.parametrize("balanced", [True, False])
def test_nobody_is_turned_away_while_a_placed_revision_starts(
    world: World, balancer: Balancer, *, balanced: bool
) -> None:
    world.created(loadBalancers=balancer.entry() if balanced else [])
    placed = place(world, "bbbbbbb")
    for _ in range(20):
        assert sum(addresses for _, weight, addresses in world.weights() if weight) >= 2
        world.tick()
    assert {task["taskDefinitionArn"] for task in world.tasks()} == {placed}


def test_placing_ends_a_deployment_that_is_under_way(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    arn = world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    placed = place(world, "ccccccc")
    assert world.deployment(arn)["status"] == "STOPPED"
    assert balancer.weights(world) == {"blue": 100, "green": 0}
    world.pass_seconds(3)
    assert {task["taskDefinitionArn"] for task in world.tasks()} == {placed}


def test_a_placed_revision_can_be_deployed_over_and_rolled_back_to(world: World, balancer: Balancer) -> None:
    world.create(world.definition("aaaaaaa"), loadBalancers=balancer.entry())
    placed = place(world, "bbbbbbb")
    world.pass_seconds(2)
    arn = world.update(world.definition("ccccccc"))
    world.until_stage("BAKE_TIME")
    assert balancer.weights(world) == {"blue": 0, "green": 100}
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert world.service()["taskDefinition"] == placed


def test_accounts_do_not_see_each_others_services(world: World) -> None:
    world.created()
    with pytest.raises(KeyError):
        world.simulator.routing("222222222222", CLUSTER, SERVICE)
