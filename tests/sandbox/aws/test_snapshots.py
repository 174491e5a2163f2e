"""Contract of deployments/sandbox/aws/patches/snapshots.py: a snapshot takes two AWS minutes, here two seconds."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.clock import ManualClock

DATABASE, SNAPSHOT = "batbern-staging", "before-482"


@pytest.fixture
def rds(open_client: Callable[..., Any]) -> Any:
    client = open_client("rds")
    client.create_db_instance(
        DBInstanceIdentifier=DATABASE,
        DBInstanceClass="db.t4g.micro",
        Engine="postgres",
        AllocatedStorage=20,
        MasterUsername="batbern",
        MasterUserPassword="made-up-secret",
    )
    return client


def progress(rds: Any) -> tuple[str, int]:
    (snapshot,) = rds.describe_db_snapshots(DBSnapshotIdentifier=SNAPSHOT)["DBSnapshots"]
    return snapshot["Status"], snapshot["PercentProgress"]


def test_a_snapshot_takes_its_time(rds: Any, world_clock: ManualClock) -> None:
    made = rds.create_db_snapshot(DBSnapshotIdentifier=SNAPSHOT, DBInstanceIdentifier=DATABASE)["DBSnapshot"]
    assert (made["Status"], made["PercentProgress"]) == ("creating", 0)
    world_clock.advance(1.0)
    assert progress(rds) == ("creating", 50)
    world_clock.advance(1.0)
    assert progress(rds) == ("available", 100)


def test_a_snapshot_restores_only_when_it_is_there(rds: Any, world_clock: ManualClock) -> None:
    rds.create_db_snapshot(DBSnapshotIdentifier=SNAPSHOT, DBInstanceIdentifier=DATABASE)
    restore = {"DBInstanceIdentifier": "restored", "DBSnapshotIdentifier": SNAPSHOT}
    with pytest.raises(ClientError, match="InvalidDBSnapshotState"):
        rds.restore_db_instance_from_db_snapshot(**restore)
    world_clock.advance(2.0)
    assert rds.restore_db_instance_from_db_snapshot(**restore)["DBInstance"]["DBInstanceIdentifier"] == "restored"


def test_errors_have_their_names(rds: Any) -> None:
    rds.create_db_snapshot(DBSnapshotIdentifier=SNAPSHOT, DBInstanceIdentifier=DATABASE)
    with pytest.raises(rds.exceptions.DBSnapshotAlreadyExistsFault):
        rds.create_db_snapshot(DBSnapshotIdentifier=SNAPSHOT, DBInstanceIdentifier=DATABASE)
    with pytest.raises(rds.exceptions.DBInstanceNotFoundFault):
        rds.create_db_snapshot(DBSnapshotIdentifier="other", DBInstanceIdentifier="none")
    with pytest.raises(rds.exceptions.DBSnapshotNotFoundFault):
        rds.describe_db_snapshots(DBSnapshotIdentifier="none")
