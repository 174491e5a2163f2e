"""The world of the session, from outside. What a release does to it from step to step, AC1 and AC9 show."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from blocks.catalogue import load_catalogue
from deployments.sandbox.accounts import SandboxAccounts
from deployments.sandbox.names import family, service_name
from deployments.sandbox.room import ControlRoom
from rules.catalogue import MetricsPolicy

World = dict[str, Any]
CATALOGUE = load_catalogue(Path(__file__).parents[2] / "deployments" / "catalogue.toml")
STAGING, GATEWAY = CATALOGUE.environments["staging"], CATALOGUE.services["gateway"]
ONGOING = {"PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}


@pytest.fixture(scope="module")
def room(world: World) -> Iterator[ControlRoom]:
    with closing(ControlRoom(world["control_room_url"])) as room:
        yield room


@pytest.fixture(scope="module")
def visitor(world: World) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=world["edges"]["staging"], trust_env=False) as visitor:
        yield visitor


def view(room: ControlRoom, environment: str) -> dict[str, Any]:
    return next(it for it in room.state()["environments"] if it["name"] == environment)


def parameters(room: ControlRoom, environment: str) -> dict[str, str]:
    return {it["name"]: it["value"] for it in view(room, environment)["parameters"]}


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_every_service_answers_at_the_edge_of_every_environment(world: World, environment: str) -> None:
    with httpx.Client(base_url=world["edges"][environment], trust_env=False) as edge:
        for service in CATALOGUE.services.values():
            assert edge.get(service.health_path).json()["status"] == "UP"
            assert all(edge.get(path).status_code == 200 for path in service.smoke_paths)


def test_a_bad_release_makes_visitors_fail_and_its_alarm_takes_it_back(
    world: World, room: ControlRoom, visitor: httpx.Client
) -> None:
    ecs = SandboxAccounts(world["aws_url"])(STAGING, "ecs")
    placed = room.release("dev", "bad", age_minutes=0)
    deploy_gateway(ecs, placed.digests["gateway"])
    service = {"cluster": STAGING.cluster, "service": service_name(STAGING, GATEWAY)}
    [begun] = ecs.list_service_deployments(**service, status=["PENDING", "IN_PROGRESS"])["serviceDeployments"]
    statuses, deadline = set(), time.monotonic() + 30
    while (deployment := look(ecs, begun["serviceDeploymentArn"]))["status"] in ONGOING:
        assert time.monotonic() < deadline, deployment
        statuses |= {visitor.get("/api/events").status_code for _ in range(5)}
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["alarms"]["triggeredAlarmNames"] == ["batbern-staging-gateway-5xx"]
    assert statuses == {200, 500}
    assert {visitor.get("/api/events").status_code for _ in range(20)} == {200}
    room.release("dev", "good", age_minutes=180)


def deploy_gateway(ecs: Any, digest: str) -> None:
    """By plain API calls: blue-green, with the gateway's alarms."""
    name = family(CATALOGUE.application, STAGING, GATEWAY)
    known = ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
    [container] = known["containerDefinitions"]
    image = f"{container['image'].partition('@')[0].partition(':')[0]}@{digest}"
    kept = ("family", "networkMode", "cpu", "memory", "requiresCompatibilities", "executionRoleArn")
    answer = ecs.register_task_definition(
        **{key: known[key] for key in kept}, containerDefinitions=[{**container, "image": image}]
    )
    alarms = [alarm.format(environment=STAGING.name) for alarm in GATEWAY.alarms]
    ecs.update_service(
        cluster=STAGING.cluster,
        service=service_name(STAGING, GATEWAY),
        taskDefinition=answer["taskDefinition"]["taskDefinitionArn"],
        deploymentConfiguration={
            "strategy": "BLUE_GREEN",
            "bakeTimeInMinutes": 5,
            "lifecycleHooks": [],  # a canary of a killed run, of an earlier test, may have left its pause
            "alarms": {"alarmNames": alarms, "enable": True, "rollback": True},
        },
    )


def look(ecs: Any, deployment: str) -> dict[str, Any]:
    return dict(ecs.describe_service_deployments(serviceDeploymentArns=[deployment])["serviceDeployments"][0])


