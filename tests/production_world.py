"""Promotions to production in the tests' world: runs that are suspended, answered, and begin again from their top.

The test does what a worker does: whenever a run is scheduled it is run, in this process, until it ends or is suspended.
"""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

if TYPE_CHECKING:
    from prefect import State
    from prefect.client.schemas.objects import FlowRun
    from promotion_world import Promotions

    from deployments.sandbox.approvers import Authenticators
    from deployments.sandbox.room import Placed
    from rules.records import EventKind, Record

LEADS = [f"lead-{number}" for number in range(8)]
OPERATORS = [f"operator-{number}" for number in range(8)]
CONFLICT = 409


def more_people(text: str) -> str:
    """The catalogue with people enough that no test has to wait for a fresh code of theirs."""
    tables = [f'[people.{id_}]\nname = "{id_.title()}"\ngroups = ["team-leads"]\n' for id_ in LEADS]
    tables += [f'[people.{id_}]\nname = "{id_.title()}"\ngroups = ["operations"]\n' for id_ in OPERATORS]
    return text + "\n" + "\n".join(tables)


def always_open(text: str) -> str:
    """The catalogue with a window that never closes, and without freezes: tests run on Sundays, too."""
    before, _, rest = text.partition("[[windows.open]]")
    after = rest[rest.index("[tickets]") :]
    days = '["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]'
    window = f'[[windows.open]]\ndays = {days}\nopens = "00:00"\ncloses = "24:00"\ntimezone = "Europe/Zurich"\n\n'
    return before + window + after


@dataclass
class ProductionRun:
    """One run of promote-to-production."""

    promotions: "Promotions"
    id: UUID
    authenticators: "Authenticators"
    passes: int = field(default=0)

    def go(self) -> "State[Any]":
        """What a worker does: run it until it ends or is suspended. Its state then."""
        from prefect.client.orchestration import get_client
        from prefect.exceptions import Pause
        from prefect.flow_engine import run_flow
        from prefect.states import Pending

        from flows.promote_to_production import promote_to_production

        with get_client(sync_client=True) as client:
            client.set_flow_run_state(self.id, Pending())
            flow_run = client.read_flow_run(self.id)

        def run() -> "State[Any]":
            with suppress(Pause):
                run_flow(promote_to_production, flow_run=flow_run, return_type="state")
            return self.state

        self.passes += 1
        return self.promotions.walked("promote-to-production", run, "production", "staging")

    @property
    def seen(self) -> "FlowRun":
        from prefect.client.orchestration import get_client

        with get_client(sync_client=True) as client:
            return client.read_flow_run(self.id)

    @property
    def state(self) -> "State[Any]":
        state = self.seen.state
        assert state is not None
        return state

    @property
    def plan(self) -> str:
        """The plan that the form is about."""
        return str(self.form()["plan"]["default"])

    def form(self) -> dict[str, Any]:
        """Fields of the form that the run waits with, as the server checks them."""
        return dict(self._input("schema")["properties"])

    def page(self) -> str:
        """What stands above the form."""
        return str(self._input("description"))

    def _input(self, name: str) -> Any:
        import orjson
        from prefect.client.orchestration import get_client

        keyset = self.state.state_details.run_input_keyset
        assert keyset is not None, f"{self.state} waits for no form"
        with get_client(sync_client=True) as client:
            return orjson.loads(client.read_flow_run_input(self.id, keyset[name]))

    def answer(self, person: str, decision: str = "approve", **other: Any) -> bool:
        """Resume with a filled form, as the UI does. Whether the server took it."""
        return self.resume(self.filled(person, decision, **other))

    def answer_at_once(self, person: str) -> bool:
        """As `answer`, while others do so too: the server may say that it was busy with somebody else."""
        from prefect.exceptions import PrefectHTTPStatusError

        try:
            return self.answer(person)
        except PrefectHTTPStatusError as refusal:
            if refusal.response.status_code != CONFLICT:
                raise
            return False

    def filled(self, person: str, decision: str, **other: Any) -> dict[str, Any]:
        code = other.pop("code", None)
        if code is None:
            code = self.authenticators.code(person) if decision != "show the plan again" else ""
        return {"approver": person, "decision": decision, "code": code, "comment": "", "plan": self.plan, **other}

    def resume(self, said: Mapping[str, Any]) -> bool:
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.responses import SetStateStatus

        with get_client(sync_client=True) as client:
            return client.resume_flow_run(self.id, run_input=dict(said)).status is SetStateStatus.ACCEPT

    def approve(self, *people: str) -> "State[Any]":
        """Each of them approves, one after the other. The state after the last one."""
        state = self.state
        for person in people:
            assert self.answer(person)
            state = self.go()
        return state

    def story(self) -> "list[Record]":
        return list(self.promotions.application.ledger.records(str(self.id)))

    def kinds(self) -> "list[EventKind]":
        return [record.event.kind for record in self.story()]

    def unmet(self) -> list[dict[str, Any]]:
        """The findings that stood in the way, as they were recorded last."""
        from rules.records import EventKind

        found = [it.event.details["findings"] for it in self.story() if it.event.kind is EventKind.FINDINGS]
        return [finding for finding in found[-1] if finding["verdict"] != "passed" and not finding["waived"]]


def requested(promotions: "Promotions", authenticators: "Authenticators", **parameters: Any) -> ProductionRun:
    """A run as the Run button makes it; it has not begun."""
    from prefect.client.orchestration import get_client

    wanted = {
        "application": promotions.application.name,
        "requested_by": "release.manager",
        **parameters,
    }
    with get_client(sync_client=True) as client:
        run = client.create_flow_run_from_deployment(deployed(), parameters=wanted)
    return ProductionRun(promotions, run.id, authenticators)


