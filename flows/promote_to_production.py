"""staging → production: gated, approved by people on one plan, in its window, put back by itself when it goes wrong."""

from datetime import datetime
from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from rules.production_policies import Emergency
from tasks.announcing import announce_cancellation
from tasks.approving import wait_for_approvals
from tasks.changing import changing
from tasks.configuration import apply_configuration
from tasks.endings import completed, ending, rehearsed
from tasks.feature_flags import apply_flags, wait_for_flag_approvals
from tasks.gates import check_arrived, check_source, refuse_unless_met
from tasks.guards import check_guards
from tasks.looking_back import look_back
from tasks.migrations import migrate_databases
from tasks.production import (
    begin_production,
    check_again,
    check_production,
    check_time_left,
    check_twins,
    less_excused,
    read_terms,
)
from tasks.promotions import pin_release, plan_promotion, publish_plan
from tasks.rollouts import roll_out_in_waves
from tasks.snapshots import take_snapshot
from tasks.superseding import stop_if_superseded
from tasks.tickets import link_ticket, ticket_under_way
from tasks.timing import wait_for_its_time


@flow(
    name="promote-to-production",
    flow_run_name="{application}-to-production",
    on_cancellation=[announce_cancellation],
    persist_result=False,
)
@ending
def promote_to_production(  # noqa: PLR0917 - the fields of the Run form
    application: str,
    requested_by: str,
    version: str = "",
    change_ticket: str = "",
    strategy: Literal["as the catalogue says", "blue_green", "canary"] = "as the catalogue says",
    start_at: datetime | None = None,
    next_window: bool = False,
    emergency: Emergency | None = None,
    dry_run: bool = False,
) -> State[Any] | None:
    """Promotes the release that runs in staging to production, when everything and everybody says yes.

    First all gates at once. Then people approve the plan; meanwhile this run is suspended, and holds nothing. Then,
    in a window and under the lock of production: a snapshot of the database, configuration, flags, migrations, and a
    roll-out in waves. If anything fails after the first write, everything is put back.

    Args:
        application: The application, as its catalogue names it.
        requested_by: Who asks: you. Whoever asks cannot approve.
        version: Git SHA that must run in staging, 7 to 40 digits. Leave it empty for whatever runs there.
        change_ticket: Key of the approved change ticket, such as CHG-123. Leave it empty to have one made first.
        strategy: How traffic moves, in all services: blue_green all at once, canary step by step.
        start_at: When traffic may move, if it was promised for a time. Leave it empty for as soon as it is approved.
        next_window: Outside of a window ask for approvals all the same, and go on when the next one opens.
        emergency: A hotfix that cannot wait: why, for which incident, and which gates it leaves out.
        dry_run: Check every gate and show the plan; ask nobody and change nothing.

    """
    terms = read_terms(requested_by, change_ticket, start_at, next_window, emergency)
    promotion = begin_production(application, version, terms, strategy, dry_run)
    stop_if_superseded(promotion)
    look_back(promotion)
    release, findings = pin_release(promotion)
    special, authors = check_production(promotion, release)
    findings += check_source(promotion) + special
    planned, obstacles = plan_promotion(promotion, release)
    publish_plan(promotion, planned)
    findings += obstacles + check_guards(promotion) + check_twins(promotion, planned)
    findings = less_excused(promotion, findings)
    plan = refuse_unless_met(promotion, planned, findings)
    if dry_run:
        return rehearsed(promotion, plan)
    link_ticket(promotion, plan)
    wait_for_approvals(promotion, plan, findings, authors)
    wait_for_its_time(promotion, plan)
    wait_for_flag_approvals(promotion, plan)
    with changing(promotion, plan, check_again) as plan:
        take_snapshot(promotion, plan)
        ticket_under_way(promotion, plan)
        apply_configuration(promotion, plan)
        apply_flags(promotion, plan)
        migrate_databases(promotion, plan)
        check_time_left(promotion)
        roll_out_in_waves(promotion, plan)
        check_arrived(promotion, plan)
    return completed(promotion, plan, f"{plan.release.version} serves in {plan.target}.")
