"""Configuration promoted on its own: begun, planned, changed under the lock, completed or put back."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from prefect import get_run_logger
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run
from prefect.states import Completed

from blocks.doors import Application, open_application, open_doors
from rules.configuration import ConfigurationPlan
from rules.errors import InvalidInput, Refused
from rules.records import Event, EventKind
from rules.run_pages import plan_page
from rules.vocabulary import Finding, Role, Verdict
from tasks.announcing import announce
from tasks.artifacts import artifact_key, publish_end, publish_findings, publish_markdown
from tasks.changing import holding
from tasks.configuration import carry_out, plan_configuration_change
from tasks.kinds import acting, asking
from tasks.promotions import Promotion
from tasks.records import write


@asking("begin")
def begin_configuration(application: str, source: str, target: str) -> Promotion:
    """Opens the doors of both environments and writes down that it started."""
    opened = open_application(application)
    check_direction(opened, source, target)
    doors = open_doors(opened.catalogue, source), open_doors(opened.catalogue, target)
    promotion = Promotion(opened, *doors, version=None)
    write(
        opened.ledger,
        EventKind.STARTED,
        target,
        f"Promotion of the configuration of {promotion} started.",
        source=source,
        catalogue=opened.catalogue.sha256,
        started_at=datetime.now(UTC).isoformat(),
    )
    return promotion


def check_direction(application: Application, source: str, target: str) -> None:
    """Configuration walks the way of releases. Raises InvalidInput for any other direction."""
    chain = application.catalogue.chain
    if source not in chain:
        raise InvalidInput("source", source, f"one of {', '.join(chain)}")
    later = chain[chain.index(source) + 1 :]
    if target not in later:
        raise InvalidInput("target", target, f"an environment after {source}: {', '.join(later) or 'there is none'}")


@asking("plan configuration")
def plan_configuration_alone(promotion: Promotion) -> ConfigurationPlan:
    """What would be written and what speaks against it, told to the log, the UI and the ledger."""
    records = promotion.application.ledger.records()
    plan = plan_configuration_change(promotion.source, promotion.target, promotion.catalogue, records)
    name, title = plan_name(plan), f"Configuration of {plan.source} for {plan.target}"
    for finding in plan.findings():
        get_run_logger().info("%s: %s: %s", finding.gate, finding.verdict, finding.sentence)
    key = artifact_key(promotion.application.name, plan.target, "configuration")
    publish_markdown(f"{key}-plan", plan_page(plan.table()), f"{title}, plan {name}")
    publish_findings(f"{key}-findings", plan.findings(), title)
    said = f"Plan {name}: {len(plan.changes)} parameters to write below {plan.root}."
    get_run_logger().info(said)
    write(promotion.application.ledger, EventKind.FINDINGS, plan.target, title, name, findings=plan.findings())
    write(promotion.application.ledger, EventKind.PLAN, plan.target, said, name, changes=plan.table())
    return plan


def plan_name(plan: ConfigurationPlan) -> str:
    """Sixteen hexadecimal digits that name this plan in records and messages."""
    return plan.fingerprint()[:16]


def refuse_unless_safe(plan: ConfigurationPlan) -> None:
    plan.raise_if_unsafe()


def refuse_unless_approved(promotion: Promotion) -> None:
    """An approver's word stands before every change of production, and this runbook asks nobody for it."""
    if promotion.target.environment.role is Role.PRODUCTION:
        name = promotion.target.environment.name
        sentence = f"The configuration of {name} changes with an approved release only; here a dry run is possible."
        raise Refused(f"Promotion of {promotion}", [Finding("approval", Verdict.FAILED, sentence)])


@contextmanager
def changing_configuration(promotion: Promotion, plan: ConfigurationPlan) -> Iterator[ConfigurationPlan]:
    """Holds the target's lock, gives the plan as it is now, and puts back when the block fails or is cancelled."""
    with holding(promotion, plan_name(plan), frozenset({EventKind.CONFIGURATION_INTENT})):
        yield plan_again(promotion, plan)


@asking("plan again under the lock")
def plan_again(promotion: Promotion, plan: ConfigurationPlan) -> ConfigurationPlan:
    """The plan against what stands there now. Raises Refused when what is wished for has changed, or is unsafe now."""
    records = promotion.application.ledger.records()
    now = plan_configuration_change(promotion.source, promotion.target, promotion.catalogue, records)
    now.raise_if_unsafe()
    if now.fingerprint() != plan.fingerprint():
        sentence = f"The configuration of {plan.source} changed since it was planned; run again to plan afresh."
        raise Refused(
            f"Promotion of {promotion}",
            [Finding("plan unchanged", Verdict.FAILED, sentence, plan_name(now), plan_name(plan))],
        )
    return now


@acting("apply configuration")
def apply_configuration_alone(promotion: Promotion, plan: ConfigurationPlan) -> None:
    """Writes the differences and proves by reading that they arrived."""
    ledger, parameters = promotion.application.ledger, promotion.target.parameters
    carry_out(ledger, parameters, plan, plan_name(plan), get_run_logger().info)


def configuration_rehearsed(promotion: Promotion, plan: ConfigurationPlan) -> State[Any]:
    """The end of a dry run: recorded, and announced to nobody, because nothing happened."""
    sentence = "Dry run: the plan is safe and nothing was changed."
    event = Event(str(flow_run.id), plan_name(plan), plan.target, EventKind.COMPLETED, sentence, {"dry_run": True})
    promotion.application.ledger.append(event)
    publish_end(promotion.application, event.run_id)
    return Completed(message=sentence)


def configuration_completed(promotion: Promotion, plan: ConfigurationPlan, sentence: str) -> State[Any]:
    """The good end: recorded, announced, and said in the state's message."""
    run_id, application = str(flow_run.id), promotion.application
    application.ledger.append(Event(run_id, plan_name(plan), plan.target, EventKind.COMPLETED, sentence))
    announce(application, run_id, str(flow_run.flow_name))
    publish_end(application, run_id)
    return Completed(message=sentence)
