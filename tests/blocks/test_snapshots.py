"""The door to database snapshots, against the AWS stand-in: two of its minutes to take one, here two seconds."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from blocks.snapshots import Snapshots
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import Declined, InvalidInput, Outage, PromotionError
from rules.snapshots import Snapshot, Unready

DATABASE, NAME = "batbern-production", "batbern-production-1"


@pytest.fixture
def rds(open_client: Callable[..., Any]) -> Any:
    client = open_client("rds")
    client.create_db_instance(
        DBInstanceIdentifier=DATABASE, DBInstanceClass="db.t4g.micro", Engine="postgres", AllocatedStorage=20,
        MasterUsername="batbern", MasterUserPassword="made-up-password", StorageEncrypted=True,
    )  # fmt: skip
    return client


@pytest.fixture
def snapshots(rds: Any) -> Snapshots:
    return Snapshots(rds)


def taken(answer: Snapshot | Unready) -> Snapshot:
    assert isinstance(answer, Snapshot)
    return answer


def test_a_snapshot_is_begun_and_grows_until_it_is_there(snapshots: Snapshots, world_clock: ManualClock) -> None:
    begun = taken(snapshots.take(DATABASE, NAME, {"promotion-flows:run": "1"}))
    assert (begun.status, begun.percent, begun.database, begun.encrypted) == ("creating", 0, DATABASE, True)
    seen = []
    for _ in range(3):
        found = snapshots.find(NAME)
        assert found is not None
        seen.append((found.status, found.percent))
        world_clock.advance(1)
    assert seen == [("creating", 0), ("creating", 50), ("available", 100)]


def test_a_snapshot_carries_its_tags(snapshots: Snapshots, rds: Any) -> None:
    snapshots.take(DATABASE, NAME, {"promotion-flows:run": "1", "promotion-flows:version": "3f2a1bc"})
    [described] = rds.describe_db_snapshots(DBSnapshotIdentifier=NAME)["DBSnapshots"]
    assert {tag["Key"]: tag["Value"] for tag in described["TagList"]} == {
        "promotion-flows:run": "1",
        "promotion-flows:version": "3f2a1bc",
    }


def test_what_is_not_there_is_not_found(snapshots: Snapshots) -> None:
    assert snapshots.find("none") is None


def test_one_that_is_there_already_is_that_snapshot(snapshots: Snapshots, rds: Any, world_clock: ManualClock) -> None:
    snapshots.take(DATABASE, NAME, {})
    world_clock.advance(2)
    assert taken(snapshots.take(DATABASE, NAME, {})).status == "available"
    assert len(rds.describe_db_snapshots(SnapshotType="manual")["DBSnapshots"]) == 1


def test_an_unknown_database_is_named(snapshots: Snapshots) -> None:
    with pytest.raises(InvalidInput, match=r"batbern-prod'.*Mend the environment"):
        snapshots.take("batbern-prod", NAME, {})


def test_a_database_that_is_not_available_takes_none_for_the_moment(snapshots: Snapshots, rds: Any) -> None:
    rds.stop_db_instance(DBInstanceIdentifier=DATABASE)
    answer = snapshots.take(DATABASE, NAME, {})
    assert isinstance(answer, Unready)
    assert "not in the available state" in answer.why
    rds.start_db_instance(DBInstanceIdentifier=DATABASE)
    assert taken(snapshots.take(DATABASE, NAME, {})).status == "creating"


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR, FaultKind.RESET, FaultKind.GARBAGE])
def test_a_trouble_of_the_moment_is_an_outage(aws: AwsStandIn, snapshots: Snapshots, kind: FaultKind) -> None:
    aws.faults.add(Fault("aws", kind=kind, operation="rds:*"))
    try:
        with pytest.raises(Outage):
            snapshots.find(NAME)
        with pytest.raises(Outage):
            snapshots.take(DATABASE, NAME, {})
    finally:
        aws.faults.clear()


class Refusing:
    """An RDS that answers every call with one error."""

    def __init__(self, code: str, status: int = 400) -> None:
        self._answer = {"Error": {"Code": code, "Message": "No."}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def create_db_snapshot(self, **_: Any) -> Any:
        raise ClientError(self._answer, "CreateDBSnapshot")  # type: ignore[arg-type]  # a plain dict

    def describe_db_snapshots(self, **_: Any) -> Any:
        raise ClientError(self._answer, "DescribeDBSnapshots")  # type: ignore[arg-type]  # a plain dict


def refusing(code: str, status: int = 400) -> Snapshots:
    client: Any = Refusing(code, status)
    return Snapshots(client)


def test_too_many_snapshots_are_for_a_person() -> None:
    with pytest.raises(Declined, match="Delete old manual snapshots"):
        refusing("SnapshotQuotaExceeded").take(DATABASE, NAME, {})


def test_a_missing_permission_is_named_with_its_action() -> None:
    with pytest.raises(Declined, match="CreateDBSnapshot"):
        refusing("AccessDenied", 403).take(DATABASE, NAME, {})
    with pytest.raises(Declined, match="DescribeDBSnapshots"):
        refusing("AccessDenied", 403).find(NAME)


def test_both_spellings_of_an_error_are_understood() -> None:
    assert refusing("DBSnapshotNotFoundFault", 404).find(NAME) is None
    assert isinstance(refusing("InvalidDBInstanceStateFault").take(DATABASE, NAME, {}), Unready)


def test_there_and_not_found_is_nonsense() -> None:
    class Both(Refusing):
        def describe_db_snapshots(self, **_: Any) -> Any:
            return {"DBSnapshots": []}

    client: Any = Both("DBSnapshotAlreadyExists")
    with pytest.raises(Outage, match="does not find it"):
        Snapshots(client).take(DATABASE, NAME, {})


def test_anything_else_is_told_in_the_words_of_rds() -> None:
    with pytest.raises(PromotionError, match="InvalidParameterValue"):
        refusing("InvalidParameterValue").take(DATABASE, NAME, {})
