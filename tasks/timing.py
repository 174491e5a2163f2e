"""An approved promotion waits for its time, the next window or the time that was promised: suspended, as for people."""

from datetime import UTC, datetime

from prefect import get_run_logger, suspend_flow_run

from rules.emergencies import windows_under
from rules.errors import Refused
from rules.plans import Plan
from rules.records import EventKind
from rules.vocabulary import Finding, Verdict
from rules.waiting import since
from rules.windows import Start, start
from tasks.kinds import acting
from tasks.production import expected, start_at
from tasks.promotions import Promotion
from tasks.records import write
from tasks.telling_approvals import tell_news


def wait_for_its_time(promotion: Promotion, plan: Plan) -> None:
    """Returns when traffic may move; until then the run is suspended, and the keeper wakes it.

    Raises:
        Refused: its promised time is over, or no window is long enough.

    """
    policy = windows_under(promotion.emergency, promotion.catalogue.windows, promotion.catalogue.emergency)
    begins = start(policy, datetime.now(UTC), expected(promotion), start_at(promotion))
    if begins.when is None:
        finding = Finding("window", Verdict.FAILED, begins.why)
        raise Refused(f"Promotion of {promotion}", (finding,))
    if begins.when <= datetime.now(UTC):
        return
    record_waiting(promotion, plan, begins)
    get_run_logger().info("%s Nobody needs to do anything: promote-waiting wakes this run.", begins.why)
    tell_news(promotion)
    suspend_flow_run(key=f"time-{passes(promotion)}")  # of each pass its own: Prefect would not suspend it again


def passes(promotion: Promotion) -> int:
    """How often the run has begun again. Prefect's own count does not grow by a resumption."""
    return sum(1 for it in promotion.application.ledger.records(promotion.run_id) if it.event.kind is EventKind.RESUMED)


@acting("record the waiting")
def record_waiting(promotion: Promotion, plan: Plan, begins: Start) -> None:
    """Once for each time that it waits for, and anew when it was approved anew."""
    ledger, until = promotion.application.ledger, begins.when.isoformat() if begins.when else ""
    story = since(list(ledger.records(promotion.run_id)), EventKind.APPROVED)
    waits = [it.event for it in story if it.event.kind is EventKind.WAITING]
    if not any((event.plan_hash, event.details["until"]) == (plan.hash, until) for event in waits):
        write(ledger, EventKind.WAITING, plan.target, begins.why, plan.hash, until=until, why=begins.why)
