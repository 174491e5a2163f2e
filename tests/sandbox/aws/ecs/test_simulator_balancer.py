"""Services behind a load balancer: the listener rule, the target groups and the health of the targets."""

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.ecs_stages import Status
from tests.sandbox.aws.ecs.conftest import Balancer, World


def test_the_rule_follows_the_deployments_to_and_fro(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    assert balancer.weights(world) == {"blue": 100, "green": 0}
    world.update(world.definition("bbbbbbb"))
    world.until_stage("POST_TEST_TRAFFIC_SHIFT")
    assert balancer.weights(world) == {"blue": 100, "green": 0}
    world.until_stage("BAKE_TIME")
    assert balancer.weights(world) == {"blue": 0, "green": 100}
    world.until(Status.SUCCESSFUL)
    world.until(Status.SUCCESSFUL, world.update(world.definition("ccccccc")))
    assert balancer.weights(world) == {"blue": 100, "green": 0}


def test_each_revision_has_its_own_targets_and_old_ones_drain(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    assert balancer.health(world, balancer.blue) == ["healthy", "healthy"]
    assert balancer.health(world, balancer.green) == ["healthy", "healthy"]
    world.until_stage("CLEAN_UP")
    assert balancer.health(world, balancer.blue) == ["draining", "draining"]
    world.until(Status.SUCCESSFUL)
    assert balancer.health(world, balancer.blue) == []


def test_targets_of_one_address_are_told_apart_by_their_ports(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    answer = world.elbv2.describe_target_health(TargetGroupArn=balancer.blue)["TargetHealthDescriptions"]
    targets = [entry["Target"] for entry in answer]
    assert {target["Id"] for target in targets} == {"127.0.0.1"}
    assert len({target["Port"] for target in targets}) == 2
    one = world.elbv2.describe_target_health(TargetGroupArn=balancer.blue, Targets=targets[:1])
    assert [entry["Target"] for entry in one["TargetHealthDescriptions"]] == targets[:1]


def test_a_sick_task_is_an_unhealthy_target_without_traffic(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    world.runtime.sicken(world.runtime.running()[0].id)
    world.tick()
    assert balancer.health(world, balancer.blue) == ["healthy", "unhealthy"]
    assert [addresses for _, _, addresses in world.weights()] == [1]
    world.pass_seconds(4)
    assert balancer.health(world, balancer.blue) == ["healthy", "healthy"]
    assert "failed ELB health checks" in world.tasks("STOPPED")[0]["stoppedReason"]


def test_a_target_group_that_no_rule_uses_is_unused(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    world.elbv2.delete_rule(RuleArn=balancer.rule)
    assert balancer.health(world, balancer.blue) == ["unused", "unused"]


def test_a_rule_without_both_target_groups_rolls_the_deployment_back(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    only_blue = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": balancer.blue}]}}]
    world.elbv2.modify_rule(RuleArn=balancer.rule, Actions=only_blue)
    arn = world.update(world.definition("bbbbbbb"))
    ended = world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert "Both targetGroup and alternateTargetGroup must be associated" in ended["statusReason"]


def test_a_stop_gives_the_rule_back_to_the_old_target_group(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    arn = world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    world.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    world.until(Status.ROLLBACK_SUCCESSFUL, arn)
    assert balancer.weights(world) == {"blue": 100, "green": 0}
    assert balancer.health(world, balancer.green) == []


def test_the_stickiness_of_the_rule_is_kept(world: World, balancer: Balancer) -> None:
    sticky = {"Enabled": True, "DurationSeconds": 60}
    groups = [{"TargetGroupArn": balancer.blue, "Weight": 1}, {"TargetGroupArn": balancer.green, "Weight": 0}]
    forward = {"TargetGroups": groups, "TargetGroupStickinessConfig": sticky}
    world.elbv2.modify_rule(RuleArn=balancer.rule, Actions=[{"Type": "forward", "ForwardConfig": forward}])
    world.created(loadBalancers=balancer.entry())
    action = world.elbv2.describe_rules(RuleArns=[balancer.rule])["Rules"][0]["Actions"][0]
    assert action["ForwardConfig"]["TargetGroupStickinessConfig"] == sticky


def test_routing_obeys_weights_that_somebody_set_by_hand(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    world.update(world.definition("bbbbbbb"))
    world.until_stage("BAKE_TIME")
    by_hand = [{"TargetGroupArn": balancer.blue, "Weight": 9}, {"TargetGroupArn": balancer.green, "Weight": 1}]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": by_hand}}]
    world.elbv2.modify_rule(RuleArn=balancer.rule, Actions=actions)
    assert [weight for _, weight, _ in world.weights()] == pytest.approx([90, 10])


def test_a_share_that_goes_to_an_empty_target_group_is_answered_by_nobody(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    halves = [{"TargetGroupArn": group, "Weight": 1} for group in (balancer.blue, balancer.green)]
    actions = [{"Type": "forward", "ForwardConfig": {"TargetGroups": halves}}]
    world.elbv2.modify_rule(RuleArn=balancer.rule, Actions=actions)
    assert [(weight, addresses) for _, weight, addresses in world.weights()] == [(50.0, 2), (50.0, 0)]


def test_the_revision_says_which_target_group_it_got(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry())
    world.update(world.definition("bbbbbbb"))
    world.tick()
    arn = world.deployment()["targetServiceRevision"]["arn"]
    revision = world.ecs.describe_service_revisions(serviceRevisionArns=[arn])["serviceRevisions"][0]
    resolved = {"targetGroupArn": balancer.green, "productionListenerRule": balancer.rule}
    assert revision["resolvedConfiguration"]["loadBalancers"] == [resolved]


def test_rolling_stays_in_one_target_group(world: World, balancer: Balancer) -> None:
    world.created(loadBalancers=balancer.entry(), deploymentConfiguration={"strategy": "ROLLING"})
    world.until(Status.SUCCESSFUL, world.update(world.definition("bbbbbbb")))
    assert balancer.health(world, balancer.blue) == ["healthy", "healthy"]
    assert balancer.weights(world) == {"blue": 1, "green": 0}


def test_blue_green_without_a_second_target_group_is_refused(world: World, balancer: Balancer) -> None:
    entry = {key: value for key, value in balancer.entry()[0].items() if key != "advancedConfiguration"}
    with pytest.raises(ClientError, match="alternateTargetGroupArn"):
        world.create(world.definition("aaaaaaa"), loadBalancers=[entry], serviceConnectConfiguration={"enabled": False})


def test_targets_that_are_not_tasks_stay_with_moto(world: World, balancer: Balancer) -> None:
    world.elbv2.register_targets(TargetGroupArn=balancer.green, Targets=[{"Id": "10.0.0.9", "Port": 80}])
    assert balancer.health(world, balancer.green) == ["healthy"]
