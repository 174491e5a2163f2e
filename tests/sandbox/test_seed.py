"""What the environments consist of after seeding, asked by boto3; no task really runs here."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from blocks.catalogue import load_catalogue
from deployments.sandbox.accounts import SandboxAccounts
from deployments.sandbox.aws.ecs_state import Revision, ServiceState
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.behaviour import behaviour_of
from deployments.sandbox.databases import url_of
from deployments.sandbox.names import service_name
from deployments.sandbox.seed import Seed
from deployments.sandbox.values import Value
from rules.catalogue import Catalogue
from rules.configuration import plan_configuration
from rules.parameters import Parameter, guarded
from rules.vocabulary import Environment

CATALOGUE = Path(__file__).parents[2] / "deployments" / "catalogue.toml"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(CATALOGUE)


class Seeded:
    """A stand-in with one release everywhere."""

    def __init__(self, catalogue: Catalogue, aws: AwsStandIn) -> None:
        self.catalogue, self.clients = catalogue, SandboxAccounts(aws.url)
        self.placed: list[tuple[str, ...]] = []
        self.times: list[datetime] = []
        self.seed = Seed(catalogue, self.clients, self._place, requests_per_minute={"staging": 400}, now=lambda: NOW)
        self.seed.environments()
        self.first = self.seed.same_release_everywhere()

    def _place(self, account: str, cluster: str, service: str, definition: str, at: datetime) -> None:
        self.placed.append((account, cluster, service, definition))
        self.times.append(at)

    def client(self, environment: str, name: str) -> Any:
        return self.clients(self.catalogue.environments[environment], name)

    def parameters(self, environment: str) -> dict[str, Any]:
        pages = self.client(environment, "ssm").get_paginator("get_parameters_by_path")
        path = self.catalogue.environments[environment].parameter_path
        found = [
            it for page in pages.paginate(Path=path, Recursive=True, WithDecryption=True) for it in page["Parameters"]
        ]
        return {it["Name"].removeprefix(path): it for it in found}

    def known(self, environment: str) -> list[Parameter]:
        return [
            Parameter(key, guarded(key, it["Type"], it["Value"]), it["Type"], it["Version"])
            for key, it in self.parameters(environment).items()
        ]


@pytest.fixture(scope="module")
def seeded(catalogue: Catalogue, running_aws: AwsStandIn) -> Iterator[Seeded]:
    running_aws.reset()
    yield Seeded(catalogue, running_aws)
    running_aws.reset()


def test_each_service_of_each_environment_runs_the_first_release_since_yesterday(seeded: Seeded) -> None:
    first = seeded.placed[:18]
    assert len({(account, service) for account, _, service, _ in first}) == 18
    assert {at.isoformat() for at in seeded.times[:18]} == {"2026-11-22T12:00:00+00:00"}


def test_images_lie_in_the_registry_with_their_digests_and_one_tag(seeded: Seeded) -> None:
    ecr = seeded.client("dev", "ecr")
    for service in seeded.catalogue.services.values():
        image = ecr.describe_images(repositoryName=service.repository)["imageDetails"][0]
        assert image["imageDigest"] == seeded.first.digests[service.id]
        assert image["imageTags"] == [seeded.first.tag]
        assert image["imageTags"][0].startswith(f"{seeded.first.version}-develop.")


def test_a_task_definition_names_its_environment_and_the_release(seeded: Seeded) -> None:
    *_, definition = next(it for it in seeded.placed if it[1] == "batbern-staging" and "Gateway" in it[2])
    found = seeded.client("staging", "ecs").describe_task_definition(taskDefinition=definition)["taskDefinition"]
    container = found["containerDefinitions"][0]
    assert container["image"] == f"111111111111.dkr.ecr.eu-central-1.amazonaws.com/batbern/gateway:{seeded.first.tag}"
    assert container["environment"] == [{"name": "SPRING_PROFILES_ACTIVE", "value": "staging"}]


def test_the_gateway_stands_behind_a_rule_with_both_groups_and_all_weight_on_one(seeded: Seeded) -> None:
    elb, environment = seeded.client("staging", "elbv2"), seeded.catalogue.environments["staging"]
    name = service_name(environment, seeded.catalogue.services["gateway"])
    service = seeded.client("staging", "ecs").describe_services(cluster="batbern-staging", services=[name])["services"][
        0
    ]
    advanced = service["loadBalancers"][0]["advancedConfiguration"]
    rule = elb.describe_rules(RuleArns=[advanced["productionListenerRule"]])["Rules"][0]
    weights = {it["TargetGroupArn"]: it["Weight"] for it in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]}
    assert weights == {service["loadBalancers"][0]["targetGroupArn"]: 1, advanced["alternateTargetGroupArn"]: 0}


@pytest.mark.parametrize("target", ["staging", "production"])
def test_the_first_promotion_has_two_safe_changes_to_plan(seeded: Seeded, target: str) -> None:
    environments, policy = seeded.catalogue.environments, seeded.catalogue.configuration
    source, other = (seeded.known(name) for name in ("dev", target))
    plan = plan_configuration(source, other, policy, environments["dev"], environments[target])
    plan.raise_if_unsafe()
    assert {change.key for change in plan.changes} == {"redis/cache-ttl", "feature-flags/speaker-notes"}


def test_what_belongs_to_an_environment_differs_in_each(seeded: Seeded) -> None:
    names = [seeded.parameters(environment) for environment in seeded.catalogue.chain]
    for key in ("environment/name", "database/connection-string", "redis/cluster-endpoint", "api-gateway/cors-origins"):
        assert len({parameters[key]["Value"] for parameters in names}) == 3
    assert names[0]["database/connection-string"]["Type"] == "SecureString"
    assert "monitoring/pager-key" not in names[0]


def test_alarms_watch_the_balancer_and_expect_its_usual_traffic(seeded: Seeded) -> None:
    alarms = {it["AlarmName"]: it for it in seeded.client("staging", "cloudwatch").describe_alarms()["MetricAlarms"]}
    assert set(alarms) == {"batbern-staging-gateway-5xx", "batbern-staging-gateway-latency"}
    assert alarms["batbern-staging-gateway-5xx"]["Threshold"] == 33  # a twentieth of 400, and what chance adds
    assert alarms["batbern-staging-gateway-latency"]["ExtendedStatistic"] == "p95"
    assert alarms["batbern-staging-gateway-5xx"]["Dimensions"][0]["Value"] == seeded.seed.balancers["staging"]


def test_alarms_expect_other_visitors_when_other_visitors_come(seeded: Seeded) -> None:
    cloudwatch = seeded.client("production", "cloudwatch")

    def threshold() -> float:
        [alarm] = cloudwatch.describe_alarms(AlarmNames=["batbern-production-gateway-5xx"])["MetricAlarms"]
        return float(alarm["Threshold"])

    assert threshold() == 1
    seeded.seed.expect("production", 50)
    assert threshold() == 7


def test_a_deployed_release_is_new_and_as_old_as_asked(seeded: Seeded) -> None:
    version, digests = seeded.seed.deploy("dev", "slow", age_minutes=30)
    assert version != seeded.first.version
    assert set(digests) == set(seeded.catalogue.services)
    assert seeded.times[-1].isoformat() == "2026-11-23T11:30:00+00:00"
    assert {cluster for _, cluster, _, _ in seeded.placed[-6:]} == {"batbern-dev"}


def test_an_unknown_environment_or_behaviour_places_nothing(seeded: Seeded) -> None:
    before = len(seeded.placed)
    with pytest.raises(ValueError, match="environment is 'moon'"):
        seeded.seed.deploy("moon", "good")
    with pytest.raises(ValueError, match="behaviour is 'evil'"):
        seeded.seed.deploy("dev", "evil")
    assert len(seeded.placed) == before


def test_a_value_does_not_show_its_text_in_its_repr() -> None:
    assert "hunter2" not in repr(Value("a/b", "hunter2", "SecureString"))


@pytest.mark.parametrize(
    ("server", "url"),
    [
        ("postgresql://postgres@/postgres?host=/run/pg", "postgresql://n:p@/n?host=/run/pg&port=5432"),
        ("postgresql://postgres:x@127.0.0.1:6543/postgres", "postgresql://n:p@127.0.0.1:6543/n"),
    ],
)
def test_the_address_of_an_environments_own_database(server: str, url: str) -> None:
    assert url_of(server, "n", "p") == url


def test_only_the_image_at_the_entrance_carries_a_canarys_fault(seeded: Seeded) -> None:
    release = seeded.seed.push("canary-errors")
    registry, services = seeded.client("dev", "ecr"), seeded.catalogue.services

    def rate(service: str) -> float:
        image = {"imageDigest": release.digests[service]}
        [found] = registry.batch_get_image(repositoryName=services[service].repository, imageIds=[image])["images"]
        return behaviour_of(found["imageManifest"], "staging").error_rate

    assert {id_: rate(id_) for id_ in services} == {id_: 0.05 if id_ == "gateway" else 0.0 for id_ in services}


def test_an_environment_has_a_database_where_the_catalogue_names_one(seeded: Seeded) -> None:
    found = {
        name: [it["DBInstanceIdentifier"] for it in seeded.client(name, "rds").describe_db_instances()["DBInstances"]]
        for name in seeded.catalogue.environments
    }
    assert found == {"dev": [], "staging": [], "production": ["batbern-production"]}


def state(environment: Environment, name: str, definition: str) -> ServiceState:
    """A service of which nothing is being deployed."""
    revision = Revision(f"{name}:1", "ecs-svc/1", definition, (), NOW, {})
    return ServiceState(
        environment.account, environment.region, environment.cluster, "", name, "", {}, NOW, 1, steady=revision
    )


def test_time_passes_for_what_is_steady_in_one_environment(seeded: Seeded) -> None:
    staging, dev = (seeded.catalogue.environments[name] for name in ("staging", "dev"))
    seeded.placed.clear()
    seeded.times.clear()
    seeded.seed.let_pass(staging, 180, [state(staging, "a", "def:1"), state(dev, "b", "def:2")])
    assert seeded.placed == [(staging.account, staging.cluster, "a", "def:1")]
    assert seeded.times == [NOW - timedelta(minutes=180)]


def test_time_does_not_pass_while_something_is_deployed(seeded: Seeded) -> None:
    staging = seeded.catalogue.environments["staging"]
    nothing_yet = replace(state(staging, "a", "def:1"), steady=None)
    with pytest.raises(ValueError, match="Time cannot pass in staging while a is being deployed"):
        seeded.seed.let_pass(staging, 180, [nothing_yet])
