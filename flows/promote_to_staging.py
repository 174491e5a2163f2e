"""dev → staging: automatic, gated, put back by itself when it goes wrong."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from rules.vocabulary import Role
from tasks.announcing import announce_cancellation
from tasks.changing import changing
from tasks.configuration import apply_configuration
from tasks.endings import completed, ending, rehearsed
from tasks.feature_flags import apply_flags, wait_for_flag_approvals
from tasks.gates import check_arrived, check_source, refuse_unless_met
from tasks.guards import check_guards
from tasks.looking_back import look_back
from tasks.migrations import migrate_databases
from tasks.promotions import begin, pin_release, plan_promotion, publish_plan
from tasks.rollouts import roll_out_in_waves
from tasks.validating import check_validated


@flow(
    name="promote-to-staging",
    flow_run_name="{application}-to-staging",
    on_cancellation=[announce_cancellation],
    persist_result=False,
)
@ending
def promote_to_staging(application: str, version: str = "", dry_run: bool = False) -> State[Any] | None:
    """Promotes the release that runs in the integration environment to staging.

    Gates first, all of them at once. Then, under the environment's lock: configuration, flags, migrations, and a
    roll-out in waves, blue-green or by canary as the catalogue says. If anything fails after the first write,
    everything is put back.

    Args:
        application: The application, as its catalogue names it.
        version: Git SHA to promote, 7 to 40 digits. Leave it empty to promote whatever runs in the source environment.
        dry_run: Check every gate and show the plan, and change nothing.

    """
    promotion = begin(application, Role.STAGING, version)
    look_back(promotion)
    release, findings = pin_release(promotion)
    findings += check_source(promotion) + check_validated(promotion, release)
    planned, obstacles = plan_promotion(promotion, release)
    publish_plan(promotion, planned)
    plan = refuse_unless_met(promotion, planned, findings + obstacles + check_guards(promotion))
    if dry_run:
        return rehearsed(promotion, plan)
    wait_for_flag_approvals(promotion, plan)
    with changing(promotion, plan) as plan:
        apply_configuration(promotion, plan)
        apply_flags(promotion, plan)
        migrate_databases(promotion, plan)
        roll_out_in_waves(promotion, plan)
        check_arrived(promotion, plan)
    return completed(promotion, plan, f"{plan.release.version} serves in {plan.target}.")
