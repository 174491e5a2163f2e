"""AC1: "Dev → Staging Promotion: Automated promotion after successful dev testing".

The story's tests, and where they are shown here:
    1.1 should_promoteToStaging_when_devTestsPass       a_good_release…, a_second_promotion…
    1.2 should_blockPromotion_when_devTestsFail         the refusals; what only shows in staging is put back
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from promotion_world import TTL, Promotions, Walk

from rules.records import EventKind
from rules.summaries import summarise
from rules.verification import verify
from rules.vocabulary import Verdict

Walking = Callable[[str], Walk]
MILESTONES = [
    EventKind.STARTED,
    EventKind.PLAN,
    EventKind.FINDINGS,
    EventKind.LOCK_TAKEN,
    EventKind.CONFIGURATION_INTENT,
    EventKind.CONFIGURATION_APPLIED,
    EventKind.FLAGS_INTENT,
    EventKind.FLAGS_APPLIED,
    EventKind.ROLLOUT_INTENT,
    EventKind.ROLLOUT_SUCCEEDED,
    EventKind.LOCK_RELEASED,
    EventKind.COMPLETED,
    EventKind.NOTIFIED,
]


def findings_of(promotions: Promotions, state: Any) -> dict[str, Verdict]:
    summary = summarise(promotions.story(state), "promote-to-staging", "batbern", "")
    assert summary is not None
    return {finding.gate: finding.verdict for finding in summary.findings}


def test_a_good_release_arrives_in_staging_with_its_configuration(walk: Walking, promotions: Promotions) -> None:
    good = walk("good")
    assert (good.state.type.value, good.state.name) == ("COMPLETED", "Completed"), good.state.message
    assert good.serving == {good.new}
    assert good.after[TTL] != good.before[TTL]
    assert good.after[TTL] == promotions.parameters("dev")[TTL][0]


def test_the_ledger_tells_what_was_done_in_order_and_is_unbroken(walk: Walking, promotions: Promotions) -> None:
    kinds = dict.fromkeys(record.event.kind for record in walk("good").story)
    assert [kind for kind in kinds if kind in MILESTONES] == MILESTONES
    evidence = promotions.application.ledger.evidence()
    assert verify(evidence.lines, evidence.head).unbroken


def test_people_hear_of_the_end_once_with_a_link_to_the_run(walk: Walking, promotions: Promotions) -> None:
    run = str(walk("good").state.state_details.flow_run_id)
    assert sum(run in str(message) for message in promotions.chat()) == 1


def test_promoting_again_changes_nothing(walk: Walking, promotions: Promotions) -> None:
    if promotions.serving("dev") != promotions.serving("staging"):
        promotions.in_dev("good")
    assert promotions.to_staging().is_completed()
    before = promotions.parameters("staging")
    again = promotions.to_staging()
    assert again.is_completed(), again.message
    assert promotions.parameters("staging") == before


def test_a_dry_run_checks_everything_and_changes_nothing(promotions: Promotions) -> None:
    promotions.in_dev("good")
    before, serving = promotions.parameters("staging"), promotions.serving("staging")
    state = promotions.to_staging(dry_run=True)
    assert state.is_completed()
    assert "Dry run" in str(state.message)
    assert (promotions.parameters("staging"), promotions.serving("staging")) == (before, serving)
    assert EventKind.LOCK_TAKEN not in promotions.kinds(state)


def refused(promotions: Promotions, **parameters: Any) -> Any:
    """Promotes, and sees that it was refused with staging untouched."""
    before = promotions.parameters("staging"), promotions.serving("staging")
    state = promotions.to_staging(**parameters)
    assert (state.type.value, state.name) == ("FAILED", "Refused"), state.message
    assert (promotions.parameters("staging"), promotions.serving("staging")) == before
    assert EventKind.REFUSED in promotions.kinds(state)
    return state


def test_a_release_of_half_an_hour_ago_is_refused_for_every_service(promotions: Promotions) -> None:
    promotions.in_dev("good", age_minutes=30)
    found = findings_of(promotions, refused(promotions))
    assert sum(gate.startswith("stability/") and verdict is Verdict.FAILED for gate, verdict in found.items()) == 6


def test_an_unhealthy_dev_is_refused(promotions: Promotions) -> None:
    promotions.in_dev("unhealthy")
    assert findings_of(promotions, refused(promotions))["health"] is Verdict.FAILED
    promotions.in_dev("good")


def test_another_version_than_the_one_that_runs_is_refused(promotions: Promotions) -> None:
    promotions.in_dev("good")
    assert "does not run fffffff" in str(refused(promotions, version="fffffff").message)


def test_what_is_no_git_sha_is_refused(promotions: Promotions) -> None:
    state = promotions.to_staging(version="latest; rm -rf /")
    assert state.name == "Refused"
    assert "Git SHA" in str(state.message)


def test_a_parameter_without_a_rule_is_refused_by_name(promotions: Promotions) -> None:
    promotions.in_dev("good")
    promotions.room.put_parameter("dev", "payment/merchant", "4711")
    try:
        assert "payment/merchant" in str(refused(promotions).message)
    finally:
        promotions.room.delete_parameter("dev", "payment/merchant")


def test_every_unmet_gate_is_told_at_once(promotions: Promotions) -> None:
    promotions.in_dev("unhealthy", age_minutes=30)
    promotions.room.put_parameter("dev", "payment/merchant", "4711")
    try:
        message = str(refused(promotions).message)
    finally:
        promotions.room.delete_parameter("dev", "payment/merchant")
        promotions.in_dev("good")
    for gate in ("stability/gateway", "health", "payment/merchant"):
        assert gate in message


@pytest.mark.parametrize("behaviour", ["crash", "bad"])
def test_a_release_that_only_fails_in_staging_is_put_back_with_its_configuration(walk: Walking, behaviour: str) -> None:
    failed = walk(behaviour)
    assert (failed.state.type.value, failed.state.name) == ("FAILED", "PutBack"), failed.state.message
    assert failed.serving == {failed.old}
    assert failed.after == failed.before
    assert EventKind.PUT_BACK in {record.event.kind for record in failed.story}


@contextmanager
def somebody_else_changes_it_after_us(promotions: Promotions, key: str, value: str) -> Iterator[None]:
    """Waits in another thread until the running promotion has written its configuration, then writes on top."""
    seen = promotions.application.ledger.head().seq

    def meddle() -> None:
        while not any(
            record.seq > seen and record.event.kind is EventKind.CONFIGURATION_APPLIED
            for record in promotions.application.ledger.records()
        ):
            time.sleep(0.1)
        promotions.room.put_parameter("staging", key, value)

    meddler = threading.Thread(target=meddle, daemon=True)
    meddler.start()
    yield
    meddler.join(timeout=30)


def test_a_put_back_that_gets_stuck_is_said_paged_and_mended_by_the_next_promotion(promotions: Promotions) -> None:
    promotions.in_dev("crash")
    promotions.room.put_parameter("dev", TTL, "61")
    with somebody_else_changes_it_after_us(promotions, TTL, "62"):
        state = promotions.to_staging()
    assert promotions.parameters("staging")[TTL][0] == "62", "somebody else's value was overwritten"
    assert (state.name, "STILL CHANGED" in str(state.message)) == ("PutBackFailed", True), state.message
    assert any("batbern" in str(incident) for incident in promotions.room.state()["vendors"]["pager"]["incidents"])
    promotions.in_dev("good")
    mended = promotions.to_staging()
    assert mended.is_completed(), mended.message
