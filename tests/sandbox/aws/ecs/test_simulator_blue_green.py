"""ECS-native blue/green deployments of a service without load balancer, as a client of the API sees them."""

from itertools import pairwise

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.ecs_stages import Stage, Status
from tests.sandbox.aws.ecs.conftest import BLUE_GREEN, CLUSTER, SERVICE, World

ORDER = [str(stage) for stage in Stage]
ALARMS = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}


def pause(*stages: str, action: str = "ROLLBACK", minutes: int = 5) -> dict[str, object]:
    timeout = {"timeoutInMinutes": minutes, "action": action}
    return {"lifecycleHooks": [{"targetType": "PAUSE", "lifecycleStages": stages, "timeoutConfiguration": timeout}]}


def alarm(world: World, state: str) -> None:
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
    world.cloudwatch.set_alarm_state(AlarmName="errors", StateValue=state, StateReason="test")


def watch(world: World, arn: str) -> list[dict[str, object]]:
    """Tick until the deployment ends, and give what was seen after each tick, each once."""
    seen = []
    for _ in range(400):
        found = world.deployment(arn)
        seen.append(found)
        if found.get("finishedAt"):
            return seen
        assert sum(weight for _, weight, _ in world.weights()) == pytest.approx(100.0)
        assert all(addresses for _, weight, addresses in world.weights() if weight)
        world.tick()
    raise AssertionError(seen[-1])


def test_a_good_revision_goes_through_every_stage_and_gets_the_traffic(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"))
    seen = watch(world, arn)
    stages = [found["lifecycleStage"] for found in seen if "lifecycleStage" in found]
    assert list(dict.fromkeys(stages)) == ORDER
    assert seen[0]["status"] == Status.PENDING
    last = world.deployment(arn)
    assert last["status"] == Status.SUCCESSFUL
    assert last["targetServiceRevision"]["requestedProductionTrafficWeight"] == 100.0
    assert last["sourceServiceRevisions"][0]["requestedProductionTrafficWeight"] == 0.0


def test_a_good_deployment_with_two_minutes_of_bake_takes_four_to_six_minute_seconds(world: World) -> None:
    world.created()
    before = world.clock.monotonic()
    world.until(Status.SUCCESSFUL, world.update(world.definition("bbbbbbb")))
    assert 4 <= world.clock.monotonic() - before <= 6


def test_both_revisions_are_up_during_the_bake(world: World) -> None:
    world.created()
    world.update(world.definition("bbbbbbb"))
    baking = world.until_stage("BAKE_TIME")
    assert baking["sourceServiceRevisions"][0]["runningTaskCount"] == 2
    assert baking["targetServiceRevision"]["runningTaskCount"] == 2
    deployments = world.service()["deployments"]
    assert [d["status"] for d in deployments] == ["PRIMARY", "ACTIVE"]
    assert [d["rolloutState"] for d in deployments] == ["IN_PROGRESS", "COMPLETED"]


def test_the_old_revision_serves_until_the_new_one_is_healthy(world: World) -> None:
    world.created()
    old = world.weights()
    world.update(world.definition("bbbbbbb", start_seconds=10.0))
    world.pass_seconds(9)
    assert world.weights() == old
    assert world.deployment()["lifecycleStage"] == "SCALE_UP"


def test_a_revision_that_crashes_at_start_stays_in_scale_up_and_is_started_ever_slower(world: World) -> None:
    world.created()
    crashing = world.definition("bbbbbbb", crash_at_start=True, start_seconds=0.2)
    world.update(crashing)
    world.pass_seconds(60)
    assert (world.deployment()["status"], world.deployment()["lifecycleStage"]) == ("IN_PROGRESS", "SCALE_UP")
    stopped = [task for task in world.tasks("STOPPED") if task["taskDefinitionArn"] == crashing]
    assert {task["containers"][0]["exitCode"] for task in stopped} == {1}
    assert {task["stopCode"] for task in stopped} == {"EssentialContainerExited"}
    starts = sorted({task["startedAt"] for task in stopped})
    gaps = [later - earlier for earlier, later in pairwise(starts)]
    assert len(gaps) >= 3
    assert gaps[-1] > 3 * gaps[0]
    assert world.service()["deployments"][0]["failedTasks"] == len(stopped)
    assert [weight for _, weight, _ in world.weights()] == [100.0]


def test_an_image_that_is_not_in_the_registry_cannot_start(world: World) -> None:
    world.created()
    missing = world.register("123456789012.dkr.ecr.eu-central-1.amazonaws.com/batbern/gateway:nowhere")
    world.update(missing)
    world.pass_seconds(3)
    stopped = world.tasks("STOPPED")[0]
    assert stopped["stopCode"] == "TaskFailedToStart"
    assert "CannotPullContainerError" in stopped["stoppedReason"]
    assert "imageDigest" not in stopped["containers"][0]


def test_tasks_that_stay_unhealthy_are_replaced_and_never_get_traffic(world: World) -> None:
    world.created()
    world.update(world.definition("bbbbbbb", unhealthy=True))
    world.pass_seconds(10)
    assert world.deployment()["lifecycleStage"] == "SCALE_UP"
    assert world.tasks("STOPPED")[0]["stoppedReason"] == "Task failed container health checks"


def test_a_stopped_deployment_gives_the_traffic_back_before_its_tasks_go(world: World) -> None:
    first = world.created()
    old = world.weights()
    arn = world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    assert world.deployment(arn)["status"] == Status.ROLLBACK_REQUESTED
    seen = watch(world, arn)
    assert [Status.ROLLBACK_IN_PROGRESS in s["status"] for s in seen][1]
    for found in seen[1:]:
        target = found["targetServiceRevision"]
        assert target["runningTaskCount"] == 2 or target["requestedProductionTrafficWeight"] == 0.0
    ended = seen[-1]
    assert ended["status"] == Status.ROLLBACK_SUCCESSFUL
    assert ended["rollback"]["serviceRevisionArn"] == ended["sourceServiceRevisions"][0]["arn"]
    assert world.weights() == old
    assert world.service()["taskDefinition"] == first
    assert [d["rolloutState"] for d in world.service()["deployments"]] == ["COMPLETED"]


def test_after_a_rollback_the_service_is_what_it_was(world: World) -> None:
    first = world.created()
    arn = world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    answer = world.ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=3)["service"]
    assert (answer["taskDefinition"], world.newest()) == (first, arn)


