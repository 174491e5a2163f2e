"""AC3: configuration is promoted from environment to environment.

Parameters travel as the catalogue's rules say, losslessly; what belongs to an environment stays there; an unsafe
plan is refused before anything is written; half an apply is continued or undone, never left.

The story's tests: should_promoteEnvironmentConfigs_when_deploying, should_validateConfigCompatibility_when_promoting.
"""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from blocks.ledger import LocalLedger
from blocks.parameters import Parameters
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.faults import Fault, FaultKind
from rules.catalogue import ConfigurationPolicy, KeyAction, KeyRule
from rules.configuration import ConfigurationPlan, Outcome, Parameter, plan_configuration
from rules.configuration_intents import ConfigurationIntent
from rules.errors import Outage, Refused
from rules.parameters import SECURE, guarded
from rules.records import Event, EventKind
from rules.settling import unsettled
from rules.vocabulary import Environment, Role
from tasks.configuration import carry_out, combined, go_back, undo

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

OpenClient = Callable[..., Any]

REGION = "eu-central-1"
DEV_ACCOUNT, STAGING_ACCOUNT = "111111111111", "222222222222"
PROJECT = Path(__file__).resolve().parents[2]
VALUES = (
    " spaces  inside and around ", "two\nlines\r\n", "\ttab\t", "back\\slash \\n", '{"json": [1, "two", null]}',
    "Grüezi 😀 日本", "--x", "file:///etc/hostname", "https://example.org/?a=b&c=d#e", "a,b,,c", "$HOME `x` 'y'", "0",
)  # fmt: skip
WRITES = {"PutParameter", "AddTagsToResource", "RemoveTagsFromResource", "DeleteParameter"}
RULES = (
    KeyRule("database/url", KeyAction.KEEP),
    KeyRule("cors", KeyAction.MAP, {"staging": "https://staging.shop.example"}),
    KeyRule("app/**", KeyAction.COPY),
)
POLICY = ConfigurationPolicy(RULES, max_changes=300)


def environment(name: str, account: str, role: Role) -> Environment:
    arn = f"arn:aws:iam::{account}:role/promotion-flows"
    return Environment(name, role, account, REGION, arn, f"shop-{name}", f"/shop/{name}/", name)


DEV = environment("dev", DEV_ACCOUNT, Role.INTEGRATION)
STAGING = environment("staging", STAGING_ACCOUNT, Role.STAGING)


