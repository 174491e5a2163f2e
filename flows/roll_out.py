"""One release's images to one environment: blue-green or canary, judged, and put back by itself when it is worse."""

from typing import Any, Literal

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.announcing import announce_cancellation
from tasks.changing import changing
from tasks.endings import completed, ending, rehearsed
from tasks.gates import check_arrived, refuse_unless_met
from tasks.guards import check_guards
from tasks.looking_back import look_back
from tasks.promotions import plan_promotion, publish_plan
from tasks.releasing import begin_roll_out, find_release, refuse_unless_approved
from tasks.rollouts import roll_out_in_waves


@flow(
    name="roll-out",
    flow_run_name="{application}-{version}-in-{environment}",
    on_cancellation=[announce_cancellation],
    persist_result=False,
)
@ending
def roll_out(  # noqa: PLR0917 - the fields of the Run form
    application: str,
    environment: str,
    version: str,
    strategy: Literal["as the catalogue says", "blue_green", "canary"] = "as the catalogue says",
    services: tuple[str, ...] = (),
    dry_run: bool = False,
) -> State[Any] | None:
    """Rolls the images of one release out in one environment; configuration, flags and databases stay as they are.

    By canary the new version gets 10 %, then 50 %, then all of the traffic, and is judged at each step. When it is
    worse, everything comes back at once. When nobody can tell, the run is paused and a person decides, by Resume in
    the menu of the run.

    Args:
        application: The application, as its catalogue names it.
        environment: Where to. Production only as a dry run: it needs approvals, which this runbook does not ask for.
        version: Git SHA of the release, 7 to 40 digits. Its images must be in the registry.
        strategy: How traffic moves, in all services that are rolled out: blue_green all at once, canary step by step.
        services: Ids of the services to roll out, one an item. Without an item all of them.
        dry_run: Check every gate and show the plan, and change nothing.

    """
    promotion = begin_roll_out(application, environment, version, strategy, services)
    look_back(promotion)
    release, findings = find_release(promotion)
    planned, obstacles = plan_promotion(promotion, release)
    publish_plan(promotion, planned)
    plan = refuse_unless_met(promotion, planned, findings + obstacles + check_guards(promotion))
    if dry_run:
        return rehearsed(promotion, plan)
    refuse_unless_approved(promotion)
    with changing(promotion, plan) as plan:
        roll_out_in_waves(promotion, plan)
        check_arrived(promotion, plan)
    return completed(promotion, plan, f"{plan.release.version} serves in {plan.target}.")
