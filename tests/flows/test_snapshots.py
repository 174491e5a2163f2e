"""The snapshot before production changes: taken, waited for, adopted, failed, given up; the stand-in has the time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from prefect import flow

from blocks.snapshots import Snapshots
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind
from rules.catalogue import RolloutPolicy
from rules.errors import InvalidInput, Outage, SnapshotFailed
from rules.records import Event, EventKind, Record, chain
from rules.snapshots import Move, Step
from tasks.snapshots import OUTAGE_MINUTES, Taker, Wanted, take_snapshot

DATABASE = "batbern-production"
WANTED = Wanted(DATABASE, "batbern-production-plan-run", {"promotion-flows:run": "run"})
POLICY = RolloutPolicy(poll_seconds=0.5, snapshot_minutes=1)


@pytest.fixture
def rds(open_client: Callable[..., Any]) -> Any:
    client = open_client("rds")
    client.create_db_instance(
        DBInstanceIdentifier=DATABASE, DBInstanceClass="db.t4g.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="batbern", MasterUserPassword="made-up-password",
    )  # fmt: skip
    return client


@dataclass
class Scene:
    """A taker whose pauses move the stand-in's time."""

    rds: Any
    clock: ManualClock
    during: dict[int, Callable[[], None]] = field(default_factory=dict)
    """What happens in which pause."""
    steps: list[Step] = field(default_factory=list)
    intents: int = 0
    pauses: int = 0

    def intend(self) -> None:
        self.intents += 1

    def pause(self, seconds: float) -> None:
        self.pauses += 1
        self.clock.advance(seconds)
        self.during.get(self.pauses, lambda: None)()

    def take(self, wanted: Wanted = WANTED) -> Step:
        clock = self.clock.monotonic
        taker = Taker(Snapshots(self.rds), POLICY, self.steps.append, self.intend, clock, self.pause)
        return taker.take(wanted, clock())

    def manual(self) -> list[str]:
        found = self.rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]
        return [snapshot["DBSnapshotIdentifier"] for snapshot in found]


@pytest.fixture
def scene(rds: Any, world_clock: ManualClock) -> Scene:
    return Scene(rds, world_clock)


def test_a_snapshot_is_taken_once_and_waited_for(scene: Scene) -> None:
    assert scene.take().move is Move.DONE
    assert [(step.move, step.percent) for step in scene.steps] == [
        (Move.TAKE, 0),
        (Move.WAIT, 25),
        (Move.WAIT, 50),
        (Move.WAIT, 75),
        (Move.DONE, 100),
    ]
    assert (scene.intents, scene.manual()) == (1, [WANTED.identifier])


def test_cancelled_in_the_middle_it_goes_on_by_itself_and_is_adopted(scene: Scene) -> None:
    def cancel() -> None:
        raise KeyboardInterrupt

    scene.during = {2: cancel}
    with pytest.raises(KeyboardInterrupt):
        scene.take()
    scene.clock.advance(10)
    again = Scene(scene.rds, scene.clock)
    assert again.take().move is Move.DONE
    assert ([step.move for step in again.steps], again.intents) == ([Move.DONE], 0)
    assert scene.manual() == [WANTED.identifier]


def test_one_that_a_dead_run_left_half_done_is_waited_for(scene: Scene) -> None:
    Snapshots(scene.rds).take(DATABASE, WANTED.identifier, {})
    scene.clock.advance(1)
    scene.take()
    assert [step.percent for step in scene.steps] == [50, 75, 100]
    assert scene.intents == 0


def test_a_snapshot_that_fails_ends_it(scene: Scene, aws: AwsStandIn) -> None:
    scene.during = {1: lambda: failing(WANTED.identifier)}
    with pytest.raises(SnapshotFailed, match=r"is failed.*Nothing else was begun"):
        scene.take()
    with pytest.raises(SnapshotFailed, match="is failed"):
        scene.take()
    assert scene.intents == 1


def failing(identifier: str) -> None:
    from moto.rds.models import rds_backends

    backends = [backend for regions in rds_backends.values() for backend in regions.values()]
    [snapshot] = [found for it in backends if (found := it.database_snapshots.get(identifier))]
    snapshot.status = "failed"


def test_a_busy_database_is_asked_again(scene: Scene) -> None:
    scene.rds.stop_db_instance(DBInstanceIdentifier=DATABASE)
    scene.during = {3: lambda: scene.rds.start_db_instance(DBInstanceIdentifier=DATABASE)}
    assert scene.take().move is Move.DONE
    assert scene.manual() == [WANTED.identifier]
    assert "takes no snapshot at the moment" in scene.steps[1].why


def test_a_database_that_stays_busy_ends_it_in_its_own_words(scene: Scene) -> None:
    scene.rds.stop_db_instance(DBInstanceIdentifier=DATABASE)
    with pytest.raises(SnapshotFailed, match=r"within 1 minutes.*is stopped"):
        scene.take()
    assert scene.pauses * POLICY.poll_seconds == pytest.approx(60, abs=1)
    assert scene.manual() == []


