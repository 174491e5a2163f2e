"""Canaries of AWS CodeDeploy, against the stand-in: one step, which waits for nobody. A minute is a second."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from codedeploy_world import CANARY, CLUSTER, NAME, World, furnish, lend

from blocks.containers import Containers
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from rules.catalogue import CanaryPolicy, RolloutPolicy
from rules.errors import InvalidInput, RolloutFailed
from rules.holds import Canary as CanaryView
from rules.holds import next_step_of_canary
from rules.judgements import Decision, Judgement
from rules.rollouts import Move, Observation, Step


@pytest.fixture(scope="module")
def furnished(running_aws: AwsStandIn, world_clock: ManualClock, open_session_client: Callable[..., Any]) -> World:
    return furnish(running_aws, world_clock, open_session_client)


@pytest.fixture
def world(furnished: World) -> Iterator[World]:
    yield from lend(furnished)


def test_a_canary_has_one_step_and_then_everything(world: World) -> None:
    order = world.order()
    steps = world.follow(order, CANARY, judge=judged(Decision.PROMOTE))
    assert sorted({step.weight for step in steps}) == [0, 10, 100]
    assert world.serving() == {order.digest}


def test_the_two_versions_of_a_canary_are_known_by_their_target_groups(world: World) -> None:
    before = Containers(world.clients["ecs"], CLUSTER).arm(NAME)
    order = world.order()
    id_ = world.controller().start(NAME, order.task_definition, CANARY)
    seen = world.until(id_, lambda it: it.weight == 10)
    assert seen.old is not None
    assert seen.new is not None
    assert seen.old == before
    groups = {seen.old.target_group, seen.new.target_group}
    assert groups == {world.groups["blue"], world.groups["green"]}
    assert seen.carrying == {seen.old.task_definition, order.task_definition}
    assert seen.complete


def test_a_canary_that_cannot_be_judged_comes_back_because_nothing_waits(world: World) -> None:
    before = world.serving()
    with pytest.raises(RolloutFailed, match="CodeDeploy does not wait for a decision"):
        world.follow(world.order(), CANARY, judge=judged(Decision.NOT_ENOUGH_DATA))
    assert world.serving() == before


def test_a_traffic_configuration_of_ours_is_made_once(world: World) -> None:
    for _ in range(2):
        world.controller().start(NAME, world.order().task_definition, replace(CANARY, steps=(20,)))
        world.settle()
    assert world.asked("CreateDeploymentConfig") == 1
    name = "promotion-flows-canary-20-3"
    info = world.clients["codedeploy"].get_deployment_config(deploymentConfigName=name)["deploymentConfigInfo"]
    step = {"canaryPercentage": 20, "canaryInterval": 3}
    assert info["trafficRoutingConfig"] == {"type": "TimeBasedCanary", "timeBasedCanary": step}


def test_amazons_own_traffic_configuration_is_used_where_it_fits(world: World) -> None:
    id_ = world.controller().start(NAME, world.order().task_definition, replace(CANARY, hold_minutes=15))
    info = world.clients["codedeploy"].get_deployment(deploymentId=id_)["deploymentInfo"]
    assert info["deploymentConfigName"] == "CodeDeployDefault.ECSCanary10Percent15Minutes"
    assert world.asked("CreateDeploymentConfig") == 0


def test_a_traffic_configuration_of_that_name_that_says_something_else_is_refused(world: World) -> None:
    step = {"canaryPercentage": 50, "canaryInterval": 3}
    world.clients["codedeploy"].create_deployment_config(
        deploymentConfigName="promotion-flows-canary-30-3",
        computePlatform="ECS",
        trafficRoutingConfig={"type": "TimeBasedCanary", "timeBasedCanary": step},
    )
    with pytest.raises(InvalidInput, match="promotion-flows-canary-30-3"):
        world.controller().start(NAME, world.order().task_definition, replace(CANARY, steps=(30,)))


def test_more_than_one_step_is_refused_not_approximated(world: World) -> None:
    with pytest.raises(InvalidInput, match=r"'10, 50'; allowed is one step"):
        world.controller().start(NAME, world.order().task_definition, replace(CANARY, steps=(10, 50)))
    assert world.asked("CreateDeployment") == 0


def judged(decision: Decision) -> Callable[[Observation, RolloutPolicy], Step]:
    """The rules of a canary about which this was said; what it was allowed to is remembered, as the ledger does."""
    cleared: set[int] = set()

    def judge(seen: Observation, policy: RolloutPolicy) -> Step:
        view = CanaryView(
            CanaryPolicy(steps=(10,), window_minutes=0.5, codedeploy_minutes=2),
            waits=False,
            judgement=Judgement("gateway", decision, "Said so."),
            held_minutes=1,
            cleared=frozenset(cleared),
        )
        step = next_step_of_canary(seen, policy, view)
        if step.move is Move.CONTINUE:
            cleared.add(10)
        return step

    return judge


def test_a_canary_that_went_on_while_nobody_looked_comes_back(world: World) -> None:
    before, order = world.serving(), world.order()
    id_ = world.controller().start(NAME, order.task_definition, CANARY)
    world.until(id_, lambda it: it.weight == 100)
    with pytest.raises(RolloutFailed, match="went on from 10 % before anybody could say that it may"):
        world.follow(order, CANARY, judge=judged(Decision.PROMOTE))
    assert world.serving() == before
