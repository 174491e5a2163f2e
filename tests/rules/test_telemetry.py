"""From points to counts: what is late, missing, repeated or out of order changes nothing for the worse."""

import random
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.catalogue import CanaryPolicy, MetricSource, MetricsPolicy
from rules.telemetry import COLUMNS, POINT_COLUMNS, Source, no_counts, tidy
from rules.telemetry_checks import Fault, faults, source_of
from rules.telemetry_counters import increases
from rules.telemetry_gates import Seen, check_seen, check_window
from rules.vocabulary import Verdict

START = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
SOURCE = Source("the load balancer's metrics", 60, 60, untimed_fail=True)
OWN = Source("the application's metrics", 5, 10)
LATER = START + timedelta(hours=2)

Point = tuple[str, str, float, float]


@dataclass(frozen=True)
class Tick:
    """What truly happened to one version in one tick."""

    arm: str
    at: float
    n: int
    errors: int
    slow: int
    slow_ref: int

    @property
    def points(self) -> list[Point]:
        told = {
            "requests": self.n,
            "timed": self.n,
            "errors": self.errors,
            "slow": self.slow,
            "slow_ref": self.slow_ref,
        }
        return [(self.arm, name, START.timestamp() + self.at, float(value)) for name, value in told.items() if value]

    @property
    def row(self) -> tuple[Any, ...]:
        return ("events", self.arm, self.at, self.n, self.errors, self.slow, self.slow_ref)


def counts(points: list[Point], source: Source = SOURCE, until: datetime = LATER) -> list[tuple[Any, ...]]:
    found = tidy(pd.DataFrame(points, columns=list(POINT_COLUMNS)), "events", source, START, until)
    assert list(found.columns) == list(COLUMNS)
    assert dict(found.dtypes) == dict(no_counts().dtypes)
    return list(found.itertuples(index=False, name=None))


@st.composite
def traffic(draw: st.DrawFn) -> list[Tick]:
    """Some minutes of both versions, the old one's history included."""
    places = draw(st.sets(st.sampled_from([("old", at) for at in range(-5, 10)] + [("new", at) for at in range(10)])))
    ticks = []
    for arm, minute in sorted(places):
        n = draw(st.integers(1, 1000))
        bad = draw(st.tuples(*[st.integers(0, n)] * 3))
        ticks.append(Tick(arm, minute * 60.0, n, *bad))
    return ticks


