"""What the benchmark stands on: laws as they are said to be, and rules of others as they are documented."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.benchmarks.canary.latencies import SIGMA, Z95, below, percentiles
from tests.benchmarks.canary.mann_whitney import KayentaPolicy, high, rejects, shift
from tests.benchmarks.canary.measuring import bound, found
from tests.benchmarks.canary.peers import NEVER, Polled, argo, cloudwatch, flagger, polling
from tests.benchmarks.canary.scenarios import SCENARIOS, Course, Kind, named
from tests.benchmarks.canary.simulation import Samples, samples, simulate
from tests.benchmarks.canary.tuning import qualifying, score


def chance(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_there_are_23_scenarios_of_which_nine_are_healthy() -> None:
    assert len(SCENARIOS) == 23
    assert len({it.name for it in SCENARIOS}) == 23
    assert sum(it.kind is Kind.HEALTHY for it in SCENARIOS) == 9


def test_a_course_goes_from_before_to_after_in_a_straight_line() -> None:
    t = np.array([0.0, 120, 510, 900, 1000])
    assert np.allclose(Course(0.0, 0.1, 120, 900).at(t), [0, 0, 0.05, 0.1, 0.1])
    assert np.allclose(Course(1.0, 2.0, 120, 120).at(np.array([119.0, 120.1])), [1, 2])


def test_percentiles_have_the_law_of_those_of_real_requests() -> None:
    """300 requests with a p95 of 400 ms: ours beside sorted latencies, by five quantiles."""
    random, n = chance(), np.full((20_000, 1), 300)
    slow = random.binomial(n, 1 - below(500, np.array([400.0]))[0])
    ours = percentiles(random, n, slow, 500, np.array([[400.0]]))
    latencies = np.exp(random.normal(np.log(400) - Z95 * SIGMA, SIGMA, (20_000, 300)))
    real = np.sort(latencies, axis=1)[:, 284]
    at = [2, 25, 50, 75, 98]
    assert np.allclose(np.percentile(ours, at), np.percentile(real, at), rtol=0.01)


def test_a_percentile_agrees_with_how_many_requests_were_slow() -> None:
    random, n = chance(), np.full((500, 1), 100)
    slow = random.integers(0, 12, (500, 1))
    ours = percentiles(random, n, slow, 500, np.array([[400.0]]))
    assert ((ours > 500) == (slow > 5)).all()


def test_counts_have_the_rates_of_their_scenario() -> None:
    runs = simulate(named("E+5%"), 100, 50, chance())
    n = runs.new.n.sum()
    assert runs.new.errors.sum() / n == pytest.approx(0.052, rel=0.02)
    assert runs.new.slow.sum() / n == pytest.approx(1 - below(500, np.array([300.0]))[0], rel=0.1)
    assert runs.old.slow_ref.sum() / runs.old.n.sum() == pytest.approx(0.05, rel=0.05)
    assert runs.new.n[:, :60].sum() / 50 == pytest.approx(3000, rel=0.02)
    assert (runs.old.n[:, 120:] == 0).all()


def test_a_lost_sample_is_lost_for_those_who_look_and_not_for_visitors() -> None:
    runs = simulate(named("E+5%_missing50"), 100, 50, chance())
    seen = samples(runs.new, 30, runs.tick, chance())
    assert 0.4 < (seen.n == 0).mean() < 0.6
    assert (runs.new.n > 0).mean() > 0.99


def polled(errors: list[float], p95: list[float] | None = None) -> Polled:
    """One run of which the polls see these error rates, of 100 requests each; None is no data."""
    rates = np.array([errors])
    n = np.where(np.isnan(rates), 0, 100)
    latencies = np.array([p95]) if p95 else np.full(rates.shape, 300.0)
    seen = Samples(n, np.nan_to_num(rates * 100).astype(np.int64), np.zeros_like(n), latencies)
    return Polled(seen, seen, seen, seen)


GOOD, BAD, NONE = 0.0, 0.05, float("nan")


@pytest.mark.parametrize(
    ("rule", "errors", "at"),
    [
        (polling, [GOOD, GOOD, BAD, GOOD], 90),
        (polling, [GOOD, NONE, 0.01], NEVER),
        (argo, [BAD, BAD, BAD, GOOD], NEVER),
        (argo, [BAD, GOOD, BAD, NONE, BAD, BAD], 180),
        (flagger, [BAD, BAD, NONE, GOOD, BAD, BAD], 180),
        (flagger, [BAD, BAD, NONE, BAD], NEVER),
        (cloudwatch, [BAD, GOOD, BAD, GOOD], 180),
        (cloudwatch, [BAD, GOOD, GOOD, BAD], NEVER),
        (cloudwatch, [GOOD, BAD, NONE, NONE], NEVER),
    ],
)
def test_a_rule_rolls_back_when_its_documentation_says(rule: object, errors: list[float], at: float) -> None:
    assert callable(rule)
    assert rule(polled(errors)) == [at]


def test_argo_counts_the_failures_of_each_metric_by_itself() -> None:
    slow_later = [300.0] * 2 + [600.0] * 3
    assert argo(polled([BAD, BAD, GOOD, GOOD, GOOD], slow_later)) == [NEVER]
    assert flagger(polled([BAD, BAD, GOOD, GOOD, GOOD], slow_later)) == [150]


def test_the_shift_is_the_median_of_all_differences() -> None:
    random = chance()
    mine, theirs = random.normal(5, 1, (3, 7)), random.normal(2, 1, (3, 8))
    for run, estimate in enumerate(shift(mine, theirs, 2.33)[1]):
        differences = [a - b for a, b in itertools.product(mine[run], theirs[run])]
        assert estimate == pytest.approx(np.median(differences))


def test_the_interval_covers_the_true_shift_as_often_as_it_says() -> None:
    """One side of a 90 % interval: 5 % above the truth."""
    random = chance()
    low, _ = shift(random.normal(3, 1, (20_000, 10)), random.normal(0, 1, (20_000, 10)), 1.645)
    assert 0.03 < (low > 3).mean() < 0.06


def test_missing_samples_are_removed() -> None:
    mine, theirs = np.array([[5.0, 6, 7, np.nan]]), np.array([[1.0, 2, 3, np.nan]])
    whole = shift(mine[:, :3], theirs[:, :3], 1.0)
    assert np.allclose(shift(mine, theirs, 1.0), whole)


def test_kayenta_wants_a_shift_that_is_significant_and_considerable() -> None:
    base = np.linspace(290, 310, 10)[None]
    assert not high(base, base, KayentaPolicy()).any()
    assert high(base + 100, base, KayentaPolicy()).all()
    assert not high(base + 100, base, KayentaPolicy(allowed_increase=1.5)).any()


def test_kayenta_fails_a_canary_without_percentiles() -> None:
    rates, nothing = np.zeros((1, 10)), np.full((1, 10), np.nan)
    p95 = np.full((1, 10), 300.0)
    assert rejects((rates, nothing), (rates, p95), KayentaPolicy()).all()
    assert not rejects((rates, p95), (rates, p95), KayentaPolicy()).any()


def test_a_bound_is_exact() -> None:
    """The rule of three, and a value from tables."""
    assert bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300), abs=1e-6)
    assert bound(2, 10) == pytest.approx(0.50690, abs=1e-4)
    assert bound(10, 10) == pytest.approx(1, abs=1e-6)


def test_what_was_rolled_back_before_it_was_bad_is_not_found() -> None:
    runs = simulate(named("late_E+5%"), 10, 3, chance())
    it = found(np.array([30.0, 260.0, np.inf]), runs)
    assert (it.early, it.rolled_back, it.missed) == (1, 2, 0.5)
    assert it.delay == np.median([60, 700])


def test_a_setting_qualifies_by_the_first_half_and_is_scored_by_the_second() -> None:
    wrong_late = np.array([np.inf] * 5 + [30.0] * 5)
    assert qualifying([{"a": wrong_late, "b": wrong_late[::-1]}]) == ["a"]
    assert score(wrong_late, 0) == (1.0, 30.0)


def test_the_same_seed_gives_the_same_rollouts() -> None:
    one, two = (simulate(named("overdisp"), 10, 5, chance(4)) for _ in range(2))
    assert (one.new.errors == two.new.errors).all()
    assert replace(one.scenario) == two.scenario