def test_one_that_takes_too_long_ends_it(scene: Scene, aws: AwsStandIn) -> None:
    from deployments.sandbox.aws.patches import Current

    Current.snapshot_minutes = 600
    try:
        with pytest.raises(SnapshotFailed, match=r"creating.*allowed are 1 "):
            scene.take()
    finally:
        Current.snapshot_minutes = 2


def test_a_database_that_is_not_there_ends_it_at_once(scene: Scene) -> None:
    with pytest.raises(InvalidInput, match="other"):
        scene.take(Wanted("other", WANTED.identifier, {}))
    assert scene.pauses == 0


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR, FaultKind.RESET])
def test_an_outage_that_passes_is_waited_for(scene: Scene, aws: AwsStandIn, kind: FaultKind) -> None:
    aws.faults.add(Fault("aws", kind=kind, operation="rds:*", times=5))
    assert scene.take().move is Move.DONE
    assert scene.manual() == [WANTED.identifier]
    assert aws.faults.active == ()


def test_an_outage_that_does_not_pass_is_told(scene: Scene, aws: AwsStandIn) -> None:
    aws.faults.add(Fault("aws", kind=FaultKind.ERROR, operation="rds:*"))
    scene.during = dict.fromkeys(range(1, 50), lambda: scene.clock.advance(60))
    try:
        with pytest.raises(Outage):
            scene.take()
    finally:
        aws.faults.clear()
    assert scene.pauses == OUTAGE_MINUTES


# --- the task ---------------------------------------------------------------------------------------------------------


class Notebook:
    """A ledger that keeps its records in memory."""

    def __init__(self) -> None:
        self.kept: list[Record] = []

    def append(self, event: Event) -> Record:
        self.kept.append(chain(self.kept[-1] if self.kept else None, event, datetime.now(UTC)))
        return self.kept[-1]

    def records(self, run_id: str | None = None) -> list[Record]:
        return [record for record in self.kept if run_id in {None, record.event.run_id}]

    def kinds(self) -> list[EventKind]:
        return [record.event.kind for record in self.kept]


class Case:
    """A promotion that Prefect does not walk through, and what it changed."""

    def __init__(self, rds: Any, database: str = DATABASE) -> None:
        self.ledger = Notebook()
        self.promotion: Any = SimpleNamespace(
            application=SimpleNamespace(ledger=self.ledger, name="batbern"),
            target=SimpleNamespace(
                environment=SimpleNamespace(name="production", database=database), snapshots=Snapshots(rds)
            ),
            catalogue=SimpleNamespace(rollout=RolloutPolicy(poll_seconds=0.05, snapshot_minutes=0.05)),
            run_id="",
        )
        release = SimpleNamespace(version="3f2a1bc")
        self.plan: Any = SimpleNamespace(
            application="batbern", target="production", hash="a1b2c3d4e5f60718", release=release
        )


@flow(name="snapshots", persist_result=False)
def snapshots_twice(case: Any) -> None:
    from prefect.runtime import flow_run

    case.promotion.run_id = str(flow_run.id)
    take_snapshot(case.promotion, case.plan)
    take_snapshot(case.promotion, case.plan)


@pytest.fixture
def instantly(aws: AwsStandIn) -> Any:
    from deployments.sandbox.aws.patches import Current

    Current.snapshot_minutes = 0
    yield
    Current.snapshot_minutes = 2


@pytest.mark.usefixtures("prefect_server", "instantly")
def test_it_is_written_down_before_and_after_and_once_however_often_the_run_begins(rds: Any) -> None:
    case = Case(rds)
    snapshots_twice(case)
    intent, taken = (record.event for record in case.ledger.kept)
    assert (intent.kind, taken.kind) == (EventKind.SNAPSHOT_INTENT, EventKind.SNAPSHOT_TAKEN)
    assert intent.details["database"] == DATABASE
    assert taken.details["snapshot"] == intent.details["snapshot"]
    assert taken.details["snapshot"].endswith(case.promotion.run_id)
    assert taken.details["seconds"] >= 0
    assert taken.plan_hash == case.plan.hash


@pytest.mark.usefixtures("prefect_server", "aws")
def test_one_that_is_not_there_in_time_ends_the_promotion(rds: Any) -> None:
    case = Case(rds)
    with pytest.raises(SnapshotFailed):
        snapshots_twice(case)
    assert case.ledger.kinds() == [EventKind.SNAPSHOT_INTENT]


@pytest.mark.usefixtures("prefect_server")
def test_without_a_database_nothing_is_taken_and_nothing_written(rds: Any) -> None:
    case = Case(rds, database="")
    snapshots_twice(case)
    assert case.ledger.kept == []
    assert rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"] == []
