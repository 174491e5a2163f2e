"""How long answers take and how many of them fail, as an image's manifest says."""

import random
from statistics import quantiles

import pytest

from deployments.sandbox.behaviour import (
    BEHAVIOURS,
    CANARIES,
    HEALTHY,
    USUAL,
    Behaviour,
    behaviour_of,
    behaviours_by_environment,
    image_manifest,
)


def p95_and_share_above(behaviour: Behaviour, limit: float) -> tuple[float, float]:
    dice = random.Random(1)  # noqa: S311 - a die
    times = [behaviour.seconds(dice) for _ in range(20_000)]
    return quantiles(times, n=20)[-1], sum(it > limit for it in times) / len(times)


def test_usual_answers_have_a_spread_and_300_ms_as_their_95th_percentile() -> None:
    p95, slow = p95_and_share_above(USUAL, 0.5)
    assert p95 == pytest.approx(0.3, rel=0.03)
    assert slow == pytest.approx(0.006, abs=0.002)


def test_the_slow_canary_is_three_times_as_slow() -> None:
    p95, slow = p95_and_share_above(CANARIES["canary-slow"], 0.5)
    assert p95 == pytest.approx(0.9, rel=0.03)
    assert slow > 0.2


def test_ordinary_answers_all_take_the_same_short_time() -> None:
    assert {HEALTHY.seconds(random.Random(seed)) for seed in range(5)} == {0.02}  # noqa: S311 - a die


def test_a_leak_begins_without_errors_and_ends_with_nothing_else() -> None:
    leak = CANARIES["canary-leak"]
    assert [leak.errors(minutes) for minutes in (0, 0.5, 1, 100)] == [0.0, 0.05, 0.1, 1.0]


@pytest.mark.parametrize("name", CANARIES)
def test_a_bad_canary_is_bad_at_the_entrance_only_and_not_where_it_is_first_deployed(name: str) -> None:
    entrance = behaviours_by_environment(name, "dev")
    assert entrance == {"*": CANARIES[name], "dev": HEALTHY}
    assert behaviours_by_environment(name, "dev", entrance=False) == {"*": HEALTHY}


@pytest.mark.parametrize("name", BEHAVIOURS)
def test_a_manifest_carries_every_behaviour_as_it_is(name: str) -> None:
    behaviours = behaviours_by_environment(name, "dev")
    manifest = image_manifest("batbern/gateway", "3f2a1bc0" * 5, behaviours)
    assert behaviour_of(manifest, "staging") == behaviours["*"]
    assert behaviour_of(manifest, "dev") == behaviours.get("dev", behaviours["*"])
