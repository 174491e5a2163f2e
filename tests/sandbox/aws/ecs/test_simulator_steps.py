"""ECS-native deployments by LINEAR and CANARY, as a client of the API sees them."""

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.ecs_stages import Status
from tests.sandbox.aws.ecs.conftest import CLUSTER, SERVICE, Balancer, World

PRE = "PRE_PRODUCTION_TRAFFIC_SHIFT"
ALARMS = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}


def linear(percent: float, minutes: int = 0, **more: Any) -> dict[str, Any]:
    steps = {"stepPercent": percent, "stepBakeTimeInMinutes": minutes}
    return {"strategy": "LINEAR", "bakeTimeInMinutes": 1, "linearConfiguration": steps, **more}


def canary(percent: float, minutes: int, **more: Any) -> dict[str, Any]:
    steps = {"canaryPercent": percent, "canaryBakeTimeInMinutes": minutes}
    return {"strategy": "CANARY", "bakeTimeInMinutes": 1, "canaryConfiguration": steps, **more}


def pause(minutes: int = 60, action: str = "ROLLBACK", stage: str = PRE) -> dict[str, Any]:
    timeout = {"timeoutInMinutes": minutes, "action": action}
    return {"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": [stage], "timeoutConfiguration": timeout}]}


def weight(found: dict[str, Any]) -> float:
    return float(found["targetServiceRevision"]["requestedProductionTrafficWeight"])


def waiting(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [hook for hook in found.get("lifecycleHookDetails", ()) if hook["status"] == "AWAITING_ACTION"]


def until_paused(world: World, arn: str, seconds: float = 30.0) -> dict[str, Any]:
    """Tick until the deployment waits for an answer."""
    for _ in range(round(seconds * 5)):
        found = world.deployment(arn)
        if waiting(found):
            return found
        world.tick()
    raise AssertionError(world.deployment(arn))


def answer(world: World, arn: str, action: str = "CONTINUE") -> str:
    """Answer the pause that waits now, and give its id."""
    hook = waiting(until_paused(world, arn))[0]["hookId"]
    world.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook, action=action)
    return str(hook)


def held_at(world: World, arn: str, percent: float) -> dict[str, Any]:
    """Go on until the deployment waits at this weight."""
    while weight(found := until_paused(world, arn)) < percent:
        answer(world, arn)
    assert weight(found) == percent
    return found


def watched(world: World, arn: str) -> list[dict[str, Any]]:
    """What was seen after each tick until the deployment ended."""
    seen = []
    for _ in range(600):
        found = world.deployment(arn)
        seen.append(found)
        if found.get("finishedAt"):
            return seen
        sources = [one["requestedProductionTrafficWeight"] for one in found["sourceServiceRevisions"]]
        assert sum(sources) + weight(found) == 100.0
        assert sum(share for _, share, _ in world.weights()) == pytest.approx(100.0)
        assert all(addresses for _, share, addresses in world.weights() if share)
        world.tick()
    raise AssertionError(seen[-1])


def test_linear_arrives_in_equal_steps(world: World) -> None:
    world.created()
    seen = watched(world, world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(25.0)))
    assert list(dict.fromkeys(map(weight, seen))) == [0, 25, 50, 75, 100]
    assert seen[-1]["status"] == Status.SUCCESSFUL
    visits = [found.get("lifecycleStage") for found in seen]
    visits = [later for earlier, later in pairwise(visits) if later != earlier]
    assert visits[-11:] == [*[PRE, "PRODUCTION_TRAFFIC_SHIFT"] * 4, *visits[-3:]]
    assert visits[-3:] == ["POST_PRODUCTION_TRAFFIC_SHIFT", "BAKE_TIME", "CLEAN_UP"]


def test_a_canary_takes_its_share_then_everything(world: World) -> None:
    world.created()
    before = world.clock.monotonic()
    seen = watched(world, world.update(world.definition("bbbbbbb"), deploymentConfiguration=canary(0.1, 8)))
    assert list(dict.fromkeys(map(weight, seen))) == [0, 0.1, 100]
    assert seen[-1]["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 0.0
    assert 11 <= world.clock.monotonic() - before <= 14, "8 minutes at 0.1 %, 1 minute at 100 %, and the rest"


def test_between_its_steps_linear_waits_as_long_as_asked(world: World) -> None:
    world.created()
    seen = watched(world, world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(50.0, minutes=4)))
    at_half = [found for found in seen if weight(found) == 50.0]
    assert 4 / 0.2 <= len(at_half) <= 4 / 0.2 + 2


