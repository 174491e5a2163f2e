"""One service behind a load balancer, its application and deployment group, over HTTP; time moves by hand."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.behaviour import Behaviour, image_manifest
from deployments.sandbox.clock import ManualClock

ACCOUNT, REGION = "123456789012", "eu-central-1"
CLUSTER, SERVICE, APPLICATION, GROUP = "batbern-staging", "Gateway-4f1c", "batbern", "batbern-staging-gateway"
TARGET = f"{CLUSTER}:{SERVICE}"
TICK = 0.2
"""Seconds; an AWS minute is one second in these tests."""
FINAL = ("Succeeded", "Failed", "Stopped")
ROLLBACK = {
    "enabled": True,
    "events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"],
}
EVENTS = ["BeforeInstall", "Install", "AfterInstall", "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"]

Share = tuple[int, int]
"""Percent of blue and green, by the name of the target group."""


@dataclass
class World:
    aws: AwsStandIn
    clock: ManualClock
    ecs: Any
    elbv2: Any
    ecr: Any
    cloudwatch: Any
    codedeploy: Any
    groups: dict[str, str] = field(default_factory=dict)
    listener: str = ""
    test_listener: str = ""
    rule: str = ""
    first: str = ""
    """The task definition that the service was created with."""

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(TICK)
            self.aws.tick()

    def pass_minutes(self, minutes: float) -> None:
        self.tick(round(self.clock.seconds(minutes) / TICK))

    def definition(self, version: str, **behaviour: Any) -> str:
        manifest = image_manifest("batbern/gateway", version, {"*": Behaviour(**behaviour)})
        self.ecr.put_image(repositoryName="batbern/gateway", imageManifest=manifest, imageTag=version)
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/batbern/gateway:{version}"
        answer = self.ecs.register_task_definition(
            family="gateway",
            containerDefinitions=[{"name": "app", "image": image, "portMappings": [{"containerPort": 8080}]}],
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def create_service(self, definition: str, **settings: Any) -> Any:
        balancer = {"targetGroupArn": self.groups["blue"], "containerName": "app", "containerPort": 8080}
        request: dict[str, Any] = {
            "cluster": CLUSTER,
            "serviceName": SERVICE,
            "taskDefinition": definition,
            "desiredCount": 2,
            "launchType": "FARGATE",
            "deploymentController": {"type": "CODE_DEPLOY"},
            "loadBalancers": [balancer],
        }
        return self.ecs.create_service(**request | settings)["service"]

    def create_group(self, **settings: Any) -> None:
        self.codedeploy.create_deployment_group(**self.group(**settings))

    def group(self, *, test: bool = False, minutes: int = 2, **settings: Any) -> dict[str, Any]:
        pair = {
            "targetGroups": [{"name": "blue"}, {"name": "green"}],
            "prodTrafficRoute": {"listenerArns": [self.listener]},
        }
        if test:
            pair["testTrafficRoute"] = {"listenerArns": [self.test_listener]}
        blue_green = {
            "terminateBlueInstancesOnDeploymentSuccess": {
                "action": "TERMINATE",
                "terminationWaitTimeInMinutes": minutes,
            },
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
        }
        return {
            "applicationName": APPLICATION,
            "deploymentGroupName": GROUP,
            "serviceRoleArn": f"arn:aws:iam::{ACCOUNT}:role/codedeploy",
            "deploymentStyle": {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            "ecsServices": [{"clusterName": CLUSTER, "serviceName": SERVICE}],
            "loadBalancerInfo": {"targetGroupPairInfoList": [pair]},
            "blueGreenDeploymentConfiguration": blue_green,
            **settings,
        }

    def deploy(self, definition: str, config: str = "ECSAllAtOnce", **settings: Any) -> str:
        return self.deploy_content(appspec(definition), config, **settings)

    def deploy_content(self, content: str, config: str = "ECSAllAtOnce", **settings: Any) -> str:
        name = config if "." in config else f"CodeDeployDefault.{config}"
        revision = {"revisionType": "AppSpecContent", "appSpecContent": {"content": content}}
        request: dict[str, Any] = {
            "applicationName": APPLICATION,
            "deploymentGroupName": GROUP,
            "deploymentConfigName": name,
            "revision": revision,
        }
        return str(self.codedeploy.create_deployment(**request | settings)["deploymentId"])

    def info(self, deployment: str) -> dict[str, Any]:
        return dict(self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"])

    def spec(self, revision: dict[str, Any]) -> str:
        """The text of an AppSpec of which a deployment tells the hash."""
        assert "content" not in revision["appSpecContent"]
        ask = self.codedeploy.get_application_revision
        return str(ask(applicationName=APPLICATION, revision=revision)["revision"]["appSpecContent"]["content"])

    def target(self, deployment: str) -> dict[str, Any]:
        answer = self.codedeploy.batch_get_deployment_targets(deploymentId=deployment, targetIds=[TARGET])
        return dict(answer["deploymentTargets"][0]["ecsTarget"])

    def until(self, status: str, deployment: str, seconds: float = 120.0) -> dict[str, Any]:
        """Tick until the deployment has this status; fails when it ends in another one."""
        return self.wait(deployment, lambda info: info["status"] == status, seconds)

    def until_weight(self, weight: float, deployment: str) -> None:
        self.wait(deployment, lambda info: info["status"] != "Created" and self.weight() == weight)

    def wait(self, deployment: str, done: Callable[[Mapping[str, Any]], bool], seconds: float = 120.0) -> Any:
        for _ in range(round(seconds / TICK)):
            info = self.info(deployment)
            if done(info):
                return info
            assert info["status"] not in FINAL, info
            self.tick()
        raise AssertionError(f"still {self.info(deployment)} after {seconds} s")

    def shares(self, listener: str = "") -> Share:
        """Percent of the target groups blue and green on the production rule (or a listener's default action)."""
        if listener:
            found = self.elbv2.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"]
        else:
            found = self.elbv2.describe_rules(RuleArns=[self.rule])["Rules"][0]["Actions"]
        groups = found[0]["ForwardConfig"]["TargetGroups"]
        by_arn = {group["TargetGroupArn"]: group["Weight"] for group in groups}
        return by_arn.get(self.groups["blue"], 0), by_arn.get(self.groups["green"], 0)

    def weight(self) -> int:
        """Percent of the target group green."""
        return self.shares()[1]

    def service(self) -> dict[str, Any]:
        return dict(self.ecs.describe_services(cluster=CLUSTER, services=[SERVICE])["services"][0])

    def tasks(self) -> list[dict[str, Any]]:
        arns = self.ecs.list_tasks(cluster=CLUSTER, serviceName=SERVICE)["taskArns"]
        return list(self.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]) if arns else []

    def running(self) -> dict[str, int]:
        """Tasks that are to run, by task definition."""
        found = [task["taskDefinitionArn"] for task in self.tasks()]
        return {definition: found.count(definition) for definition in set(found)}

    def routes(self) -> dict[str, float]:
        """Percent of the requests by the task definition that answers them."""
        revisions = {
            revision.arn: revision.task_definition
            for service in self.aws.simulator.services()
            for revision in service.revisions.values()
        }
        found = self.aws.simulator.routing(ACCOUNT, CLUSTER, SERVICE)
        return {revisions[route.revision]: route.weight for route in found if route.addresses}

    def ring(self, name: str, state: str = "ALARM") -> None:
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="told so")

    def create_alarm(self, name: str) -> None:
        self.cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Tests",
            MetricName="none",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="ignore",
        )


