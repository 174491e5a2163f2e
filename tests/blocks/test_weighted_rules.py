"""Two ordinary ECS services and the listener rule between them, on the AWS stand-in."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from weighted_world import ACCOUNT, BLUE, CANARY, CLUSTER, GREEN, POLICY, SERVICE, Dying, World, add_rule, opened

from blocks.containers import Containers
from blocks.doors import Doors
from blocks.shifts import BlueGreen
from blocks.weighted_rules import WeightedRules
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from rules.arrival import check_arrival
from rules.errors import Conflict, InvalidInput, Outage
from rules.rollouts import DeploymentStatus
from rules.traffic import check_traffic
from rules.vocabulary import Verdict

if TYPE_CHECKING:
    from blocks.accounts import Account
    from rules.vocabulary import Environment


@pytest.fixture
def world(aws: AwsStandIn, world_clock: ManualClock, open_client: Callable[..., Any]) -> World:
    return opened(aws, world_clock, open_client)


def test_a_start_gives_tasks_to_the_idle_side_and_no_traffic(world: World) -> None:
    order = world.order()
    arn = world.controller().start(BLUE, order.task_definition, CANARY)
    assert world.desired() == (2, 2)
    assert world.weights() == (1, 0)
    found = world.seen(arn)
    assert (found.status, found.weight, found.pause) == (DeploymentStatus.IN_PROGRESS, 0.0, None)
    assert found.target_task_definition == order.task_definition


def test_starting_twice_is_starting_once(world: World) -> None:
    order = world.order()
    first = world.controller().start(BLUE, order.task_definition, CANARY)
    assert world.controller().start(BLUE, order.task_definition, CANARY) == first
    assert world.asked("UpdateService") == 1


def test_another_version_that_is_under_way_is_a_conflict(world: World) -> None:
    world.controller().start(BLUE, world.order().task_definition, CANARY)
    with pytest.raises(Conflict):
        world.controller().start(BLUE, world.order().task_definition, CANARY)


def test_no_weight_comes_before_all_targets_are_healthy(world: World) -> None:
    order = world.order()
    arn = world.controller().start(BLUE, order.task_definition, CANARY)
    world.controller().go_on(world.seen(arn))
    assert world.weights() == (1, 0)
    found = world.until(arn, lambda it: it.pause is not None)
    health = world.clients["elbv2"].describe_target_health(TargetGroupArn=world.groups["green"])
    assert [it["TargetHealth"]["State"] for it in health["TargetHealthDescriptions"]] == ["healthy"] * 2
    world.controller().go_on(found)
    assert world.weights() == (90, 10)


def test_a_word_that_was_followed_is_not_followed_again(world: World) -> None:
    _, found = world.at(10)
    world.controller().go_on(found)
    world.controller().go_on(found)
    assert world.weights() == (50, 50)


def test_all_else_on_the_rule_stays_as_it_is(world: World) -> None:
    oidc = {
        "Type": "authenticate-oidc",
        "Order": 1,
        "AuthenticateOidcConfig": {
            "Issuer": "https://login.example.com",
            "AuthorizationEndpoint": "https://login.example.com/authorize",
            "TokenEndpoint": "https://login.example.com/token",
            "UserInfoEndpoint": "https://login.example.com/info",
            "ClientId": "gateway",
            "ClientSecret": "secret",
        },
    }
    forward = {**world.forward(1, 0), "Order": 2}
    world.clients["elbv2"].modify_rule(RuleArn=world.rule, Actions=[oidc, forward])
    before = world.actions()
    conditions = world.clients["elbv2"].describe_rules(RuleArns=[world.rule])["Rules"][0]["Conditions"]
    world.at(10)
    authenticate, after = world.actions()
    assert (authenticate["Type"], authenticate["Order"], after["Order"]) == ("authenticate-oidc", 1, 2)
    assert authenticate["AuthenticateOidcConfig"]["UseExistingClientSecret"] is True
    assert authenticate["AuthenticateOidcConfig"]["Issuer"] == before[0]["AuthenticateOidcConfig"]["Issuer"]
    assert world.weights() == (90, 10)
    assert world.clients["elbv2"].describe_rules(RuleArns=[world.rule])["Rules"][0]["Conditions"] == conditions


@pytest.mark.parametrize("share", [10, 50, 100])
def test_a_stop_gives_everything_back_in_one_call(world: World, share: int) -> None:
    _, found = world.at(share)
    before = world.asked("ModifyRule")
    world.controller().stop(found.arn)
    assert world.asked("ModifyRule") == before + 1
    assert world.weights() == (100, 0)
    assert world.desired() == (2, 0)
    assert world.seen(found.arn).status is DeploymentStatus.ROLLBACK_SUCCESSFUL
    calls = len(world.aws.calls)
    world.controller().stop(found.arn)
    assert not [call for call in world.aws.calls[calls:] if call.operation in {"ModifyRule", "UpdateService"}]


def test_a_start_that_dies_before_its_note_is_adopted(world: World) -> None:
    order = world.order()
    with pytest.raises(KeyboardInterrupt):
        world.controller(Dying(world.clients["elbv2"], "add_tags")).start(BLUE, order.task_definition, CANARY)
    assert world.desired() == (2, 2)
    assert world.controller().look(BLUE, "app").ongoing is None
    world.controller().start(BLUE, order.task_definition, CANARY)
    assert world.asked("UpdateService") == 1


def test_a_look_at_rest_sees_one_service(world: World) -> None:
    look = world.controller().look(BLUE, "app")
    assert (look.ongoing, look.steady, len(look.serving)) == (None, True, 1)
    state = world.controller().state("gateway", "app")
    assert state
    assert (state.name, state.desired, state.running, state.deploying) == (BLUE, 2, 2, False)
    assert state.digests == look.serving


def test_while_both_sides_carry_both_images_serve(world: World) -> None:
    order, _ = world.at(10)
    state = world.controller().state("gateway", "app")
    assert state
    assert len(state.digests) == 2
    assert order.digest in state.digests
    assert state.deploying
    assert state.deploying_to.startswith(f"{ACCOUNT}.dkr")
    assert state.task_definition != order.task_definition, "most visitors are still with the old one"
    arm = world.controller().arm()
    assert arm
    assert arm.target_group == world.groups["blue"]
    traffic = world.controller().traffic()
    assert traffic
    assert (traffic.moving, traffic.healthy, len(traffic.carrying)) == (True, 4, 2)


def test_somebody_who_deploys_over_what_serves_is_seen(world: World) -> None:
    other = world.order()
    world.clients["ecs"].update_service(cluster=CLUSTER, service=BLUE, taskDefinition=other.task_definition)
    look = world.controller().look(BLUE, "app")
    assert look.ongoing
    assert look.ongoing.target_task_definition == other.task_definition
    with pytest.raises(Conflict):
        world.controller().start(BLUE, world.order().task_definition, CANARY)


def preflight(world: World) -> tuple[Verdict, str]:
    [finding] = world.controller().preflight("gateway", BLUE, POLICY)
    return finding.verdict, finding.sentence


def test_a_pair_at_rest_may_be_moved(world: World) -> None:
    assert preflight(world)[0] is Verdict.PASSED


def test_sticky_visitors_are_a_reason_to_refuse(world: World) -> None:
    world.turn(1, 0, sticky=True)
    verdict, sentence = preflight(world)
    assert (verdict, "stickiness" in sentence) == (Verdict.FAILED, True)
    with pytest.raises(InvalidInput, match="stickiness"):
        world.controller().start(BLUE, world.order().task_definition, CANARY)


def test_another_rule_to_one_of_the_groups_is_a_reason_to_refuse(world: World) -> None:
    add_rule(world, 2, {"Type": "forward", "TargetGroupArn": world.groups["blue"]})
    assert preflight(world)[0] is Verdict.FAILED
    with pytest.raises(InvalidInput, match="no other to either"):
        world.controller().look(BLUE, "app")


def test_no_rule_is_a_reason_to_refuse(world: World) -> None:
    world.clients["elbv2"].delete_rule(RuleArn=world.rule)
    assert "no rule" in preflight(world)[1]


def test_weights_on_both_sides_at_rest_are_a_reason_to_refuse(world: World) -> None:
    world.turn(1, 1)
    assert "2 of its two groups" in preflight(world)[1]


def test_a_side_that_amazon_ecs_moves_is_a_reason_to_refuse(world: World) -> None:
    ecs = world.clients["ecs"]
    advanced = {
        "alternateTargetGroupArn": world.groups["green"],
        "productionListenerRule": world.rule,
        "roleArn": f"arn:aws:iam::{ACCOUNT}:role/ecs",
    }
    balancer = {"targetGroupArn": world.groups["blue"], "containerName": "app", "containerPort": 8080}
    ecs.update_service(
        cluster=CLUSTER,
        service=BLUE,
        loadBalancers=[{**balancer, "advancedConfiguration": advanced}],
        deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 1},
    )
    assert "Amazon ECS itself" in preflight(world)[1]


def test_a_side_that_lacks_is_a_reason_to_refuse(world: World) -> None:
    world.clients["ecs"].delete_service(cluster=CLUSTER, service=GREEN, force=True)
    world.pause(5)
    assert preflight(world)[0] is Verdict.FAILED
    assert world.controller().state("gateway", "app") is None
    assert world.controller().traffic() is None


def test_a_tag_that_is_not_ours_is_a_reason_to_refuse(world: World) -> None:
    tag = {"Key": "promotion-flows", "Value": "by hand"}
    world.clients["elbv2"].add_tags(ResourceArns=[world.rule], Tags=[tag])
    assert preflight(world)[0] is Verdict.FAILED


def test_alarms_that_nobody_would_obey_are_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="alarms"):
        world.controller().start(BLUE, world.order().task_definition, BlueGreen(2, alarms=("gateway-5xx",)))


def test_a_deployment_that_is_forgotten_is_not_guessed(world: World) -> None:
    with pytest.raises(Outage):
        world.seen("arn:of-another-day")


# --- as everybody else sees it -----------------------------------------------------------------------------------


class StagingDoors(Doors):
    """Without a server: what a document would have told is told here."""

    def __init__(self, world: World) -> None:
        self.environment = cast("Environment", SimpleNamespace(name="staging"))
        self._account = cast("Account", SimpleNamespace(client=world.clients.__getitem__))
        self.containers = Containers(world.clients["ecs"], CLUSTER, self._state_of_pair)


def test_two_sides_are_one_service_for_gates_and_arrival(world: World) -> None:
    doors = StagingDoors(world)
    state = doors.containers.state(SERVICE, "staging")
    assert (state.service, state.name, state.steady) == ("gateway", BLUE, True)
    release = {"gateway": next(iter(state.digests))}
    [arrived] = check_arrival(doors.containers.states([SERVICE], "staging"), release, "staging")
    assert arrived.verdict is Verdict.PASSED
    look = doors.traffic(SERVICE, BLUE)
    assert look
    [sent] = check_traffic([SERVICE], {"gateway": look}, "staging")
    assert sent.verdict is Verdict.PASSED
    arm = doors.arm(SERVICE, BLUE)
    assert arm
    assert arm.target_group == world.groups["blue"]
    assert isinstance(doors.controller(SERVICE), WeightedRules)


def test_a_pair_that_is_not_there_is_missing(world: World) -> None:
    elsewhere = replace(SERVICE, ecs_service_beside="gateway-red")
    assert StagingDoors(world).containers.states([elsewhere], "staging") == {}