def deployed() -> UUID:
    """The deployment: only a run of one can be suspended."""
    from prefect.client.orchestration import get_client

    from flows.promote_to_production import promote_to_production

    with get_client(sync_client=True) as client:
        flow_id = client.create_flow(promote_to_production)
        return client.create_deployment(flow_id, "batbern", enforce_parameter_schema=False)


@contextmanager
def catalogue_saying(file: Path, changes: Mapping[str, str]) -> Iterator[None]:
    """The catalogue with other words, while the block runs: each run reads it anew."""
    text = file.read_text()
    changed = text
    for old, new in changes.items():
        assert old in changed, f"{old!r} is not in the catalogue"
        changed = changed.replace(old, new)
    file.write_text(changed)
    try:
        yield
    finally:
        file.write_text(text)


@dataclass
class Production:
    """Production in the tests' world. Each test brings its own release into staging."""

    promotions: "Promotions"
    authenticators: "Authenticators"
    catalogue_file: Path
    runs: list[ProductionRun] = field(default_factory=list)

    def in_staging(self, behaviour: str, age_minutes: float = 180) -> "Placed":
        """A new release that has been running in staging for so long, and that nobody of ours has validated."""
        return self.promotions.placed("staging", behaviour, age_minutes)

    def approved_ticket(self, summary: str = "A release to production") -> str:
        return self.promotions.room.create_ticket(summary, "Approved")

    def request(self, **parameters: Any) -> ProductionRun:
        """With a ticket of its own that is approved, where nothing else is said."""
        wanted = {"change_ticket": None, **parameters}
        if wanted["change_ticket"] is None:
            wanted["change_ticket"] = self.approved_ticket()
        run = requested(self.promotions, self.authenticators, **wanted)
        self.runs.append(run)
        return run

    def waiting(self, **parameters: Any) -> ProductionRun:
        """A run that is suspended and asks its approvers."""
        run = self.request(**parameters)
        state = run.go()
        assert state.name == "Suspended", state.message
        return run

    def serving(self, environment: str) -> set[str]:
        return self.promotions.serving(environment)

    def catalogue_saying(self, changes: Mapping[str, str]) -> "AbstractContextManager[None]":
        return catalogue_saying(self.catalogue_file, changes)

    def keep(self) -> str:
        """What the keeper does once. Its last words."""
        from flows.promote_waiting import promote_waiting

        state = promote_waiting(self.promotions.application.name, return_state=True)
        return str(state.message)

    def end_all(self) -> None:
        """No run of this test waits during the next one."""
        from prefect.client.orchestration import get_client
        from prefect.states import Cancelled

        from rules.records import Event, EventKind

        for run in self.runs:
            if not run.state.is_final():
                with get_client(sync_client=True) as client:
                    client.set_flow_run_state(run.id, Cancelled(), force=True)
                event = Event(str(run.id), "", "production", EventKind.CANCELLED, "The test is over.")
                self.promotions.application.ledger.append(event)
        self.runs.clear()


@dataclass(frozen=True)
class ProductionWalk:
    """A release's whole way into production, with two approvals and a canary, as it was seen."""

    old: str
    new: str
    run: ProductionRun
    plan: str
    page: str
    """What approvers read."""
    states: list[str]
    """Names, after each time that the run was at work."""
    serving_while_waiting: set[str]
    serving: set[str]
    story: "list[Record]"
    records: "list[Record]"
    """All of the ledger."""
    ledger: str
    """Folder of the ledger."""
    ticket: dict[str, Any]
    """As the ticket system shows it afterwards."""
    chat: list[str]

    @property
    def state(self) -> "State[Any]":
        return self.run.state


@pytest.fixture(scope="session")
def authenticators() -> "Authenticators":
    from deployments.sandbox.approvers import Authenticators

    return Authenticators()


@pytest.fixture(scope="session")
def no_flag_approvals(all_promotions: "Promotions") -> None:
    """Elsewhere is shown how a promotion waits for those (AC4)."""
    all_promotions.room.require_flag_approvals("production", required=False)


@pytest.fixture
def production(
    promotions: "Promotions", authenticators: "Authenticators", catalogue_file: Path, no_flag_approvals: None
) -> "Iterator[Production]":
    made = Production(promotions, authenticators, catalogue_file)
    yield made
    made.end_all()


@pytest.fixture(scope="session")
def production_walk(
    all_promotions: "Promotions", authenticators: "Authenticators", catalogue_file: Path, no_flag_approvals: None
) -> ProductionWalk:
    """Walked once a session; several tests look at it from their sides."""
    promotions = all_promotions
    promotions.room.clear_faults()
    production = Production(promotions, authenticators, catalogue_file)
    placed = production.in_staging("good")
    [old] = promotions.serving("production")
    promotions.room.set_visitors("production", 100)
    promotions.until_known("production", old)
    said = len(promotions.chat())
    ticket = production.approved_ticket()
    run = production.request(change_ticket=ticket)
    states = [str(run.go().name)]
    plan, page, waiting = run.plan, run.page(), promotions.serving("production")
    for person in (LEADS[0], OPERATORS[0]):
        assert run.answer(person, comment="I have read it.")
        states.append(str(run.go().name))
    promotions.room.set_visitors("production", 5)
    tickets = promotions.room.state()["vendors"]["tickets"]
    return ProductionWalk(
        old,
        placed.version,
        run,
        plan,
        page,
        states,
        waiting,
        promotions.serving("production"),
        run.story(),
        list(promotions.application.ledger.records()),
        str(promotions.application.ledger.directory),  # type: ignore[attr-defined]  # the tests' ledger is a local one
        next(it for it in tickets if it["key"] == ticket),
        [message["text"] for message in promotions.chat()[said:]],
    )