def appspec(definition: str, container: str = "app", port: int = 8080) -> str:
    balancer = {"ContainerName": container, "ContainerPort": port}
    properties = {"TaskDefinition": definition, "LoadBalancerInfo": balancer}
    target = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": properties}}
    return json.dumps({"version": 0.0, "Resources": [target]})


@pytest.fixture(scope="session")
def clients(running_aws: AwsStandIn, strict_session: boto3.Session) -> dict[str, Any]:
    """Of moto's own account, for which nobody takes on a role: they outlive a reset."""
    names: tuple[Any, ...] = ("ecs", "elbv2", "ecr", "cloudwatch", "codedeploy", "ec2")
    config = Config(retries={"total_max_attempts": 1})
    return {name: strict_session.client(name, endpoint_url=running_aws.url, config=config) for name in names}


@pytest.fixture
def empty(aws: AwsStandIn, world_clock: ManualClock, clients: dict[str, Any]) -> World:
    """A load balancer and a CodeDeploy application; no service yet."""
    names = ("ecs", "elbv2", "ecr", "cloudwatch", "codedeploy")
    made = World(aws, world_clock, *(clients[name] for name in names))
    made.ecs.create_cluster(clusterName=CLUSTER)
    made.ecr.create_repository(repositoryName="batbern/gateway")
    made.codedeploy.create_application(applicationName=APPLICATION, computePlatform="ECS")
    subnets = clients["ec2"].describe_subnets()["Subnets"][:2]
    balancer = made.elbv2.create_load_balancer(Name="staging", Subnets=[subnet["SubnetId"] for subnet in subnets])
    arn, vpc = (balancer["LoadBalancers"][0][name] for name in ("LoadBalancerArn", "VpcId"))
    made.groups = {name: target_group(made, name, vpc) for name in ("blue", "green")}
    made.listener = listener(made, arn, 80, {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}})
    made.test_listener = listener(made, arn, 8443, forward(made.groups["blue"]))
    made.rule = made.elbv2.create_rule(
        ListenerArn=made.listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[forward(made.groups["blue"])],
    )["Rules"][0]["RuleArn"]
    return made


@pytest.fixture
def served(empty: World) -> World:
    """The service runs its first task definition; no deployment group yet."""
    empty.first = empty.definition("aaaaaaa")
    empty.create_service(empty.first)
    empty.tick(10)
    return empty


@pytest.fixture
def world(served: World) -> World:
    """The service runs its first task definition, and a deployment group is in charge of it."""
    served.create_group()
    return served


def forward(group: str) -> dict[str, Any]:
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": group, "Weight": 1}]}}


def listener(world: World, balancer: str, port: int, action: dict[str, Any]) -> str:
    answer = world.elbv2.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=port, DefaultActions=[action])
    return str(answer["Listeners"][0]["ListenerArn"])


def target_group(world: World, name: str, vpc: str) -> str:
    made = world.elbv2.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip")
    return str(made["TargetGroups"][0]["TargetGroupArn"])
