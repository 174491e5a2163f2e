"""From what runs in production to who wrote the change: the real door, a stand-in behind it, a made-up production."""

from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger
from pydantic import SecretStr

from blocks.source_history import SourceHistory
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import VendorState
from rules.errors import Outage
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Finding, Image, Release, Service, Verdict
from tasks.authorship import find_authors

OLD, NEW = "1111111", "2222222"
SERVICES = tuple(Service(id_, id_, f"batbern/{id_}", "app", "/health") for id_ in ("events", "gateway"))
ANNA = "anna.meier@batbern.example"


@pytest.fixture(autouse=True)
def no_run() -> Iterator[None]:
    with disable_run_logger():
        yield


class Case:
    """`running`: the tags of the image that runs, by service; None for one that the registry has forgotten."""

    def __init__(self, repository: str = "batbern/platform", **running: tuple[str, ...] | None) -> None:
        clock, self.faults, self.records = ManualClock(), Faults(), list[Record]()
        self.vendors = VendorState(clock)
        self.vendors.seed()
        transport = InProcess(create_app(self.vendors, self.faults))
        wiring = Wiring(transport, clock.monotonic, clock.now, clock.advance, lambda: 0.5)
        token = SecretStr(self.vendors.credentials.source_token)
        self.running = running
        self.promotion: Any = SimpleNamespace(
            services=SERVICES,
            catalogue=SimpleNamespace(history=SimpleNamespace(repository=repository)),
            target=SimpleNamespace(environment=SimpleNamespace(name="production"), containers=self),
            application=SimpleNamespace(
                images=self,
                ledger=SimpleNamespace(records=lambda: iter(self.records)),
                history=SourceHistory(url="http://sandbox/github", token=token).wired(wiring),
            ),
        )

    def states(self, services: Any, environment: str) -> dict[str, Any]:
        assert (services, environment) == (SERVICES, "production")
        return {id_: SimpleNamespace(digests=frozenset({f"sha256:{id_}"})) for id_ in self.running}

    def find(self, repository: str, digest: str) -> Image | None:
        tags = self.running[repository.removeprefix("batbern/")]
        return None if tags is None else Image(repository, digest, tags)

    def promoted(self, version: str, **digests: str) -> None:
        event = Event("run", "", "staging", EventKind.PLAN, "A plan.", {"version": version, "digests": digests})
        self.records.append(chain(self.records[-1] if self.records else None, event, datetime.now(UTC)))

    def ask(self) -> tuple[frozenset[str], Finding]:
        names, [finding] = find_authors.fn(self.promotion, Release(NEW))
        return names, finding


def tags(*versions: str) -> tuple[str, ...]:
    return tuple(f"{version}-develop.{number}" for number, version in enumerate(versions, start=480))


def test_who_wrote_what_production_has_not_is_excluded() -> None:
    case = Case(events=tags(OLD), gateway=tags(OLD))
    case.vendors.wrote(NEW, [ANNA])
    names, finding = case.ask()
    assert {ANNA, "annam"} <= names
    assert finding.verdict is Verdict.PASSED
    assert finding.evidence == f"batbern/platform: {OLD}...{NEW}"


def test_in_a_mixture_the_commits_that_one_service_has_not_run_count() -> None:
    case = Case(events=tags("0000000"), gateway=tags(OLD))
    for version, email in (("0000000", "a@x.example"), (OLD, ANNA), (NEW, "c@x.example")):
        case.vendors.wrote(version, [email])
    names, finding = case.ask()
    assert {ANNA, "c@x.example"} <= names
    assert "a@x.example" not in names
    assert "several versions (0000000, 1111111)" in finding.sentence


def test_an_image_that_the_registry_has_forgotten_is_known_to_the_ledger() -> None:
    case = Case(events=None, gateway=None)
    case.promoted(OLD, events="sha256:events", gateway="sha256:gateway")
    assert case.ask()[1].evidence == f"batbern/platform: {OLD}...{NEW}"


@pytest.mark.parametrize("running", [{}, {"events": None, "gateway": None}, {"events": tags(OLD), "gateway": ("x",)}])
def test_where_nothing_says_what_runs_the_newest_commits_count(running: dict[str, Any]) -> None:
    case = Case(**running)
    case.vendors.wrote("0000000", [ANNA])
    case.vendors.wrote(NEW, ["c@x.example"])
    names, finding = case.ask()
    assert {ANNA, "c@x.example"} <= names
    assert (finding.verdict, finding.blocks) == (Verdict.INCONCLUSIVE, False)
    assert "one of the newest 100 commits" in finding.sentence


def test_when_production_is_down_what_was_promoted_last_counts() -> None:
    case = Case()
    case.vendors.wrote("0000000", ["a@x.example"])
    case.vendors.wrote(OLD, ["b@x.example"])
    case.vendors.wrote(NEW, [ANNA])
    details = {"version": OLD, "serving": {"events": OLD, "gateway": OLD}}
    event = Event("run", "", "production", EventKind.COMPLETED, "It serves.", details)
    case.records.append(chain(None, event, datetime.now(UTC)))
    names, finding = case.ask()
    assert ANNA in names
    assert not {"a@x.example", "b@x.example"} & names
    assert finding.verdict is Verdict.PASSED


def test_a_history_that_does_not_know_the_version_blocks_and_is_told() -> None:
    case = Case(events=tags(OLD), gateway=tags(OLD))
    case.vendors.source.gone.add(NEW)
    names, finding = case.ask()
    assert names == frozenset()
    assert finding.blocks
    assert "Was the version pushed" in finding.sentence


def test_too_many_versions_block() -> None:
    case = Case(events=tags(*(f"{at:07x}" for at in range(30))), gateway=tags(*(f"{at:07x}" for at in range(30))))
    assert case.ask()[1].blocks


def test_an_outage_is_none_of_the_findings() -> None:
    case = Case(events=tags(OLD), gateway=tags(OLD))
    case.faults.add(Fault("github", kind=FaultKind.ERROR))
    with pytest.raises(Outage):
        case.ask()


def test_without_a_repository_nobody_is_asked() -> None:
    case = Case(repository="", events=tags(OLD))
    case.promotion.application = None
    names, finding = case.ask()
    assert (names, finding.blocks) == (frozenset(), False)
