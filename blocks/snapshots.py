"""The door to the database snapshots of one environment (Amazon RDS). It takes snapshots and deletes none."""

from __future__ import annotations  # the client's type is a stub, not there at run time

from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from rules.errors import Declined, InvalidInput, Outage
from rules.snapshots import Snapshot, Unready

if TYPE_CHECKING:
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_rds.type_defs import DBSnapshotTypeDef

SYSTEM = "Amazon RDS"


class Snapshots:
    """Manual snapshots of RDS instances, by identifier."""

    def __init__(self, rds: RDSClient) -> None:
        self._rds = rds

    def find(self, identifier: str) -> Snapshot | None:
        """The snapshot as it is now, or None when there is none of that name."""
        with translated(SYSTEM, f"looking for the snapshot {identifier}"):
            try:
                found = self._rds.describe_db_snapshots(DBSnapshotIdentifier=identifier)["DBSnapshots"]
            except ClientError as error:
                if _reason(error) == "DBSnapshotNotFound":
                    return None
                raise
            return _snapshot(found[0]) if found else None

    def take(self, database: str, identifier: str, tags: Mapping[str, str]) -> Snapshot | Unready:
        """Begins a snapshot; one of that name that is there already is that snapshot.

        Raises:
            InvalidInput: there is no such instance.
            Declined: the account has as many manual snapshots as it may have.

        """
        doing = f"taking the snapshot {identifier} of {database}"
        with translated(SYSTEM, doing):
            try:
                made = self._rds.create_db_snapshot(
                    DBInstanceIdentifier=database,
                    DBSnapshotIdentifier=identifier,
                    Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
                )
            except ClientError as error:
                return self._refused(error, database, identifier, doing)
            return _snapshot(made["DBSnapshot"])

    def _refused(self, error: ClientError, database: str, identifier: str, doing: str) -> Snapshot | Unready:
        match _reason(error):
            case "DBSnapshotAlreadyExists":
                return self._existing(identifier, doing)
            case "InvalidDBInstanceState":
                return Unready(error.response.get("Error", {}).get("Message", "its state does not allow it"))
            case "DBInstanceNotFound":
                allowed = "the identifier of an RDS instance in the environment's account and region"
                raise InvalidInput("database", database, allowed, "Mend the environment in the catalogue.") from error
            case "SnapshotQuotaExceeded":
                said = f"{error} Delete old manual snapshots, or have the quota raised; nobody deletes them for you."
                raise Declined(SYSTEM, doing, 400, said) from error
        raise error

    def _existing(self, identifier: str, doing: str) -> Snapshot:
        found = self.find(identifier)
        if found is None:
            raise Outage(SYSTEM, doing, "it says that the snapshot is there, and does not find it")
        return found


def _reason(error: ClientError) -> str:
    """The error's code; RDS writes some of them both with and without the ending."""
    return code_of(error).removesuffix("Fault")


def _snapshot(described: DBSnapshotTypeDef) -> Snapshot:
    return Snapshot(
        identifier=described["DBSnapshotIdentifier"],
        database=described["DBInstanceIdentifier"],
        status=described["Status"],
        percent=described.get("PercentProgress", 0),
        created_at=described.get("SnapshotCreateTime"),
        encrypted=described.get("Encrypted", False),
    )
