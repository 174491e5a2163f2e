"""The judge's promise in figures: how often it is wrong by chance alone, and how soon it is right."""

import time

import numpy as np
import pandas as pd

from rules.canary import judge
from rules.canary_bounds import at_most, band, log_gamma, visible
from rules.canary_scores import RATIOS, SIZES, against_limit, against_old, scores, start_weights
from rules.catalogue import JudgePolicy

POLICY = JudgePolicy()
LINE = np.log(4 / POLICY.alpha)


def chance(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def segments(ticks: int, per_segment: int = 6) -> tuple[np.ndarray, np.ndarray]:
    segment_of = np.arange(ticks) // per_segment
    return segment_of, start_weights(np.unique(segment_of))


def test_the_budget_of_starts_is_one_and_never_runs_out() -> None:
    weights = start_weights(np.arange(100_000))
    assert weights[0] == 0.5
    assert (weights > 0).all()
    assert 0.99 < weights.sum() <= 1


def test_segments_without_data_hand_their_weight_on() -> None:
    whole, some = start_weights(np.arange(10)), start_weights(np.array([0, 3, 9]))
    assert np.allclose(some, [whole[0], whole[1:4].sum(), whole[4:].sum()])


def test_exactly_at_the_limit_a_score_passes_its_line_once_in_four_hundred_at_most() -> None:
    """2000 roll-outs of 15 minutes at the null's very edge, without any guard: 5 are allowed on average."""
    random, (segment_of, weights) = chance(1), segments(180)
    n = random.poisson(50, (2000, 180)).astype(float)
    factors = against_limit(random.binomial(n.astype(int), 0.01).astype(float), n, 0.01)
    passed = (scores(factors, segment_of, weights, np.inf) >= LINE).any(axis=1).sum()
    assert passed <= 11  # 1 in 100 of such seeds would exceed this if the promise were just kept


def test_exactly_at_the_tolerated_ratio_a_comparison_passes_its_line_once_in_four_hundred_at_most() -> None:
    """Also when the rate of both versions wanders."""
    random, (segment_of, weights) = chance(2), segments(120)
    rate = 0.004 * random.gamma(1, 1, (3000, 20)).repeat(6, axis=1)
    n = [random.poisson(mean, (3000, 120)) for mean in (50, 450)]
    bad = [
        random.binomial(it, np.minimum(rate * ratio, 1)).astype(float) for it, ratio in zip(n, (1.5, 1), strict=True)
    ]
    floats = (n[0].astype(float), n[1].astype(float))
    factors = against_old((bad[0], bad[1]), floats, 1.5, np.ones_like(floats[0]))
    passed = (scores(factors, segment_of, weights, np.inf) >= LINE).any(axis=1).sum()
    assert passed <= 15


def test_each_factor_is_fair_at_the_edge_and_less_below_it() -> None:
    """The expected factor of a tick, exactly, over all outcomes: 1 at the limit, below 1 under it."""
    n, k = 12, np.arange(13.0)
    odds = np.exp(against_limit(k[None], np.full((1, 13), float(n)), 0.05))[0]
    for rate, most in ((0.05, 1.0), (0.01, 1.0)):
        pmf = (
            np.exp(log_gamma(np.array([n + 1.0])) - log_gamma(k + 1) - log_gamma(n - k + 1))
            * rate**k
            * (1 - rate) ** (n - k)
        )
        assert (pmf @ odds <= most + 1e-9).all()


def test_a_cap_only_lowers_a_score() -> None:
    random, (segment_of, weights) = chance(3), segments(60)
    n = np.full((50, 60), 50.0)
    factors = against_limit(random.binomial(50, 0.05, (50, 60)).astype(float), n, 0.01)
    free = scores(factors, segment_of, weights, np.inf)
    capped = scores(factors, segment_of, weights, 4.4)
    assert (capped <= free + 1e-9).all()
    assert (capped[:, :6] < LINE).all()


def test_two_segments_that_agree_pass_the_line() -> None:
    """Which is why a segment may say as much as it may."""
    for kinds in (SIZES, RATIOS):
        assert 2 * POLICY.segment_nats >= LINE + np.log(2) + np.log(len(kinds))


def rollouts(runs: int, error_rate: float, seed: int, *, burst: bool = False) -> pd.DataFrame:
    """Ten minutes of history and five at 10 % of 100 requests a second."""
    random, tables = chance(seed), []
    for arm, per_tick, rate in (("old", 450, 0.002), ("new", 50, error_rate)):
        t = np.arange(-600 if arm == "old" else 0, 300, 5.0)
        n = random.poisson(per_tick, (runs, len(t)))
        blocks = random.gamma(1, 1, (runs, len(t) // 6)).repeat(6, axis=1) if burst else np.ones(n.shape)
        slow_ref = random.binomial(n, 0.05)
        counted = {"n": n, "errors": random.binomial(n, rate * blocks), "slow": slow_ref // 6, "slow_ref": slow_ref}
        keys = {"service": np.repeat([f"run-{it:04}" for it in range(runs)], len(t)), "arm": arm, "t": np.tile(t, runs)}
        tables.append(pd.DataFrame(keys | {name: it.ravel() for name, it in counted.items()}))
    return pd.concat(tables, ignore_index=True)


def rolled_back(verdicts: pd.DataFrame) -> pd.Series:
    return verdicts[verdicts["verdict"] == "roll_back"].groupby("service")["at_s"].min()


def test_healthy_versions_stay_whether_their_errors_come_evenly_or_in_bursts() -> None:
    for burst in (False, True):
        assert len(rolled_back(judge(rollouts(300, 0.002, seed=4, burst=burst), POLICY))) <= 3


def test_five_percent_of_errors_are_always_found_within_half_a_minute_on_average() -> None:
    found = rolled_back(judge(rollouts(100, 0.052, seed=5), POLICY))
    assert len(found) == 100
    assert found.mean() <= 30
    assert found.median() <= 40


def test_a_hundred_services_are_judged_in_a_blink() -> None:
    counts = rollouts(100, 0.002, seed=6)
    began = time.perf_counter()
    judge(counts, POLICY)
    assert time.perf_counter() - began < 1  # 0.06 s on an idle machine; this one is shared


def test_the_gamma_function_is_exact() -> None:
    values = np.array([1.0, 2.0, 5.0, 0.5, 171.0])
    known = [0.0, 0.0, np.log(24), np.log(np.pi) / 2, 706.5730622457874]
    assert np.allclose(log_gamma(values), known, rtol=1e-11, atol=1e-11)


def test_a_binomial_tail_is_exact() -> None:
    """Against the sum of its terms; 300 requests: one failure refutes 2 %, two do not."""
    n = 300
    terms = np.cumsum([np.exp(_log_choose(n, k)) * 0.02**k * 0.98 ** (n - k) for k in range(10)])
    assert np.allclose(at_most(np.arange(10.0), np.full(10, 300.0), 0.02), terms, rtol=1e-9)
    assert terms[1] < 0.05 < terms[2]
    assert at_most(np.array([7.0, 0.0]), np.array([7.0, 0.0]), 0.02).tolist() == [1, 1]


def _log_choose(n: int, k: int) -> float:
    return float(np.diff(log_gamma(np.array([k + 1.0, n + 1.0])))[0] - log_gamma(np.array([n - k + 1.0]))[0])


def test_the_band_holds_at_all_times_at_once() -> None:
    """1000 roll-outs, looked at after each of 60 ticks: at most 5 % of them ever leave their band."""
    random = chance(7)
    bad = random.binomial(50, 0.02, (1000, 60)).cumsum(axis=1).astype(float)
    low, high = band(bad, np.full((1000, 60), 50.0).cumsum(axis=1))
    assert ((low > 0.02) | (high < 0.02)).any(axis=1).mean() <= 0.05


def test_the_band_of_nothing_is_everything() -> None:
    low, high = band(np.array([0.0, 0.0, 5.0]), np.array([0.0, 5.0, 5.0]))
    assert (low[0], high[0], low[1], high[2]) == (0, 1, 0, 1)


def test_more_requests_see_smaller_regressions() -> None:
    seen = visible(np.array([0.0, 1.0, 30.0, 300.0, 30_000.0]), 0.01, LINE)
    assert np.isnan(seen[:2]).all()
    assert (np.diff(seen[2:]) < 0).all()
    assert (seen[2:] > 0.01).all()