@given(traffic(), st.randoms(use_true_random=False))
def test_order_and_repetition_change_nothing(ticks: list[Tick], chance: random.Random) -> None:
    points = [point for tick in ticks for point in tick.points]
    repeated = points + [point for point in points if chance.random() < 0.3]
    chance.shuffle(repeated)
    # A point that was read before its tick was full came with a smaller number.
    early = [(arm, name, at, value // 2) for arm, name, at, value in points if chance.random() < 0.3]
    expected = sorted((tick.row for tick in ticks), key=lambda row: (row[1], row[2]))
    assert counts(early + repeated) == expected


@given(traffic(), st.data())
def test_late_points_make_no_version_look_worse_nor_its_ticks_larger(ticks: list[Tick], data: st.DataObject) -> None:
    points = [point for tick in ticks for point in tick.points]
    here = [point for point in points if data.draw(st.booleans())]
    truth = {(tick.arm, tick.at): tick for tick in ticks}
    long_before_any_tick_is_settled = START - timedelta(hours=1)
    for _, arm, t, n, errors, slow, slow_ref in counts(here, until=long_before_any_tick_is_settled):
        whole = truth[arm, t]
        assert n <= whole.n
        assert errors <= whole.errors
        assert slow <= whole.slow
        assert slow_ref <= whole.slow_ref


@given(traffic(), traffic())
def test_two_versions_do_not_mix(one: list[Tick], other: list[Tick]) -> None:
    olds, news = [it for it in one if it.arm == "old"], [it for it in other if it.arm == "new"]
    together = counts([point for tick in olds + news for point in tick.points])
    apart = [counts([point for tick in arm for point in tick.points]) for arm in (news, olds)]
    assert together == apart[0] + apart[1]


def at(arm: str, seconds: float, **told: float) -> list[Point]:
    return [(arm, name, START.timestamp() + seconds, value) for name, value in told.items()]


def test_no_points_are_no_counts() -> None:
    assert counts([]) == []


def test_a_tick_whose_times_are_late_is_left_out_until_it_is_settled() -> None:
    hanging = at("new", 0, requests=50)
    assert counts(hanging, until=START + timedelta(seconds=119)) == []
    assert counts(hanging, until=START + timedelta(seconds=120)) == [("events", "new", 0.0, 50, 50, 0, 0)]


def test_requests_without_an_answer_have_failed_besides_those_that_answered_with_an_error() -> None:
    assert counts(at("new", 0, requests=100, timed=80, errors=5)) == [("events", "new", 0.0, 100, 25, 0, 0)]


def test_requests_in_flight_are_not_errors_while_the_tick_is_open() -> None:
    points = at("new", 0, requests=100, timed=97, errors=1)
    assert counts(points, until=START + timedelta(seconds=60)) == [("events", "new", 0.0, 98, 1, 0, 0)]


def test_own_metrics_without_times_are_silence_and_not_speed() -> None:
    assert counts(at("new", 0, requests=100), OWN) == []
    assert counts(at("new", 0, requests=100, timed=60, errors=3), OWN) == []


def test_requests_that_fail_need_no_time() -> None:
    assert counts(at("new", 0, requests=100, errors=100), OWN) == [("events", "new", 0.0, 100, 100, 0, 0)]


def test_a_request_count_that_is_late_is_made_up_by_the_times() -> None:
    assert counts(at("new", 0, timed=40, errors=2)) == [("events", "new", 0.0, 40, 2, 0, 0)]


def test_a_trimmed_count_with_a_fraction_is_rounded_and_never_more_than_all() -> None:
    assert counts(at("new", 0, requests=10, timed=10, slow=9.6, slow_ref=10.7)) == [
        ("events", "new", 0.0, 10, 0, 10, 10)
    ]


def test_nonsense_values_are_no_points() -> None:
    nonsense = at("new", 0, requests=float("nan"), timed=-5) + at("new", 60, errors=float("inf"))
    assert counts(nonsense) == []


def test_the_tick_of_the_start_belongs_to_the_canary_for_both_versions() -> None:
    points = at("new", -20, requests=5, timed=5) + at("old", -20, requests=50, timed=50)
    earlier = at("new", -80, requests=1, timed=1) + at("old", -80, requests=60, timed=60)
    assert [row[1:4] for row in counts(points + earlier)] == [("new", 0.0, 5), ("old", -80.0, 60), ("old", 0.0, 50)]


@pytest.mark.parametrize(
    ("now", "until"), [(0, -60), (59, -60), (60, 0), (179, 60), (180, 120)], ids=lambda seconds: f"{seconds} s"
)
def test_a_source_knows_how_far_its_numbers_are_complete(now: float, until: float) -> None:
    assert SOURCE.until(START, START + timedelta(seconds=now)) == until


def test_a_start_within_a_tick_is_counted_from_the_start() -> None:
    started = START + timedelta(seconds=20)
    assert SOURCE.until(started, START + timedelta(seconds=180)) == 100


def test_a_source_says_how_fine_and_how_late_it_is() -> None:
    assert SOURCE.words == "the load balancer's metrics, one number every 60 s, complete 60 s later"


# ------------------------------------------------------------------------------------------------ counters


@given(
    st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=10), min_size=1, max_size=4),
    st.lists(st.booleans(), min_size=10, max_size=10),
    st.integers(0, 10_000),
)
def test_what_processes_count_is_found_again(processes: list[list[int]], dies: list[bool], before: int) -> None:
    truth = [sum(process[at] for process in processes if at < len(process)) for at in range(10)]
    found = increases([_readings(process, dies, before) for process in processes], 0.0, 15.0)
    assert [round(found.get(at * 15.0, 0)) for at in range(10)] == truth


def _readings(counted: list[int], dies: list[bool], before: int) -> list[tuple[float, float]]:
    """A process that was there before, and may be started anew just after a reading."""
    shown, readings = float(before), [(0.0, float(before))]
    for at, (more, anew) in enumerate(zip(counted, dies, strict=False), start=1):
        # One that shows as much as before cannot be told from one that counted on: it is that of no more requests.
        shown = more if anew and more < shown else shown + more
        readings.append((at * 15.0, float(shown)))
    return readings


def test_the_first_reading_of_a_new_process_counts_from_zero() -> None:
    assert increases([[(15.0, 3.0), (30.0, 3.0)]], 0.0, 15.0) == {0.0: 3.0, 15.0: 0.0}


# --------------------------------------------------------------------------------------------- before the start

GOOD = Seen("RequestCount", ticks=15, requests=1500, timed=1500)


def test_metrics_that_show_everything_pass() -> None:
    finding = check_seen("events", GOOD, SOURCE)
    assert (finding.gate, finding.verdict) == ("metrics/events", Verdict.PASSED)
    assert finding.measured == "15 ticks, 1500 requests, 1500 timed, 0 errors"


