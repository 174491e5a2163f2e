from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

from rules.catalogue import StabilityPolicy
from rules.releases import ServiceState
from rules.stability import check_stability
from rules.vocabulary import Service, Verdict, worst

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EVENTS = Service("events", "Events-", "batbern/events", "app", "/health")
SPEAKERS = Service("speakers", "Speakers-", "batbern/speakers", "app", "/health")
STEADY = ServiceState("events", "Events-x1", "events:7", 2, 2, NOW - timedelta(hours=3), frozenset({"sha256:a"}))


def verdict_of(state: ServiceState | None) -> Verdict:
    states = {} if state is None else {"events": state}
    [finding] = check_stability([EVENTS], states, StabilityPolicy(), NOW, "dev")
    return finding.verdict


def test_three_hours_unchanged_are_stable() -> None:
    assert verdict_of(STEADY) is Verdict.PASSED


def test_exactly_two_hours_are_enough_and_a_second_less_is_not() -> None:
    assert verdict_of(replace(STEADY, deployed_at=NOW - timedelta(hours=2))) is Verdict.PASSED
    assert verdict_of(replace(STEADY, deployed_at=NOW - timedelta(hours=2, seconds=-1))) is Verdict.FAILED


def test_the_refusal_says_when_to_try_again() -> None:
    [finding] = check_stability(
        [EVENTS], {"events": replace(STEADY, deployed_at=NOW - timedelta(minutes=30))}, StabilityPolicy(), NOW, "dev"
    )
    assert finding.sentence == "events was deployed to dev 30 minutes ago; try again in 90 minutes."
    assert finding.could_be_met == "from 2026-11-22 13:30 UTC, if nothing changes until then"


def test_at_the_minute_that_the_refusal_names_it_is_stable() -> None:
    deployed = NOW - timedelta(minutes=30, seconds=-0.5)
    [young] = check_stability(
        [EVENTS], {"events": replace(STEADY, deployed_at=deployed)}, StabilityPolicy(), NOW, "dev"
    )
    told = young.could_be_met.removeprefix("from ").partition(" UTC")[0]
    then = datetime.strptime(told, "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
    [old] = check_stability([EVENTS], {"events": replace(STEADY, deployed_at=deployed)}, StabilityPolicy(), then, "dev")
    assert old.verdict is Verdict.PASSED


def test_every_service_counts_not_the_first_one_only() -> None:
    young = replace(STEADY, service="speakers", deployed_at=NOW - timedelta(minutes=5))
    found = check_stability([EVENTS, SPEAKERS], {"events": STEADY, "speakers": young}, StabilityPolicy(), NOW, "dev")
    assert [finding.verdict for finding in found] == [Verdict.PASSED, Verdict.FAILED]


def test_a_missing_service_is_a_failure() -> None:
    assert verdict_of(None) is Verdict.FAILED


def test_a_deployment_in_progress_or_a_missing_task_is_not_stable() -> None:
    assert verdict_of(replace(STEADY, deploying=True)) is Verdict.FAILED
    assert verdict_of(replace(STEADY, running=1)) is Verdict.FAILED


def test_tasks_that_stop_by_themselves_are_not_stable_however_old_the_deployment() -> None:
    assert verdict_of(replace(STEADY, crashed_tasks=1)) is Verdict.FAILED


def test_a_deployment_from_the_future_proves_nothing() -> None:
    future = replace(STEADY, deployed_at=NOW + timedelta(minutes=1))
    [finding] = check_stability([EVENTS], {"events": future}, StabilityPolicy(), NOW, "dev")
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert not finding.could_be_met, "by a clock that is wrong nobody can say when"


def test_the_time_zone_of_the_answer_does_not_matter() -> None:
    berlin = (NOW - timedelta(hours=3)).astimezone(timezone(timedelta(hours=1)))
    assert verdict_of(replace(STEADY, deployed_at=berlin)) is Verdict.PASSED


def test_no_services_are_inconclusive() -> None:
    assert (
        worst(finding.verdict for finding in check_stability([], {}, StabilityPolicy(), NOW, "dev"))
        is Verdict.INCONCLUSIVE
    )
