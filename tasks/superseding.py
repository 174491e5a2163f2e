"""A newer plan takes the place of an older one that still waits: the older run is woken, and ends by itself."""

from rules.errors import Superseded
from rules.records import Event, EventKind
from rules.waiting import newer, older, superseded_by, waiting_runs
from tasks.announcing import run_link
from tasks.kinds import acting, asking
from tasks.promotions import Promotion
from tasks.waking import wake


@asking("look for a newer plan")
def stop_if_superseded(promotion: Promotion) -> None:
    """Ends this run when a newer one took its place while it waited. Asked first: the gates are not its any more.

    Raises:
        Superseded: there is a newer one.

    """
    if by := superseded_by(promotion.application.ledger.records(), promotion.run_id):
        raise superseded(by)


@acting("take the place of older plans")
def take_place(promotion: Promotion) -> None:
    """Takes the place of the older runs that wait, each once; of two that come at the same moment the newer one does.

    At every pass: an older run that asked at the same moment as this one was not seen then, and would go on after it.

    Raises:
        Superseded: there is a newer one.

    """
    records, environment = list(promotion.application.ledger.records()), promotion.target.environment.name
    mine = [record for record in records if record.event.run_id == promotion.run_id]
    waiting = waiting_runs(records, environment)
    by = superseded_by(records, promotion.run_id) or next((it.run_id for it in newer(waiting, mine[0].seq)), "")
    if by:
        raise superseded(by)
    for run in older(waiting, mine[0].seq):
        sentence = f"The newer plan of this run takes the place of run {run.run_id}."
        event = Event(promotion.run_id, "", environment, EventKind.SUPERSEDES, sentence, {"run": run.run_id})
        promotion.application.ledger.append(event)
        wake(run.run_id, f"a newer plan, of run {promotion.run_id}, takes its place")


def superseded(by: str) -> Superseded:
    return Superseded(f"A newer plan took the place of this one: run {by}. {run_link(by)}".strip())
