from dataclasses import replace
from datetime import UTC, datetime

from rules.arrival import check_arrival, check_target
from rules.releases import ServiceState
from rules.vocabulary import Verdict, worst

NEW, OLD = "sha256:" + "1" * 64, "sha256:" + "0" * 64
SERVING = ServiceState("events", "Events-x1", "td:7", 2, 2, datetime(2026, 11, 22, tzinfo=UTC), frozenset({NEW}))


def arrival(state: ServiceState | None) -> Verdict:
    [finding] = check_arrival({"events": state} if state else {}, {"events": NEW}, "staging")
    return finding.verdict


def target(state: ServiceState | None) -> Verdict:
    [finding] = check_target({"events": state} if state else {}, {"events": NEW}, "staging")
    return finding.verdict


def test_the_release_has_arrived_when_exactly_its_digest_serves() -> None:
    assert arrival(SERVING) is Verdict.PASSED


def test_stable_on_the_old_image_is_not_arrival() -> None:
    assert arrival(replace(SERVING, digests=frozenset({OLD}))) is Verdict.FAILED


def test_old_and_new_side_by_side_is_not_arrival() -> None:
    assert arrival(replace(SERVING, digests=frozenset({OLD, NEW}))) is Verdict.FAILED


def test_nothing_serving_and_a_missing_service_are_not_arrival() -> None:
    assert arrival(replace(SERVING, digests=frozenset())) is Verdict.FAILED
    assert arrival(None) is Verdict.FAILED


def test_a_service_short_of_tasks_is_inconclusive() -> None:
    assert arrival(replace(SERVING, running=1)) is Verdict.INCONCLUSIVE


def test_no_services_prove_nothing() -> None:
    assert worst(finding.verdict for finding in check_arrival({}, {}, "staging")) is Verdict.INCONCLUSIVE


def test_a_quiet_target_is_ready() -> None:
    assert target(SERVING) is Verdict.PASSED


def test_a_service_scaled_to_nothing_is_not_ready() -> None:
    assert target(replace(SERVING, desired=0, running=0, digests=frozenset())) is Verdict.FAILED


def test_two_images_at_once_are_no_state_to_go_back_to() -> None:
    assert target(replace(SERVING, digests=frozenset({OLD, NEW}))) is Verdict.FAILED


def test_somebody_elses_deployment_is_in_the_way() -> None:
    assert target(replace(SERVING, deploying=True, deploying_to=f"registry/events@{OLD}")) is Verdict.FAILED
    assert target(replace(SERVING, deploying=True, deploying_to="registry/events:latest")) is Verdict.FAILED


def test_our_own_deployment_left_by_a_dead_run_is_taken_over() -> None:
    assert target(replace(SERVING, deploying=True, deploying_to=f"registry/events@{NEW}")) is Verdict.PASSED


def test_a_service_that_does_not_exist_yet_is_named() -> None:
    assert target(None) is Verdict.FAILED
