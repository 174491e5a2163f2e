"""One service whose traffic AWS CodeDeploy moves, on the stand-in; time moves by hand. A minute is a second."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from blocks.code_deployments import CodeDeployments
from blocks.containers import Containers
from blocks.shifts import BlueGreen, Canary, Shift
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.behaviour import Behaviour, image_manifest
from deployments.sandbox.clock import ManualClock
from rules.catalogue import RolloutPolicy
from rules.rollouts import Deployment, Step
from rules.vocabulary import Controller, Service
from tasks.following import Follower, Order

ACCOUNT, REGION, CLUSTER = "222222222222", "eu-central-1", "batbern-staging"
NAME, APPLICATION, GROUP, ALARM = "Gateway-4f1c", "batbern", "batbern-staging-gateway", "gateway-5xx"
SERVICE = Service("gateway", "Gateway", "batbern/gateway", "app", "/health", controller=Controller.CODEDEPLOY)
POLICY = RolloutPolicy(bake_minutes=2, start_minutes=15, max_failed_tasks=3, total_minutes=60, poll_seconds=1)
BEGUN = datetime(2026, 1, 5, tzinfo=UTC)
CANARY = Canary((10,), hold_minutes=3, bake_minutes=2, alarms=(ALARM,))


@dataclass
class World:
    """One service that CodeDeploy deploys to, behind a load balancer."""

    aws: AwsStandIn
    clock: ManualClock
    clients: dict[str, Any]
    groups: dict[str, str] = field(default_factory=dict)
    rule: str = ""
    now: float = 0.0
    versions: int = 0

    def pause(self, seconds: float) -> None:
        for _ in range(5):
            self.clock.advance(seconds / 5)
            self.aws.tick()
        self.now += seconds

    def controller(self, codedeploy: Any = None, group: str = GROUP) -> CodeDeployments:
        containers = Containers(self.clients["ecs"], CLUSTER)
        return CodeDeployments(codedeploy or self.clients["codedeploy"], containers, APPLICATION, group, self.clock.now)

    def order(self, **behaviour: Any) -> Order:
        """To a new version."""
        self.versions += 1
        manifest = image_manifest("batbern/gateway", f"{self.versions:07x}", {"*": Behaviour(**behaviour)})
        tag = f"{self.versions:07x}"
        put = self.clients["ecr"].put_image(repositoryName="batbern/gateway", imageManifest=manifest, imageTag=tag)
        image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/batbern/gateway:{tag}"
        answer = self.clients["ecs"].register_task_definition(
            family="gateway",
            containerDefinitions=[{"name": "app", "image": image, "portMappings": [{"containerPort": 8080}]}],
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
        )
        definition = answer["taskDefinition"]["taskDefinitionArn"]
        return Order("gateway", NAME, "app", definition, put["image"]["imageId"]["imageDigest"])

    def follow(self, order: Order, how: Shift | None = None, **more: Any) -> list[Step]:
        steps: list[Step] = []
        follower = Follower(self.controller(), POLICY, steps.append, clock=lambda: self.now, pause=self.pause)
        follower.follow(order, how or BlueGreen(2), **more)
        return steps

    def until(self, deployment: str, done: Callable[[Deployment], bool]) -> Deployment:
        controller = self.controller()
        for _ in range(300):
            found = controller.deployment(deployment)
            if done(found):
                return found
            self.pause(0.5)
        raise AssertionError(f"still {found}")

    def asked(self, operation: str) -> int:
        return sum(1 for call in self.aws.calls if call.operation == operation)

    def weights(self) -> dict[str, int]:
        [action] = self.clients["elbv2"].describe_rules(RuleArns=[self.rule])["Rules"][0]["Actions"]
        return {it["TargetGroupArn"]: it["Weight"] for it in action["ForwardConfig"]["TargetGroups"]}

    def ring(self, state: str) -> None:
        self.clients["cloudwatch"].set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="told so")

    def settle(self) -> None:
        """Whatever is in progress comes back; a way back is waited for."""
        controller = self.controller()
        while ongoing := controller.ongoing():
            controller.stop(ongoing.arn)
            self.pause(1)

    def serving(self) -> frozenset[str]:
        return self.controller().look(NAME, "app").serving


def furnish(running_aws: AwsStandIn, world_clock: ManualClock, open_session_client: Callable[..., Any]) -> World:
    """One world for all tests of a module: each brings its own version."""
    running_aws.reset()
    names = ("ecs", "elbv2", "ecr", "cloudwatch", "codedeploy", "ec2")
    made = World(running_aws, world_clock, {name: open_session_client(name) for name in names})
    made.clients["ecr"].create_repository(repositoryName="batbern/gateway")
    made.clients["ecs"].create_cluster(clusterName=CLUSTER)
    _balance(made)
    _serve(made, made.order())
    _take_charge(made)
    return made


def lend(furnished: World) -> Iterator[World]:
    """To one test; what that leaves in progress is taken back."""
    furnished.aws.faults.clear()
    furnished.aws.forget_calls()
    yield furnished
    furnished.aws.faults.clear()
    furnished.ring("OK")
    furnished.settle()


def _balance(world: World) -> None:
    elbv2 = world.clients["elbv2"]
    subnets = [it["SubnetId"] for it in world.clients["ec2"].describe_subnets()["Subnets"][:2]]
    [balancer] = elbv2.create_load_balancer(Name="staging", Subnets=subnets)["LoadBalancers"]
    for name in ("blue", "green"):
        made = elbv2.create_target_group(
            Name=name, Protocol="HTTP", Port=8080, VpcId=balancer["VpcId"], TargetType="ip"
        )
        world.groups[name] = made["TargetGroups"][0]["TargetGroupArn"]
    nothing = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
    listener = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[nothing]
    )["Listeners"][0]["ListenerArn"]
    forward = {"TargetGroups": [{"TargetGroupArn": world.groups["blue"], "Weight": 1}]}
    world.rule = elbv2.create_rule(
        ListenerArn=listener,
        Priority=1,
        Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
        Actions=[{"Type": "forward", "ForwardConfig": forward}],
    )["Rules"][0]["RuleArn"]
    world.groups["listener"] = listener


def _serve(world: World, first: Order) -> None:
    balancer = {"targetGroupArn": world.groups["blue"], "containerName": "app", "containerPort": 8080}
    world.clients["ecs"].create_service(
        cluster=CLUSTER,
        serviceName=NAME,
        taskDefinition=first.task_definition,
        desiredCount=2,
        launchType="FARGATE",
        deploymentController={"type": "CODE_DEPLOY"},
        loadBalancers=[balancer],
    )
    for _ in range(10):
        world.pause(0.2)


def _take_charge(world: World) -> None:
    world.clients["codedeploy"].create_application(applicationName=APPLICATION, computePlatform="ECS")
    pair = {
        "targetGroups": [{"name": "blue"}, {"name": "green"}],
        "prodTrafficRoute": {"listenerArns": [world.groups["listener"]]},
    }
    world.clients["codedeploy"].create_deployment_group(
        applicationName=APPLICATION,
        deploymentGroupName=GROUP,
        serviceRoleArn=f"arn:aws:iam::{ACCOUNT}:role/codedeploy",
        deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
        ecsServices=[{"clusterName": CLUSTER, "serviceName": NAME}],
        loadBalancerInfo={"targetGroupPairInfoList": [pair]},
        blueGreenDeploymentConfiguration={
            "terminateBlueInstancesOnDeploymentSuccess": {"action": "TERMINATE", "terminationWaitTimeInMinutes": 2},
            "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
        },
    )
    world.clients["cloudwatch"].put_metric_alarm(
        AlarmName=ALARM,
        Namespace="Tests",
        MetricName="none",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
