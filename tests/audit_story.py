"""The ledger of a release on its way: to staging, then to production with two people's word, while others work."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from rules.evidence import LOOKED_AT
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Finding, Verdict

BEGIN = datetime(2026, 11, 23, 9, tzinfo=UTC)
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
TO_STAGING, TO_PRODUCTION, OTHER = "run-to-staging", "run-to-production", "run-of-others"
FIRST_PLAN, PLAN = "1" * 16, "2" * 16
NASTY = "<script>alert(1)</script> & `code` | **bold** \"quoted\" 'single' \u202eturned"
"""What somebody might write into a comment."""
CHANGES = [
    {"what": "image", "name": "gateway", "now": OLD[:19], "then": NEW[:19], "note": "3f2a1bc, canary"},
    {"what": "parameter: write", "name": "redis/cache-ttl", "now": "60", "then": "90", "note": ""},
    {"what": "parameter: write", "name": "smtp/password", "now": "secret", "then": "differs", "note": ""},
    {"what": "parameter: keep", "name": "database/url", "now": "jdbc:…", "then": "", "note": ""},
    {"what": "flag", "name": "new-programme: on", "now": "off", "then": "on"},
]
SEEN = [Finding(gate, Verdict.PASSED, f"{gate} is fine.") for gate in ("arrival/gateway", *LOOKED_AT)]
NOT_YET = Finding("validation: load", Verdict.INCONCLUSIVE, "Not validated.", waived="not yet")

Telling = tuple[str, str, str, EventKind, str, dict[str, Any]]


def staging() -> Iterator[Telling]:
    run, where = TO_STAGING, "staging"
    yield run, "", where, EventKind.STARTED, "Promotion of batbern started.", {"source": "dev", "requested": ""}
    yield run, "5" * 16, where, EventKind.PLAN, "Plan.", {"version": "3f2a1bc", "digests": {"gateway": NEW}}
    seen = {"version": "3f2a1bc", "digests": {"gateway": NEW}, "findings": [*SEEN, NOT_YET]}
    yield run, "5" * 16, where, EventKind.VALIDATED, "3f2a1bc was validated in staging.", seen
    yield run, "5" * 16, where, EventKind.COMPLETED, "3f2a1bc serves in staging.", {"version": "3f2a1bc"}


def asked() -> Iterator[Telling]:
    run, where = TO_PRODUCTION, "production"
    about = {"source": "staging", "requested": "", "requested_by": "maria.muster", "ticket": "CHG-7"}
    yield run, "", where, EventKind.STARTED, "maria.muster asked for it.", {**about, "strategy": "canary"}
    plan = {"version": "3f2a1bc", "digests": {"gateway": NEW}, "changes": CHANGES}
    yield run, FIRST_PLAN, where, EventKind.PLAN, "The first plan.", {**plan, "changes": []}
    evidence = Finding("evidence", Verdict.PASSED, "Validated 1 h ago.", evidence=f"record 4, run {TO_STAGING}")
    excused = Finding(
        "window", Verdict.FAILED, "Outside of every window.", waived="Emergency INC-9: users are locked out"
    )
    yield run, FIRST_PLAN, where, EventKind.FINDINGS, "Gates.", {"findings": [evidence, excused]}
    deadline = (BEGIN + timedelta(hours=72)).isoformat()
    ask = {"stage": "team lead", "deadline": deadline, "awaited": ["anna", "beat"]}
    yield run, FIRST_PLAN, where, EventKind.APPROVAL_ASKED, "Asked.", {**ask, "key": "approval-1"}
    yield run, FIRST_PLAN, where, EventKind.APPROVAL_GIVEN, "beat approved.", given("approval-1", "beat", 11)
    void = {"was": FIRST_PLAN, "now": PLAN, "people": ["beat"]}
    yield run, PLAN, where, EventKind.APPROVALS_VOID, "The plan has changed.", void
    yield run, PLAN, where, EventKind.PLAN, "The plan.", plan


def answered() -> Iterator[Telling]:
    run, where = TO_PRODUCTION, "production"
    wrong = {"key": "approval-2", "claimed": "Anna", "person": "anna", "decision": "approve", "reason": "wrong code"}
    yield run, PLAN, where, EventKind.APPROVAL_NOT_ADMITTED, "Not admitted.", {**wrong, "step": None, "at": at(30)}
    yield run, PLAN, where, EventKind.APPROVAL_GIVEN, "anna approved.", given("approval-3", "anna", 12, NASTY)
    yield OTHER, "", "staging", EventKind.STARTED, "Another promotion started.", {"requested_by": "somebody else"}
    yield run, PLAN, where, EventKind.REMINDED, "Reminded reto.", {"awaited": ["reto"]}
    yield run, PLAN, where, EventKind.APPROVAL_GIVEN, "reto approved.", given("approval-4", "reto", 13)
    yield run, PLAN, where, EventKind.APPROVED, "Approved by anna and reto.", {"by": ["anna", "reto"]}
    yield run, PLAN, where, EventKind.RESUMED, "Goes on.", {}


def changed(end: EventKind = EventKind.COMPLETED) -> Iterator[Telling]:
    run, where = TO_PRODUCTION, "production"
    yield run, PLAN, where, EventKind.LOCK_TAKEN, "production is ours.", {}
    taken = {"snapshot": "batbern-2026", "database": "batbern-production", "seconds": 74}
    yield run, PLAN, where, EventKind.SNAPSHOT_TAKEN, "Snapshot batbern-2026 taken in 74 s.", taken
    items = [{"key": "redis/cache-ttl", "before": 3}, {"key": "smtp/password", "before": 8}]
    yield run, PLAN, where, EventKind.CONFIGURATION_INTENT, "About to write.", {"items": items}
    versions = {"redis/cache-ttl": 4, "smtp/password": 9}
    yield run, PLAN, where, EventKind.CONFIGURATION_APPLIED, "2 written.", {"versions": versions}
    yield run, PLAN, where, EventKind.FLAGS_INTENT, "About to set.", {"flags": [{"key": "new-programme"}]}
    yield run, PLAN, where, EventKind.FLAGS_APPLIED, "1 set.", {"versions": {"new-programme": 5}}
    move = {"service": "gateway", "before": {"digests": [OLD]}, "after": {"digest": NEW}}
    yield run, PLAN, where, EventKind.ROLLOUT_INTENT, "About to roll out gateway.", move
    if end is EventKind.COMPLETED:
        yield run, PLAN, where, EventKind.ROLLOUT_SUCCEEDED, "gateway arrived.", {"service": "gateway"}
    if end is EventKind.PUT_BACK:
        yield run, PLAN, where, EventKind.ROLLOUT_ROLLED_BACK, "gateway is back.", {"service": "gateway"}
        yield run, PLAN, where, EventKind.FLAGS_PUT_BACK, "flags are back.", {}
        yield run, PLAN, where, EventKind.CONFIGURATION_PUT_BACK, "parameters are back.", {"versions": {}}
    yield run, PLAN, where, end, f"{end}: it ended so.", {"version": "3f2a1bc", "serving": {"gateway": "3f2a1bc"}}
    yield run, "", where, EventKind.TICKET_TOLD, "CHG-7 knows how it ended.", {"ticket": "CHG-7", "about": end}


def given(key: str, person: str, step: int, comment: str = "") -> dict[str, Any]:
    said = {"stage": "team lead", "decision": "approve", "comment": comment, "step": step, "at": at(step)}
    return {"key": key, "person": person, **said}


def at(minutes: float) -> str:
    return (BEGIN + timedelta(minutes=minutes)).isoformat()


def others() -> Iterator[Telling]:
    yield OTHER, "", "dev", EventKind.REFUSED, "Refused: an older story, of nobody's business here.", {}


def story(end: EventKind = EventKind.COMPLETED) -> Iterator[Telling]:
    yield from (*others(), *staging(), *asked(), *answered(), *changed(end), *others())


def events(end: EventKind = EventKind.COMPLETED) -> list[Event]:
    return [Event(run, plan, where, kind, said, details) for run, plan, where, kind, said, details in story(end)]


def ledger_of(told: list[Event]) -> list[Record]:
    """One record a minute."""
    records: list[Record] = []
    for minutes, event in enumerate(told):
        records.append(chain(records[-1] if records else None, event, BEGIN + timedelta(minutes=minutes)))
    return records
