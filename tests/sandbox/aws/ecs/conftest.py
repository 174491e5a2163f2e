"""A world with one cluster, moto in this process, a clock that tests move, and tasks that only pretend to run."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.validate import ParamValidator
from moto import mock_aws

from deployments.sandbox.aws.ecs_registry import manifest_of
from deployments.sandbox.aws.ecs_stages import FINAL, Status
from deployments.sandbox.aws.runtime import SimulatedRuntime
from deployments.sandbox.aws.simulator import EcsSimulator
from deployments.sandbox.behaviour import Behaviour, image_manifest
from deployments.sandbox.clock import ManualClock

# Hundreds of machine images that nobody here asks for cost half a second per account.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")

ACCOUNT, REGION, CLUSTER, SERVICE = "123456789012", "eu-central-1", "batbern-staging", "Gateway-4f1c"
TICK = 0.2
CONNECT = {"enabled": True, "namespace": "batbern", "services": [{"portName": "http", "discoveryName": "gateway"}]}
BLUE_GREEN = {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 2}


@dataclass
class World:
    clock: ManualClock
    runtime: SimulatedRuntime
    simulator: EcsSimulator
    ecs: Any
    elbv2: Any
    ecr: Any
    cloudwatch: Any
    known: dict[str, str] = field(default_factory=dict)
    """Task definitions by name, for tests that reuse them."""

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(TICK)
            self.simulator.tick()

    def pass_seconds(self, seconds: float) -> None:
        self.tick(round(seconds / TICK))

    def definition(self, version: str, **behaviour: Any) -> str:
        """Push an image that behaves so, and register the task definition that runs it."""
        manifest = image_manifest("batbern/gateway", version, {"*": Behaviour(**behaviour)})
        repositories = self.ecr.describe_repositories()["repositories"]
        if not repositories:
            self.ecr.create_repository(repositoryName="batbern/gateway")
        self.ecr.put_image(repositoryName="batbern/gateway", imageManifest=manifest, imageTag=version)
        return self.register(f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/batbern/gateway:{version}")

    def register(self, image: str) -> str:
        containers = [{"name": "app", "image": image, "portMappings": [{"name": "http", "containerPort": 8080}]}]
        answer = self.ecs.register_task_definition(
            family="gateway",
            containerDefinitions=[{**containers[0], "environment": [{"name": "ENVIRONMENT", "value": "staging"}]}],
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def create(self, definition: str, **settings: Any) -> dict[str, Any]:
        """A Service Connect service of two tasks, deployed by BLUE_GREEN, unless told otherwise."""
        request: dict[str, Any] = {
            "cluster": CLUSTER,
            "serviceName": SERVICE,
            "desiredCount": 2,
            "launchType": "FARGATE",
            "deploymentConfiguration": BLUE_GREEN,
            "serviceConnectConfiguration": CONNECT,
        }
        answer = self.ecs.create_service(**request | settings, taskDefinition=definition)
        return dict(answer["service"])

    def created(self, version: str = "aaaaaaa", **settings: Any) -> str:
        """As `create`, and wait until its first deployment is through."""
        definition = self.definition(version)
        self.create(definition, **settings)
        self.until(Status.SUCCESSFUL)
        return definition

    def update(self, definition: str, **settings: Any) -> str:
        """Start a deployment and return its ARN."""
        self.ecs.update_service(cluster=CLUSTER, service=SERVICE, taskDefinition=definition, **settings)
        return self.newest()

    def newest(self) -> str:
        listed = self.ecs.list_service_deployments(cluster=CLUSTER, service=SERVICE)["serviceDeployments"]
        return str(listed[0]["serviceDeploymentArn"])

    def deployment(self, arn: str | None = None) -> dict[str, Any]:
        answer = self.ecs.describe_service_deployments(serviceDeploymentArns=[arn or self.newest()])
        return dict(answer["serviceDeployments"][0])

    def until(self, status: str, arn: str | None = None, seconds: float = 120.0) -> dict[str, Any]:
        """Tick until the deployment has this status; fails when it ends in another one."""
        arn = arn or self.newest()
        for _ in range(round(seconds / TICK)):
            found = self.deployment(arn)
            if found["status"] == status:
                return found
            assert found["status"] not in set(FINAL), found
            self.tick()
        raise AssertionError(f"still {self.deployment(arn)} after {seconds} s")

    def until_stage(self, stage: str, seconds: float = 60.0) -> dict[str, Any]:
        for _ in range(round(seconds / TICK)):
            found = self.deployment()
            if found.get("lifecycleStage") == stage:
                return found
            self.tick()
        raise AssertionError(f"still {self.deployment()} after {seconds} s")

    def service(self) -> dict[str, Any]:
        return dict(self.ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0])

    def tasks(self, status: str = "RUNNING") -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE, desiredStatus=status)["taskArns"]
        return list(self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]) if arns else []

    def weights(self) -> list[tuple[str, float, int]]:
        """Short revision, percent and number of addresses of each route."""
        routes = self.simulator.routing(ACCOUNT, CLUSTER, SERVICE)
        return [(route.revision.rsplit("/", 1)[-1], route.weight, len(route.addresses)) for route in routes]


@pytest.fixture
def world() -> Iterator[World]:
    with mock_aws():
        clock = ManualClock(minute_seconds=1.0)
        runtime = SimulatedRuntime(clock, manifest_of)
        simulator = EcsSimulator(clock, runtime)
        simulator.install()
        made = World(clock, runtime, simulator, *(client(name) for name in ("ecs", "elbv2", "ecr", "cloudwatch")))
        made.ecs.meta.events.register("after-call.ecs.*", checked, unique_id="shapes")
        made.ecs.create_cluster(clusterName=CLUSTER)
        yield made
        simulator.uninstall()


@cache
def client(name: str) -> Any:
    return boto3.client(
        name,
        region_name=REGION,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=Config(retries={"max_attempts": 1}),
    )


def checked(http_response: Any, parsed: dict[str, Any], model: Any, **_: Any) -> None:
    """Every answer of the stand-in must fit the shape that AWS publishes, every error be one that it names."""
    if http_response.status_code >= 300:
        assert parsed["Error"]["Code"] in {shape.name for shape in model.error_shapes}, parsed
        return
    answer = {key: value for key, value in parsed.items() if key != "ResponseMetadata"}
    report = ParamValidator().validate(answer, model.output_shape).generate_report()
    assert not report, f"{model.name}: {report}"


@dataclass(frozen=True)
class Balancer:
    """A load balancer with a production rule over two target groups."""

    blue: str
    green: str
    rule: str

    def entry(self) -> list[dict[str, Any]]:
        advanced = {
            "alternateTargetGroupArn": self.green,
            "productionListenerRule": self.rule,
            "roleArn": f"arn:aws:iam::{ACCOUNT}:role/ecs-infrastructure",
        }
        return [
            {
                "targetGroupArn": self.blue,
                "containerName": "app",
                "containerPort": 8080,
                "advancedConfiguration": advanced,
            }
        ]

    def weights(self, world: World) -> dict[str, int]:
        rule = world.elbv2.describe_rules(RuleArns=[self.rule])["Rules"][0]
        groups = rule["Actions"][0]["ForwardConfig"]["TargetGroups"]
        by_arn = {group["TargetGroupArn"]: group["Weight"] for group in groups}
        return {"blue": by_arn.get(self.blue, 0), "green": by_arn.get(self.green, 0)}

    def health(self, world: World, group: str) -> list[str]:
        answer = world.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return sorted(entry["TargetHealth"]["State"] for entry in answer)


@pytest.fixture
def balancer(world: World) -> Balancer:
    ec2 = client("ec2")
    subnets = ec2.describe_subnets()["Subnets"][:2]
    lb = world.elbv2.create_load_balancer(Name="staging", Subnets=[s["SubnetId"] for s in subnets])["LoadBalancers"][0]
    blue, green = (target_group(world, name, lb["VpcId"]) for name in ("blue", "green"))
    nothing = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
    listener = world.elbv2.create_listener(
        LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=nothing
    )["Listeners"][0]["ListenerArn"]
    weighted = [{"TargetGroupArn": blue, "Weight": 1}, {"TargetGroupArn": green, "Weight": 0}]
    rule = world.elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": weighted}}],
    )["Rules"][0]["RuleArn"]
    return Balancer(blue, green, rule)


def target_group(world: World, name: str, vpc: str) -> str:
    made = world.elbv2.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip")
    arn = str(made["TargetGroups"][0]["TargetGroupArn"])
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}
    world.elbv2.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[delay])
    return arn
