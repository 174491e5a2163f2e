"""A release is validated where it runs, unless the ledger has fresh evidence of it; and each look is kept."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from rules.catalogue import HealthPolicy
from rules.errors import Outage
from rules.evidence import LOOKED_AT
from rules.probing import HealthAnswer, SmokeAnswer
from rules.production_policies import EvidencePolicy
from rules.records import Event, EventKind, Record, chain
from rules.releases import ServiceState
from rules.validation_policies import GATES, ValidationPolicy
from rules.vocabulary import Finding, Release, Service, Verdict, Waiver
from tasks.evidence import record_validated
from tasks.histories import publish_history
from tasks.validating import validated

pytestmark = pytest.mark.usefixtures("prefect_server")
NEW, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64
RELEASE = Release("3f2a1bc", {"events": NEW})
SERVICE = Service("events", "Events", "events", "events", "/actuator/health", ("/api/events",))


class Notebook:
    """A ledger that keeps its records in memory."""

    def __init__(self) -> None:
        self.kept: list[Record] = []

    def append(self, event: Event, at: datetime | None = None) -> Record:
        self.kept.append(chain(self.kept[-1] if self.kept else None, event, at or datetime.now(UTC)))
        return self.kept[-1]

    def records(self, _run_id: str | None = None) -> Iterator[Record]:
        return iter(self.kept)

    @property
    def looks(self) -> list[Event]:
        return [record.event for record in self.kept if record.event.kind is EventKind.VALIDATED]


class Staging:
    """One service that answers, well or badly."""

    def __init__(self, status: int = 200, digest: str = NEW) -> None:
        self.status, self.digest, self.looked = status, digest, 0

    def states(self, _services: object, _environment: str) -> dict[str, ServiceState]:
        at = datetime(2026, 11, 22, tzinfo=UTC)
        return {"events": ServiceState("events", "Events-x1", "td:7", 2, 2, at, frozenset({self.digest}))}

    def settled_health(self, path: str, _attempts: int, _pause: float) -> tuple[HealthAnswer, ...]:
        self.looked += 1
        return (HealthAnswer(path, self.status, self.status == 200, 12.0, ""),)

    def sample(self, paths: list[str], rounds: int) -> list[SmokeAnswer]:
        answer = SmokeAnswer(paths[0], self.status, 12.0, "application/json", '{"events": []}', is_json=True)
        return [answer] * (len(paths) * rounds)


def promotion_of(staging: Staging, ledger: Notebook, *waivers: Waiver) -> Any:
    catalogue = SimpleNamespace(
        health=HealthPolicy(attempts=1, pause_seconds=0, soak_samples=5),
        evidence=EvidencePolicy(hours=24),
        validation=ValidationPolicy(left_out=dict.fromkeys(GATES, "This test is about something else.")),
        waivers=waivers,
    )
    source = SimpleNamespace(environment=SimpleNamespace(name="staging"), containers=staging, probes=staging)
    return SimpleNamespace(
        application=SimpleNamespace(name="batbern", ledger=ledger),
        source=source,
        target=SimpleNamespace(environment=SimpleNamespace(name="production")),
        services=(SERVICE,),
        catalogue=catalogue,
    )


def in_a_run(ask: Callable[[], Any]) -> Any:
    @flow(name="validating", persist_result=False)
    def asked() -> None:
        answers.append(ask())

    answers: list[Any] = []
    asked()
    return answers[0]


def verdicts(findings: tuple[Finding, ...]) -> dict[str, Verdict]:
    return {finding.gate: finding.verdict for finding in findings}


def test_without_evidence_every_gate_is_asked_and_the_look_is_kept() -> None:
    ledger, staging = Notebook(), Staging()
    findings = in_a_run(lambda: validated(promotion_of(staging, ledger), RELEASE))
    looked = [gate for gate in LOOKED_AT if gate not in GATES]
    passed = ("evidence/arrival/events", *(f"evidence/{gate}" for gate in looked), "evidence")
    left_out = dict.fromkeys((f"evidence/{gate}" for gate in GATES), Verdict.INCONCLUSIVE)
    assert verdicts(findings) == dict.fromkeys(passed, Verdict.PASSED) | left_out
    assert not any(finding.blocks for finding in findings)
    [look] = ledger.looks
    assert (look.environment, look.details["version"], look.details["digests"]) == (
        "staging",
        "3f2a1bc",
        {"events": NEW},
    )
    gates = [finding["gate"] for finding in look.details["findings"]]
    assert gates == ["arrival/events", *LOOKED_AT]
    assert look.sentence == "3f2a1bc was validated in staging: 9 findings, none stands in the way."


def test_fresh_evidence_is_enough_and_nothing_is_asked_again() -> None:
    ledger, staging = Notebook(), Staging()
    promotion = promotion_of(staging, ledger)
    in_a_run(lambda: validated(promotion, RELEASE))
    [evidence] = in_a_run(lambda: validated(promotion, RELEASE))
    assert (evidence.gate, evidence.verdict) == ("evidence", Verdict.PASSED)
    assert staging.looked == 1
    assert len(ledger.looks) == 1


def test_stale_evidence_is_looked_at_again() -> None:
    ledger, staging = Notebook(), Staging()
    promotion = promotion_of(staging, ledger)
    in_a_run(lambda: validated(promotion, RELEASE))
    [old] = ledger.looks
    ledger.kept.clear()
    ledger.append(old, datetime.now(UTC) - timedelta(hours=25))
    findings = in_a_run(lambda: validated(promotion, RELEASE))
    assert findings[-1].verdict is Verdict.PASSED
    assert len(ledger.looks) == 2


def test_a_release_that_is_not_well_is_not_validated_and_that_is_kept_too() -> None:
    ledger = Notebook()
    findings = in_a_run(lambda: validated(promotion_of(Staging(status=500), ledger), RELEASE))
    found = verdicts(findings)
    assert (found["evidence"], found["evidence/health"]) == (Verdict.FAILED, Verdict.FAILED)
    assert len(ledger.looks) == 1


def test_another_image_than_the_release_is_not_validated() -> None:
    findings = in_a_run(lambda: validated(promotion_of(Staging(digest=OTHER), Notebook()), RELEASE))
    assert verdicts(findings)["evidence/arrival/events"] is Verdict.FAILED
    assert findings[-1].verdict is Verdict.FAILED


def test_what_a_promotion_to_staging_found_is_evidence_for_production() -> None:
    ledger, staging = Notebook(), Staging()
    promotion = promotion_of(staging, ledger)
    found = tuple(Finding(gate, Verdict.PASSED, "Fine.") for gate in ("arrival/events", *LOOKED_AT, "flags"))
    in_a_run(lambda: record_validated(promotion, "staging", RELEASE, found, "plan"))
    [evidence] = in_a_run(lambda: validated(promotion, RELEASE))
    assert evidence.verdict is Verdict.PASSED
    assert staging.looked == 0


def test_the_history_is_shown_in_the_ui() -> None:
    ledger = Notebook()
    for kind in (EventKind.STARTED, EventKind.COMPLETED):
        ledger.append(Event("run-1", "plan", "history-test", kind, f"{kind}.", {"requested_by": "maria"}))
    application: Any = SimpleNamespace(name="batbern", ledger=ledger)
    in_a_run(lambda: publish_history(application, "history-test"))
    with get_client(sync_client=True) as client:
        key = ArtifactFilterKey(any_=["batbern-history-test-history"])
        [shown] = client.read_artifacts(artifact_filter=ArtifactFilter(key=key))
    assert "succeeded" in str(shown.data)
    assert "maria" in str(shown.data)


def test_a_history_that_cannot_be_shown_stops_nobody() -> None:
    class Deaf:
        def records(self) -> None:
            raise Outage("The ledger", "reading", "no route")

    deaf: Any = SimpleNamespace(name="batbern", ledger=Deaf())
    publish_history(deaf, "production")


def test_waivers_excuse_what_was_found_and_stand_among_the_findings() -> None:
    ledger, staging = Notebook(), Staging()
    soon = (datetime.now(UTC) + timedelta(days=3)).date()
    waiver = Waiver("load", "3f2a1bc", "Anna", "The peak is over.", soon)
    promotion = promotion_of(staging, ledger, waiver)
    slow = Finding("load", Verdict.FAILED, "Too slow.")
    found = tuple(
        slow if gate == "load" else Finding(gate, Verdict.PASSED, "Fine.") for gate in ("arrival/events", *LOOKED_AT)
    )
    in_a_run(lambda: record_validated(promotion, "staging", RELEASE, found, "plan"))
    evidence, told = in_a_run(lambda: validated(promotion, RELEASE))
    assert evidence.verdict is Verdict.PASSED
    assert (told.gate, told.verdict) == ("waivers", Verdict.PASSED)
    assert "The peak is over" in told.sentence
