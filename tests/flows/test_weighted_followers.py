"""Weights that we ourselves move, followed from the start to the end, or back; dead runs; the stand-in has the time."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from weighted_world import BLUE, CANARY, Dying, World, opened

from blocks.shifts import BlueGreen
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from rules.errors import RolloutFailed
from rules.rollouts import DeploymentStatus, Move, Observation, Step, next_step, next_step_back
from tasks.following import Order


@pytest.fixture
def world(aws: AwsStandIn, world_clock: ManualClock, open_client: Callable[..., Any]) -> World:
    return opened(aws, world_clock, open_client)


def says_promote(observed: Observation, policy: Any) -> Step:
    """A judge that is always content."""
    ongoing = observed.ongoing
    if ongoing and ongoing.pause and ongoing.complete:
        return Step(Move.CONTINUE, f"{ongoing.weight:g} % is well", ongoing.weight)
    return next_step(observed, policy)


def test_a_canary_goes_10_50_100_and_the_old_side_leaves_after_the_bake(world: World) -> None:
    order, path = world.order(), list[tuple[tuple[int, int], tuple[int, int]]]()

    def report(_step: Step) -> None:
        now = (world.weights(), world.desired())
        if not path or path[-1] != now:
            path.append(now)

    step = world.follower(report).follow(order, CANARY, says_promote)
    assert step.move is Move.DONE
    assert path == [
        ((1, 0), (2, 0)),
        ((1, 0), (2, 2)),
        ((90, 10), (2, 2)),
        ((50, 50), (2, 2)),
        ((0, 100), (2, 2)),
        ((0, 100), (0, 2)),
    ]
    look = world.controller().look(BLUE, "app")
    assert (look.serving, look.steady) == (frozenset({order.digest}), True)


def test_the_bake_is_as_long_as_was_asked_for(world: World) -> None:
    order, moments = world.order(), dict[tuple[int, int], float]()

    def report(_step: Step) -> None:
        if world.weights() == (0, 100):
            moments.setdefault(world.desired(), world.now)

    world.follower(report).follow(order, BlueGreen(2))
    assert moments[0, 2] - moments[2, 2] == pytest.approx(timedelta(minutes=2).total_seconds(), abs=15)


def test_a_canary_that_is_worse_goes_back_at_once(world: World) -> None:
    before = world.controller().look(BLUE, "app").serving
    order = world.order()

    def judge(observed: Observation, policy: Any) -> Step:
        if observed.ongoing and observed.ongoing.weight == 10 and not observed.ongoing.status.going_back:
            return Step(Move.STOP, "5 % errors", 10)
        return says_promote(observed, policy)

    with pytest.raises(RolloutFailed, match="5 % errors"):
        world.follower().follow(order, CANARY, judge)
    assert world.weights() == (100, 0)
    assert world.desired() == (2, 0)
    look = world.controller().look(BLUE, "app")
    assert (look.serving, look.steady) == (before, True)


def test_a_version_that_dies_at_start_never_has_a_visitor(world: World) -> None:
    with pytest.raises(RolloutFailed, match="stopped"):
        world.follower().follow(world.order(crash_at_start=True), CANARY, says_promote)
    assert world.asked("ModifyRule") == 0
    assert world.desired() == (2, 0)


@pytest.mark.parametrize("share", [10, 50, 100])
def test_what_a_dead_run_left_is_gone_on_with(world: World, share: int) -> None:
    order, left = world.at(share)
    world.pause(30)
    follower = world.follower()
    assert follower.follow(order, CANARY, says_promote).move is Move.DONE
    assert world.weights() == (0, 100)
    assert world.desired() == (0, 2)
    assert world.seen(left.arn).status is DeploymentStatus.SUCCESSFUL
    assert world.asked("UpdateService") == 2, "one to scale up, one to scale down"


def test_what_nobody_came_back_to_in_time_goes_back(world: World) -> None:
    order, _ = world.at(10)
    world.pause(61 * 60)
    with pytest.raises(RolloutFailed, match="in time"):
        world.follower().follow(order, CANARY, says_promote)
    assert world.weights() == (100, 0)


def test_the_way_back_after_the_arrival_is_a_deployment_to_the_other_side(world: World) -> None:
    state = world.controller().state("gateway", "app")
    assert state
    new = world.order()
    world.follower().follow(new, BlueGreen(0))
    old = Order(
        "gateway", BLUE, "app", state.task_definition, next(iter(state.digests)), frozenset({new.task_definition})
    )
    step = world.follower().follow(old, BlueGreen(0, unguarded=True), next_step_back)
    assert step.move is Move.DONE
    assert world.weights() == (100, 0)
    assert world.desired() == (2, 0)


def test_the_way_back_of_what_is_under_way_is_a_stop(world: World) -> None:
    state = world.controller().state("gateway", "app")
    assert state
    new, _ = world.at(50)
    old = Order(
        "gateway", BLUE, "app", state.task_definition, next(iter(state.digests)), frozenset({new.task_definition})
    )
    assert world.follower().follow(old, BlueGreen(0, unguarded=True), next_step_back).move is Move.DONE
    assert world.weights() == (100, 0)


def test_a_stop_that_dies_before_its_note_is_finished_by_the_next_look(world: World) -> None:
    order, found = world.at(10)
    with pytest.raises(KeyboardInterrupt):
        world.controller(Dying(world.clients["elbv2"], "add_tags")).stop(found.arn)
    assert world.weights() == (100, 0)
    with pytest.raises(RolloutFailed, match="written down"):
        world.follower().follow(order, CANARY)
    assert world.desired() == (2, 0)
    assert world.weights() == (100, 0)
