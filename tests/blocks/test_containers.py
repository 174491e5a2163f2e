"""The door to ECS and the follower of a roll-out, against the stand-in; time moves when a test says so.

One furnished world for all tests here: each brings its own release and leaves nothing in progress.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from blocks.catalogue import load_catalogue
from blocks.containers import Containers
from blocks.images import Images
from blocks.load_balancers import LoadBalancers
from blocks.shifts import BlueGreen, Canary, Shift, owners_hooks
from deployments.sandbox.accounts import SandboxAccounts
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault
from deployments.sandbox.seed import PushedRelease, Seed
from rules.catalogue import CanaryPolicy, Catalogue, RolloutPolicy
from rules.errors import Conflict, InvalidInput, Outage, RolloutFailed
from rules.holds import Canary as CanaryView
from rules.holds import next_step_of_canary
from rules.judgements import Decision, Judgement
from rules.releases import ServiceState
from rules.rollouts import Deployment, DeploymentStatus, Move, Observation, Step, next_step_back
from rules.traffic import check_traffic
from rules.vocabulary import Service, Verdict
from tasks.following import Follower, Order

REPOSITORY_ROOT = Path(__file__).parent.parent.parent
POLICY = RolloutPolicy(bake_minutes=2, start_minutes=15, max_failed_tasks=3, total_minutes=60, poll_seconds=1)
TO_ALL = BlueGreen(bake_minutes=2)
EVENTS, GATEWAY = "event-management", "gateway"


@dataclass
class Staging:
    """Staging as the door sees it, and a hand on its clock."""

    aws: AwsStandIn
    clock: ManualClock
    catalogue: Catalogue
    seed: Seed
    containers: Containers
    images: Images
    ecs: Any
    now: float = 0.0

    def service(self, id_: str) -> Service:
        return self.catalogue.services[id_]

    def pause(self, seconds: float) -> None:
        for _ in range(5):
            self.clock.advance(seconds / 5)
            self.aws.tick()
        self.now += seconds

    def order(self, id_: str, release: PushedRelease) -> Order:
        service = self.service(id_)
        state = self.containers.states([service], "staging")[id_]
        registry = self.catalogue.environments[self.catalogue.registry]
        image = (
            f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com/{service.repository}@{release.digests[id_]}"
        )
        definition = self.containers.definitions.register(state.task_definition, service.container, image)
        return Order(id_, state.name, service.container, definition, release.digests[id_])

    def state(self, id_: str) -> ServiceState:
        return self.containers.states([self.service(id_)], "staging")[id_]

    def configuration(self, name: str) -> dict[str, Any]:
        """The deployment configuration that the service has in ECS."""
        [service] = self.ecs.describe_services(cluster="batbern-staging", services=[name])["services"]
        found: dict[str, Any] = service["deploymentConfiguration"]
        return found

    def follow(self, order: Order, how: Shift = TO_ALL, **more: Any) -> list[Step]:
        steps: list[Step] = []
        follower = Follower(self.containers, POLICY, steps.append, clock=lambda: self.now, pause=self.pause)
        follower.follow(order, how, **more)
        return steps


@pytest.fixture(scope="module")
def world(running_aws: AwsStandIn, world_clock: ManualClock, open_session_client: Callable[..., Any]) -> Staging:
    running_aws.reset()
    catalogue = load_catalogue(REPOSITORY_ROOT / "deployments/catalogue.toml")
    seed = Seed(catalogue, SandboxAccounts(running_aws.url), running_aws.simulator.place)
    seed.environments()
    seed.put("staging", seed.push("good"), age_minutes=600)
    ecs = open_session_client("ecs")
    containers = Containers(ecs, "batbern-staging")
    images = Images(open_session_client("ecr", account="111111111111"), "111111111111")
    return Staging(running_aws, world_clock, catalogue, seed, containers, images, ecs)


@pytest.fixture
def staging(world: Staging) -> Iterator[Staging]:
    world.aws.faults.clear()
    world.aws.forget_calls()
    yield world
    world.aws.faults.clear()


def test_what_runs_is_read_by_digest(staging: Staging) -> None:
    release = staging.seed.push("good")
    staging.seed.put("staging", release, age_minutes=180)
    staging.pause(2)
    states = staging.containers.states(staging.catalogue.services.values(), "staging")
    assert {id_: set(state.digests) for id_, state in states.items()} == {
        id_: {digest} for id_, digest in release.digests.items()
    }
    assert all(state.steady and not state.crashed_tasks for state in states.values())


def test_a_service_that_is_not_there_is_not_in_the_answer(staging: Staging) -> None:
    ghost = replace(staging.service(EVENTS), id="ghost", ecs_service="BATbern-{environment}-Ghost")
    assert staging.containers.states([ghost], "staging") == {}
    with pytest.raises(InvalidInput, match="ghost in staging is 'missing'"):
        staging.containers.state(ghost, "staging")


def test_a_prefix_that_fits_two_services_is_an_error_that_names_them(staging: Staging) -> None:
    both = replace(staging.service(EVENTS), ecs_service="BATbern-{environment}-")
    with pytest.raises(InvalidInput, match="exactly one service"):
        staging.containers.states([both], "staging")


def test_the_registry_knows_an_image_by_digest_with_its_tags(staging: Staging) -> None:
    release = staging.seed.push("good")
    found = staging.images.find("batbern/gateway", release.digests[GATEWAY])
    assert found is not None
    assert found.tags == (release.tag,)
    assert staging.images.find("batbern/gateway", "sha256:" + "0" * 64) is None


def test_registering_changes_the_image_and_nothing_else_and_is_repeatable(staging: Staging) -> None:
    release = staging.seed.push("good")
    one = staging.order(EVENTS, release)
    assert staging.order(EVENTS, release).task_definition == one.task_definition
    old = staging.containers.states([staging.service(EVENTS)], "staging")[EVENTS].task_definition
    assert staging.containers.definitions.image_of(one.task_definition, "app").endswith(release.digests[EVENTS])
    before, after = (staging.containers.definitions.read(it) for it in (old, one.task_definition))
    assert before["containerDefinitions"][0].get("environment") == after["containerDefinitions"][0].get("environment")
    assert before.get("executionRoleArn") == after.get("executionRoleArn")


def test_a_container_that_the_task_definition_lacks_is_named(staging: Staging) -> None:
    state = staging.containers.states([staging.service(EVENTS)], "staging")[EVENTS]
    with pytest.raises(InvalidInput, match="sidecar"):
        staging.containers.definitions.register(state.task_definition, "sidecar", "x@sha256:1")


@pytest.mark.parametrize("service", [EVENTS, GATEWAY])
def test_a_good_release_arrives_and_the_old_version_stays_through_the_bake(staging: Staging, service: str) -> None:
    order = staging.order(service, staging.seed.push("good"))
    steps = staging.follow(order)
    assert steps[0].move is Move.START
    assert steps[-1].move is Move.DONE
    assert any("BAKE_TIME" in step.why and step.weight == 100 for step in steps)
    assert staging.containers.look(order.name, "app").serving == {order.digest}


def test_one_look_asks_each_question_once(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    staging.containers.start(order.name, order.task_definition, BlueGreen(2))
    staging.aws.forget_calls()
    staging.containers.look(order.name, "app")
    asked = [
        call.operation for call in staging.aws.calls if call.operation.startswith(("DescribeService", "ListService"))
    ]
    assert len(asked) == len(set(asked))
    staging.follow(order)


def test_a_release_that_has_arrived_is_left_alone(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    staging.follow(order)
    staging.aws.forget_calls()
    assert [step.move for step in staging.follow(order)] == [Move.DONE]
    assert "UpdateService" not in {call.operation for call in staging.aws.calls}


def test_a_revision_that_dies_at_start_is_stopped_and_the_old_one_serves_all_along(staging: Staging) -> None:
    before = staging.containers.states([staging.service(EVENTS)], "staging")[EVENTS].digests
    order = staging.order(EVENTS, staging.seed.push("crash"))
    with pytest.raises(RolloutFailed, match="stopped"):
        staging.follow(order)
    assert staging.containers.look(order.name, "app").serving == before


def test_a_roll_out_that_a_dead_run_left_is_adopted_not_started_again(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    staging.containers.start(order.name, order.task_definition, BlueGreen(2))
    staging.aws.forget_calls()
    assert staging.follow(order)[-1].move is Move.DONE
    assert "UpdateService" not in {call.operation for call in staging.aws.calls}


def test_somebody_elses_roll_out_is_neither_stopped_nor_joined(staging: Staging) -> None:
    ours, theirs = staging.order(EVENTS, staging.seed.push("good")), staging.order(EVENTS, staging.seed.push("good"))
    staging.containers.start(theirs.name, theirs.task_definition, BlueGreen(2))
    with pytest.raises(RolloutFailed, match="another deployment"):
        staging.follow(ours)
    with pytest.raises(Conflict):
        staging.containers.start(ours.name, ours.task_definition, BlueGreen(2))
    assert staging.follow(theirs)[-1].move is Move.DONE


def test_on_the_way_back_a_roll_out_in_progress_is_stopped_and_the_old_one_serves(staging: Staging) -> None:
    service = staging.service(GATEWAY)
    old = staging.containers.states([service], "staging")[GATEWAY]
    forward = staging.order(GATEWAY, staging.seed.push("good"))
    staging.containers.start(forward.name, forward.task_definition, BlueGreen(2))
    staging.pause(3)
    assert staging.containers.states([service], "staging")[GATEWAY].task_definition == old.task_definition
    ours = frozenset({forward.task_definition})
    back = replace(forward, task_definition=old.task_definition, digest=next(iter(old.digests)), ours=ours)
    steps = staging.follow(back, judge=next_step_back)
    assert steps[0].move is Move.STOP
    assert staging.containers.look(old.name, "app").serving == old.digests


def test_on_the_way_back_somebody_elses_roll_out_is_left_alone(staging: Staging) -> None:
    old = staging.containers.states([staging.service(EVENTS)], "staging")[EVENTS]
    theirs = staging.order(EVENTS, staging.seed.push("good"))
    staging.containers.start(theirs.name, theirs.task_definition, BlueGreen(2))
    back = replace(theirs, task_definition=old.task_definition, digest=next(iter(old.digests)))
    with pytest.raises(RolloutFailed, match="another deployment"):
        staging.follow(back, judge=next_step_back)
    assert "StopServiceDeployment" not in {call.operation for call in staging.aws.calls}
    assert staging.follow(theirs)[-1].move is Move.DONE


def test_a_roll_out_that_ended_just_before_it_is_stopped_is_no_failure(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    arn = staging.containers.start(order.name, order.task_definition, BlueGreen(2))
    staging.follow(order)
    staging.containers.stop(arn)


def test_alarms_and_hooks_of_the_services_owner_are_left_to_him_on_the_way_forward() -> None:
    assert set(BlueGreen(5).request()) == {"strategy", "bakeTimeInMinutes"}
    assert BlueGreen(5, ("errors",)).request()["alarms"]["enable"]


APPROVAL: Any = {
    "targetType": "PAUSE",
    "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"],
    "timeoutConfiguration": {"timeoutInMinutes": 600, "action": "ROLLBACK"},
}


def test_a_pause_is_a_canarys_only_where_a_canary_left_it() -> None:
    left = {**CANARY.request(), "lifecycleHooks": CANARY.request()["lifecycleHooks"]}
    assert owners_hooks(left) == []
    assert BlueGreen(2).request(left)["lifecycleHooks"] == []
    by_owner = {"strategy": "BLUE_GREEN", "lifecycleHooks": [APPROVAL]}
    assert owners_hooks(by_owner) == [APPROVAL]
    assert "lifecycleHooks" not in BlueGreen(2).request(by_owner)
    assert len(CANARY.request(by_owner)["lifecycleHooks"]) == 2


def test_nothing_holds_up_the_way_back() -> None:
    request = BlueGreen(0, unguarded=True).request()
    assert (request["alarms"]["enable"], request["lifecycleHooks"]) == (False, [])


def test_a_deployment_whose_revision_is_not_known_yet_is_asked_for_again(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    hidden = Hiding(staging.containers._ecs)
    containers = Containers(cast("Any", hidden), "batbern-staging")
    with pytest.raises(Outage, match="not described yet"):
        containers.start(order.name, order.task_definition, BlueGreen(2))
    assert staging.follow(order)[-1].move is Move.DONE


class Hiding:
    """ECS that lists a deployment before it can describe its revisions, as reads elsewhere lag behind."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._ecs, operation)

    def describe_service_revisions(self, **_: Any) -> dict[str, list[Any]]:
        return {"serviceRevisions": []}


