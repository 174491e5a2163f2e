"""Waking a run that is suspended, so that it looks again: at its deadline, its time, and whether a newer plan is there.

To wake is never to decide: the run begins again from its top, and reads from the ledger and the clock how it stands.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from httpx import TransportError, codes
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.responses import OrchestrationResult, SetStateStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError
from prefect.logging import get_logger
from prefect.states import Scheduled

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
    formless: bool = False
    """Whether that form is not there: the run was killed just when it was suspended, and takes no answer."""

    @property
    def suspended(self) -> bool:
        """A canary about which a person decides is Paused, and never woken."""
        return self.kind == "PAUSED" and self.name == "Suspended"

    @property
    def final(self) -> bool:
        return self.kind in {"COMPLETED", "FAILED", "CRASHED", "CANCELLED", ""}


def see(run_id: str) -> Seen:
    """As it stands now. An answer that is none (a proxy's page) raises: it is no word of a run having ended."""
    unknown = Seen("", "", "The Prefect server does not know this run.")
    try:
        id_ = UUID(run_id)
    except ValueError:
        return unknown
    with get_client(sync_client=True) as client:
        try:
            state = client.read_flow_run(id_).state
        except ObjectNotFound:
            return unknown
        if state is None:
            return Seen("PENDING", "Pending", "")
        keys = state.state_details.run_input_keyset or {}
        lacks = bool(keys) and state.is_paused() and not _has(client, run_id, keys["schema"])
    return Seen(state.type.value, state.name or "", state.message or "", bool(keys), lacks)


def _has(client: SyncPrefectClient, run_id: str, key: str) -> bool:
    try:
        client.read_flow_run_input(UUID(run_id), key)
    except PrefectHTTPStatusError as error:
        if error.response.status_code != codes.NOT_FOUND:
            raise
        return False
    return True


def wake(run_id: str, why: str) -> bool:
    """Has a suspended run begin again. False where it is not suspended, or the server does not let it.

    Nor is it an error when somebody else resumes it at this very moment, or when the server does not answer: it begins
    again anyway, or the keeper wakes it at its next look.
    """
    try:
        return _wake(run_id, why)
    except (PrefectHTTPStatusError, TransportError) as trouble:
        logger.warning("run %s could not be woken: %s: %s", run_id, type(trouble).__name__, trouble)
        return False


def _wake(run_id: str, why: str) -> bool:
    seen = see(run_id)
    if not seen.suspended:
        return False
    # The one answer that needs no code and decides nothing.
    said = {"approver": WAKER, "decision": "show the plan again", "code": "", "plan": "", "comment": why}
    answer: OrchestrationResult[Any]
    with get_client(sync_client=True) as client:
        if seen.formless:  # the server refuses to resume it; it is to begin again as if it had
            answer = client.set_flow_run_state(UUID(run_id), Scheduled(name="Resuming"))
        else:
            answer = client.resume_flow_run(UUID(run_id), run_input=said if seen.form else None)
    if answer.status is not SetStateStatus.ACCEPT:
        logger.warning("run %s could not be woken: %s", run_id, answer.details)
    return answer.status is SetStateStatus.ACCEPT
