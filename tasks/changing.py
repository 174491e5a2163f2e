"""Between the first write and the last: the lock is held, and whatever goes wrong is put back."""

from collections.abc import Iterator
from contextlib import contextmanager

from rules.plans import Plan
from rules.records import EventKind
from rules.vocabulary import Finding, Verdict, unmet
from tasks.kinds import asking
from tasks.locks import lock
from tasks.promotions import Promotion, plan_promotion, refuse
from tasks.putting_back import put_back
from tasks.records import write


@contextmanager
def changing(promotion: Promotion, plan: Plan) -> Iterator[Plan]:
    """Holds the target's lock and gives the plan as it is now; puts everything back when the block fails."""
    environment, ledger = promotion.target.environment.name, promotion.application.ledger
    with lock(promotion.application.name, environment, promotion.catalogue.lock):
        write(ledger, EventKind.LOCK_TAKEN, environment, f"{environment} is ours.", plan.hash)
        try:
            yield recheck(promotion, plan)
        except BaseException as error:  # a cancelled run must not leave half a release either
            told = put_back(promotion, plan, error)
            if told is None or not isinstance(error, Exception):
                raise
            raise told from error
        finally:
            write(ledger, EventKind.LOCK_RELEASED, environment, f"{environment} is free again.", plan.hash)


@asking("check again under the lock")
def recheck(promotion: Promotion, plan: Plan) -> Plan:
    """The same plan against what stands there now. Raises Refused when it changed, is unsafe, or others deploy."""
    now, findings = plan_promotion.fn(promotion, plan.release)
    findings = (*findings, same_plan(plan, now))
    if now is None or unmet(findings):
        raise refuse(promotion, findings)
    return now


def same_plan(before: Plan, now: Plan | None) -> Finding:
    """Whether planning again gives the plan that was agreed on."""
    found = now.hash if now else "no plan"
    if before.hash == found:
        return Finding("plan unchanged", Verdict.PASSED, "The plan is unchanged.", found, before.hash)
    sentence = "What would be promoted has changed since the plan was made; run again to plan afresh."
    return Finding("plan unchanged", Verdict.FAILED, sentence, found, before.hash)
