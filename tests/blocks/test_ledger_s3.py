from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from prefect_aws import AwsCredentials
from prefect_aws.client_parameters import AwsClientParameters
from pydantic import SecretStr

from blocks.accounts import Account
from blocks.ledger import S3Ledger
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import InvalidInput, Outage, PromotionError
from rules.records import Event, EventKind, Head, Record
from rules.verification import VerificationReport, verify

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKET = "batbern-ledger"
REGION = "eu-central-1"


@pytest.fixture
def account(aws: AwsStandIn) -> Account:
    credentials = AwsCredentials(
        aws_access_key_id="made-up",
        aws_secret_access_key=SecretStr("made-up"),
        region_name=REGION,
        aws_client_parameters=AwsClientParameters(endpoint_url=aws.url),
    )
    return Account(credentials=credentials, region=REGION, account_id="123456789012")  # moto's, without a role


@pytest.fixture
def s3(account: Account) -> "S3Client":
    client: S3Client = account.client("s3")
    client.create_bucket(
        Bucket=BUCKET,
        CreateBucketConfiguration={"LocationConstraint": "eu-central-1"},
        ObjectLockEnabledForBucket=True,
    )
    return client


@pytest.fixture
def ledger(account: Account, s3: "S3Client") -> S3Ledger:
    return S3Ledger(account=account, bucket=BUCKET)


def event(sentence: str = "Begun.", run: str = "run") -> Event:
    return Event(run, "", "production", EventKind.STARTED, sentence)


def filled(ledger: S3Ledger, count: int) -> list[Record]:
    return [ledger.append(event(f"Step {number}.")) for number in range(1, count + 1)]


def report(ledger: S3Ledger, expected: str = "") -> VerificationReport:
    evidence = ledger.evidence()
    return verify(evidence.lines, evidence.head, expected)


def again(ledger: S3Ledger) -> S3Ledger:
    """As another process sees it: it knows nothing yet."""
    return S3Ledger(account=ledger.account, bucket=ledger.bucket, prefix=ledger.prefix)


def test_what_was_appended_is_there(ledger: S3Ledger) -> None:
    appended = filled(ledger, 3)
    assert list(again(ledger).records()) == appended
    assert [record.seq for record in appended] == [1, 2, 3]
    assert report(ledger, appended[1].hash).unbroken


def test_an_empty_ledger_has_no_head(ledger: S3Ledger) -> None:
    assert ledger.head() == Head()
    assert list(ledger.records()) == []
    assert report(ledger).unbroken


def test_the_records_of_one_run_can_be_asked_for(ledger: S3Ledger) -> None:
    ledger.append(event(run="one"))
    ledger.append(event(run="two"))
    assert [record.event.run_id for record in ledger.records("two")] == ["two"]


def test_a_record_is_one_object_named_by_its_number(ledger: S3Ledger, s3: "S3Client") -> None:
    filled(ledger, 2)
    names = [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert names == ["ledger/000000000001.json", "ledger/000000000002.json"]


def test_a_record_is_kept_under_compliance_retention(ledger: S3Ledger, s3: "S3Client") -> None:
    record = ledger.append(event())
    answer = s3.head_object(Bucket=BUCKET, Key="ledger/000000000001.json")
    assert answer["ObjectLockMode"] == "COMPLIANCE"
    assert abs(answer["ObjectLockRetainUntilDate"] - record.at - timedelta(days=400)) < timedelta(minutes=1)
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=BUCKET, Key="ledger/000000000001.json", VersionId=answer["VersionId"])


@pytest.mark.parametrize("count", range(1, 10))
def test_another_process_finds_the_end_however_long_the_ledger_is(ledger: S3Ledger, count: int) -> None:
    last = filled(ledger, count)[-1]
    assert again(ledger).head() == Head(count, last.hash)


def test_finding_the_end_of_a_long_ledger_takes_few_calls(ledger: S3Ledger, aws: AwsStandIn) -> None:
    filled(ledger, 60)
    aws.forget_calls()
    assert again(ledger).append(event()).seq == 61
    assert len(aws.calls) < 20


def test_appending_again_takes_one_call(ledger: S3Ledger, aws: AwsStandIn) -> None:
    filled(ledger, 1)
    aws.forget_calls()
    filled(ledger, 3)
    assert [call.operation for call in aws.calls] == ["PutObject"] * 3


