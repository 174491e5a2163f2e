"""What the ledger and the ticket must say when a story is over: a story that cannot fail tells nothing.

Each proof answers with a sentence about what is not so, or with nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deployments.sandbox.story import Proof, Seen
from rules.records import Event, EventKind

FAILING = ("failed", "inconclusive")


def all_of(*proofs: Proof) -> Proof:
    def proof(seen: Seen) -> str:
        return " ".join(filter(None, (one(seen) for one in proofs)))

    return proof


def approved_by(*people: str) -> Proof:
    """These people, in this order and nobody else, approved the plan that was carried out."""

    def proof(seen: Seen) -> str:
        done = events(seen, EventKind.APPROVED)
        carried_out = done[-1].plan_hash if done else ""
        given = [it.details["person"] for it in answers(seen, "approve") if it.plan_hash == carried_out]
        by = ", ".join(given) or "nobody"
        return "" if given == [*people] else f"The plan was approved by {by}, not by {', '.join(people)}."

    return proof


def rejected_by(person: str, why: str) -> Proof:
    """Somebody said no, and the ledger has the reason."""

    def proof(seen: Seen) -> str:
        said = [(it.details["person"], it.details["comment"]) for it in answers(seen, "reject")]
        return "" if said == [(person, why)] else f"The ledger does not say that {person} rejected it, and why."

    return proof


def nobody_asked(seen: Seen) -> str:
    return "Approvers were asked." if events(seen, EventKind.APPROVAL_ASKED) else ""


def nothing_begun(seen: Seen) -> str:
    """Neither the lock of the target was taken nor a snapshot made."""
    begun = events(seen, EventKind.LOCK_TAKEN, EventKind.SNAPSHOT_INTENT, EventKind.ROLLOUT_INTENT)
    return f"It was begun: {begun[0].sentence}" if begun else ""


def ticket_is(status: str) -> Proof:
    def proof(seen: Seen) -> str:
        now = seen.ticket.get("status", "not there")
        return "" if now == status else f"The change ticket is {now}, not {status}."

    return proof


def ticket_was_not(status: str) -> Proof:
    """When the run had just ended."""

    def proof(seen: Seen) -> str:
        was = seen.ticket_at_the_end.get("status", "not there")
        return f"The change ticket was {was} already when the run ended." if was == status else ""

    return proof


def ticket_links_the_run(seen: Seen) -> str:
    return "" if seen.ticket.get("links") else "The change ticket does not link to the run."


def snapshot_before_traffic(seen: Seen) -> str:
    order = [it.kind for it in events(seen, EventKind.SNAPSHOT_TAKEN, EventKind.ROLLOUT_STARTED)]
    return (
        "" if order[:1] == [EventKind.SNAPSHOT_TAKEN] else "No snapshot of the database was taken before traffic moved."
    )


def refused_by(*gates: str) -> Proof:
    """Only these gates are unmet; of `stability/gateway` the first word is enough."""

    def proof(seen: Seen) -> str:
        unmet = {str(it["gate"]).partition("/")[0] for it in findings(seen) if stands_in_the_way(it)}
        return "" if unmet == {*gates} else f"Unmet is {', '.join(sorted(unmet)) or 'no gate'}, not {', '.join(gates)}."

    return proof


def names_when(gate: str) -> Proof:
    """The refusal says when the gate will be met."""

    def proof(seen: Seen) -> str:
        when = next(
            (it.get("could_be_met") for it in findings(seen) if it["gate"] == gate and stands_in_the_way(it)), ""
        )
        return "" if when and ":" in when else f"Nobody is told when {gate} could be met: {when!r}."

    return proof


def waived(gate: str) -> Proof:
    def proof(seen: Seen) -> str:
        found = [it for it in findings(seen) if it["gate"] == gate and it["waived"]]
        return "" if found else f"The ledger does not say that {gate} was left out."

    return proof


def says(*words: str) -> Proof:
    """All of these stand in the message of the run's last state."""

    def proof(seen: Seen) -> str:
        missing = [word for word in words if word not in seen.message]
        return f"The run's message lacks {', '.join(missing)}." if missing else ""

    return proof


def void(person: str) -> Proof:
    """The plan changed, and what this person had approved is void."""

    def proof(seen: Seen) -> str:
        voided = events(seen, EventKind.APPROVALS_VOID)
        return "" if any(person in it.details["people"] for it in voided) else f"No approval of {person} became void."

    return proof


def not_admitted(person: str, reason: str) -> Proof:
    def proof(seen: Seen) -> str:
        told = {(it.details["person"], it.details["reason"]) for it in events(seen, EventKind.APPROVAL_NOT_ADMITTED)}
        return "" if (person, reason) in told else f"No answer of {person} was turned down as {reason!r}."

    return proof


def evidence_was_bad(environment: str) -> Proof:
    """The gates ran in the source first, and what they found there was recorded as bad."""

    def proof(seen: Seen) -> str:
        looks = [it for it in events(seen, EventKind.VALIDATED) if it.environment == environment]
        bad = any(finding["verdict"] in FAILING and not finding["waived"] for finding in _findings_of(looks))
        return "" if bad else f"No bad evidence from {environment} was recorded."

    return proof


def found_wanting(environment: str, gates: Sequence[str], words: str = "") -> Proof:
    """Validating the release there found these gates unmet and no other; the first says so in these words."""

    def proof(seen: Seen) -> str:
        looks = [it for it in events(seen, EventKind.VALIDATED) if it.environment == environment]
        against = [it for it in _findings_of(looks[-1:]) if stands_in_the_way(it)]
        unmet = {str(it["gate"]).partition("/")[0] for it in against}
        if unmet != {*gates}:
            return f"Unmet in {environment} is {', '.join(sorted(unmet)) or 'no gate'}, not {', '.join(gates)}."
        told = [str(it["sentence"]) for it in against if str(it["gate"]).startswith(gates[0])]
        return "" if any(words in sentence for sentence in told) else f"It does not say {words!r}: {' '.join(told)}"

    return proof


def told_waiver(gate: str, *words: str) -> Proof:
    """The table of findings names the waiver: the gate, who, why."""

    def proof(seen: Seen) -> str:
        told = [str(it["sentence"]) for it in findings(seen) if it["gate"] == "waivers"]
        missing = [word for word in (gate, *words) if not any(word in sentence for sentence in told)]
        return f"No finding tells of the waiver: {', '.join(missing)}." if missing else ""

    return proof


def took_the_place_of_one(seen: Seen) -> str:
    return "" if events(seen, EventKind.SUPERSEDES) else "The ledger does not say whose place it took."


def events(seen: Seen, *kinds: EventKind) -> list[Event]:
    return [record.event for record in seen.records if record.event.kind in kinds]


def answers(seen: Seen, decision: str) -> list[Event]:
    return [it for it in events(seen, EventKind.APPROVAL_GIVEN) if it.details["decision"] == decision]


def findings(seen: Seen) -> Sequence[Mapping[str, Any]]:
    """Of the gates, as they were judged last before anything was begun."""
    return list(_findings_of(events(seen, EventKind.FINDINGS)[:1]))


def stands_in_the_way(finding: Mapping[str, Any]) -> bool:
    return finding["verdict"] in FAILING and not finding["waived"]


def _findings_of(told: Sequence[Event]) -> Iterator[Mapping[str, Any]]:
    for event in told:
        yield from event.details["findings"]