def test_a_pending_deployment_can_be_stopped(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"))
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn)
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)


def test_a_finished_deployment_cannot_be_stopped(world: World) -> None:
    world.created()
    with pytest.raises(ClientError, match="ConflictException"):
        world.ecs.stop_service_deployment(serviceDeploymentArn=world.newest(), stopType="ROLLBACK")


def test_an_alarm_during_the_bake_rolls_back_and_is_named(world: World) -> None:
    alarm(world, "OK")
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=BLUE_GREEN | ALARMS)
    assert world.until_stage("BAKE_TIME")["alarms"]["status"] == "MONITORING"
    alarm(world, "ALARM")
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert ended["alarms"] == {"status": "TRIGGERED", "alarmNames": ["errors"], "triggeredAlarmNames": ["errors"]}
    assert "errors" in ended["rollback"]["reason"]


def test_an_alarm_that_rang_before_does_not_end_the_deployment(world: World) -> None:
    alarm(world, "ALARM")
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=BLUE_GREEN | ALARMS)
    assert world.until(Status.SUCCESSFUL, arn)["alarms"]["status"] == "DISABLED"


def test_a_pause_waits_for_a_decision_and_goes_on(world: World) -> None:
    world.created()
    hooks = pause("PRE_PRODUCTION_TRAFFIC_SHIFT")
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=BLUE_GREEN | hooks)
    waiting = world.until_stage("PRE_PRODUCTION_TRAFFIC_SHIFT")
    world.pass_seconds(3)
    assert world.deployment(arn)["targetServiceRevision"]["requestedProductionTrafficWeight"] == 0.0
    hook = waiting["lifecycleHookDetails"][0]
    assert (hook["status"], hook["targetType"], hook["timeoutAction"]) == ("AWAITING_ACTION", "PAUSE", "ROLLBACK")
    assert hook["expiresAt"] > waiting["startedAt"]
    world.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook["hookId"], action="CONTINUE")
    assert world.until(Status.SUCCESSFUL, arn)["lifecycleHookDetails"][0]["status"] == "SUCCEEDED"


