"""What the product adds to the work that has to be done anyway, and how that grows.

The limits are wide: they catch work that grows with the square, or a thousandfold, not a slow machine.
"""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from blocks.ledger import LocalLedger
from blocks.parameters import Parameters
from deployments.sandbox.aws.host import AwsStandIn
from rules.catalogue import ConfigurationPolicy, KeyAction, KeyRule
from rules.configuration import ConfigurationPlan, plan_configuration
from rules.parameters import Parameter
from rules.records import Event, EventKind, Head, Record, chain
from rules.verification import verify
from rules.vocabulary import Environment, Role
from tasks.configuration import carry_out

Report = Callable[[str, float, float, str], float]
NOW = datetime(2026, 1, 5, 9, tzinfo=UTC)
REGION = "eu-central-1"
SAMPLES = 5
COPY_ONE = """
import sys, boto3
def client(endpoint, account):
    keys = dict(aws_access_key_id="sandbox", aws_secret_access_key="x", region_name="eu-central-1")
    keys["endpoint_url"] = endpoint
    role = f"arn:aws:iam::{account}:role/promotion-flows"
    taken = boto3.client("sts", **keys).assume_role(RoleArn=role, RoleSessionName="copy")["Credentials"]
    keys |= dict(aws_access_key_id=taken["AccessKeyId"], aws_secret_access_key=taken["SecretAccessKey"])
    return boto3.client("ssm", **keys, aws_session_token=taken["SessionToken"])
endpoint, name = sys.argv[1:]
found = client(endpoint, "111111111111").get_parameter(Name=f"/shop/dev/{name}", WithDecryption=True)["Parameter"]
target = client(endpoint, "222222222222")
target.put_parameter(Name=f"/shop/staging/{name}", Value=found["Value"], Type=found["Type"], Overwrite=True)
"""


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    began = clock()
    work()
    return clock() - began


def best_of(times: int, work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of the fastest of several: the machine's other work only ever adds."""
    return min(seconds(work, clock) for _ in range(times))


def reckoning(work: Callable[[], object]) -> float:
    """Seconds of the processor for work that waits for nothing."""
    return best_of(5, work, time.process_time)


def environment(name: str, account: str, role: Role) -> Environment:
    arn = f"arn:aws:iam::{account}:role/promotion-flows"
    return Environment(name, role, account, REGION, arn, f"shop-{name}", f"/shop/{name}/", name)


DEV = environment("dev", "111111111111", Role.INTEGRATION)
STAGING = environment("staging", "222222222222", Role.STAGING)
POLICY = ConfigurationPolicy((KeyRule("app/**", KeyAction.COPY),), max_changes=5000)


def planned(count: int) -> ConfigurationPlan:
    """Half of the parameters are new, a quarter differ."""
    source = [Parameter(f"app/group-{n % 7}/key-{n}", f"value {n}", version=1) for n in range(count)]
    target = [Parameter(it.name, it.text + "x" * (n % 2), version=1) for n, it in enumerate(source[::2])]
    return plan_configuration(source, target, POLICY, DEV, STAGING)


def test_planning_grows_with_the_number_of_parameters_and_not_with_its_square(report: Report) -> None:
    assert len(planned(200).changes) == 150
    many, few = reckoning(lambda: planned(2000)), reckoning(lambda: planned(200))
    assert report("planning 2,000 parameters", many, few, "200 of them") < 30


def event(number: int) -> Event:
    return Event("run", "plan", "staging", EventKind.ROLLOUT_OBSERVED, f"Look {number}.", {"weight": number})


def test_a_record_is_written_in_a_few_times_the_time_of_a_plain_synced_line(report: Report, tmp_path: Path) -> None:
    ledger = LocalLedger(directory=str(tmp_path / "ledger"))
    line = (ledger.append(event(0)).line + "\n").encode()

    def plainly() -> None:
        for _ in range(100):
            with (tmp_path / "plain").open("ab", buffering=0) as file:
                file.write(line)
                os.fsync(file.fileno())

    def chained() -> None:
        for number in range(100):
            ledger.append(event(number))

    ours, plain = best_of(3, chained) / 100, best_of(3, plainly) / 100
    assert report("one record into the ledger", ours, plain, "the line with fsync") < 100


def test_ten_thousand_records_are_verified_in_linear_time(report: Report) -> None:
    records: list[Record] = []
    for number in range(10_000):
        records.append(chain(records[-1] if records else None, event(number), NOW))
    lines = [record.line for record in records]
    head = Head(records[-1].seq, records[-1].hash)
    assert verify(lines, head).unbroken
    all_of_them = reckoning(lambda: verify(lines, head))
    hashing = reckoning(lambda: [hashlib.sha256(line.encode()).digest() for line in lines])
    report("verifying 10,000 records", all_of_them, hashing, "hashing their bytes")
    tenth = reckoning(lambda: verify(lines[:1000], Head(records[999].seq, records[999].hash)))
    assert report("verifying 10,000 records", all_of_them, tenth, "1,000 of them") < 30


def copy_in_a_process_of_its_own(url: str, number: int) -> None:
    name = f"app/key-{number}"
    subprocess.run([sys.executable, "-c", COPY_ONE, url, name], check=True, timeout=60)


@pytest.mark.timeout(300)
def test_two_hundred_parameters_arrive_sooner_than_by_a_process_for_each(
    report: Report, aws: AwsStandIn, open_client: Callable[..., Any], tmp_path: Path
) -> None:
    dev, staging = open_client("ssm", DEV.account), open_client("ssm", STAGING.account)
    for number in range(200):
        dev.put_parameter(Name=f"/shop/dev/app/key-{number}", Value=f"value {number}", Type="String")
    source, target = Parameters(dev, DEV.parameter_path), Parameters(staging, STAGING.parameter_path)
    ledger = LocalLedger(directory=str(tmp_path / "ledger"))

    def ours() -> None:
        plan = plan_configuration(source.read(), target.read(), POLICY, DEV, STAGING)
        carry_out(ledger, target, plan, "benchmark", lambda *_: None)

    took = seconds(ours)
    assert len(target.read()) == 200
    sampled = seconds(lambda: [copy_in_a_process_of_its_own(aws.url, number) for number in range(SAMPLES)])
    other = f"a process for each, {SAMPLES} timed and multiplied"
    assert report("200 parameters planned, applied, proven", took, sampled / SAMPLES * 200, other) < 1