class World:
    """Two accounts of the AWS stand-in, seen by an operator (the clients) and by the product (the doors)."""

    def __init__(self, aws: AwsStandIn, open_client: OpenClient, folder: Path) -> None:
        self.aws = aws
        self.dev: SSMClient = open_client("ssm", DEV_ACCOUNT)
        self.staging: SSMClient = open_client("ssm", STAGING_ACCOUNT)
        for account in (DEV_ACCOUNT, STAGING_ACCOUNT):
            kms = open_client("kms", account)
            kms.create_alias(AliasName="alias/shop", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
        self.source = Parameters(self.dev, DEV.parameter_path)
        self.target = Parameters(self.staging, STAGING.parameter_path)
        self.ledger = LocalLedger(directory=str(folder / "ledger"))

    def plan(self, policy: ConfigurationPolicy = POLICY) -> ConfigurationPlan:
        return plan_configuration(self.source.read(), self.target.read(), policy, DEV, STAGING)

    def apply(self, plan: ConfigurationPlan) -> None:
        plan.raise_if_unsafe()
        carry_out(self.ledger, self.target, plan, plan.fingerprint()[:16], lambda *_: None)

    def put_back(self) -> None:
        intent = combined(unsettled(self.ledger.records(), "staging"))
        assert intent is not None
        go_back(self.ledger, self.target, lambda _: self.source, intent, plan_hash="", report=lambda *_: None)

    def writes(self) -> list[str]:
        return [it.operation for it in self.aws.calls if it.operation in WRITES]

    def contents(self) -> list[Parameter]:
        """The target as it is, whatever the number of its versions."""
        return [replace(it, version=0) for it in self.target.read()]


@pytest.fixture
def world(aws: AwsStandIn, open_client: OpenClient, tmp_path: Path) -> World:
    return World(aws, open_client, tmp_path)


def fill(ssm: "SSMClient", root: str, count: int, prefix: str = "") -> None:
    for n in range(count):
        kind = ("String", "StringList", SECURE)[n % 3]
        ssm.put_parameter(
            Name=f"{root}app/group-{n % 7}/key-{n:03}",
            Value=prefix + VALUES[n % len(VALUES)],
            Type=kind,  # type: ignore[arg-type]  # one of the three
            Tier="Advanced" if n % 5 == 0 else "Standard",
            Description=f"number {n}",
            AllowedPattern="(?s).+" if n % 4 == 0 else "",
            Tags=[{"Key": "number", "Value": str(n)}, {"Key": "team", "Value": "a b"}],
            **({"KeyId": "alias/shop"} if kind == SECURE else {}),  # type: ignore[arg-type]
        )


def test_two_hundred_parameters_are_promoted_losslessly_and_a_second_run_writes_nothing(world: World) -> None:
    fill(world.dev, DEV.parameter_path, 200)
    world.dev.put_parameter(Name="/shop/dev/database/url", Value="jdbc:postgresql://dev/x", Type="String")
    world.staging.put_parameter(Name="/shop/staging/database/url", Value="jdbc:postgresql://own/x", Type="String")
    world.apply(world.plan())

    sources = {it.name: replace(it, version=0) for it in world.source.read()}
    arrived = {it.name: it for it in world.contents()}
    assert arrived.pop("cors").text == "https://staging.shop.example"
    assert arrived.pop("database/url").text == "jdbc:postgresql://own/x"
    del sources["database/url"]
    assert arrived == sources
    assert len(arrived) == 200

    world.aws.forget_calls()
    again = world.plan()
    world.apply(again)
    assert again.changes == ()
    assert world.writes() == []


def test_only_differences_are_written(world: World) -> None:
    fill(world.dev, DEV.parameter_path, 12)
    world.apply(world.plan())
    world.dev.put_parameter(Name="/shop/dev/app/group-1/key-001", Value="new", Type="StringList", Overwrite=True)
    world.dev.put_parameter(Name="/shop/dev/app/added", Value="x", Type="String", Tags=[{"Key": "a", "Value": "b"}])
    world.dev.add_tags_to_resource(
        ResourceType="Parameter", ResourceId="/shop/dev/app/group-2/key-002", Tags=[{"Key": "team", "Value": "c"}]
    )
    world.aws.forget_calls()
    world.apply(world.plan())

    assert sorted(world.writes()) == ["AddTagsToResource", "PutParameter", "PutParameter"]


def test_a_database_address_is_never_overwritten_by_another_environments(world: World) -> None:
    world.dev.put_parameter(Name="/shop/dev/app/address", Value="db.dev.shop.example", Type=SECURE)
    world.staging.put_parameter(Name="/shop/staging/app/address", Value="db.staging.shop.example", Type=SECURE)
    world.aws.forget_calls()

    with pytest.raises(Refused, match="app/address: the value still names 'dev'") as caught:
        world.apply(world.plan())
    assert world.writes() == []
    assert "shop.example" not in str(caught.value)


def test_an_unsafe_plan_names_all_that_is_wrong_and_writes_nothing(world: World) -> None:
    world.dev.put_parameter(Name="/shop/dev/new/kind", Value="x", Type="String")
    world.dev.put_parameter(Name="/shop/dev/database/url", Value="x", Type="String")
    world.dev.put_parameter(Name="/shop/dev/app/list", Value="x", Type="String")
    world.staging.put_parameter(Name="/shop/staging/app/list", Value="x", Type="StringList")
    world.aws.forget_calls()
    plan = world.plan(replace(POLICY, max_changes=1))

    with pytest.raises(Refused) as caught:
        world.apply(plan)
    for key in ("new/kind", "database/url", "app/list"):
        assert key in str(caught.value)
    assert world.writes() == []


def test_a_secret_is_in_no_record_and_no_table(world: World, tmp_path: Path) -> None:
    world.dev.put_parameter(Name="/shop/dev/app/secret", Value="hunter22", Type=SECURE)
    plan = world.plan()
    world.apply(plan)
    world.put_back()

    told = str(plan.table()) + repr(plan) + "".join(path.read_text() for path in (tmp_path / "ledger").glob("*.json*"))
    assert "app/secret" in told
    assert "hunter22" not in told


KILLED = """
import sys, boto3
from blocks.ledger import LocalLedger
from blocks.parameters import Parameters
from rules.configuration import plan_configuration
from tasks.configuration import carry_out
from tests.acceptance.test_ac03_configuration import DEV, POLICY, STAGING

url, folder = sys.argv[1:]
def door(it):
    made_up = {"region_name": it.region, "endpoint_url": url, "aws_access_key_id": "a", "aws_secret_access_key": "b"}
    keys = boto3.client("sts", **made_up).assume_role(RoleArn=it.role_arn, RoleSessionName="killed")["Credentials"]
    made_up |= {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"]}
    return Parameters(boto3.client("ssm", aws_session_token=keys["SessionToken"], **made_up), it.parameter_path)

source, target = door(DEV), door(STAGING)
plan = plan_configuration(source.read(), target.read(), POLICY, DEV, STAGING)
carry_out(LocalLedger(directory=folder), target, plan, plan.fingerprint()[:16], print)
"""


def killed_after(world: World, writes: int, folder: Path) -> None:
    """A real process that promotes, killed (signal 9) once so many parameters were written."""
    world.aws.forget_calls()
    world.aws.faults.add(Fault("aws", kind=FaultKind.SLOW, operation="ssm:PutParameter", seconds=0.05))
    command = [sys.executable, "-c", KILLED, world.aws.url, str(folder / "ledger")]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while len(world.writes()) < writes:
            assert process.poll() is None, "the process ended before it could be killed"
            assert time.monotonic() < deadline, "the process wrote nothing for a minute"
            time.sleep(0.005)
    finally:
        process.kill()
        process.wait()
    world.aws.faults.clear()


def test_a_promotion_that_was_killed_is_completed_by_the_next_one_and_still_can_be_undone(
    world: World, tmp_path: Path
) -> None:
    fill(world.dev, DEV.parameter_path, 20)
    fill(world.staging, STAGING.parameter_path, 10, prefix="old ")
    before = world.contents()
    killed_after(world, 13, tmp_path)

    rest = world.plan()
    assert 0 < len(rest.changes) <= 21 - 13
    world.aws.forget_calls()
    world.apply(rest)
    assert world.writes().count("PutParameter") == len(rest.changes)
    after = world.plan()
    assert (after.changes, len(after.keys(Outcome.SAME))) == ((), 21)

    world.put_back()
    now = world.contents()
    assert now == raised(before, now)
    assert unsettled(world.ledger.records(), "staging") == ()


def raised(before: list[Parameter], now: list[Parameter]) -> list[Parameter]:
    """The same with the tiers of now: AWS never lowers a tier."""
    tiers = {it.name: it.tier for it in now}
    return [replace(it, tier=tiers.get(it.name, it.tier)) for it in before]


@pytest.mark.parametrize("stop", [1, 7, 14, 19])
def test_a_promotion_that_aws_stops_at_any_write_is_undone_and_then_done(world: World, stop: int) -> None:
    fill(world.dev, DEV.parameter_path, 20)
    before = world.contents()
    plan = world.plan()
    failing = replace(plan, entries=plan.entries[:stop])
    world.ledger.append(intent_event(plan))
    for change in failing.changes:
        world.target.write(change)
    world.aws.faults.add(Fault("aws", kind=FaultKind.ERROR, operation="ssm:PutParameter"))
    with pytest.raises(Outage):
        world.target.write(plan.changes[stop])
    world.aws.faults.clear()

    world.put_back()
    assert world.contents() == before
    again = world.plan()
    assert again.fingerprint() == plan.fingerprint()
    world.apply(again)
    assert world.plan().changes == ()


def intent_event(plan: ConfigurationPlan) -> Event:
    details = plan.intent().to_details()
    return Event("run", plan.fingerprint()[:16], plan.target, EventKind.CONFIGURATION_INTENT, "About to.", details)


def test_undoing_twice_is_undoing_once(world: World) -> None:
    fill(world.dev, DEV.parameter_path, 6)
    fill(world.staging, STAGING.parameter_path, 3, prefix="old ")
    plan = world.plan()
    intent = ConfigurationIntent.from_details(plan.intent().to_details())
    world.apply(plan)
    undo(world.target, lambda _: world.source, intent, lambda *_: None)
    world.aws.forget_calls()

    versions, stuck = undo(world.target, lambda _: world.source, intent, lambda *_: None)
    assert stuck == []
    assert world.writes() == []
    assert len(versions) == len(plan.changes)


def test_undoing_never_touches_what_somebody_else_wrote(world: World) -> None:
    fill(world.dev, DEV.parameter_path, 4)
    fill(world.staging, STAGING.parameter_path, 4, prefix="old ")
    plan = world.plan()
    names = [change.key for change in plan.changes if change.desired.type == "String" and change.before]
    untouched, overwritten = f"/shop/staging/{names[0]}", f"/shop/staging/{names[1]}"
    world.ledger.append(intent_event(plan))
    world.target.write(next(change for change in plan.changes if change.key == names[1]))
    for name in (untouched, overwritten):
        world.staging.put_parameter(Name=name, Value="by hand", Type="String", Overwrite=True)

    _, stuck = undo(world.target, lambda _: world.source, plan.intent(), lambda *_: None)
    assert [overwritten in it for it in stuck] == [True]
    values = {it.name: it.text for it in world.target.read()}
    assert {values[name] for name in names[:2]} == {"by hand"}


def test_a_value_of_every_look_is_guarded_by_name_type_or_look() -> None:
    shown = guarded("app/limit", "String", "5"), guarded("app/url", "String", "https://example.org")
    hidden = (
        guarded("a", SECURE, "x"), guarded("db/password", "String", "x"), guarded("url", "String", "amqp://u:p@h"),
    )  # fmt: skip

    assert shown == ("5", "https://example.org")
    assert [str(it) for it in hidden] == ["Secret(*****)"] * 3