def test_a_pause_can_be_answered_with_a_rollback(world: World) -> None:
    world.created()
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=BLUE_GREEN | pause("POST_SCALE_UP"))
    hook = world.until_stage("POST_SCALE_UP")["lifecycleHookDetails"][0]
    world.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook["hookId"], action="ROLLBACK")
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert hook["hookId"] in ended["statusReason"]
    with pytest.raises(ClientError, match="awaits no action"):
        world.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook["hookId"], action="CONTINUE")


@pytest.mark.parametrize(("action", "status"), [("ROLLBACK", "ROLLBACK_SUCCESSFUL"), ("CONTINUE", "SUCCESSFUL")])
def test_a_pause_that_times_out_does_what_was_configured(world: World, action: str, status: str) -> None:
    world.created()
    hooks = pause("POST_SCALE_UP", action=action, minutes=2)
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration=BLUE_GREEN | hooks)
    assert world.until(status, arn)["lifecycleHookDetails"][0]["status"] == "TIMED_OUT"


def test_a_second_update_stops_the_first_deployment_and_then_begins(world: World) -> None:
    world.created()
    first = world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    last = world.definition("ccccccc")
    second = world.update(last)
    assert world.deployment(first)["status"] == "STOP_REQUESTED"
    assert world.deployment(second)["status"] == "PENDING"
    ended = world.until(Status.SUCCESSFUL, second)
    assert world.deployment(first)["status"] == "STOPPED"
    assert ended["sourceServiceRevisions"][0]["arn"] == world.deployment(first)["sourceServiceRevisions"][0]["arn"]
    assert {task["taskDefinitionArn"] for task in world.tasks()} == {last}


def test_a_third_update_replaces_the_waiting_second_one(world: World) -> None:
    world.created()
    world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    second = world.update(world.definition("ccccccc"))
    third = world.update(world.definition("ddddddd"))
    assert world.deployment(second)["status"] == "STOPPED"
    world.until(Status.SUCCESSFUL, third)


def test_a_first_deployment_cannot_be_rolled_back(world: World) -> None:
    world.create(world.definition("aaaaaaa", crash_at_start=True))
    world.pass_seconds(2)
    world.ecs.stop_service_deployment(serviceDeploymentArn=world.newest(), stopType="ROLLBACK")
    world.until(Status.ROLLBACK_FAILED)


def test_the_target_revision_carries_the_digest_that_its_tag_had(world: World) -> None:
    world.created()
    world.update(world.definition("bbbbbbb"))
    revision = world.deployment()["targetServiceRevision"]["arn"]
    world.definition("bbbbbbb", latency_ms=900.0)  # the tag moves on
    answer = world.ecs.describe_service_revisions(serviceRevisionArns=[revision, "arn:aws:ecs:no"])
    image = answer["serviceRevisions"][0]["containerImages"][0]
    world.until(Status.SUCCESSFUL)
    assert {task["containers"][0]["imageDigest"] for task in world.tasks()} == {image["imageDigest"]}
    assert answer["failures"] == [{"arn": "arn:aws:ecs:no", "reason": "MISSING"}]


def test_deployments_are_listed_newest_first_and_by_status_and_time(world: World) -> None:
    world.created()
    between = world.clock.now()
    world.tick()
    world.update(world.definition("bbbbbbb"))
    world.tick()

    def listed(**by: object) -> list[str]:
        answer = world.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE, **by)
        return [deployment["status"] for deployment in answer["serviceDeployments"]]

    assert listed() == ["IN_PROGRESS", "SUCCESSFUL"]
    assert listed(status=["PENDING", "IN_PROGRESS"]) == ["IN_PROGRESS"]
    assert listed(createdAt={"after": between}) == ["IN_PROGRESS"]
    assert listed(createdAt={"before": between}) == ["SUCCESSFUL"]
    page = world.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE, maxResults=1)
    assert listed(maxResults=1, nextToken=page["nextToken"]) == ["SUCCESSFUL"]
