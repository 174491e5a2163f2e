"""Each proof of a story fails when what it looks for is not there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from deployments.sandbox import proofs
from deployments.sandbox.story import Proof, Seen
from rules.records import Event, EventKind, Record, chain

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)
Told = tuple[EventKind, Mapping[str, Any]]


def seen(*told: Told, ticket: str = "", before: str = "", message: str = "", plan: str = "p") -> Seen:
    records: list[Record] = []
    for kind, details in told:
        event = Event("run-1", str(details.get("plan", plan)), "production", kind, "It happened.", details)
        records.append(chain(records[-1] if records else None, event, NOON))
    return Seen(records, {"status": ticket, "links": ["run"]} if ticket else {}, {"status": before}, message)


def given(person: str, decision: str = "approve", plan: str = "p", comment: str = "") -> Told:
    return EventKind.APPROVAL_GIVEN, {"person": person, "decision": decision, "plan": plan, "comment": comment}


def gate(name: str, verdict: str, waived: str = "", could_be_met: str = "") -> dict[str, str]:
    return {"gate": name, "verdict": verdict, "waived": waived, "could_be_met": could_be_met}


def gates(*found: dict[str, str]) -> Told:
    return EventKind.FINDINGS, {"findings": found}


def looked(*found: dict[str, str]) -> Told:
    return EventKind.VALIDATED, {"findings": found}


APPROVED: Told = (EventKind.APPROVED, {})
ASKED: Told = (EventKind.APPROVAL_ASKED, {})
TAKEN: Told = (EventKind.SNAPSHOT_TAKEN, {})
MOVING: Told = (EventKind.ROLLOUT_STARTED, {})


@pytest.mark.parametrize(
    ("proof", "good", "bad"),
    [
        (proofs.approved_by("a", "b"), seen(given("a"), given("b"), APPROVED), seen(given("a"), APPROVED)),
        (
            proofs.approved_by("a", "b"),
            seen(given("a", plan="old"), given("a"), given("b"), APPROVED),
            seen(given("a", plan="old"), given("b"), APPROVED),
        ),
        (proofs.approved_by("a", "b"), seen(given("a"), given("b"), APPROVED), seen(given("b"), given("a"), APPROVED)),
        (proofs.approved_by("a"), seen(given("a"), APPROVED), seen(given("a", "reject"), APPROVED)),
        (proofs.approved_by("a"), seen(given("a"), APPROVED), seen(given("a"))),
        (proofs.rejected_by("a", "no"), seen(given("a", "reject", comment="no")), seen(given("a", comment="no"))),
        (proofs.nobody_asked, seen(), seen(ASKED)),
        (proofs.nothing_begun, seen(ASKED), seen((EventKind.LOCK_TAKEN, {}))),
        (proofs.ticket_is("Done"), seen(ticket="Done"), seen(ticket="Approved")),
        (proofs.ticket_is("Done"), seen(ticket="Done"), seen()),
        (proofs.ticket_was_not("Done"), seen(before="Implementing"), seen(before="Done")),
        (proofs.ticket_links_the_run, seen(ticket="Done"), seen()),
        (proofs.snapshot_before_traffic, seen(TAKEN, MOVING), seen(MOVING, TAKEN)),
        (proofs.snapshot_before_traffic, seen(TAKEN, MOVING), seen(MOVING)),
        (proofs.refused_by("window"), seen(gates(gate("window", "failed"))), seen(gates(gate("freeze", "failed")))),
        (
            proofs.refused_by("stability"),
            seen(gates(gate("stability/a", "failed"), gate("window", "failed", waived="so"))),
            seen(gates(gate("stability/a", "failed"), gate("window", "inconclusive"))),
        ),
        (
            proofs.names_when("window"),
            seen(gates(gate("window", "failed", could_be_met="Wednesday, 09:00"))),
            seen(gates(gate("window", "failed"))),
        ),
        (
            proofs.waived("window"),
            seen(gates(gate("window", "failed", waived="INC"))),
            seen(gates(gate("window", "passed"))),
        ),
        (proofs.says("in time"), seen(message="Nobody approved in time."), seen(message="No.")),
        (
            proofs.void("a"),
            seen((EventKind.APPROVALS_VOID, {"people": ["a"]})),
            seen((EventKind.APPROVALS_VOID, {"people": []})),
        ),
        (
            proofs.not_admitted("a", "another plan"),
            seen((EventKind.APPROVAL_NOT_ADMITTED, {"person": "a", "reason": "another plan"})),
            seen((EventKind.APPROVAL_NOT_ADMITTED, {"person": "a", "reason": "reused code"})),
        ),
        (
            proofs.evidence_was_bad("production"),
            seen(looked(gate("smoke", "failed"))),
            seen(looked(gate("smoke", "passed"), gate("load", "inconclusive", waived="not yet"))),
        ),
        (proofs.took_the_place_of_one, seen((EventKind.SUPERSEDES, {"run": "r"})), seen()),
    ],
)
def test_a_proof_is_silent_when_it_is_so_and_says_when_it_is_not(proof: Proof, good: Seen, bad: Seen) -> None:
    assert proof(good) == ""
    assert proof(bad).endswith(".")


def test_evidence_of_another_environment_is_none() -> None:
    assert proofs.evidence_was_bad("staging")(seen(looked(gate("smoke", "failed"))))


def test_all_that_is_not_so_is_said() -> None:
    both = proofs.all_of(proofs.ticket_is("Done"), proofs.took_the_place_of_one, proofs.nobody_asked)
    told = both(seen(ticket="Approved"))
    assert "Approved" in told
    assert "whose place" in told