def test_on_the_way_back_a_finished_roll_out_is_deployed_backwards(staging: Staging) -> None:
    old = staging.containers.states([staging.service(EVENTS)], "staging")[EVENTS]
    forward = staging.order(EVENTS, staging.seed.push("good"))
    staging.follow(forward)
    back = replace(forward, task_definition=old.task_definition, digest=next(iter(old.digests)))
    assert [step.move for step in staging.follow(back, judge=next_step_back)][-1] is Move.DONE
    assert staging.containers.look(old.name, "app").serving == old.digests


def test_the_load_balancer_agrees_with_ecs_until_somebody_turns_its_weights(
    staging: Staging, open_session_client: Callable[..., Any]
) -> None:
    elbv2 = open_session_client("elbv2")
    balancers = LoadBalancers(staging.containers._ecs, elbv2, "batbern-staging")
    gateway = staging.service(GATEWAY)
    name = staging.containers.states([gateway], "staging")[GATEWAY].name
    seen = balancers.traffic(name)
    assert seen is not None
    assert [it.verdict for it in check_traffic([gateway], {GATEWAY: seen}, "staging")] == [Verdict.PASSED]
    [rule] = {it["RuleArn"] for it in rules_with_two_groups(elbv2)}
    as_found = [{"TargetGroupArn": group, "Weight": weight} for group, weight in seen.weights.items()]
    turned = [{**one, "Weight": other["Weight"]} for one, other in zip(as_found, reversed(as_found), strict=True)]
    turn(elbv2, rule, turned)
    try:
        other = balancers.traffic(name)
        assert other is not None
        [finding] = check_traffic([gateway], {GATEWAY: other}, "staging")
        assert (finding.verdict, finding.gate) == (Verdict.FAILED, "traffic/gateway")
    finally:
        turn(elbv2, rule, as_found)