def test_a_writer_that_was_overtaken_goes_behind_the_others(ledger: S3Ledger) -> None:
    filled(ledger, 1)
    other = again(ledger)
    filled(other, 5)
    assert ledger.append(event("Late.")).seq == 7
    assert report(ledger).unbroken


def test_many_writers_at_once_make_one_chain(ledger: S3Ledger) -> None:
    writers = [again(ledger) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda writer: filled(writer, 5), writers))
    assert report(ledger).unbroken
    assert report(ledger).records == 30


class LosesAnswers:
    """Stands before the client: the first put arrives, its answer does not, and the retry meets its own object."""

    def __init__(self, client: "S3Client") -> None:
        self._client, self._lost = client, 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def put_object(self, **request: Any) -> Any:
        if self._lost:
            self._lost -= 1
            self._client.put_object(**request)
        return self._client.put_object(**request)


def test_an_answer_that_got_lost_does_not_double_the_record(ledger: S3Ledger, s3: "S3Client") -> None:
    careless: Any = LosesAnswers(s3)
    record = S3Ledger(bucket=BUCKET).using(careless).append(event())
    assert list(ledger.records()) == [record]


def test_a_passing_fault_is_waited_out(ledger: S3Ledger, aws: AwsStandIn) -> None:
    filled(ledger, 1)
    aws.faults.add(Fault("aws", kind=FaultKind.THROTTLE, operation="s3:PutObject", times=1))
    assert ledger.append(event()).seq == 2


def test_a_store_that_stays_down_is_an_outage(
    ledger: S3Ledger, aws: AwsStandIn, open_client: Callable[..., Any]
) -> None:
    filled(ledger.using(open_client("s3", attempts=1)), 1)
    aws.faults.add(Fault("aws", kind=FaultKind.ERROR, operation="s3:PutObject"))
    with pytest.raises(Outage, match="appending to s3://batbern-ledger/ledger/"):
        ledger.append(event())


def test_a_bucket_that_is_not_there_is_named(account: Account, aws: AwsStandIn) -> None:
    with pytest.raises(PromotionError, match="NoSuchBucket"):
        S3Ledger(account=account, bucket="elsewhere").append(event())


def test_a_hidden_record_is_still_read_and_reported(ledger: S3Ledger, s3: "S3Client") -> None:
    filled(ledger, 3)
    s3.delete_object(Bucket=BUCKET, Key="ledger/000000000003.json")
    assert again(ledger).head().seq == 3
    assert report(ledger).records == 3
    assert ledger.evidence().oddities == ("ledger/000000000003.json was hidden by a delete marker.",)
    assert again(ledger).append(event()).seq == 4


def test_a_record_written_over_is_still_read_and_reported(ledger: S3Ledger, s3: "S3Client") -> None:
    second = filled(ledger, 2)[1]
    s3.put_object(Bucket=BUCKET, Key="ledger/000000000002.json", Body=b"all is well")
    assert list(again(ledger).records())[1] == second
    assert report(ledger).unbroken
    assert ledger.evidence().oddities == ("ledger/000000000002.json was overwritten by a newer version.",)


def test_an_object_that_is_no_record_blocks_nobody_and_is_named(ledger: S3Ledger, s3: "S3Client") -> None:
    filled(ledger, 2)
    s3.put_object(Bucket=BUCKET, Key="ledger/000000000003.json", Body=b"all is well")
    assert again(ledger).append(event()).seq == 4
    assert {fault.line for fault in report(ledger).faults} >= {3}


def test_a_bucket_that_does_not_lock_is_reported(account: Account, s3: "S3Client") -> None:
    s3.create_bucket(Bucket="open", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket="open", VersioningConfiguration={"Status": "Enabled"})
    source = S3Ledger(account=account, bucket=BUCKET)
    line = source.append(event(), datetime(2026, 11, 22, tzinfo=UTC)).line
    s3.put_object(Bucket="open", Key="ledger/000000000001.json", Body=line.encode())
    assert S3Ledger(account=account, bucket="open").evidence().oddities == (
        "ledger/000000000001.json is not under compliance retention.",
    )


def test_a_ledger_without_an_account_says_so() -> None:
    with pytest.raises(InvalidInput, match="an Account block"):
        S3Ledger(bucket=BUCKET).append(event())


@pytest.mark.parametrize("prefix", ["ledger", "/ledger/", "a b/"])
def test_a_prefix_ends_with_a_slash(prefix: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        S3Ledger(bucket=BUCKET, prefix=prefix)
