"""The operations on services and tasks: what they keep, list, refuse."""

from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

from deployments.sandbox.aws.ecs_fleet import Caller
from deployments.sandbox.aws.simulator import OPERATIONS
from tests.sandbox.aws.ecs.conftest import ACCOUNT, BLUE_GREEN, CLUSTER, REGION, SERVICE, World


def refused(world: World, message: str, **settings: Any) -> None:
    with pytest.raises(ClientError, match=message):
        world.create(world.definition("fffffff"), **settings)


def test_what_was_configured_is_answered(world: World) -> None:
    alarms = {"alarmNames": ["errors"], "enable": True, "rollback": True}
    configuration = {**BLUE_GREEN, "alarms": alarms, "maximumPercent": 200, "minimumHealthyPercent": 100}
    world.created(deploymentConfiguration=configuration, tags=[{"key": "team", "value": "web"}])
    service = world.service()
    assert service["deploymentConfiguration"] == configuration
    assert service["createdAt"] == world.tasks()[0]["createdAt"].replace(second=0, microsecond=0)
    assert (service["desiredCount"], service["runningCount"], service["pendingCount"]) == (2, 2, 0)
    assert "tags" not in service
    described = world.ecs.describe_services(cluster=CLUSTER, services=[service["serviceArn"]], include=["TAGS"])
    assert described["services"][0]["tags"] == [{"key": "team", "value": "web"}]
    assert world.ecs.list_tags_for_resource(resourceArn=service["serviceArn"])["tags"][0]["value"] == "web"


def test_the_cluster_counts_its_services_and_tasks(world: World) -> None:
    world.created()
    cluster = world.ecs.describe_clusters(clusters=[CLUSTER])["clusters"][0]
    counts = ("activeServicesCount", "runningTasksCount", "pendingTasksCount")
    assert [cluster[name] for name in counts] == [1, 2, 0]


def test_the_events_tell_the_story(world: World) -> None:
    world.created()
    messages = [event["message"] for event in reversed(world.service()["events"])]
    assert "has started 2 tasks" in messages[0]
    assert messages[-1] == f"(service {SERVICE}) has reached a steady state."


def test_a_second_service_of_the_same_name_is_refused(world: World) -> None:
    world.created()
    refused(world, "Creation of service was not idempotent")


def test_an_external_controller_refuses_a_new_task_definition(world: World) -> None:
    definition = world.definition("aaaaaaa")
    world.create(definition, deploymentController={"type": "EXTERNAL"}, deploymentConfiguration={})
    with pytest.raises(ClientError, match="task definition on services with a EXTERNAL deployment controller"):
        world.update(world.definition("bbbbbbb"))
    assert world.service()["deployments"] == []


def test_an_update_that_changes_nothing_deploys_nothing(world: World) -> None:
    definition = world.created()
    first = world.newest()
    world.ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=definition)
    assert world.newest() == first
    world.ecs.update_service(cluster=CLUSTER, service=SERVICE, forceNewDeployment=True)
    assert world.newest() != first


def test_a_new_desired_count_scales_without_a_deployment(world: World) -> None:
    world.created()
    first = world.newest()
    world.ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=3)
    world.pass_seconds(2)
    assert (len(world.tasks()), world.newest()) == (3, first)
    world.ecs.update_service(cluster=CLUSTER, service=SERVICE, desiredCount=1)
    world.pass_seconds(2)
    assert len(world.tasks()) == 1


def test_an_unknown_task_definition_is_refused_and_nothing_changes(world: World) -> None:
    definition = world.created()
    with pytest.raises(ClientError, match="ClientException"):
        world.update("gateway:99")
    assert world.service()["taskDefinition"] == definition


def test_services_are_listed_ten_to_a_page(world: World) -> None:
    definition = world.definition("aaaaaaa")
    for number in range(12):
        world.create(definition, serviceName=f"service-{number}")
    first = world.ecs.list_services(cluster=CLUSTER)
    assert len(first["serviceArns"]) == 10
    second = world.ecs.list_services(cluster=CLUSTER, nextToken=first["nextToken"])
    assert len(second["serviceArns"]) == 2
    assert "nextToken" not in second


def test_missing_things_are_named(world: World) -> None:
    world.created()
    answer = world.ecs.describe_services(cluster=CLUSTER, services=["nowhere"])
    assert answer["failures"][0]["reason"] == "MISSING"
    gone = f"arn:aws:ecs:{REGION}:{ACCOUNT}:task/{CLUSTER}/0000"
    assert world.ecs.describe_tasks(cluster=CLUSTER, tasks=[gone])["failures"] == [{"arn": gone, "reason": "MISSING"}]
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        world.ecs.list_tasks(cluster=CLUSTER, serviceName="nowhere")
    with pytest.raises(ClientError, match="ClusterNotFoundException"):
        world.ecs.list_services(cluster="nowhere")
    with pytest.raises(ClientError, match="ServiceDeploymentNotFoundException"):
        world.ecs.stop_service_deployment(serviceDeploymentArn="arn:aws:ecs:nowhere", stopType="ROLLBACK")