def rules_with_two_groups(elbv2: Any) -> list[Any]:
    listeners = [
        listener["ListenerArn"]
        for balancer in elbv2.describe_load_balancers()["LoadBalancers"]
        for listener in elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
    ]
    rules = [rule for listener in listeners for rule in elbv2.describe_rules(ListenerArn=listener)["Rules"]]
    return [it for it in rules if len(it["Actions"][0].get("ForwardConfig", {}).get("TargetGroups", ())) > 1]


def turn(elbv2: Any, rule: str, groups: list[dict[str, Any]]) -> None:
    elbv2.modify_rule(RuleArn=rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}])


def test_a_service_that_ecs_does_not_know_has_no_traffic(
    staging: Staging, open_session_client: Callable[..., Any]
) -> None:
    balancers = LoadBalancers(staging.containers._ecs, open_session_client("elbv2"), "batbern-staging")
    assert balancers.traffic("BATbern-staging-Ghost") is None


def test_a_short_outage_of_the_api_does_not_end_a_roll_out(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    staging.aws.faults.add(Fault(target="aws", operation="ListServiceDeployments", kind="throttle", times=3))
    assert staging.follow(order)[-1].move is Move.DONE


def test_a_long_outage_is_raised(staging: Staging) -> None:
    order = staging.order(EVENTS, staging.seed.push("good"))
    staging.aws.faults.add(Fault(target="aws", operation="ListServiceDeployments", kind="throttle"))
    follower = Follower(
        staging.containers, POLICY, lambda _: None, clock=lambda: staging.now, pause=lambda _: staging.pause(60)
    )
    with pytest.raises(Outage, match="Amazon ECS"):
        follower.follow(order, BlueGreen(2))


CANARY = Canary((10, 50), hold_minutes=60, bake_minutes=2)
ALLOWED = Judgement(GATEWAY, Decision.PROMOTE, "It may go on.")


class AlwaysOn:
    """The rules of a canary that is always allowed to go on."""

    def __init__(self) -> None:
        self._cleared: frozenset[int] = frozenset()

    def __call__(self, seen: Observation, policy: RolloutPolicy) -> Step:
        view = CanaryView(CanaryPolicy(window_minutes=1), judgement=ALLOWED, cleared=self._cleared, held_minutes=2)
        step = next_step_of_canary(seen, policy, view)
        if step.move is Move.CONTINUE and (held := view.held_at(step.weight)):
            self._cleared |= {held}
        return step


def to_first_step(staging: Staging, order: Order) -> Deployment:
    """Starts a canary and gives it its first visitors; then nobody says anything any more."""
    arn = staging.containers.start(order.name, order.task_definition, CANARY)
    for _ in range(30):
        deployment = staging.containers.deployment(arn)
        if deployment.weight == 10:
            return deployment
        staging.containers.go_on(deployment)
        staging.pause(1)
    raise AssertionError("no visitors came")


def test_a_canary_gets_its_traffic_in_tenths_and_waits_before_each(staging: Staging) -> None:
    order = staging.order(GATEWAY, staging.seed.push("good"))
    steps = staging.follow(order, CANARY, judge=AlwaysOn())
    weights = [step.weight for step in steps if step.move is Move.CONTINUE]
    assert weights == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert staging.state(GATEWAY).digests == {order.digest}


def test_a_blue_green_roll_out_after_a_canary_waits_for_nobody(staging: Staging) -> None:
    staging.follow(staging.order(GATEWAY, staging.seed.push("good")), CANARY, judge=AlwaysOn())
    steps = staging.follow(staging.order(GATEWAY, staging.seed.push("good")))
    assert {step.weight for step in steps} <= {0, 100}


def test_nothing_of_a_canary_stays_with_the_service_and_tidying_deploys_nothing(staging: Staging) -> None:
    order = staging.order(GATEWAY, staging.seed.push("good"))
    staging.follow(order, CANARY, judge=AlwaysOn())
    assert staging.configuration(order.name)["lifecycleHooks"]
    for _ in range(2):
        staging.containers.tidy(order.name)
        assert staging.containers.ongoing(order.name) is None
    tidied = staging.configuration(order.name)
    assert (tidied["strategy"], tidied["lifecycleHooks"]) == ("BLUE_GREEN", [])


def test_a_canary_that_is_under_way_keeps_its_pause(staging: Staging) -> None:
    order = staging.order(GATEWAY, staging.seed.push("good"))
    deployment = to_first_step(staging, order)
    staging.containers.tidy(order.name)
    assert staging.configuration(order.name)["lifecycleHooks"]
    staging.containers.stop(deployment.arn)
    staging.pause(5)
    staging.containers.tidy(order.name)
    assert staging.configuration(order.name)["lifecycleHooks"] == []


def test_the_versions_of_a_canary_are_known_by_their_target_groups(staging: Staging) -> None:
    order = staging.order(GATEWAY, staging.seed.push("good"))
    before = staging.containers.arm(order.name)
    deployment = to_first_step(staging, order)
    assert deployment.old == before
    assert deployment.new is not None
    assert deployment.old is not None
    assert deployment.new.task_definition == order.task_definition
    assert len({deployment.old.target_group, deployment.new.target_group, ""}) == 3
    staging.containers.stop(deployment.arn)
    staging.pause(5)


def test_an_answer_that_is_given_twice_moves_traffic_once(staging: Staging) -> None:
    order = staging.order(GATEWAY, staging.seed.push("good"))
    deployment = to_first_step(staging, order)
    staging.pause(1)
    waiting = staging.containers.deployment(deployment.arn)
    staging.containers.go_on(waiting)
    staging.containers.go_on(waiting)
    staging.pause(1)
    assert staging.containers.deployment(deployment.arn).weight == 20
    staging.containers.stop(deployment.arn)
    staging.pause(5)


def test_a_canary_that_nobody_answers_goes_back_by_itself_and_ecs_says_why(staging: Staging) -> None:
    before = staging.state(GATEWAY).digests
    order = staging.order(GATEWAY, staging.seed.push("good"))
    arn = to_first_step(staging, order).arn
    staging.pause(70)  # AWS minutes, of a second each
    staging.pause(10)
    found = staging.containers.last_deployment(order.name, order.task_definition)
    assert found is not None
    assert (found.arn, found.status) == (arn, DeploymentStatus.ROLLBACK_SUCCESSFUL)
    assert "timed out" in found.reason
    assert staging.state(GATEWAY).digests == before