def test_the_weights_that_visitors_meet_are_exact_with_service_connect(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(33.3) | pause())
    held_at(world, arn, 33.3)
    assert [share for _, share, _ in world.weights()] == pytest.approx([66.7, 33.3])
    found = held_at(world, arn, 99.9)
    assert found["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 0.1


def test_before_every_step_it_waits_for_an_answer_with_a_fresh_hook(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(10.0) | pause(minutes=60))
    seen: dict[str, float] = {}
    for _ in range(10):
        found = until_paused(world, arn)
        assert found["lifecycleStage"] == PRE
        world.pass_seconds(2)
        assert weight(world.deployment(arn)) == weight(found), "it moved without an answer"
        seen[answer(world, arn)] = weight(found)
    assert list(seen.values()) == [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]
    ended = world.until(Status.SUCCESSFUL, arn)
    assert [hook["hookId"] for hook in ended["lifecycleHookDetails"]] == list(seen)
    assert {hook["status"] for hook in ended["lifecycleHookDetails"]} == {"SUCCEEDED"}


def test_a_pause_tells_what_it_waits_for_and_until_when(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(10.0) | pause(minutes=60))
    hook = waiting(until_paused(world, arn))[0]
    assert (hook["targetType"], hook["timeoutAction"]) == ("PAUSE", "ROLLBACK")
    lasts = hook["expiresAt"] - world.clock.now()
    assert timedelta(seconds=59) <= lasts <= timedelta(seconds=60)
    assert "targetArn" not in hook


def test_a_pause_that_nobody_answers_gives_all_traffic_back_by_itself(world: World) -> None:
    world.created()
    old = world.weights()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(10.0) | pause(minutes=5))
    hook = waiting(held_at(world, arn, 10.0))[0]["hookId"]
    world.pass_seconds(4)
    assert [share for _, share, _ in world.weights()] == [90.0, 10.0]
    world.pass_seconds(2)
    assert world.weights() == old
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert f"{hook} timed out at {PRE}" in ended["rollback"]["reason"]
    assert [it["status"] for it in ended["lifecycleHookDetails"]] == ["SUCCEEDED", "TIMED_OUT"]
    assert weight(ended) == 0.0


def test_a_pause_may_also_go_on_when_nobody_answers(world: World) -> None:
    world.created()
    hooks = pause(minutes=1, action="CONTINUE")
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(25.0) | hooks)
    ended = world.until(Status.SUCCESSFUL, arn)
    assert [hook["status"] for hook in ended["lifecycleHookDetails"]] == ["TIMED_OUT"] * 4


def test_a_pause_answered_with_rollback_returns_everything(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(25.0) | pause())
    held_at(world, arn, 50.0)
    hook = answer(world, arn, "ROLLBACK")
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert f"rolled back by lifecycle hook {hook}" in ended["statusReason"]


def test_an_alarm_in_the_middle_returns_everything(world: World) -> None:
    world.cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="batbern",
        MetricName="Errors",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    world.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="OK", StateReason="test")
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(25.0) | pause() | ALARMS)
    hook = waiting(held_at(world, arn, 50.0))[0]["hookId"]
    world.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="test")
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert ended["alarms"]["triggeredAlarmNames"] == ["errors"]
    assert ended["lifecycleHookDetails"][-1]["status"] == "FAILED"
    with pytest.raises(ClientError, match="awaits no action"):
        world.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook, action="CONTINUE")


def test_a_stop_in_the_middle_returns_everything_and_asking_again_is_harmless(world: World) -> None:
    world.created()
    old = world.weights()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(25.0) | pause())
    held_at(world, arn, 50.0)
    for _ in range(2):
        world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert world.weights() == old


def test_a_second_update_in_the_middle_returns_everything_and_then_begins(world: World) -> None:
    world.created()
    first = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(25.0) | pause())
    held_at(world, first, 50.0)
    last = world.definition("ccccccc")
    second = world.update(last, deploymentConfiguration={"strategy": "BLUE_GREEN", "lifecycleHooks": []})
    assert world.deployment(first)["status"] == "STOP_REQUESTED"
    world.until(Status.SUCCESSFUL, second)
    assert (world.deployment(first)["status"], weight(world.deployment(first))) == ("STOPPED", 0.0)
    assert {task["taskDefinitionArn"] for task in world.tasks()} == {last}


