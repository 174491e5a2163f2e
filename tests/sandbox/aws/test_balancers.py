"""Contract of deployments/sandbox/aws/patches/balancers.py, and what the layer needs of moto's load balancers."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError


class Balancer:
    """A load balancer with a blue and a green target group and one listener."""

    def __init__(self, elbv2: Any, ec2: Any) -> None:
        self.elbv2 = elbv2
        subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]][:2]
        vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        self.arn = elbv2.create_load_balancer(Name="gateway", Subnets=subnets)["LoadBalancers"][0]["LoadBalancerArn"]
        self.blue, self.green = (
            elbv2.create_target_group(Name=name, Protocol="HTTP", Port=8080, VpcId=vpc, TargetType="ip")[
                "TargetGroups"
            ][0]["TargetGroupArn"]
            for name in ("blue", "green")
        )
        made = elbv2.create_listener(
            LoadBalancerArn=self.arn, Protocol="HTTP", Port=80, DefaultActions=self.forward(1, 0)
        )
        self.listener = made["Listeners"][0]["ListenerArn"]
        self.rule = elbv2.create_rule(
            ListenerArn=self.listener,
            Priority=1,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=self.forward(1, 0),
        )["Rules"][0]["RuleArn"]

    def forward(self, blue: int, green: int) -> list[dict[str, Any]]:
        groups = [{"TargetGroupArn": self.blue, "Weight": blue}, {"TargetGroupArn": self.green, "Weight": green}]
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": groups}}]

    @staticmethod
    def weights(actions: list[dict[str, Any]]) -> list[int]:
        return [group["Weight"] for group in actions[0]["ForwardConfig"]["TargetGroups"]]


@pytest.fixture
def balancer(open_client: Callable[..., Any]) -> Balancer:
    return Balancer(open_client("elbv2"), open_client("ec2"))


def test_weights_are_kept_on_rules_and_listeners(balancer: Balancer) -> None:
    balancer.elbv2.modify_rule(RuleArn=balancer.rule, Actions=balancer.forward(90, 10))
    balancer.elbv2.modify_listener(ListenerArn=balancer.listener, DefaultActions=balancer.forward(0, 999))
    (rule,) = balancer.elbv2.describe_rules(RuleArns=[balancer.rule])["Rules"]
    (listener,) = balancer.elbv2.describe_listeners(ListenerArns=[balancer.listener])["Listeners"]
    assert balancer.weights(rule["Actions"]) == [90, 10]
    assert balancer.weights(listener["DefaultActions"]) == [0, 999]


@pytest.mark.parametrize("weight", [-1, 1000])
def test_a_weight_beyond_the_limit_is_refused_and_changes_nothing(balancer: Balancer, weight: int) -> None:
    with pytest.raises(ClientError, match="0 to 999"):
        balancer.elbv2.modify_rule(RuleArn=balancer.rule, Actions=balancer.forward(weight, 1))
    (rule,) = balancer.elbv2.describe_rules(RuleArns=[balancer.rule])["Rules"]
    assert balancer.weights(rule["Actions"]) == [1, 0]


def test_a_balancer_becomes_active(balancer: Balancer) -> None:
    (found,) = balancer.elbv2.describe_load_balancers(LoadBalancerArns=[balancer.arn])["LoadBalancers"]
    assert found["State"]["Code"] == "active"
