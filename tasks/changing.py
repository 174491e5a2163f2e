"""Between the first write and the last: the lock is held, and whatever goes wrong is put back."""

from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rules.errors import PutBackFailed
from rules.plans import Plan, check_same_plan
from rules.records import Event, EventKind
from rules.settling import INTENTS
from rules.vocabulary import Finding, unmet
from tasks.guards import check_guards
from tasks.kinds import asking
from tasks.locks import lock
from tasks.promotions import Promotion, plan_promotion, refuse
from tasks.putting_back import put_back
from tasks.records import note, write

Check = Callable[[Promotion], tuple[Finding, ...]]


def nothing_more(_promotion: Promotion) -> tuple[Finding, ...]:
    return ()


@contextmanager
def changing(promotion: Promotion, plan: Plan, also: Check = nothing_more) -> Iterator[Plan]:
    """Holds the target's lock and gives the plan as it is now; puts everything back when the block fails.

    `also`: what else must hold once the lock is ours.
    """
    with holding(promotion, plan.hash, INTENTS):
        yield recheck(promotion, plan, also)


@contextmanager
def holding(promotion: Promotion, plan_hash: str, kinds: frozenset[EventKind]) -> Iterator[None]:
    """Holds the target's lock; when the block fails, what was begun of these kinds is put back."""
    environment, ledger = promotion.target.environment.name, promotion.application.ledger
    with lock(promotion.application.name, environment, promotion.catalogue.lock):
        write(ledger, EventKind.LOCK_TAKEN, environment, f"{environment} is ours.", plan_hash)
        try:
            yield
        except CancelledError as error:  # so Prefect ends us when it could not renew the lock
            raise lock_lost(environment) from error
        except BaseException as error:  # a cancelled run must not leave half a release either
            told = put_back(promotion, plan_hash, kinds, error)
            if told is None or not isinstance(error, Exception):
                raise
            raise told from error
        finally:
            free = f"{environment} is free again."
            note(ledger, Event(promotion.run_id, plan_hash, environment, EventKind.LOCK_RELEASED, free))


def lock_lost(environment: str) -> PutBackFailed:
    """Another run may hold the environment by now, so going back would work against it."""
    return PutBackFailed(
        f"The lock of {environment} could not be renewed.",
        [],
        ["whatever this run had begun; once no other run is at work, promote again: that finishes it or takes it back"],
    )


@asking("check again under the lock")
def recheck(promotion: Promotion, plan: Plan, also: Check) -> Plan:
    """The same plan against what stands there now. Raises Refused when it changed, is unsafe, or others deploy."""
    now, findings = plan_promotion.fn(promotion, plan.release)
    findings = (*findings, *check_guards.fn(promotion), *check_same_plan(plan, now), *also(promotion))
    if now is None or unmet(findings):
        raise refuse(promotion, findings)
    return now
