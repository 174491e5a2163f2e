"""A catalogue that gives the gateway to CodeDeploy: what is seeded, and that releases can be deployed there."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.catalogue import load_catalogue
from deployments.sandbox.accounts import SandboxAccounts
from deployments.sandbox.aws.codedeploy_appspec import written
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.furniture import Furniture
from deployments.sandbox.names import service_name
from deployments.sandbox.seed import Seed
from rules.catalogue import Catalogue
from rules.vocabulary import Controller

CATALOGUE = Path(__file__).parents[2] / "deployments" / "catalogue.toml"


def given_to_codedeploy(catalogue: Catalogue) -> Catalogue:
    """The shipped catalogue, with its load-balanced service in CodeDeploy's hands."""
    services = {
        id_: replace(
            it,
            controller=Controller.CODEDEPLOY,
            codedeploy_application="batbern",
            codedeploy_group="batbern-{environment}-" + id_,
        )
        if it.load_balanced
        else it
        for id_, it in catalogue.services.items()
    }
    return replace(catalogue, services=services)


class Seeded:
    def __init__(self, aws: AwsStandIn, clock: ManualClock) -> None:
        self.aws, self.clock = aws, clock
        self.catalogue = given_to_codedeploy(load_catalogue(CATALOGUE))
        self.environment = self.catalogue.environments["staging"]
        self.gateway = next(it for it in self.catalogue.services.values() if it.load_balanced)
        self.name = service_name(self.environment, self.gateway)
        self.clients = SandboxAccounts(aws.url)
        self.seed = Seed(self.catalogue, self.clients, aws.simulator.place, now=clock.now)
        self.seed.environments()
        self.seed.same_release_everywhere()
        self.pass_minutes(3)

    def client(self, name: str) -> Any:
        return self.clients(self.environment, name)

    def pass_minutes(self, minutes: int) -> None:
        for _ in range(minutes * 2):
            self.clock.advance(self.clock.seconds(0.5))
            self.aws.tick()

    def group(self) -> dict[str, str]:
        name = self.gateway.codedeploy_group.format(environment="staging")
        return {"applicationName": "batbern", "deploymentGroupName": name}

    def primary(self) -> dict[str, Any]:
        answer = self.client("ecs").describe_services(cluster=self.environment.cluster, services=[self.name])
        return dict(answer["services"][0]["taskSets"][0])

    def routes(self) -> list[float]:
        found = self.aws.simulator.routing(self.environment.account, self.environment.cluster, self.name)
        return [route.weight for route in found if route.addresses]


@pytest.fixture
def seeded(aws: AwsStandIn, world_clock: ManualClock) -> Iterator[Seeded]:
    yield Seeded(aws, world_clock)
    aws.reset()


def test_the_group_deploys_to_the_service_between_its_two_target_groups(seeded: Seeded) -> None:
    info = seeded.client("codedeploy").get_deployment_group(**seeded.group())["deploymentGroupInfo"]
    assert info["ecsServices"] == [{"clusterName": seeded.environment.cluster, "serviceName": seeded.name}]
    pair = info["loadBalancerInfo"]["targetGroupPairInfoList"][0]
    assert len({group["name"] for group in pair["targetGroups"]}) == 2
    listeners = pair["prodTrafficRoute"]["listenerArns"]
    assert seeded.client("elbv2").describe_listeners(ListenerArns=listeners)["Listeners"][0]["Port"] == 80
    alarms = [alarm["name"] for alarm in info["alarmConfiguration"]["alarms"]]
    assert alarms == [pattern.format(environment="staging") for pattern in seeded.gateway.alarms]


def test_a_seeded_release_serves_and_the_next_one_arrives_by_codedeploy(seeded: Seeded) -> None:
    before = seeded.primary()
    assert (before["status"], before["runningCount"], seeded.routes()) == ("PRIMARY", 2, [100.0])
    content = written(before["taskDefinition"], seeded.gateway.container, 8080)
    revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}
    codedeploy = seeded.client("codedeploy")
    deployment = codedeploy.create_deployment(**seeded.group(), revision=revision)["deploymentId"]
    seeded.pass_minutes(15)
    info = codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
    assert (info["status"], seeded.routes()) == ("Succeeded", [100.0])
    after = seeded.primary()
    assert after["externalId"] == deployment
    assert after["loadBalancers"][0]["targetGroupArn"] != before["loadBalancers"][0]["targetGroupArn"]


def test_a_release_placed_later_serves_too(seeded: Seeded) -> None:
    seeded.seed.deploy("staging", "good", 60)
    seeded.pass_minutes(3)
    assert seeded.routes() == [100.0]
    age = seeded.clock.now() - seeded.primary()["createdAt"]
    assert age >= timedelta(minutes=60)


def test_a_service_without_a_load_balancer_cannot_be_given_to_codedeploy(
    aws: AwsStandIn, world_clock: ManualClock
) -> None:
    catalogue = load_catalogue(CATALOGUE)
    environment = catalogue.environments["staging"]
    furniture = Furniture(catalogue, SandboxAccounts(aws.url), {}, {})
    furniture.registry(catalogue.environments[catalogue.registry])
    furniture.environment(environment)
    behind = next(it for it in catalogue.services.values() if not it.load_balanced)
    with pytest.raises(ValueError, match=f"{behind.id} has the controller codedeploy and no load balancer"):
        furniture.service(environment, replace(behind, controller=Controller.CODEDEPLOY), "none:1")
