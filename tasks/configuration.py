"""Configuration, planned, written and put back. Each step looks first, so each may be repeated."""

from __future__ import annotations  # Promotion is named only: its module imports this one

import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from prefect import get_run_logger

from blocks.parameters import Parameters
from rules.configuration import ConfigurationChange, ConfigurationPlan, not_arrived, plan_configuration
from rules.configuration_intents import (
    ConfigurationIntent,
    IntentItem,
    Return,
    merge_intents,
    tags_back,
    versions_left,
    way_back,
)
from rules.errors import ApplyFailed, Conflict, PromotionError
from rules.parameters import Parameter
from rules.records import Event, EventKind, Record
from tasks.kinds import acting
from tasks.records import write

if TYPE_CHECKING:
    from blocks.doors import Doors
    from blocks.ledger import Ledger
    from rules.catalogue import Catalogue
    from rules.plans import Plan
    from tasks.promotions import Promotion

Sources = Callable[[str], Parameters]
"""Opens the parameters of an environment by its name."""
Report = Callable[..., None]
"""Takes a log line with its arguments."""

READINGS, BETWEEN_READINGS_SECONDS = 4, 1.0
"""AWS answers reads of many parameters on a best-effort basis, so a write may show a moment later."""
ENDS = frozenset({EventKind.CONFIGURATION_APPLIED, EventKind.CONFIGURATION_PUT_BACK})


def plan_configuration_change(
    source: Doors, target: Doors, catalogue: Catalogue, records: Iterable[Record] = ()
) -> ConfigurationPlan:
    """What of the source's parameters the target gets. With `records`, the plan also tells conflicts."""
    ends = [it.event.details for it in records if _ends(it.event, target.environment.name)]
    return plan_configuration(
        source.parameters.read(),
        target.parameters.read(),
        catalogue.configuration,
        source.environment,
        target.environment,
        left_behind=versions_left(ends),
    )


@acting("apply configuration")
def apply_configuration(promotion: Promotion, plan: Plan) -> None:
    """Writes the plan's differences and proves by reading that they arrived."""
    ledger, parameters = promotion.application.ledger, promotion.target.parameters
    carry_out(ledger, parameters, plan.configuration, plan.hash, get_run_logger().info)


@acting("put configuration back")
def put_back_configuration(promotion: Promotion, plan_hash: str, intents: Sequence[Event]) -> None:
    """Undoes what the unsettled intents began, back to before the first of them.

    Raises ApplyFailed naming each parameter that could not be put back; all others then are.
    """
    ledger, parameters = promotion.application.ledger, promotion.target.parameters
    if intent := combined(intents):
        go_back(ledger, parameters, _sources(promotion), intent, plan_hash=plan_hash, report=get_run_logger().info)


def carry_out(ledger: Ledger, parameters: Parameters, plan: ConfigurationPlan, plan_hash: str, report: Report) -> None:
    """Intent into the ledger, parameters into the target, proof, end into the ledger."""
    about = f"About to write {len(plan.changes)} parameters below {plan.root}."
    write(ledger, EventKind.CONFIGURATION_INTENT, plan.target, about, plan_hash, **plan.intent().to_details())
    versions = write_changes(parameters, plan.changes, report)
    prove(parameters, plan.changes)
    done = f"{len(versions)} parameters written below {plan.root}, read back and found right."
    report(done)
    write(ledger, EventKind.CONFIGURATION_APPLIED, plan.target, done, plan_hash, versions=versions)


def go_back(
    ledger: Ledger,
    parameters: Parameters,
    sources: Sources,
    intent: ConfigurationIntent,
    *,
    plan_hash: str,
    report: Report,
) -> None:
    """Undo the intent and record that. Raises ApplyFailed naming what is stuck."""
    versions, stuck = undo(parameters, sources, intent, report)
    if stuck:
        raise ApplyFailed("; ".join(stuck))
    done = f"{len(versions)} parameters below {intent.root} are again what they were."
    write(ledger, EventKind.CONFIGURATION_PUT_BACK, intent.target, done, plan_hash, versions=versions)


def combined(intents: Iterable[Event]) -> ConfigurationIntent | None:
    """The configuration intents among the events as one; None when there is none."""
    merged: ConfigurationIntent | None = None
    for event in intents:
        if event.kind is EventKind.CONFIGURATION_INTENT:
            intent = ConfigurationIntent.from_details(event.details)
            merged = merge_intents(merged, intent) if merged else intent
    return merged


def write_changes(parameters: Parameters, changes: Sequence[ConfigurationChange], report: Report) -> dict[str, int]:
    """Writes one change after the other; returns the version of each key that now stands."""
    versions = {}
    for number, change in enumerate(changes, start=1):
        versions[change.key] = parameters.write(change)
        report("%d/%d %s is version %d", number, len(changes), change.key, versions[change.key])
    return versions


def prove(
    parameters: Parameters, changes: Sequence[ConfigurationChange], pause: Callable[[float], None] = time.sleep
) -> None:
    """Reads everything back. Raises ApplyFailed naming what is not as it was written."""
    missing: tuple[str, ...] = ()
    for reading in range(READINGS if changes else 0):
        pause(BETWEEN_READINGS_SECONDS if reading else 0)
        if not (missing := not_arrived(changes, parameters.read())):
            return
    if missing:
        raise ApplyFailed(f"Written, and not found when read back: {', '.join(missing)}.")


def undo(
    parameters: Parameters, sources: Sources, intent: ConfigurationIntent, report: Report
) -> tuple[dict[str, int | None], list[str]]:
    """Puts every key back that can be, the last one first. `sources` opens an environment copied from, by name.

    Returns the version that now stands by key (None: no parameter, as before), and what is stuck, in words.
    """
    versions: dict[str, int | None] = {}
    stuck: list[str] = []
    for item in reversed(intent.items):
        try:
            versions[item.key] = _take_back(parameters, sources, item, intent.root)
            report("%s put back, now version %s", item.key, versions[item.key])
        except PromotionError as trouble:  # the others are still put back
            stuck.append(str(trouble))
    return versions, stuck


def _take_back(parameters: Parameters, sources: Sources, item: IntentItem, root: str) -> int | None:
    def origin(environment: str, version: int) -> Parameter | None:
        return sources(environment).read_version(item.key, version)

    way = way_back(item, parameters.history(item.key), origin)
    if way.step is Return.STUCK:
        raise Conflict(root + item.key, "a version that we wrote", way.observed or "no parameter")
    if way.step is Return.DELETE and way.observed is not None:
        parameters.delete(item.key, way.observed)
        return None
    if way.observed is None:
        return None
    version = parameters.overwrite(way.former, way.observed) if way.former else way.observed
    parameters.set_tags(item.key, *tags_back(item, parameters.tags(item.key)))
    return version


def _sources(promotion: Promotion) -> Sources:
    def parameters(environment: str) -> Parameters:
        if environment == promotion.source.environment.name:
            return promotion.source.parameters
        return promotion.application.environment(environment).parameters

    return parameters


def _ends(event: Event, environment: str) -> bool:
    return event.environment == environment and event.kind in ENDS
