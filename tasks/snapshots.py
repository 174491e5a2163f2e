"""Before production changes, its database is snapshotted, and the snapshot is waited for.

A run that died finds its snapshot under the same name and goes on waiting for it, or has it. Old snapshots are never
deleted: how long they are kept is the owner's policy (AWS Backup, a lifecycle of one's own), and an account may have
a limited number of them. What is done with a snapshot after a failed migration is a person's decision, too: nothing
restores it by itself.
"""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prefect import get_run_logger

from blocks.snapshots import Snapshots
from rules.catalogue import RolloutPolicy
from rules.errors import Outage, SnapshotFailed
from rules.plans import Plan
from rules.records import EventKind
from rules.snapshots import Look, Move, Step, Unready, next_step, snapshot_name, tag_values, unready
from tasks.artifacts import Progress, artifact_key
from tasks.kinds import acting
from tasks.promotions import Promotion
from tasks.records import write

OUTAGE_MINUTES = 5.0
"""So long a snapshot is waited for through an outage of the API; it goes on by itself meanwhile."""

NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The snapshot that a run wants."""

    database: str
    identifier: str
    tags: Mapping[str, str]


class Taker:
    """Looks, takes and waits, step after step. `intend` is called before the first attempt to take it."""

    def __init__(  # noqa: PLR0917 - the clock and the pause are passed by tests only
        self,
        snapshots: Snapshots,
        policy: RolloutPolicy,
        report: Callable[[Step], None],
        intend: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._snapshots, self._policy, self._report, self._intend = snapshots, policy, report, intend
        self._clock, self._pause = clock, pause

    def take(self, wanted: Wanted, began: float) -> Step:
        """Returns when the snapshot is there. `began`: by the clock, when the waiting began.

        Raises:
            SnapshotFailed: it failed, or was not there in time.
            Outage: Amazon RDS did not answer for so long.

        """
        answered, refused = self._clock(), ""
        while True:
            try:
                step = next_step(self._look(wanted, began, refused), self._policy.snapshot_minutes)
                self._report(step)
                if step.move is Move.DONE:
                    return step
                if step.move is Move.FAIL:
                    raise SnapshotFailed(step.why)
                refused = self._take(wanted) if step.move is Move.TAKE else ""
                answered = self._clock()
            except Outage:
                if (self._clock() - answered) / 60 > OUTAGE_MINUTES:
                    raise
            self._pause(self._policy.poll_seconds)

    def _look(self, wanted: Wanted, began: float, refused: str) -> Look:
        snapshot = self._snapshots.find(wanted.identifier)
        return Look(wanted.database, wanted.identifier, snapshot, (self._clock() - began) / 60, refused)

    def _take(self, wanted: Wanted) -> str:
        """Why it was not taken; empty when it was."""
        self._intend()
        answer = self._snapshots.take(wanted.database, wanted.identifier, wanted.tags)
        if not isinstance(answer, Unready):
            return ""
        self._report(unready(wanted.database, answer.why))
        return answer.why


def take_snapshot(promotion: Promotion, plan: Plan) -> None:
    """A snapshot of the target's database; nothing where the catalogue names none.

    Raises:
        SnapshotFailed: there is none, and so nothing must be changed.

    """
    if not promotion.target.environment.database:
        get_run_logger().info("%s: the catalogue names no database, so none is snapshotted.", plan.target)
        return
    take_and_wait(promotion, plan, time.monotonic())


@acting("snapshot the database")
def take_and_wait(promotion: Promotion, plan: Plan, began: float) -> None:
    """`began`: when the first attempt did, so that trying again does not give it more time."""
    wanted = what_is_wanted(promotion, plan)
    details = {"snapshot": wanted.identifier, "database": wanted.database}

    def intend() -> None:
        sentence = f"About to snapshot {wanted.database} as {wanted.identifier}."
        write_once(promotion, plan, EventKind.SNAPSHOT_INTENT, sentence, details)

    taker = Taker(promotion.target.snapshots, promotion.catalogue.rollout, reporter(promotion, wanted), intend)
    step = taker.take(wanted, began)
    seconds = round(time.monotonic() - began)
    write_once(promotion, plan, EventKind.SNAPSHOT_TAKEN, step.why, {**details, "seconds": seconds})


def what_is_wanted(promotion: Promotion, plan: Plan) -> Wanted:
    """The same in every process of a run, and another in every other run."""
    environment = promotion.target.environment
    tags = {
        "promotion-flows:application": plan.application,
        "promotion-flows:environment": environment.name,
        "promotion-flows:version": plan.release.version,
        "promotion-flows:plan": plan.hash,
        "promotion-flows:run": promotion.run_id,
    }
    name = snapshot_name(plan.application, environment.name, plan.hash, promotion.run_id)
    return Wanted(environment.database, name, tag_values(tags))


def write_once(promotion: Promotion, plan: Plan, kind: EventKind, sentence: str, details: Mapping[str, object]) -> None:
    """A run that begins again after a crash finds what it wrote."""
    ledger = promotion.application.ledger
    events = [record.event for record in ledger.records(promotion.run_id)]
    if not any(it.kind is kind and it.details["snapshot"] == details["snapshot"] for it in events):
        write(ledger, kind, plan.target, sentence, plan.hash, **details)


def reporter(promotion: Promotion, wanted: Wanted) -> Callable[[Step], None]:
    """Moves the bar in the UI; the log is told each thing once, not each percent."""
    key = artifact_key(promotion.application.name, promotion.target.environment.name, "snapshot")
    logger, progress = get_run_logger(), Progress(key, f"Snapshot of {wanted.database}")
    said: set[str] = set()

    def report(step: Step) -> None:
        progress.show(step.percent, step.why)
        if (news := NUMBER.sub("#", step.why)) not in said:
            logger.info(step.why)
            said.add(news)

    return report
