"""How long a roll-out is expected to take."""

from dataclasses import replace

import pytest

from rules.catalogue import CanaryPolicy, Catalogue, RolloutPolicy
from rules.durations import expected_minutes
from rules.vocabulary import Controller, Service, Strategy

EVENTS = Service("events", "Events-", "batbern/events", "app", "/health")
SPEAKERS = replace(EVENTS, id="speakers")
GATEWAY = replace(EVENTS, id="gateway", wave=2)
EVERYTHING = (EVENTS, SPEAKERS, GATEWAY)
ROLLOUT = RolloutPolicy(bake_minutes=5, start_minutes=15, total_minutes=60)
CANARY = CanaryPolicy(steps=(10, 50), window_minutes=5, codedeploy_minutes=12)
CATALOGUE = Catalogue("batbern", (), {}, {it.id: it for it in EVERYTHING}, "dev", rollout=ROLLOUT, canary=CANARY)
BLUE_GREEN = dict.fromkeys(CATALOGUE.services, Strategy.BLUE_GREEN)
CANARIES = dict.fromkeys(CATALOGUE.services, Strategy.CANARY)


def test_a_blue_green_roll_out_starts_and_bakes() -> None:
    assert expected_minutes(CATALOGUE, [EVENTS], BLUE_GREEN) == 13  # 7.5 and 5


def test_the_services_of_a_wave_go_side_by_side_and_waves_one_after_the_other() -> None:
    assert expected_minutes(CATALOGUE, [EVENTS, SPEAKERS], BLUE_GREEN) == 13
    assert expected_minutes(CATALOGUE, EVERYTHING, BLUE_GREEN) == 25


def test_a_canary_takes_a_window_at_each_step_more() -> None:
    assert expected_minutes(CATALOGUE, EVERYTHING, BLUE_GREEN | {"gateway": Strategy.CANARY}) == 35


def test_of_a_wave_its_slowest_counts() -> None:
    assert expected_minutes(CATALOGUE, EVERYTHING, CANARIES | {"speakers": Strategy.BLUE_GREEN}) == 45


def test_by_codedeploy_a_canary_stays_at_its_step_as_long_as_it_was_told() -> None:
    gateway = replace(GATEWAY, controller=Controller.CODEDEPLOY)
    assert expected_minutes(CATALOGUE, [gateway], CANARIES) == 25  # 7.5, 12 and 5


@pytest.mark.parametrize("strategies", [BLUE_GREEN, CANARIES])
def test_any_iterable_of_services_will_do_and_their_order_does_not_matter(strategies: dict[str, Strategy]) -> None:
    turned = (it for it in reversed(EVERYTHING))
    assert expected_minutes(CATALOGUE, turned, strategies) == expected_minutes(CATALOGUE, EVERYTHING, strategies)


def test_it_is_more_than_what_must_pass_and_less_than_what_is_given_up() -> None:
    for strategies in (BLUE_GREEN, CANARIES):
        minutes = expected_minutes(CATALOGUE, [EVENTS], strategies)
        assert ROLLOUT.bake_minutes < minutes < ROLLOUT.total_minutes


def test_where_nothing_moves_nothing_takes_time() -> None:
    assert expected_minutes(CATALOGUE, [], {}) == 0


@pytest.mark.parametrize("start_minutes", [float("nan"), float("inf")])
def test_a_duration_that_is_none_is_no_crash(start_minutes: float) -> None:
    """The catalogue's checks tell of it."""
    broken = replace(CATALOGUE, rollout=replace(ROLLOUT, start_minutes=start_minutes))
    assert not expected_minutes(broken, [EVENTS], BLUE_GREEN) < 1e9
