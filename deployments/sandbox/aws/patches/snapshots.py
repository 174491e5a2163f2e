"""Database snapshots that take their time: `creating` with a growing PercentProgress, then `available`."""

from typing import Any

from deployments.sandbox.aws.patches.seams import Current, original, refusal, replace


def install() -> None:
    from moto.rds.models import DBClusterSnapshot, DBSnapshot, RDSBackend

    for kind in (DBSnapshot, DBClusterSnapshot):
        replace(kind, "status", property(status, set_status))
        replace(kind, "percent_progress", property(percent_progress, _ignore))
    for restore in ("restore_db_instance_from_db_snapshot", "restore_db_cluster_from_snapshot"):
        replace(RDSBackend, restore, _when_available(restore))
    replace(RDSBackend, "create_db_snapshot", create_db_snapshot)


def status(self: Any) -> str:
    return "creating" if percent_progress(self) < 100 else str(self.__dict__.get("_said", "available"))


def set_status(self: Any, said: str) -> None:
    self.__dict__["_said"] = said


def percent_progress(self: Any) -> int:
    """Of the AWS minutes that a snapshot takes, those that have passed since it was first looked at: its making."""
    now = Current.clock.monotonic()
    lasts = Current.clock.seconds(Current.snapshot_minutes)
    passed = now - self.__dict__.setdefault("_began", now)
    return 100 if passed >= lasts else int(100 * passed / lasts)


def _ignore(self: Any, said: int) -> None:
    """Moto says 100 from the start."""


def _when_available(restore: str) -> Any:
    def wait_first(self: Any, *args: Any, **kwargs: Any) -> Any:
        name = args[0] if args else kwargs.get("from_snapshot_id")
        known = {**self.database_snapshots, **self.cluster_snapshots}
        if name in known and known[name].status == "creating":
            reason = f"DB snapshot {name} is still creating ({known[name].percent_progress}%)."
            raise refusal("InvalidDBSnapshotState", reason)
        return original(type(self), restore)(self, *args, **kwargs)

    return wait_first


def create_db_snapshot(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Moto takes one of a stopped instance, too."""
    name = args[0] if args else kwargs.get("db_instance_identifier")
    database = self.databases.get(name)
    if database is not None and database.status != "available":
        reason = f"Instance {name} is {database.status}, not in the available state."
        raise refusal("InvalidDBInstanceState", reason)
    return original(type(self), "create_db_snapshot")(self, *args, **kwargs)
