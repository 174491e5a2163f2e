"""Waking a run that is suspended, so that it looks again: at its deadline, its time, and whether a newer plan is there.

To wake is never to decide: the run begins again from its top, and reads from the ledger and the clock how it stands.
"""

from dataclasses import dataclass
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound
from prefect.logging import get_logger

logger = get_logger("promotion-flows.waking")

WAKER = "promotion-flows"


@dataclass(frozen=True, slots=True)
class Seen:
    """A run as the Prefect server has it."""

    kind: str
    """Type of its state, such as PAUSED; empty where the server does not know the run."""
    name: str
    message: str
    form: bool = False
    """Whether it waits for a form to be filled in."""

    @property
    def suspended(self) -> bool:
        """A canary about which a person decides is Paused, and never woken."""
        return self.kind == "PAUSED" and self.name == "Suspended"

    @property
    def final(self) -> bool:
        return self.kind in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED", ""}


def see(run_id: str) -> Seen:
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(UUID(run_id)).state
        except (ObjectNotFound, ValueError):
            return Seen("", "", "The Prefect server does not know this run.")
    if state is None:
        return Seen("PENDING", "Pending", "")
    return Seen(state.type.value, state.name or "", state.message or "", bool(state.state_details.run_input_keyset))


def wake(run_id: str, why: str) -> bool:
    """Has a suspended run begin again. False where it is not suspended, or the server does not let it."""
    seen = see(run_id)
    if not seen.suspended:
        return False
    # The one answer that needs no code and decides nothing.
    said = {"approver": WAKER, "decision": "show the plan again", "code": "", "plan": "", "comment": why}
    with get_client(sync_client=True) as client:
        answer = client.resume_flow_run(UUID(run_id), run_input=said if seen.form else None)
    if answer.status is not SetStateStatus.ACCEPT:
        logger.warning("run %s could not be woken: %s", run_id, answer.details)
    return answer.status is SetStateStatus.ACCEPT
