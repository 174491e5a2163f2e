"""The way back: in reverse order, from the ledger, never from memory.

What has to be undone is read from the recorded intents, so it also covers what a run that died had begun, and
going back is itself resumable: each step looks first and does only what is missing.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prefect import get_run_logger

from blocks.shifts import BlueGreen
from rules.errors import PromotionError, PutBack, PutBackFailed, RolloutFailed
from rules.records import Event, EventKind
from rules.rollouts import next_step_back
from rules.settling import deployed_by_us, services_before, unsettled
from rules.vocabulary import Service, unmet
from tasks.configuration import put_back_configuration
from tasks.feature_flags import put_back_flags
from tasks.following import Order
from tasks.kinds import acting, asking
from tasks.migrations import put_back_migrations
from tasks.promotions import Promotion
from tasks.records import write
from tasks.rollouts import arrival, follower, tidy

LOOK = "what serves"
"""The last step, which puts nothing back and proves that the rest did."""
Undo = tuple[str, Callable[[], object]]
"""What is put back, in words, and the act. Of several side by side the act waits for the end."""


def put_back(
    promotion: Promotion, plan_hash: str, kinds: frozenset[EventKind], cause: BaseException
) -> PromotionError | None:
    """Puts the target back to what it was before the first unsettled change of these kinds.

    Returns the error to raise: PutBack, PutBackFailed, or None when nothing had been changed.
    """
    environment = promotion.target.environment.name
    try:
        recorded = unsettled(promotion.application.ledger.records(), environment)
    except Exception as trouble:  # noqa: BLE001 - not knowing what to put back is not having put it back
        return PutBackFailed(_sentence(cause), [], [f"whatever was begun, which the ledger does not tell: {trouble}"])
    intents = [intent for intent in recorded if intent.kind in kinds]
    if not intents:
        return None
    get_run_logger().error("putting %s back: %s", environment, cause)
    restored, stuck = [], []
    for side_by_side in _undoings(promotion, plan_hash, intents):
        done, left = _undo(side_by_side)
        restored += done
        stuck += left
    if stuck:
        return PutBackFailed(_sentence(cause), restored, stuck)
    told = [what for what in restored if what != LOOK]
    return PutBack(_sentence(cause), told, f"{environment} is again what it was before.")


def _undo(side_by_side: Sequence[Undo]) -> tuple[list[str], list[str]]:
    restored, stuck = [], []
    for what, finish in side_by_side:
        try:
            finish()
            restored.append(what)
        except PromotionError as trouble:
            stuck.append(f"{what}: {trouble}")
        except Exception as trouble:  # noqa: BLE001 - whatever it is, the others are still put back and somebody is paged
            stuck.append(f"{what}: {type(trouble).__name__}: {trouble}")
    return restored, stuck


def _undoings(promotion: Promotion, plan_hash: str, intents: Sequence[Event]) -> Iterator[Sequence[Undo]]:
    """Traffic first, the last wave before the first; then the database, flags, configuration, and a look at all."""
    before, ours = services_before(intents), deployed_by_us(intents)
    kinds = {intent.kind for intent in intents}
    for wave in reversed(promotion.catalogue.waves()):
        # Submitted when its turn comes, so that a wave is back before the one under it moves.
        moved = [service for service in wave if service.id in before]
        yield [_returning(promotion, plan_hash, it, before[it.id], ours[it.id]) for it in moved]
    if EventKind.MIGRATIONS_INTENT in kinds:
        yield [("database", lambda: put_back_migrations(promotion, plan_hash, intents))]
    if EventKind.FLAGS_INTENT in kinds:
        yield [("flags", lambda: put_back_flags(promotion, plan_hash, intents))]
    if EventKind.CONFIGURATION_INTENT in kinds:
        yield [("configuration", lambda: put_back_configuration(promotion, plan_hash, intents))]
    if before:
        yield [(LOOK, lambda: verify_return(promotion, before))]


def _returning(
    promotion: Promotion, plan_hash: str, service: Service, before: Mapping[str, Any], ours: frozenset[str]
) -> Undo:
    named = return_service.with_options(task_run_name=f"put back {service.id}")
    return service.id, named.submit(promotion, plan_hash, service, before, ours).result


@acting("put back service")
def return_service(
    promotion: Promotion, plan_hash: str, service: Service, before: Mapping[str, Any], ours: frozenset[str]
) -> None:
    """One service back to the image that it served: by stopping what goes forward, or by a deployment backwards."""
    doors = promotion.target
    if len(before["digests"]) != 1:
        raise RolloutFailed(
            service.id, f"before the promotion it served {before['digests'] or 'nothing'}: no state to go back to"
        )
    state = doors.containers.state(service, doors.environment.name)
    order = Order(service.id, state.name, service.container, before["task_definition"], before["digests"][0], ours)
    # No bake and no alarms on the way back: the old version is the known good one and speed is what counts.
    step = follower(promotion, service).follow(order, BlueGreen(bake_minutes=0, unguarded=True), next_step_back)
    tidy(promotion, service, state.name)
    ledger, kind = promotion.application.ledger, EventKind.ROLLOUT_ROLLED_BACK
    write(ledger, kind, doors.environment.name, step.why, plan_hash, service=service.id)


@asking("verify what serves after putting back")
def verify_return(promotion: Promotion, before: Mapping[str, Mapping[str, Any]]) -> None:
    """Every service that was touched serves its old image, or this raises what does not."""
    wanted = {service: details["digests"][0] for service, details in before.items() if details["digests"]}
    wrong = unmet(arrival(promotion, wanted))
    if wrong:
        raise PromotionError(" ".join(finding.sentence for finding in wrong))


def _sentence(cause: BaseException) -> str:
    text = str(cause) or type(cause).__name__
    return text if text.endswith((".", "!", "?")) else f"{text}."
