"""The whole world in this process, promoted through by plain boto3: real servers, real traffic, real weights."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from blocks.catalogue import load_catalogue
from deployments.sandbox.names import family, service_name
from deployments.sandbox.world import World, WorldSettings
from rules.vocabulary import Environment, Service

CATALOGUE = Path(__file__).parents[2] / "deployments" / "catalogue.toml"
STAGING = "staging"
ONGOING = {"PENDING", "IN_PROGRESS", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    settings = WorldSettings(load_catalogue(CATALOGUE), minute_seconds=1.0, requests_per_second=12.0)
    with World(settings) as world:
        yield world


class Operator:
    """Somebody with boto3 and the promotion role in staging."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.environment: Environment = world.catalogue.environments[STAGING]
        given = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "endpoint_url": world.aws.url}
        sts = boto3.client("sts", region_name=self.environment.region, **given)
        keys = sts.assume_role(RoleArn=self.environment.role_arn, RoleSessionName="test")["Credentials"]
        self.ecs: Any = boto3.client(
            "ecs",
            region_name=self.environment.region,
            endpoint_url=world.aws.url,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys["SessionToken"],
        )

    def service(self, id_: str) -> Service:
        return self.world.catalogue.services[id_]

    def roll_out(self, id_: str, behaviour: str, *, alarms: bool = False) -> str:
        """Build a release, deploy one of its images by `update_service`; the service deployment's ARN."""
        service, name = self.service(id_), service_name(self.environment, self.service(id_))
        digest = self.world.seed.push(behaviour).digests[id_]
        definition = self._definition(service, digest)
        alarm_names = [pattern.format(environment=STAGING) for pattern in self.service("gateway").alarms]
        configuration: dict[str, Any] = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 3 if alarms else 1}
        if alarms:
            configuration["alarms"] = {"alarmNames": alarm_names, "enable": True, "rollback": True}
        cluster = self.environment.cluster
        self.ecs.update_service(
            cluster=cluster, service=name, taskDefinition=definition, deploymentConfiguration=configuration
        )
        found = self.ecs.list_service_deployments(cluster=cluster, service=name, status=["PENDING", "IN_PROGRESS"])
        return str(found["serviceDeployments"][0]["serviceDeploymentArn"])

    def _definition(self, service: Service, digest: str) -> str:
        name = family(self.world.catalogue.application, self.environment, service)
        known = self.ecs.describe_task_definition(taskDefinition=name)["taskDefinition"]
        container = dict(known["containerDefinitions"][0])
        repository = container["image"].partition("@")[0].partition(":")[0]
        container["image"] = f"{repository}@{digest}"
        keys = ("family", "networkMode", "cpu", "memory", "requiresCompatibilities", "executionRoleArn")
        request = {key: known[key] for key in keys}
        answer = self.ecs.register_task_definition(**request, containerDefinitions=[container])
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def look(self, deployment: str) -> dict[str, Any]:
        found = self.ecs.describe_service_deployments(serviceDeploymentArns=[deployment])
        return dict(found["serviceDeployments"][0])

    def ended(self, deployment: str, seconds: float = 25.0) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while (now := self.look(deployment))["status"] in ONGOING:
            assert time.monotonic() < deadline, now
            time.sleep(0.05)
        return now


@pytest.fixture
def operator(world: World) -> Operator:
    return Operator(world)


def until(fact: Callable[[], bool], seconds: float = 8.0) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def failed(world: World) -> int:
    """Requests of staging's visitors that were not answered well, as they themselves know it."""
    return world.visitors[STAGING].met.failed


def test_at_first_one_healthy_release_serves_everywhere(world: World) -> None:
    state = world.state()
    revisions = [it for e in state["environments"] for s in e["services"] for it in s["revisions"] if it["weight"]]
    assert len(revisions) == 18
    assert {it["behaviour"] for it in revisions} == {"good"}
    assert len({it["version"] for it in revisions}) == 1


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
def test_every_service_answers_at_the_edge_of_every_environment(world: World, environment: str) -> None:
    with httpx.Client(base_url=world.edges[environment].url, trust_env=False) as edge:
        for service in world.catalogue.services.values():
            assert edge.get(service.health_path).json()["status"] == "UP"
            assert all(edge.get(path).status_code == 200 for path in service.smoke_paths)


def test_a_good_release_takes_over_without_one_failed_request(world: World, operator: Operator) -> None:
    before = failed(world)
    started = [operator.roll_out(service, "good") for service in ("event-management", "gateway")]
    behind, gateway = (operator.ended(deployment) for deployment in started)
    assert (behind["status"], gateway["status"]) == ("SUCCESSFUL", "SUCCESSFUL")
    answered = world.edges[STAGING].traffic.totals
    assert until(lambda: gateway["targetServiceRevision"]["arn"] in answered())
    met = world.visitors[STAGING].met.ok
    assert until(lambda: world.visitors[STAGING].met.ok > met + 10)
    assert failed(world) == before


def test_a_bad_release_makes_visitors_fail_and_its_alarm_takes_it_back(world: World, operator: Operator) -> None:
    before = failed(world)
    deployment = operator.ended(operator.roll_out("gateway", "bad", alarms=True))
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["alarms"]["triggeredAlarmNames"] == ["batbern-staging-gateway-5xx"]
    assert failed(world) > before
    bad = world.edges[STAGING].traffic.totals()[deployment["targetServiceRevision"]["arn"]]
    assert bad.failed > 0
    assert until(lambda: all(hit.status < 500 for hit in world.edges[STAGING].traffic.seconds(1)[0].hits))


def test_a_release_is_placed_at_once_in_the_environment_that_was_asked_for(world: World) -> None:
    placed = world.deploy("dev", "unhealthy", age_minutes=30)

    def serving() -> set[str]:
        services = world.state()["environments"][0]["services"]
        return {it["version"] for service in services for it in service["revisions"] if it["weight"]}

    assert until(lambda: serving() == {placed["version"]})
    with httpx.Client(base_url=world.edges["dev"].url, trust_env=False) as edge:
        assert until(lambda: edge.get("/actuator/health").status_code == 503)
    assert set(placed["digests"]) == set(world.catalogue.services)
    assert any("(unhealthy) was placed" in told["sentence"] for told in world.state()["activity"])


def test_the_picture_is_json_and_tells_no_secret(world: World) -> None:
    state = world.state()
    shown = {it["name"]: it["value"] for it in state["environments"][1]["parameters"]}
    assert json.loads(json.dumps(state)) == state
    assert set(shown["/batbern/staging/database/connection-string"]) == {"•"}
    assert shown["/batbern/staging/environment/name"] == "staging"
    assert {it["name"] for it in state["environments"][1]["alarms"]} == {
        "batbern-staging-gateway-5xx",
        "batbern-staging-gateway-latency",
    }


def test_parameters_can_be_put_and_deleted(world: World) -> None:
    world.put_parameter("dev", "redis/new-key", "7", "String")

    def names() -> set[str]:
        return {it["name"] for it in world.state()["environments"][0]["parameters"]}

    assert "/batbern/dev/redis/new-key" in names()
    world.delete_parameter("dev", "/batbern/dev/redis/new-key")
    assert "/batbern/dev/redis/new-key" not in names()
    with pytest.raises(ValueError, match="ParameterNotFound"):
        world.delete_parameter("dev", "redis/new-key")


def test_an_unknown_environment_is_named_with_those_that_are_known(world: World) -> None:
    with pytest.raises(ValueError, match="allowed is one of dev, staging, production"):
        world.deploy("moon", "good", 0)