def test_answers_that_nobody_waits_for_are_refused(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(50.0) | pause(minutes=5))
    hook = answer(world, arn)

    def refused(words: str, deployment: str = arn, hook_id: str = hook) -> None:
        with pytest.raises(ClientError, match=words):
            world.ecs.continue_service_deployment(serviceDeploymentArn=deployment, hookId=hook_id, action="CONTINUE")

    refused("is SUCCEEDED and awaits no action")
    refused("was not found", hook_id="ecs-pause-nowhere")
    refused("ServiceDeploymentNotFoundException", deployment=f"{arn}x")
    late = waiting(until_paused(world, arn))[0]["hookId"]
    world.clock.advance(5)  # its time is over, but no tick has come since
    refused("is TIMED_OUT and awaits no action", hook_id=late)


def test_sick_tasks_in_the_middle_hold_the_next_step_and_then_it_goes_on(world: World) -> None:
    world.created()
    definition = world.definition("bbbbbbb")
    arn = world.update(definition, deploymentConfiguration=linear(50.0) | pause())
    held_at(world, arn, 50.0)
    new = next(task for task in world.runtime.running() if task.task_definition_arn == definition)
    world.runtime.sicken(new.id)
    answer(world, arn)
    world.tick(3)
    assert weight(world.deployment(arn)) == 50.0
    assert world.deployment(arn)["lifecycleStage"] == "PRODUCTION_TRAFFIC_SHIFT"
    world.until(Status.SUCCESSFUL, arn)


def test_the_listener_rule_gets_whole_percents_that_never_hide_a_share(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(33.3) | pause())
    seen = []
    for percent in (33.3, 66.6, 99.9):
        held_at(world, arn, percent)
        seen.append(balancer.weights(world))
    assert seen == [{"blue": 67, "green": 33}, {"blue": 33, "green": 67}, {"blue": 1, "green": 99}]
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert balancer.weights(world) == {"blue": 100, "green": 0}
    arn = world.update(world.definition("ccccccc"), deploymentConfiguration=canary(0.1, 3) | {"lifecycleHooks": []})
    while weight(world.deployment(arn)) == 0.0:
        world.tick()
    assert balancer.weights(world) == {"blue": 99, "green": 1}
    world.until(Status.SUCCESSFUL, arn)
    assert balancer.weights(world) == {"blue": 0, "green": 100}


def test_both_revisions_name_their_target_groups_while_traffic_is_shared(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(10.0) | pause())
    found = held_at(world, arn, 10.0)
    arns = [found["sourceServiceRevisions"][0]["arn"], found["targetServiceRevision"]["arn"]]
    revisions = world.ecs.describe_service_revisions(serviceRevisionArns=arns)["serviceRevisions"]
    groups = [one["resolvedConfiguration"]["loadBalancers"][0]["targetGroupArn"] for one in revisions]
    assert groups == [balancer.blue, balancer.green]
    assert [balancer.health(world, group) for group in groups] == [["healthy"] * 2] * 2


@pytest.mark.parametrize("configuration", [linear(10.0), canary(10.0, 5)], ids=["LINEAR", "CANARY"])
def test_a_rule_without_both_target_groups_is_refused_by_every_strategy_that_shifts(
    world: World, balancer: Balancer, configuration: dict[str, Any]
) -> None:
    world.created(loadBalancers=balancer.entry())
    only_blue = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": balancer.blue}]}}]
    world.elbv2.modify_rule(RuleArn=balancer.rule, Actions=only_blue)
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=configuration)
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert "Both targetGroup and alternateTargetGroup must be associated" in ended["statusReason"]


def test_a_step_keeps_the_service_in_progress_and_a_rollback_names_the_failure(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=linear(10.0) | pause())
    held_at(world, arn, 10.0)
    assert [d["rolloutState"] for d in world.service()["deployments"]] == ["IN_PROGRESS", "COMPLETED"]
    answer(world, arn, "ROLLBACK")
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    settled = world.ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0]
    assert [d["rolloutState"] for d in settled["deployments"]] == ["COMPLETED"]
