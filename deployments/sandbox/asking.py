"""Who is asked to approve what, as the control room shows it: read from the ledger, as the product itself does."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deployments.sandbox.approvers import STEP_SECONDS, code_at
from deployments.sandbox.control_room.shape import ApproverView, WaitingView
from deployments.sandbox.ledger_file import RECORDS, read_ledger
from rules.catalogue import Catalogue
from rules.production_policies import Person
from rules.records import EventKind, Record
from rules.waiting import WaitingRun, waiting_runs


class Asking:
    """The runs that wait. The ledger is read again only when it has grown: people look every second."""

    def __init__(self, catalogue: Catalogue, ledger: Path | None, prefect_url: str | None) -> None:
        self._catalogue, self._ledger, self._prefect_url = catalogue, ledger, prefect_url
        self._size, self._views = -1, list[WaitingView]()

    def views(self) -> list[WaitingView]:
        """Every run that waits, the oldest first."""
        size = self._length()
        if self._ledger is not None and size != self._size:
            records = read_ledger(self._ledger)
            self._views = [
                self._view(run, records) for name in self._catalogue.chain for run in waiting_runs(records, name)
            ]
            self._size = size
        return list(self._views)

    def _length(self) -> int:
        file = self._ledger / RECORDS if self._ledger is not None else None
        return file.stat().st_size if file is not None and file.exists() else 0

    def _view(self, run: WaitingRun, records: Sequence[Record]) -> WaitingView:
        page = f"{self._prefect_url}/v2/runs/flow-run/{run.run_id}" if self._prefect_url else ""
        return {
            "run_id": run.run_id,
            "environment": run.environment,
            "version": run.version,
            "plan": run.plan_hash,
            "awaited": self._names(run.awaited),
            "approved": self._names(_approved(run, records)),
            "until": run.until.isoformat() if run.until is not None else None,
            "deadline": run.deadline.isoformat(),
            "url": page,
        }

    def _names(self, ids: Sequence[str]) -> list[str]:
        people = self._catalogue.people
        return [people[one].name if one in people else one for one in ids]


def _approved(run: WaitingRun, records: Sequence[Record]) -> list[str]:
    """Ids of those who said yes to the plan that is asked about."""
    given = [it.event for it in records if it.event.kind is EventKind.APPROVAL_GIVEN and it.event.run_id == run.run_id]
    return [str(it.details["person"]) for it in given if it.plan_hash == run.plan_hash]


def approver_views(people: Mapping[str, Person], now: Callable[[], float] = time.time) -> list[ApproverView]:
    """Everybody who may approve, with the code that works now."""
    step, into = divmod(now(), STEP_SECONDS)
    left = round(STEP_SECONDS - into, 1)
    return [
        {
            "id": person.id,
            "name": person.name,
            "groups": list(person.groups),
            "code": code_at(person.id, int(step)),
            "seconds": left,
        }
        for person in people.values()
        if person.active
    ]
