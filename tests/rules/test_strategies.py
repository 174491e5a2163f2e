"""Which ways of moving traffic can be done; the others are refused with a sentence."""

from dataclasses import replace

import pytest

from rules.catalogue import CanaryPolicy
from rules.strategies import check_pauses, check_strategies
from rules.vocabulary import Controller, Service, Strategy, Verdict

EVENTS = Service("events", "Events", "batbern/events", "app", "/health")
BY_CODEDEPLOY = replace(EVENTS, controller=Controller.CODEDEPLOY, alarms=("errors",))


@pytest.mark.parametrize(
    ("service", "strategy", "steps"),
    [
        (EVENTS, Strategy.BLUE_GREEN, (10, 50)),
        (EVENTS, Strategy.CANARY, (10, 50)),
        (BY_CODEDEPLOY, Strategy.BLUE_GREEN, (10, 50)),
        (BY_CODEDEPLOY, Strategy.CANARY, (10,)),
    ],
)
def test_what_can_be_done_meets_no_objection(service: Service, strategy: Strategy, steps: tuple[int, ...]) -> None:
    assert check_strategies([service], {"events": strategy}, CanaryPolicy(steps=steps)) == ()


@pytest.mark.parametrize(
    ("service", "strategy", "why"),
    [
        (EVENTS, Strategy.ROLLING, "no old version to go back to"),
        (BY_CODEDEPLOY, Strategy.CANARY, "one step before 100 %, and 10, 50 are asked for"),
    ],
)
def test_what_cannot_be_done_is_refused_not_approximated(service: Service, strategy: Strategy, why: str) -> None:
    [finding] = check_strategies([service], {"events": strategy}, CanaryPolicy())
    assert finding.verdict is Verdict.FAILED
    assert why in finding.sentence


@pytest.mark.parametrize(
    ("service", "policy", "why"),
    [
        (replace(BY_CODEDEPLOY, alarms=()), CanaryPolicy(steps=(10,)), "give it alarms"),
        (BY_CODEDEPLOY, CanaryPolicy(steps=(10,), codedeploy_minutes=5), "above window_minutes"),
    ],
)
def test_a_canary_by_codedeploy_needs_what_stops_it(service: Service, policy: CanaryPolicy, why: str) -> None:
    [finding] = check_strategies([service], {"events": Strategy.CANARY}, policy)
    assert why in finding.sentence


def test_somebody_elses_pauses_are_not_ours_to_answer() -> None:
    [finding] = check_pauses({"events": 0, "gateway": 2})
    assert (finding.gate, finding.verdict) == ("pauses/gateway", Verdict.FAILED)
