"""Promotions to production in the tests' world: runs that are suspended, answered, and begin again from their top.

The test does what a worker does: whenever a run is scheduled it is run, in this process, until it ends or is suspended.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from prefect import State
    from prefect.client.schemas.objects import FlowRun
    from promotion_world import Promotions

    from deployments.sandbox.approvers import Authenticators
    from rules.records import EventKind, Record

LEADS = [f"lead-{number}" for number in range(8)]
OPERATORS = [f"operator-{number}" for number in range(8)]
TICKET = "CHG-102"
"""Approved in every sandbox."""


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
        from prefect.client.orchestration import get_client
        from prefect.client.schemas.responses import SetStateStatus

        code = other.pop("code", None) or (
            self.authenticators.code(person) if decision != "show the plan again" else ""
        )
        said = {"approver": person, "decision": decision, "code": code, "comment": "", "plan": self.plan, **other}
        with get_client(sync_client=True) as client:
            status: SetStateStatus = client.resume_flow_run(self.id, run_input=said).status
        return status is SetStateStatus.ACCEPT

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


def requested(promotions: "Promotions", authenticators: "Authenticators", **parameters: Any) -> ProductionRun:
    """A run as the Run button makes it; it has not begun."""
    from prefect.client.orchestration import get_client

    wanted = {
        "application": promotions.application.name,
        "requested_by": "release.manager",
        "change_ticket": TICKET,
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