@pytest.mark.parametrize(
    ("seen", "verdict", "words"),
    [
        (Seen("x"), Verdict.INCONCLUSIVE, "no request of events in the last 15 minutes"),
        (replace(GOOD, timed=0), Verdict.INCONCLUSIVE, "none of their times"),
        (replace(GOOD, errors_known=False), Verdict.INCONCLUSIVE, "Publish zeros"),
        (replace(GOOD, timed=1000), Verdict.FAILED, "33% of the requests of events have no time"),
        (replace(GOOD, timed=1490), Verdict.INCONCLUSIVE, "0.7% of the requests of events get no answer"),
        (Seen("", obstacle="No load balancer."), Verdict.FAILED, "No load balancer."),
    ],
)
def test_what_cannot_be_judged_is_no_pass(seen: Seen, verdict: Verdict, words: str) -> None:
    finding = check_seen("events", seen, SOURCE)
    assert finding.verdict is verdict
    assert words in finding.sentence


def test_a_few_untimed_requests_of_an_application_s_own_metrics_are_normal() -> None:
    assert check_seen("events", replace(GOOD, timed=1490), OWN).verdict is Verdict.PASSED


def test_a_window_must_be_long_enough_for_the_source() -> None:
    assert check_window(SOURCE, CanaryPolicy(window_minutes=5)).verdict is Verdict.PASSED
    finding = check_window(SOURCE, CanaryPolicy(window_minutes=3))
    assert (finding.verdict, finding.measured, finding.allowed) == (Verdict.FAILED, "180 s", "240 s or more")
    assert check_window(OWN, CanaryPolicy(window_minutes=1)).verdict is Verdict.PASSED


# ------------------------------------------------------------------------------------------------ catalogue

OWN_POLICY = MetricsPolicy(
    MetricSource.CLOUDWATCH, 5, 10, namespace="BATbern", dimensions={"Version": "{task_definition}"}
)
QUERIES = MetricsPolicy(
    MetricSource.PROMETHEUS,
    requests_query="a{task_definition}",
    errors_query="b{task_definition}",
    slow_query="c{task_definition}{seconds}",
    reference_query="d{task_definition}{minutes}",
    buckets_seconds=(0.25, 0.5, 1),
)


def told(policy: MetricsPolicy, canary: CanaryPolicy = CanaryPolicy(), *, judged: bool = True) -> list[Fault]:  # noqa: B008 - frozen
    return list(faults(policy, canary, 500, judged=judged))


@pytest.mark.parametrize("policy", [MetricsPolicy(), OWN_POLICY, QUERIES])
def test_a_sound_policy_has_no_fault(policy: MetricsPolicy) -> None:
    assert told(policy) == []


@pytest.mark.parametrize(
    ("policy", "key"),
    [
        (MetricsPolicy(resolution_seconds=30), "resolution_seconds"),
        (replace(OWN_POLICY, resolution_seconds=7), "resolution_seconds"),
        (replace(OWN_POLICY, namespace=""), "namespace"),
        (replace(OWN_POLICY, latency=""), "latency"),
        (replace(OWN_POLICY, dimensions={"Service": "{service}"}), "dimensions"),
        (replace(OWN_POLICY, dimensions={"Version": "{task_definition}-{colour}"}), "dimensions"),
        (replace(OWN_POLICY, dimensions={"Version": "{task_definition}", "Broken": "{"}), "dimensions"),
        (replace(QUERIES, slow_query="c{task_definition}"), "slow_query"),
        (replace(QUERIES, errors_query=""), "errors_query"),
        (replace(QUERIES, buckets_seconds=(0.5, 0.25)), "buckets_seconds"),
        (replace(QUERIES, buckets_seconds=(0.3, 1)), "buckets_seconds"),
    ],
)
def test_a_policy_that_could_not_count_is_told_by_its_key(policy: MetricsPolicy, key: str) -> None:
    assert [found for found, _, _ in told(policy)] == [key]


def test_numbers_too_coarse_for_the_window_are_told_where_a_canary_is_judged() -> None:
    assert [key for key, _, _ in told(MetricsPolicy(), CanaryPolicy(window_minutes=2))] == ["resolution_seconds"]
    assert told(MetricsPolicy(), CanaryPolicy(window_minutes=2), judged=False) == []


def test_only_a_load_balancer_knows_that_an_untimed_request_failed() -> None:
    assert source_of(MetricsPolicy()).untimed_fail
    assert not source_of(MetricsPolicy(unanswered_fail=False)).untimed_fail
    assert not source_of(OWN_POLICY).untimed_fail