def test_a_release_that_is_placed_serves_there_and_is_told_of(room: ControlRoom) -> None:
    placed = room.release("dev", "good", age_minutes=180)
    deadline = time.monotonic() + 10
    while versions(room) != {placed.version}:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert set(placed.digests) == set(CATALOGUE.services)
    assert any(f"{placed.version} (good) was placed" in told["sentence"] for told in room.state()["activity"])


def test_time_passes_for_what_runs(room: ControlRoom) -> None:
    placed = room.release("dev", "good", age_minutes=0)
    room.let_pass("dev", 180)
    services = view(room, "dev")["services"]
    ages = [datetime.now(UTC) - datetime.fromisoformat(it["deployed_at"]) for it in services]
    assert all(timedelta(minutes=179) < age < timedelta(minutes=181) for age in ages)
    deadline = time.monotonic() + 10
    while versions(room) != {placed.version}:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def versions(room: ControlRoom) -> set[str]:
    services = view(room, "dev")["services"]
    return {it["version"] for service in services for it in service["revisions"] if it["weight"]}


def test_the_picture_tells_no_secret(room: ControlRoom) -> None:
    shown = parameters(room, "staging")
    assert set(shown["/batbern/staging/database/connection-string"]) == {"•"}
    assert shown["/batbern/staging/environment/name"] == "staging"
    alarms = {it["name"] for it in view(room, "staging")["alarms"]}
    assert alarms == {"batbern-staging-gateway-5xx", "batbern-staging-gateway-latency"}


def test_parameters_can_be_put_and_deleted(room: ControlRoom) -> None:
    room.put_parameter("dev", "redis/new-key", "7")
    assert parameters(room, "dev")["/batbern/dev/redis/new-key"] == "7"
    room.delete_parameter("dev", "redis/new-key")
    assert "/batbern/dev/redis/new-key" not in parameters(room, "dev")
    with pytest.raises(httpx.HTTPStatusError) as caught:
        room.delete_parameter("dev", "redis/new-key")
    assert "ParameterNotFound" in caught.value.response.text


def test_an_unknown_environment_is_named_with_those_that_are_known(room: ControlRoom) -> None:
    with pytest.raises(httpx.HTTPStatusError) as caught:
        room.release("moon", "good", 0)
    assert "allowed is one of dev, staging, production" in caught.value.response.text


def test_more_visitors_come_when_they_are_asked_for(room: ControlRoom) -> None:
    usual = view(room, "production")["visitors"]["per_second"]
    room.set_visitors("production", 40)
    try:
        before, began = view(room, "production")["visitors"], time.monotonic()
        while (now := view(room, "production")["visitors"])["met"]["requests"] < before["met"]["requests"] + 60:
            assert time.monotonic() - began < 10
            time.sleep(0.1)
        assert now["per_second"] == 40
        assert sum(it["requests"] for it in now["by_version"].values()) == now["met"]["requests"]
    finally:
        room.set_visitors("production", usual)


@pytest.mark.parametrize("service", ["gateway", "event-management"])
def test_services_publish_what_they_count_by_task_definition(world: World, room: ControlRoom, service: str) -> None:
    cloudwatch = SandboxAccounts(world["aws_url"])(CATALOGUE.environments["production"], "cloudwatch")
    found = next(it for it in view(room, "production")["services"] if it["id"] == service)
    policy, definition = CATALOGUE.metrics, found["revisions"][0]["revision"]
    names = {"service": service, "environment": "production", "task_definition": definition}
    deadline = time.monotonic() + 10
    while not (points := latencies(cloudwatch, policy, names)):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert all(0 < point["Maximum"] < 10 for point in points)


def latencies(cloudwatch: Any, policy: MetricsPolicy, names: dict[str, str]) -> list[dict[str, Any]]:
    """As the catalogue says where they are."""
    now = datetime.now(UTC)
    answer = cloudwatch.get_metric_statistics(
        Namespace=policy.namespace,
        MetricName=policy.latency,
        Dimensions=[{"Name": key, "Value": template.format(**names)} for key, template in policy.dimensions.items()],
        StartTime=now - timedelta(seconds=60),
        EndTime=now,
        Period=policy.resolution_seconds,
        Statistics=["Maximum"],
    )
    return list(answer["Datapoints"])
