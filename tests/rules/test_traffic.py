"""Before the first write: the load balancer and ECS agree on where users are."""

from dataclasses import replace

import pytest

from rules.traffic import Traffic, check_traffic
from rules.vocabulary import Service, Verdict

GATEWAY = Service("gateway", "Gateway-", "batbern/gateway", "app", "/health", load_balanced=True)
BLUE, GREEN = "arn:aws:elb:targetgroup/blue/1", "arn:aws:elb:targetgroup/green/2"
AGREED = Traffic({BLUE: 1, GREEN: 0}, frozenset({BLUE}), healthy=2)


def verdict(traffic: Traffic | None) -> Verdict:
    [finding] = check_traffic([GATEWAY], {"gateway": traffic} if traffic else {}, "staging")
    return finding.verdict


def test_weights_that_agree_with_ecs_are_fine() -> None:
    assert verdict(AGREED) is Verdict.PASSED


@pytest.mark.parametrize(
    "traffic",
    [
        pytest.param(replace(AGREED, weights={BLUE: 50, GREEN: 50}), id="split"),
        pytest.param(replace(AGREED, weights={BLUE: 0, GREEN: 1}), id="on the other side"),
        pytest.param(replace(AGREED, weights={BLUE: 0, GREEN: 0}), id="nowhere"),
        pytest.param(replace(AGREED, weights={}), id="no rule"),
        pytest.param(replace(AGREED, healthy=0), id="nobody healthy"),
    ],
)
def test_anything_else_is_refused(traffic: Traffic) -> None:
    assert verdict(traffic) is Verdict.FAILED


def test_no_data_is_never_a_pass() -> None:
    assert verdict(None) is Verdict.INCONCLUSIVE
    assert verdict(replace(AGREED, groups=frozenset())) is Verdict.INCONCLUSIVE


def test_while_a_roll_out_that_a_dead_run_left_is_baking_either_side_may_carry() -> None:
    assert verdict(Traffic({BLUE: 0, GREEN: 1}, frozenset({BLUE, GREEN}), healthy=2)) is Verdict.PASSED


def test_a_canary_that_a_dead_run_left_divides_the_traffic_between_its_own_groups() -> None:
    divided = Traffic({BLUE: 90, GREEN: 10}, frozenset({BLUE, GREEN}), healthy=4, moving=True)
    assert verdict(divided) is Verdict.PASSED
    assert verdict(replace(divided, moving=False)) is Verdict.FAILED
    assert verdict(replace(divided, groups=frozenset({GREEN}))) is Verdict.FAILED
    assert verdict(replace(divided, healthy=0)) is Verdict.FAILED


def test_services_without_a_load_balancer_are_not_asked_about() -> None:
    assert check_traffic([replace(GATEWAY, load_balanced=False)], {}, "staging") == ()
