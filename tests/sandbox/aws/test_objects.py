"""Contract of deployments/sandbox/aws/patches/objects.py: locks and conditional writes, as a ledger needs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

LEDGER = {"Bucket": "batbern-ledger", "Key": "staging/000001.json"}
UNTIL = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
def s3(open_client: Callable[..., Any]) -> Any:
    client = open_client("s3")
    client.create_bucket(
        Bucket=LEDGER["Bucket"],
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        ObjectLockEnabledForBucket=True,
    )
    return client


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**LEDGER, **arguments)
    return str(caught.value.response["Error"]["Code"])


def write(s3: Any, body: bytes = b"{}", **more: Any) -> str:
    return str(s3.put_object(**LEDGER, Body=body, **more)["VersionId"])


def locked(s3: Any, mode: str = "COMPLIANCE") -> str:
    return write(s3, ObjectLockMode=mode, ObjectLockRetainUntilDate=UNTIL)


def test_a_conditional_write_succeeds_once(s3: Any) -> None:
    write(s3, IfNoneMatch="*")
    assert refused(s3.put_object, Body=b"again", IfNoneMatch="*") == "PreconditionFailed"
    assert s3.get_object(**LEDGER)["Body"].read() == b"{}"


def test_of_many_writers_at_once_one_wins(s3: Any) -> None:
    def attempt(writer: int) -> bool:
        try:
            write(s3, str(writer).encode(), IfNoneMatch="*")
        except ClientError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(16))) == 1


def test_a_write_on_what_was_read_needs_it_unchanged(s3: Any) -> None:
    write(s3)
    etag = s3.head_object(**LEDGER)["ETag"]
    write(s3, b"changed")
    assert refused(s3.put_object, Body=b"mine", IfMatch=etag) == "PreconditionFailed"


def test_the_retention_is_told(s3: Any) -> None:
    locked(s3)
    assert s3.get_object_retention(**LEDGER)["Retention"] == {"Mode": "COMPLIANCE", "RetainUntilDate": UNTIL}
    assert s3.head_object(**LEDGER)["ObjectLockRetainUntilDate"] == UNTIL


def test_an_object_without_a_lock_has_no_retention(s3: Any) -> None:
    write(s3)
    assert refused(s3.get_object_retention) == "NoSuchObjectLockConfiguration"


def test_an_object_that_is_not_there_has_no_retention(s3: Any) -> None:
    assert refused(s3.get_object_retention) == "NoSuchKey"


def test_a_bucket_in_use_can_be_given_a_default_retention(s3: Any) -> None:
    write(s3)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    s3.put_object_lock_configuration(
        Bucket=LEDGER["Bucket"], ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    assert refused(s3.get_object_retention) == "NoSuchObjectLockConfiguration"
    write(s3, b"later")
    retention = s3.get_object_retention(**LEDGER)["Retention"]
    assert retention["Mode"] == "COMPLIANCE"
    assert retention["RetainUntilDate"] > datetime.now(UTC)


def test_a_locked_version_cannot_be_deleted(s3: Any) -> None:
    version = locked(s3)
    assert refused(s3.delete_object, VersionId=version) == "AccessDenied"


def test_compliance_can_be_prolonged_but_not_shortened(s3: Any) -> None:
    locked(s3)
    later, sooner = UNTIL + timedelta(days=1), UNTIL - timedelta(days=1)
    s3.put_object_retention(**LEDGER, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": later})
    assert s3.get_object_retention(**LEDGER)["Retention"]["RetainUntilDate"] == later
    for weaker in ({"Mode": "COMPLIANCE", "RetainUntilDate": sooner}, {"Mode": "GOVERNANCE", "RetainUntilDate": later}):
        assert refused(s3.put_object_retention, Retention=weaker) == "AccessDenied"


def test_an_object_that_is_not_there_has_no_head(s3: Any) -> None:
    assert refused(s3.head_object) == "404"
