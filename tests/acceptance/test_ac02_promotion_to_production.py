"""AC2: "Staging → Production Promotion: Manual approval with automated validation".

The story's tests, and where they are shown here:
    2.1 should_requireApproval_when_promotingToProduction            nothing changes until two people have approved
    2.2 should_validateStaging_when_productionPromotionRequested     only what runs, and is well, in staging goes on
"""

from production_world import Production, ProductionWalk

from rules.records import EventKind
from rules.vocabulary import Verdict

WRITES = {
    EventKind.SNAPSHOT_INTENT,
    EventKind.CONFIGURATION_INTENT,
    EventKind.FLAGS_INTENT,
    EventKind.ROLLOUT_INTENT,
    EventKind.LOCK_TAKEN,
}


def test_the_release_serves_in_production_after_two_people_have_approved(production_walk: ProductionWalk) -> None:
    assert production_walk.state.name == "Completed", production_walk.state.message
    assert production_walk.states == ["Suspended", "Suspended", "Completed"]
    assert production_walk.serving == {production_walk.new}


def test_before_the_second_approval_nothing_was_written(production_walk: ProductionWalk) -> None:
    kinds = [record.event.kind for record in production_walk.story]
    before = kinds[: kinds.index(EventKind.APPROVED)]
    assert not WRITES & set(before)
    assert production_walk.serving_while_waiting == {production_walk.old}


def test_the_database_was_snapshotted_before_anything_else_was_written(production_walk: ProductionWalk) -> None:
    kinds = [record.event.kind for record in production_walk.story if record.event.kind in WRITES]
    assert kinds[:2] == [EventKind.LOCK_TAKEN, EventKind.SNAPSHOT_INTENT]
    assert EventKind.SNAPSHOT_TAKEN in [record.event.kind for record in production_walk.story]


def test_the_gateway_went_by_canary_as_the_catalogue_says(production_walk: ProductionWalk) -> None:
    [plan] = [it.event for it in production_walk.story if it.event.kind is EventKind.PLAN][-1:]
    by_canary = [row["name"] for row in plan.details["changes"] if "canary" in row.get("note", "")]
    assert by_canary == ["gateway"]
    assert EventKind.ROLLOUT_OBSERVED in [record.event.kind for record in production_walk.story]


def test_staging_was_validated_first_and_the_record_says_by_what(production_walk: ProductionWalk) -> None:
    validated = [it.event for it in production_walk.records if it.event.kind is EventKind.VALIDATED]
    mine = [event for event in validated if event.details["version"] == production_walk.new]
    assert mine[0].environment == "staging"
    assert {finding["gate"] for finding in mine[0].details["findings"]} >= {"health"}


def test_a_release_that_is_not_well_in_staging_is_refused(production: Production) -> None:
    before = production.serving("production")
    production.in_staging("bad")
    run = production.request()
    assert run.go().name == "Refused"
    gates = {finding["gate"] for finding in run.unmet()}
    assert gates & {"smoke", "smoke soak", "soak"}, gates
    assert production.serving("production") == before


def test_a_version_that_does_not_run_in_staging_is_refused_by_name(production: Production) -> None:
    placed = production.in_staging("good")
    other = "0123456" if not placed.version.startswith("0123456") else "7654321"
    run = production.request(version=other)
    state = run.go()
    assert state.name == "Refused"
    [release] = [finding for finding in run.unmet() if finding["gate"] == "release"]
    assert release["allowed"] == other
    assert release["measured"]


def test_a_dry_run_tells_every_gate_at_once_and_asks_nobody(production: Production) -> None:
    production.in_staging("good", age_minutes=30)
    with production.catalogue_saying({"24:00": "00:00:01"}):
        run = production.request(change_ticket="CHG-103", dry_run=True)
        state = run.go()
    assert state.name == "Refused"
    unmet = {finding["gate"]: finding for finding in run.unmet()}
    assert {"window", "change ticket", "stability/gateway"} <= set(unmet)
    assert unmet["window"]["could_be_met"]
    assert EventKind.APPROVAL_ASKED not in run.kinds()
    assert Verdict(unmet["change ticket"]["verdict"]) is Verdict.FAILED
