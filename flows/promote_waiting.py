"""Keeps the promotions that wait: wakes those whose time has come, reminds people, tells tickets what they missed."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.keeping import look_after_waiting_runs
from tasks.tickets import tell_untold_tickets


@flow(name="promote-waiting", flow_run_name="{application}-waiting", persist_result=False)
def promote_waiting(application: str) -> State[Any]:
    """Looks after the promotions to production that wait for people or for their time.

    An approved one is promoted when its window opens. Who is awaited is reminded. One that nobody approved before its
    deadline ends as Rejected. It decides nothing itself: it wakes the run, which looks at the ledger and the clock.

    Args:
        application: The application, as its catalogue names it.

    """
    told = look_after_waiting_runs(application)
    tickets = tell_untold_tickets(application)
    return Completed(message=" ".join((*told, *tickets)) or "Nothing is due.")
