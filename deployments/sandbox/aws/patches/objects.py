"""S3 object lock: GetObjectRetention answers, COMPLIANCE is not shortened, a bucket in use can be given a default."""

from datetime import UTC, datetime
from typing import Any

from deployments.sandbox.aws.patches.seams import original, replace


def install() -> None:
    from moto.s3.models import S3Backend
    from moto.s3.responses import S3Response

    replace(S3Response, "_key_response_get", key_response_get)
    replace(S3Backend, "put_object_retention", put_object_retention)
    replace(S3Backend, "put_object_lock_configuration", put_object_lock_configuration)


def key_response_get(self: Any, query: dict[str, Any], key_name: str) -> Any:
    """Moto answers GetObjectRetention with the object itself."""
    if "retention" not in query:
        return original(type(self), "_key_response_get")(self, query, key_name)
    version = query.get("versionId", [None])[0]
    key = self.backend.get_object(self.bucket_name, key_name, version_id=version)
    if key is None:
        return _error(404, "NoSuchKey", "The specified key does not exist.")
    if not key.lock_mode:
        reason = "The specified object does not have a ObjectLock configuration"
        return _error(404, "NoSuchObjectLockConfiguration", reason)
    lock = f"<Mode>{key.lock_mode}</Mode><RetainUntilDate>{_text(key.lock_until)}</RetainUntilDate>"
    return 200, {"content-type": "application/xml"}, f"<Retention>{lock}</Retention>"


def put_object_retention(
    self: Any, bucket_name: str, key_name: str, version_id: str | None, retention: tuple[str | None, str | None]
) -> None:
    key = self.get_object(bucket_name, key_name, version_id=version_id)
    locked = key is not None and key.lock_mode == "COMPLIANCE" and key.lock_until
    if locked and (retention[0] != "COMPLIANCE" or _moment(retention[1]) < _moment(key.lock_until)):
        from moto.s3.exceptions import AccessDeniedByLock

        raise AccessDeniedByLock
    original(type(self), "put_object_retention")(self, bucket_name, key_name, version_id, retention)


def put_object_lock_configuration(self: Any, bucket_name: str, *rest: Any, **named: Any) -> None:
    """Moto takes it only for a bucket without objects; it looks at nothing but their number."""
    bucket = self.get_bucket(bucket_name)
    kept, bucket.keys = bucket.keys, type(bucket.keys)()
    try:
        original(type(self), "put_object_lock_configuration")(self, bucket_name, *rest, **named)
    finally:
        bucket.keys = kept


def _error(status: int, code: str, message: str) -> Any:
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return status, {"content-type": "application/xml"}, body


def _text(until: str) -> str:
    return _moment(until).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(until: str | None) -> datetime:
    if not until:
        return datetime.min.replace(tzinfo=UTC)
    moment = datetime.fromisoformat(until)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
