"""AWS CodeDeploy as a mover of traffic, against the stand-in. A minute is a second."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, cast

import pytest
from botocore.stub import Stubber
from codedeploy_world import (
    ALARM,
    APPLICATION,
    BEGUN,
    CANARY,
    CLUSTER,
    GROUP,
    NAME,
    POLICY,
    SERVICE,
    World,
    furnish,
    lend,
)

from blocks.code_deployments import CodeDeployments
from blocks.containers import Containers
from blocks.deployment_reports import DeploymentReports
from blocks.load_balancers import LoadBalancers
from blocks.shifts import BlueGreen
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault
from rules.app_specs import AppSpec
from rules.code_deployments import Report, Status
from rules.errors import Conflict, Declined, InvalidInput, Outage, RolloutFailed
from rules.rollouts import DeploymentStatus, Move, next_step_back
from rules.traffic import check_traffic
from rules.vocabulary import Finding, Verdict


@pytest.fixture(scope="module")
def furnished(running_aws: AwsStandIn, world_clock: ManualClock, open_session_client: Callable[..., Any]) -> World:
    return furnish(running_aws, world_clock, open_session_client)


@pytest.fixture
def world(furnished: World) -> Iterator[World]:
    yield from lend(furnished)


# --- blue-green ----------------------------------------------------------------------------------------------


def test_a_good_release_arrives_and_the_old_version_stays_through_the_bake(world: World) -> None:
    order = world.order()
    steps = world.follow(order)
    assert (steps[0].move, steps[-1].move) == (Move.START, Move.DONE)
    assert {step.weight for step in steps} == {0, 100}
    assert any("Baking" in step.why and step.weight == 100 for step in steps)
    assert world.serving() == {order.digest}


def test_a_release_that_has_arrived_is_left_alone(world: World) -> None:
    order = world.order()
    world.follow(order)
    world.aws.forget_calls()
    assert [step.move for step in world.follow(order)] == [Move.DONE]
    assert world.asked("CreateDeployment") == 0


def test_an_alarm_takes_it_back_and_the_old_version_serves_all_again(world: World) -> None:
    before, order = world.serving(), world.order()
    id_ = world.controller().start(NAME, order.task_definition, BlueGreen(2, (ALARM,)))
    world.until(id_, lambda it: it.weight == 100)
    world.ring("ALARM")
    with pytest.raises(RolloutFailed, match=r"ROLLBACK_SUCCESSFUL: ALARM_ACTIVE: .*gateway-5xx"):
        world.follow(order)
    assert world.serving() == before
    assert world.weights()[world.groups["green"]] == 0


def test_a_deployment_that_is_stopped_goes_back_as_one_deployment(world: World) -> None:
    before, order, controller = world.serving(), world.order(), world.controller()
    id_ = controller.start(NAME, order.task_definition, CANARY)
    world.until(id_, lambda it: it.weight == 10)
    controller.stop(id_)
    seen: list[DeploymentStatus] = []
    for _ in range(60):
        ongoing = controller.ongoing()
        if ongoing is None:
            break
        assert (ongoing.arn, ongoing.target_task_definition) == (id_, order.task_definition)
        seen.append(ongoing.status)
        controller.stop(id_)
        world.pause(0.2)
    assert seen[-1] is DeploymentStatus.ROLLBACK_IN_PROGRESS
    assert world.asked("StopDeployment") <= 2  # the first is not carried out before the next tick
    ended = controller.deployment(id_)
    assert (ended.status, ended.weight) == (DeploymentStatus.ROLLBACK_SUCCESSFUL, 0)
    assert "MANUAL_STOP" in ended.reason
    assert world.serving() == before


def test_its_way_back_is_found_by_its_own_id_too(world: World) -> None:
    order, controller = world.order(), world.controller()
    id_ = controller.start(NAME, order.task_definition, BlueGreen(2))
    world.until(id_, lambda it: it.stage == "Install")
    controller.stop(id_)
    world.until(id_, lambda it: it.status.gave_back)
    info = world.clients["codedeploy"].get_deployment(deploymentId=id_)["deploymentInfo"]
    assert controller.deployment(info["rollbackInfo"]["rollbackDeploymentId"]).arn == id_


def test_to_stop_what_has_ended_is_no_failure(world: World) -> None:
    order = world.order()
    id_ = world.controller().start(NAME, order.task_definition, BlueGreen(2))
    world.follow(order)
    world.controller().stop(id_)
    assert world.asked("StopDeployment") == 0


def test_a_version_that_dies_at_start_is_stopped_and_the_old_one_serves_all_along(world: World) -> None:
    before = world.serving()
    with pytest.raises(RolloutFailed, match="tasks of the new revision of gateway stopped"):
        world.follow(world.order(crash_at_start=True))
    assert world.serving() == before


def test_a_roll_out_that_a_dead_run_left_is_adopted_not_started_again(world: World) -> None:
    order = world.order()
    world.controller().start(NAME, order.task_definition, BlueGreen(2))
    assert world.follow(order)[-1].move is Move.DONE
    assert world.asked("CreateDeployment") == 1


def test_to_start_twice_is_to_start_once(world: World) -> None:
    order = world.order()
    ids = {world.controller().start(NAME, order.task_definition, BlueGreen(2)) for _ in range(2)}
    assert len(ids) == 1


def test_somebody_elses_roll_out_is_neither_stopped_nor_joined(world: World) -> None:
    ours, theirs = world.order(), world.order()
    world.controller().start(NAME, theirs.task_definition, BlueGreen(2))
    with pytest.raises(RolloutFailed, match="another deployment"):
        world.follow(ours)
    with pytest.raises(Conflict):
        world.controller().start(NAME, ours.task_definition, BlueGreen(2))
    assert world.asked("StopDeployment") == 0


@pytest.mark.parametrize(("whose", "error"), [("ours", ""), ("theirs", "changed by somebody else")])
def test_who_begins_between_our_look_and_our_start_is_told_apart(world: World, whose: str, error: str) -> None:
    ours, theirs = world.order(), world.order()
    first = world.controller().start(NAME, (ours if whose == "ours" else theirs).task_definition, BlueGreen(2))
    late = world.controller(Late(world.clients["codedeploy"], looks=1))
    if error:
        with pytest.raises(Conflict, match=error):
            late.start(NAME, ours.task_definition, BlueGreen(2))
    else:
        assert late.start(NAME, ours.task_definition, BlueGreen(2)) == first


def test_a_deployment_that_is_not_listed_yet_is_asked_for_again(world: World) -> None:
    order = world.order()
    world.controller().start(NAME, order.task_definition, BlueGreen(2))
    with pytest.raises(Outage, match="not listed yet"):
        world.controller(Late(world.clients["codedeploy"], looks=2)).start(NAME, order.task_definition, BlueGreen(2))


class Late:
    """CodeDeploy whose lists lag behind for so many looks."""

    def __init__(self, codedeploy: Any, looks: int) -> None:
        self._codedeploy, self._looks = codedeploy, looks

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._codedeploy, operation)

    def get_paginator(self, operation: str) -> Any:
        self._looks -= 1
        return self if self._looks >= 0 else self._codedeploy.get_paginator(operation)

    def paginate(self, **_: Any) -> list[Any]:
        return []


def test_on_the_way_back_a_roll_out_in_progress_is_stopped(world: World) -> None:
    old = Containers(world.clients["ecs"], CLUSTER).state(replace(SERVICE, ecs_service=NAME), "staging")
    forward = world.order()
    id_ = world.controller().start(NAME, forward.task_definition, BlueGreen(2))
    world.until(id_, lambda it: it.weight == 100)
    ours = frozenset({forward.task_definition})
    back = replace(forward, task_definition=old.task_definition, digest=next(iter(old.digests)), ours=ours)
    steps = world.follow(back, BlueGreen(0, unguarded=True), judge=next_step_back)
    assert (steps[0].move, steps[-1].move) == (Move.STOP, Move.DONE)
    assert world.serving() == old.digests
    assert world.asked("CreateDeployment") == 1


def test_on_the_way_back_a_finished_roll_out_is_deployed_backwards_whatever_alarms_say(world: World) -> None:
    old = Containers(world.clients["ecs"], CLUSTER).state(replace(SERVICE, ecs_service=NAME), "staging")
    forward = world.order()
    world.follow(forward, BlueGreen(2, (ALARM,)))
    world.ring("ALARM")
    back = replace(forward, task_definition=old.task_definition, digest=next(iter(old.digests)))
    assert world.follow(back, BlueGreen(0, unguarded=True), judge=next_step_back)[-1].move is Move.DONE
    assert world.serving() == old.digests


def test_a_short_outage_of_the_api_does_not_end_a_roll_out(world: World) -> None:
    order = world.order()
    world.aws.faults.add(Fault(target="aws", operation="GetDeployment", kind="throttle", times=3))
    assert world.follow(order)[-1].move is Move.DONE


# --- looking -------------------------------------------------------------------------------------------------


def test_what_runs_is_read_by_task_set(world: World) -> None:
    containers, service = Containers(world.clients["ecs"], CLUSTER), replace(SERVICE, ecs_service=NAME)
    before = containers.state(service, "staging")
    assert (before.running, before.desired, before.deploying, len(before.digests)) == (2, 2, False, 1)
    order = world.order()
    id_ = world.controller().start(NAME, order.task_definition, CANARY)
    world.until(id_, lambda it: it.weight == 10)
    during = containers.state(service, "staging")
    assert (during.deploying, during.task_definition) == (True, before.task_definition)
    assert during.deploying_to.endswith(f":{world.versions:07x}")
    world.until(id_, lambda it: it.status is DeploymentStatus.SUCCESSFUL)
    after = containers.state(service, "staging")
    assert (after.digests, after.deploying, after.running) == ({order.digest}, False, 2)
    assert after.deployed_at > before.deployed_at


def test_a_deployment_that_was_stopped_half_way_for_good_has_not_given_back(world: World) -> None:
    order, controller = world.order(), world.controller()
    id_ = controller.start(NAME, order.task_definition, CANARY)
    world.until(id_, lambda it: it.weight == 10)
    world.clients["codedeploy"].stop_deployment(deploymentId=id_, autoRollbackEnabled=False)
    world.pause(0.2)
    assert controller.deployment(id_).status is DeploymentStatus.ROLLBACK_REQUESTED
    world.pause(130)
    seen = controller.deployment(id_)
    assert (seen.status, seen.weight) == (DeploymentStatus.ROLLBACK_FAILED, 10)
    assert "the new version still has 10 %" in seen.reason
    assert len(controller.look(NAME, "app").serving) == 2
    after = world.order()
    assert world.follow(after)[-1].move is Move.DONE  # and the next one tidies up
    assert world.serving() == {after.digest}


def test_the_deployment_group_is_looked_at_before_the_start(world: World) -> None:
    [good] = world.controller().preflight("gateway", NAME, POLICY)
    assert good.verdict is Verdict.PASSED
    [other] = world.controller().preflight("gateway", "Another-1", POLICY)
    assert (other.gate, other.verdict) == ("deployment group/gateway", Verdict.FAILED)


def test_a_group_that_is_not_there_is_named(world: World) -> None:
    with pytest.raises(InvalidInput, match="batbern/nobody"):
        world.controller(group="nobody").preflight("gateway", NAME, POLICY)


def test_another_services_group_starts_nothing(world: World) -> None:
    with pytest.raises(InvalidInput, match="allowed is Another-1"):
        world.controller().start("Another-1", world.order().task_definition, BlueGreen(2))
    assert world.asked("CreateDeployment") == 0


def test_a_service_that_ecs_itself_moves_is_no_task_sets(world: World) -> None:
    silent = cast("Any", SetLess(world.clients["ecs"]))
    controller = CodeDeployments(world.clients["codedeploy"], Containers(silent, CLUSTER), APPLICATION, GROUP)
    with pytest.raises(InvalidInput, match="CODE_DEPLOY, behind a load balancer"):
        controller.start(NAME, world.order().task_definition, BlueGreen(2))


class SetLess:
    """ECS whose services have no task sets."""

    def __init__(self, ecs: Any) -> None:
        self._ecs = ecs

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._ecs, operation)

    def describe_services(self, **request: Any) -> Any:
        answer = self._ecs.describe_services(**request)
        return {"services": [{**one, "taskSets": []} for one in answer["services"]]}


# --- what the stand-in does not say --------------------------------------------------------------------------


@pytest.fixture
def stubbed(strict_session: Any) -> Iterator[tuple[Any, Stubber]]:
    client = strict_session.client("codedeploy", endpoint_url="http://127.0.0.1:1")
    with Stubber(client) as stubber:
        yield client, stubber
        stubber.assert_no_pending_responses()


def test_an_appspec_that_codedeploy_tells_only_the_hash_of_is_read_once(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    spec = AppSpec("arn:aws:ecs:eu-central-1:222222222222:task-definition/gateway:7", "app", 8080)
    told = {"revisionType": "AppSpecContent", "appSpecContent": {"sha256": spec.sha256}}
    full = {"revisionType": "AppSpecContent", "appSpecContent": {"content": spec.text, "sha256": spec.sha256}}
    info = {"deploymentId": "d-1", "status": "Created", "createTime": BEGUN}
    asked = {"applicationName": APPLICATION, "revision": told}
    for look in (1, 2):
        stubber.add_response("get_deployment", {"deploymentInfo": {**info, "revision": told}}, {"deploymentId": "d-1"})
        if look == 1:
            whole = {"applicationName": APPLICATION, "revision": full}
            stubber.add_response("get_application_revision", whole, asked)
        stubber.add_client_error("list_deployment_targets", "DeploymentNotStartedException")
    reports = DeploymentReports(client, APPLICATION, GROUP)
    expected = Report("d-1", Status.CREATED, BEGUN, spec.task_definition)
    assert [reports.report("d-1"), reports.report("d-1")] == [expected, expected]


def test_an_outage_is_an_outage_and_a_missing_permission_is_named(stubbed: tuple[Any, Stubber]) -> None:
    client, stubber = stubbed
    reports = DeploymentReports(client, APPLICATION, GROUP)
    stubber.add_client_error("get_deployment_group", "ThrottlingException")
    with pytest.raises(Outage, match="AWS CodeDeploy"):
        reports.group()
    stubber.add_client_error("get_deployment_group", "AccessDeniedException", http_status_code=400)
    with pytest.raises(Declined, match="GetDeploymentGroup"):
        reports.group()


def test_the_load_balancer_agrees_with_the_task_sets_until_somebody_turns_its_weights(world: World) -> None:
    group = world.controller().group()
    balancers = LoadBalancers(world.clients["ecs"], world.clients["elbv2"], CLUSTER)
    balanced = replace(SERVICE, load_balanced=True)

    def finding() -> Finding:
        seen = balancers.traffic(NAME, group)
        assert seen is not None
        return check_traffic([balanced], {"gateway": seen}, "staging")[0]

    assert finding().verdict is Verdict.PASSED
    before = world.weights()
    other = [{"TargetGroupArn": world.groups[name], "Weight": 0} for name in ("blue", "green")]
    for entry in other:
        entry["Weight"] = 0 if before.get(entry["TargetGroupArn"]) else 1
    forward = [{"Type": "forward", "ForwardConfig": {"TargetGroups": other}}]
    world.clients["elbv2"].modify_rule(RuleArn=world.rule, Actions=forward)
    try:
        assert (finding().verdict, finding().gate) == (Verdict.FAILED, "traffic/gateway")
    finally:
        kept = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in before.items()]
        world.clients["elbv2"].modify_rule(
            RuleArn=world.rule, Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": kept}}]
        )


def test_one_look_asks_each_question_once(world: World) -> None:
    id_ = world.controller().start(NAME, world.order().task_definition, CANARY)
    world.until(id_, lambda it: it.weight == 10)
    controller = world.controller()
    controller.look(NAME, "app")
    world.aws.forget_calls()
    controller.look(NAME, "app")
    asked = [call.operation for call in world.aws.calls if not call.operation.endswith("Tasks")]
    assert sorted(asked) == ["BatchGetDeploymentTargets", "DescribeServices", "GetDeployment", "ListDeployments"]
