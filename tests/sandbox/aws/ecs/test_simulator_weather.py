"""A service under bad weather: whatever is deployed, stopped and killed, its routes stay whole and it recovers."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.sandbox.aws.ecs_stages import FINAL
from deployments.sandbox.aws.runtime import TaskPhase
from tests.sandbox.aws.ecs.conftest import ACCOUNT, BLUE_GREEN, CLUSTER, CONNECT, SERVICE, Balancer, World

RELEASES = {
    "good": {},
    "slow": {"start_seconds": 4.0},
    "crash": {"crash_at_start": True, "start_seconds": 0.3},
    "unhealthy": {"unhealthy": True},
}
PLANNED = (*RELEASES, "stop", "scale 1", "scale 3", "wait", "wait")
ACCIDENTS = (*PLANNED, "kill", "sicken")


def act(world: World, action: str, definitions: dict[str, str]) -> None:
    running = world.runtime.running()
    match action.split():
        case [release] if release in definitions:
            world.update(definitions[release])
        case ["stop"]:
            stop(world)
        case ["scale", number]:
            world.ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=int(number))
        case ["kill"] if running:
            world.runtime.exit(running[0].id, 137)
        case ["sicken"] if running:
            world.runtime.sicken(running[-1].id)


def stop(world: World) -> None:
    if world.deployment()["status"] not in set(FINAL):
        world.ecs.stop_service_deployment(serviceDeploymentArn=world.newest(), stopType="ROLLBACK")


def begin(world: World, balancer: Balancer, *, balanced: bool) -> dict[str, str]:
    world.simulator.reset()
    images = world.ecr.describe_repositories()["repositories"]
    if not images:
        world.known = {name: world.definition(name, **said) for name, said in RELEASES.items()}
    carried = {"loadBalancers": balancer.entry()} if balanced else {"serviceConnectConfiguration": CONNECT}
    world.create(world.known["good"], deploymentConfiguration=BLUE_GREEN, **carried)
    world.until("SUCCESSFUL")
    return world.known


def check_routes(world: World, *, calm: bool) -> None:
    routes = world.simulator.routing(ACCOUNT, CLUSTER, SERVICE)
    assert abs(sum(route.weight for route in routes) - 100) < 0.01
    for route in routes:
        assert route.addresses or not route.weight or not calm
        for address in route.addresses:
            assert phase_at(world, address) is not TaskPhase.EXITED or not calm


def phase_at(world: World, address: str) -> TaskPhase:
    conditions = [world.runtime.condition(spec.id) for spec in world.runtime.running()]
    return next((c.phase for c in conditions if c.address == address), TaskPhase.EXITED)


WEATHER = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
ticks = st.integers(1, 12)


@given(st.booleans(), st.lists(st.tuples(st.sampled_from(PLANNED), ticks), min_size=1, max_size=8))
@WEATHER
def test_planned_changes_never_turn_a_visitor_away(
    world: World, balancer: Balancer, balanced: bool, course: list[tuple[str, int]]
) -> None:
    definitions = begin(world, balancer, balanced=balanced)
    for action, times in course:
        act(world, action, definitions)
        for _ in range(times):
            world.tick()
            check_routes(world, calm=True)


@given(st.booleans(), st.lists(st.tuples(st.sampled_from(ACCIDENTS), ticks), min_size=1, max_size=8))
@WEATHER
def test_after_any_accident_one_healthy_revision_has_everything(
    world: World, balancer: Balancer, balanced: bool, course: list[tuple[str, int]]
) -> None:
    definitions = begin(world, balancer, balanced=balanced)
    for action, times in course:
        act(world, action, definitions)
        for _ in range(times):
            world.tick()
            check_routes(world, calm=False)
    stop(world)
    world.pass_seconds(30)
    assert world.deployment()["status"] in set(FINAL)
    service = world.service()
    assert [(weight, addresses) for _, weight, addresses in world.weights()] == [(100.0, service["desiredCount"])]
    assert len(service["deployments"]) == 1
    assert {task["taskDefinitionArn"] for task in world.tasks()} <= {definitions["good"], definitions["slow"]}
