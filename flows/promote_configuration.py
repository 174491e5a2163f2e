"""Configuration alone, from one environment to a later one. Opt-in key by key, compare-and-set, put back on failure."""

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State

from tasks.announcing import announce_cancellation
from tasks.configuration_promotions import (
    apply_configuration_alone,
    begin_configuration,
    changing_configuration,
    configuration_completed,
    configuration_rehearsed,
    plan_configuration_alone,
    refuse_unless_approved,
    refuse_unless_safe,
)
from tasks.endings import ending


@flow(
    name="promote-configuration",
    flow_run_name="{application}-configuration-{source}-to-{target}",
    on_cancellation=[announce_cancellation],
    persist_result=False,
)
@ending
def promote_configuration(application: str, source: str, target: str, dry_run: bool = False) -> State[Any] | None:
    """Brings the parameters of one environment to another, as far as the catalogue's rules say so.

    A key without a rule, a value that names its own environment, a parameter that the target lacks: each refuses the
    plan before anything is written. A run that died is completed by the next one.

    Args:
        application: The application, as its catalogue names it.
        source: Environment to copy from, for example dev.
        target: Environment to write to, for example staging. It stands after the source in the chain.
        dry_run: Check everything and show the plan, and change nothing.

    """
    promotion = begin_configuration(application, source, target)
    plan = plan_configuration_alone(promotion)
    refuse_unless_safe(plan)
    if dry_run:
        return configuration_rehearsed(promotion, plan)
    refuse_unless_approved(promotion)
    with changing_configuration(promotion, plan) as current:
        apply_configuration_alone(promotion, current)
    return configuration_completed(promotion, plan, f"The configuration of {target} is as planned from {source}.")
