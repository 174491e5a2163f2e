"""One service of two sides on the stand-in: two ordinary ECS services and one rule. Time moves by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from blocks.containers import Containers
from blocks.shifts import Canary
from blocks.weighted_rules import WeightedRules
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.behaviour import Behaviour, image_manifest
from deployments.sandbox.clock import ManualClock
from rules.catalogue import RolloutPolicy
from rules.rollouts import Deployment, Step
from rules.vocabulary import Controller, Service
from tasks.following import Follower, Order

ACCOUNT, REGION, CLUSTER = "222222222222", "eu-central-1", "batbern-staging"
BLUE, GREEN = "gateway-blue-4f1c", "gateway-green-9d2e"
NAMES = ("gateway-blue", "gateway-green")
POLICY = RolloutPolicy(bake_minutes=2, start_minutes=15, max_failed_tasks=3, total_minutes=60, poll_seconds=5)
STICK = {"Enabled": False}
CANARY = Canary((10, 50), hold_minutes=60, bake_minutes=2)
SERVICE = Service(
    "gateway", NAMES[0], "batbern/gateway", "app", "/health",
    controller=Controller.LISTENER, ecs_service_beside=NAMES[1], load_balanced=True, stays_without_us=True,
)  # fmt: skip


@dataclass
class World:
    aws: AwsStandIn
    clock: ManualClock
    clients: dict[str, Any]
    groups: dict[str, str] = field(default_factory=dict)
    listener: str = ""
    rule: str = ""
    now: float = 0.0
    versions: int = 0

    def pause(self, seconds: float) -> None:
        for _ in range(5):
            self.clock.advance(seconds / 5)
            self.aws.tick()
        self.now += seconds

    def controller(self, elbv2: Any = None) -> WeightedRules:
        ecs = self.clients["ecs"]
        return WeightedRules(ecs, elbv2 or self.clients["elbv2"], Containers(ecs, CLUSTER), NAMES, self.clock.now)

    def order(self, **behaviour: Any) -> Order:
        """To a new version."""
        self.versions += 1
        tag = f"{self.versions:07x}"
        manifest = image_manifest("batbern/gateway", tag, {"*": Behaviour(**behaviour)})
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
        return Order("gateway", BLUE, "app", definition, put["image"]["imageId"]["imageDigest"])

    def follower(self, report: Any = None) -> Follower:
        return Follower(
            self.controller(), POLICY, report or list[Step]().append, clock=lambda: self.now, pause=self.pause
        )

    def weights(self) -> tuple[int, int]:
        """Blue's and green's."""
        actions = self.actions()
        forward = next(it for it in actions if it["Type"] == "forward")["ForwardConfig"]
        found = {it["TargetGroupArn"]: it["Weight"] for it in forward["TargetGroups"]}
        return found[self.groups["blue"]], found[self.groups["green"]]

    def actions(self) -> list[dict[str, Any]]:
        return list(self.clients["elbv2"].describe_rules(RuleArns=[self.rule])["Rules"][0]["Actions"])

    def turn(self, blue: int, green: int, *, sticky: bool = False) -> None:
        stick: dict[str, Any] = {"Enabled": True, "DurationSeconds": 60} if sticky else STICK
        self.clients["elbv2"].modify_rule(RuleArn=self.rule, Actions=[self.forward(blue, green, stick)])

    def forward(self, blue: int, green: int, stick: Any = None) -> dict[str, Any]:
        weighted = [
            {"TargetGroupArn": self.groups["blue"], "Weight": blue},
            {"TargetGroupArn": self.groups["green"], "Weight": green},
        ]
        config = {"TargetGroups": weighted, "TargetGroupStickinessConfig": stick or STICK}
        return {"Type": "forward", "ForwardConfig": config}

    def desired(self) -> tuple[int, int]:
        found = self.clients["ecs"].describe_services(cluster=CLUSTER, services=[BLUE, GREEN])["services"]
        by_name = {it["serviceName"]: int(it["desiredCount"]) for it in found}
        return by_name[BLUE], by_name[GREEN]

    def seen(self, arn: str) -> Deployment:
        return self.controller().deployment(arn)

    def until(self, arn: str, done: Callable[[Deployment], bool]) -> Deployment:
        for _ in range(100):
            found = self.seen(arn)
            if done(found):
                return found
            self.pause(1)
        raise AssertionError(f"still {found}")

    def at(self, share: int) -> tuple[Order, Deployment]:
        """A canary that has this share."""
        order = self.order()
        arn = self.controller().start(BLUE, order.task_definition, CANARY)
        while (found := self.until(arn, lambda it: it.pause is not None or it.weight >= 100)).weight < share:
            self.controller().go_on(found)
        return order, found

    def asked(self, operation: str) -> int:
        return sum(1 for call in self.aws.calls if call.operation == operation)


class Dying:
    """ELBv2 of a process that dies before a call."""

    def __init__(self, elbv2: Any, at: str) -> None:
        self._elbv2, self._at = elbv2, at

    def __getattr__(self, name: str) -> Any:
        if name == self._at:
            raise KeyboardInterrupt
        return getattr(self._elbv2, name)


def opened(aws: AwsStandIn, clock: ManualClock, open_client: Callable[..., Any]) -> World:
    return furnish(World(aws, clock, {name: open_client(name) for name in ("ecs", "elbv2", "ecr", "ec2")}))


def furnish(world: World) -> World:
    world.clients["ecr"].create_repository(repositoryName="batbern/gateway")
    world.clients["ecs"].create_cluster(clusterName=CLUSTER)
    _balance(world)
    first = world.order()
    serve(world, BLUE, "blue", first, 2)
    serve(world, GREEN, "green", first, 0)
    for _ in range(3):
        world.pause(1)
    return world


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
    world.listener = elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancerArn"], Protocol="HTTP", Port=80, DefaultActions=[nothing]
    )["Listeners"][0]["ListenerArn"]
    world.rule = add_rule(world, 1, world.forward(1, 0))


def add_rule(world: World, priority: int, *actions: dict[str, Any]) -> str:
    made = world.clients["elbv2"].create_rule(
        ListenerArn=world.listener,
        Priority=priority,
        Conditions=[{"Field": "path-pattern", "Values": [f"/{priority}/*"]}],
        Actions=list(actions),
    )
    return str(made["Rules"][0]["RuleArn"])


def serve(world: World, name: str, group: str, order: Order, desired: int, **more: Any) -> None:
    balancer = {"targetGroupArn": world.groups[group], "containerName": "app", "containerPort": 8080}
    world.clients["ecs"].create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=order.task_definition,
        desiredCount=desired,
        launchType="FARGATE",
        loadBalancers=[{**balancer, **more}],
    )