def test_a_deleted_service_drains_its_tasks_and_is_then_inactive(world: World) -> None:
    world.created()
    with pytest.raises(ClientError, match="scaled above 0"):
        world.ecs.delete_service(cluster=CLUSTER, service=SERVICE)
    world.ecs.delete_service(cluster=CLUSTER, service=SERVICE, force=True)
    assert world.service()["status"] == "DRAINING"
    world.pass_seconds(1)
    assert world.service()["status"] == "INACTIVE"
    assert world.ecs.list_services(cluster=CLUSTER)["serviceArns"] == []
    assert world.runtime.running() == ()
    with pytest.raises(ClientError, match="ServiceNotActiveException"):
        world.update(world.definition("bbbbbbb"))
    world.created("ccccccc")
    assert world.service()["status"] == "ACTIVE"


def test_tasks_can_be_listed_by_deployment_and_status(world: World) -> None:
    world.created()
    started_by = world.service()["deployments"][0]["id"]
    listed = world.ecs.list_tasks(cluster=CLUSTER, startedBy=started_by)["taskArns"]
    assert len(listed) == 2
    assert world.ecs.list_tasks(cluster=CLUSTER, startedBy="ecs-svc/0")["taskArns"] == []
    assert world.tasks("STOPPED") == []


def test_a_running_task_that_exits_is_replaced_at_once(world: World) -> None:
    world.created()
    task = world.runtime.running()[0]
    world.runtime.exit(task.id, 137, "OutOfMemoryError: container killed due to memory usage")
    world.tick(2)
    stopped = world.tasks("STOPPED")[0]
    assert stopped["containers"][0]["exitCode"] == 137
    assert "OutOfMemory" in stopped["containers"][0]["reason"]
    assert (stopped["stopCode"], stopped["desiredStatus"]) == ("EssentialContainerExited", "STOPPED")
    assert len(world.runtime.running()) == 2


def test_a_task_that_a_person_stops_is_replaced(world: World) -> None:
    world.created()
    arn = world.tasks()[0]["taskArn"]
    world.ecs.stop_task(cluster=CLUSTER, task=arn, reason="looking into it")
    world.pass_seconds(2)
    stopped = world.tasks("STOPPED")[0]
    assert (stopped["stopCode"], stopped["stoppedReason"]) == ("UserInitiated", "looking into it")
    assert len(world.tasks()) == 2


def test_tasks_of_run_task_stay_with_moto(world: World) -> None:
    world.created()
    definition = world.ecs.register_task_definition(
        family="migrate", containerDefinitions=[{"name": "app", "image": "x", "memory": 64}]
    )["taskDefinition"]["taskDefinitionArn"]
    ran = world.ecs.run_task(cluster=CLUSTER, taskDefinition=definition, launchType="FARGATE", count=1)
    arn = ran["tasks"][0]["taskArn"]
    assert arn in world.ecs.list_tasks(cluster=CLUSTER)["taskArns"]
    assert world.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"][0]["taskArn"] == arn


def test_every_answer_has_only_members_that_aws_knows(world: World) -> None:
    """The client drops what it does not know, so this looks at the answers before they are sent."""
    hooks = [{"targetType": "PAUSE", "lifecycleStages": ["POST_SCALE_UP"]}]
    world.created(deploymentConfiguration={**BLUE_GREEN, "lifecycleHooks": []})
    arn = world.update(world.definition("bbbbbbb"), deploymentConfiguration={**BLUE_GREEN, "lifecycleHooks": hooks})
    hook = world.until_stage("POST_SCALE_UP")["lifecycleHookDetails"][0]["hookId"]
    revision = world.deployment(arn)["targetServiceRevision"]["arn"]
    tasks = [task["taskArn"] for task in world.tasks()]
    for name, parameters in (
        ("describe_services", {"services": [SERVICE], "include": ["TAGS"]}),
        ("list_services", {}),
        ("list_tasks", {}),
        ("describe_tasks", {"tasks": tasks}),
        ("list_service_deployments", {"service": SERVICE}),
        ("describe_service_deployments", {"serviceDeploymentArns": [arn]}),
        ("describe_service_revisions", {"serviceRevisionArns": [revision]}),
        ("continue_service_deployment", {"serviceDeploymentArn": arn, "hookId": hook}),
        ("stop_service_deployment", {"serviceDeploymentArn": arn}),
        ("stop_task", {"task": tasks[0]}),
        ("update_service", {"service": SERVICE}),
        ("delete_service", {"service": SERVICE, "force": True}),
    ):
        caller = Caller(ACCOUNT, REGION, {"cluster": CLUSTER, **parameters})
        answer = OPERATIONS[name](world.simulator._fleet, caller)
        operation = "".join(word.capitalize() for word in name.split("_"))
        shape = world.ecs.meta.service_model.operation_model(operation).output_shape
        assert ParamValidator().validate(answer, shape).generate_report() == "", name
        assert answer


def test_the_first_service_of_a_world_can_be_forgotten(world: World) -> None:
    world.created()
    world.simulator.reset()
    assert world.runtime.running() == ()
    assert world.ecs.list_services(cluster=CLUSTER)["serviceArns"] == []
    with pytest.raises(KeyError, match=SERVICE):
        world.simulator.routing(ACCOUNT, CLUSTER, SERVICE)
