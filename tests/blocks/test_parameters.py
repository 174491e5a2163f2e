"""The door to the parameters, over HTTP against the AWS stand-in."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.parameters import Parameters
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.patches.seams import Current
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind
from rules.configuration import ConfigurationChange
from rules.errors import ApplyFailed, Conflict, Outage
from rules.parameters import SECURE, Parameter, Secret, guarded

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

ROOT = "/shop/staging/"
OpenClient = Callable[..., Any]


@pytest.fixture
def ssm(open_client: OpenClient) -> "SSMClient":
    client: SSMClient = open_client("ssm")
    return client


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def door(ssm: "SSMClient", pauses: list[float]) -> Parameters:
    return Parameters(ssm, ROOT, pauses.append)


def wanted(name: str, value: str = "v", **more: Any) -> Parameter:
    return replace(Parameter(name, guarded(name, more.get("type", "String"), value)), **more)


def add(it: Parameter) -> ConfigurationChange:
    return ConfigurationChange(it.name, None, it)


def change(current: Parameter, desired: Parameter) -> ConfigurationChange:
    return ConfigurationChange(desired.name, current.version, desired, current)


def only(door: Parameters) -> Parameter:
    [it] = door.read()
    return it


def put(ssm: "SSMClient", key: str, value: str) -> None:
    ssm.put_parameter(Name=ROOT + key, Value=value, Type="String", Overwrite=True)


def test_everything_about_a_parameter_survives(open_client: OpenClient, door: Parameters) -> None:
    kms = open_client("kms")
    kms.create_alias(AliasName="alias/shop", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    whole = Parameter(
        "db/password", Secret('p"\\\t\n ä€😀 '), SECURE, 0, "Advanced", "alias/shop", r"(?s).+", "text",
        {"team": "a b", "cost": ""}, "What opens the database",
    )  # fmt: skip
    door.write(add(whole))

    assert only(door) == replace(whole, version=1)


@pytest.mark.parametrize("kind", ["String", "StringList", SECURE])
@pytest.mark.parametrize(
    "value",
    [" a  b ", "two\nlines\r\n", "\ttab\t", "back\\slash\\n", '{"a": [1, "x"]}', "Grüße 😀 \u202e", "--x", "-", "file:///etc/hosts",
     "https://shop.example/?a=b&c", "$HOME `x` 'y' \"z\"", "a,b,,c", "%2F%00", "x" * 4096],
)  # fmt: skip
def test_every_legal_value_arrives_unchanged(door: Parameters, kind: str, value: str) -> None:
    door.write(add(wanted("k", value, type=kind)))

    assert only(door).text == value
    assert only(door).type == kind


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.text(min_size=1, max_size=300).filter(lambda text: "{{" not in text),
    st.sampled_from(["String", "StringList", SECURE]),
)
def test_random_values_arrive_unchanged(door: Parameters, value: str, kind: str) -> None:
    door.write(add(wanted("k", value, type=kind)))
    it = only(door)
    door.delete("k", it.version)

    assert (it.text, it.type) == (value, kind)


def test_reading_follows_every_page_and_stays_below_the_root(ssm: "SSMClient", door: Parameters) -> None:
    for n in range(61):
        put(ssm, f"deep/{n:02}/k", str(n))
    for outside in ("/shop/staging2/k", "/shop/production/k", "/shop/staging"):
        ssm.put_parameter(Name=outside, Value="x", Type="String")

    assert [it.name for it in door.read()] == [f"deep/{n:02}/k" for n in range(61)]


def test_a_change_is_one_version_more_and_its_tags_come_in_a_call_of_their_own(
    aws: AwsStandIn, door: Parameters
) -> None:
    door.write(add(wanted("k", "old", tags={"a": "1", "own": "x"}, description="d", allowed_pattern=".*")))
    aws.forget_calls()
    door.write(change(only(door), wanted("k", "new", tags={"a": "2", "own": "x"})))

    it = only(door)
    assert (it.text, it.version, it.tags, it.description, it.allowed_pattern) == (
        "new",
        2,
        {"a": "2", "own": "x"},
        "",
        "",
    )
    written = [call.operation for call in aws.calls if call.operation.startswith(("Put", "Add"))]
    assert written == ["PutParameter", "AddTagsToResource"]


def test_different_tags_alone_make_no_version(door: Parameters) -> None:
    door.write(add(wanted("k")))
    current = only(door)
    door.write(change(current, replace(current, tags={"a": "1"})))

    assert (only(door).version, only(door).tags) == (1, {"a": "1"})


def test_a_change_that_already_stands_is_not_made_again(aws: AwsStandIn, door: Parameters) -> None:
    door.write(add(wanted("k", "old")))
    it = change(only(door), wanted("k", "new", tags={"a": "1"}))
    door.write(it)
    aws.forget_calls()

    assert door.write(it) == 2
    assert not [call for call in aws.calls if call.operation.startswith(("Put", "Add", "Delete"))]


@pytest.mark.parametrize("theirs", ["theirs", None])
def test_what_somebody_else_changed_is_a_conflict_and_stays(
    ssm: "SSMClient", door: Parameters, theirs: str | None
) -> None:
    door.write(add(wanted("k", "old")))
    planned = change(only(door), wanted("k", "new"))
    if theirs:
        put(ssm, "k", theirs)
    else:
        ssm.delete_parameter(Name=ROOT + "k")

    with pytest.raises(Conflict, match="planned against 'version 1'"):
        door.write(planned)
    assert [it.text for it in door.read()] == ([theirs] if theirs else [])


def test_what_somebody_else_added_is_a_conflict_and_stays(ssm: "SSMClient", door: Parameters) -> None:
    put(ssm, "k", "theirs")

    with pytest.raises(Conflict, match="planned against 'no parameter', found 'version 1'"):
        door.write(add(wanted("k", "ours")))
    assert only(door).text == "theirs"


def test_what_somebody_writes_between_our_look_and_our_write_is_put_back(ssm: "SSMClient", door: Parameters) -> None:
    door.write(add(wanted("k", "old")))
    planned = change(only(door), wanted("k", "new"))
    racing = iter(["theirs"])

    def race(**_: Any) -> None:
        if theirs := next(racing, None):
            put(ssm, "k", theirs)

    ssm.meta.events.register("before-call.ssm.PutParameter", race)
    with pytest.raises(Conflict):
        door.write(planned)
    assert (only(door).text, only(door).version) == ("theirs", 4)


def test_an_own_request_that_arrived_twice_is_no_conflict(ssm: "SSMClient", door: Parameters) -> None:
    door.write(add(wanted("k", "old")))
    planned = change(only(door), wanted("k", "new"))
    racing = iter(["new"])

    def repeat(**_: Any) -> None:
        if again := next(racing, None):
            put(ssm, "k", again)

    ssm.meta.events.register("before-call.ssm.PutParameter", repeat)
    assert door.write(planned) == 3
    assert only(door).text == "new"


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR])
def test_aws_that_never_recovers_is_an_outage(
    aws: AwsStandIn, door: Parameters, kind: FaultKind, pauses: list[float]
) -> None:
    aws.faults.add(Fault("aws", kind=kind, operation="ssm:PutParameter"))

    with pytest.raises(Outage) as caught:
        door.write(add(wanted("k", "hunter22", type=SECURE)))
    assert "hunter22" not in str(caught.value)
    assert sum(pauses) < 40


def test_throttled_writes_arrive_and_slow_down(aws: AwsStandIn, door: Parameters, pauses: list[float]) -> None:
    aws.faults.add(Fault("aws", kind=FaultKind.THROTTLE, operation="ssm:PutParameter", times=3))
    door.write(add(wanted("a")))
    retries = len(pauses)
    door.write(add(wanted("b")))

    assert [it.name for it in door.read()] == ["a", "b"]
    assert retries == 3
    assert pauses[retries:] == [pytest.approx(1 / 3)]


def test_a_limit_of_writes_in_a_second_is_kept(ssm: "SSMClient", world_clock: ManualClock, pauses: list[float]) -> None:
    def pause(seconds: float) -> None:
        pauses.append(seconds)
        world_clock.advance(seconds)

    Current.parameter_writes_per_second = 3
    door = Parameters(ssm, ROOT, pause)
    for n in range(30):
        door.write(add(wanted(f"k{n}")))

    assert len(door.read()) == 30
    assert 8 < sum(pauses) < 20, "ten seconds by the limit, and jitter"


def test_concurrent_updates_are_tried_again(ssm: "SSMClient", door: Parameters, pauses: list[float]) -> None:
    from botocore.awsrequest import AWSResponse

    class Raw:
        def stream(self) -> Iterator[bytes]:
            yield b'{"__type": "TooManyUpdates", "message": "There are concurrent updates for a resource"}'

    refusals = iter([True, True])

    def busy(**_: Any) -> AWSResponse | None:
        return AWSResponse("http://x", 400, {}, Raw()) if next(refusals, False) else None

    ssm.meta.events.register("before-send.ssm.PutParameter", busy)
    door.write(add(wanted("k")))

    assert only(door).text == "v"
    assert len(pauses) == 2


def test_a_refusal_of_aws_names_the_parameter_and_never_its_value(door: Parameters) -> None:
    with pytest.raises(ApplyFailed, match="/shop/staging/k") as caught:
        door.write(add(wanted("k", "hunter22 {{x}}", type=SECURE, key_id="alias/unknown")))
    assert "hunter22" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_deleting_is_compare_and_set_and_may_be_repeated(door: Parameters) -> None:
    door.write(add(wanted("k")))
    with pytest.raises(Conflict):
        door.delete("k", 2)
    door.delete("k", 1)
    door.delete("k", 1)

    assert door.read() == ()


def test_every_version_can_be_read_again(door: Parameters) -> None:
    door.write(add(wanted("k", "one", type=SECURE)))
    door.write(change(only(door), wanted("k", "two", type=SECURE, key_id="alias/aws/ssm", description="d")))

    assert {number: it.text for number, it in door.history("k").items()} == {1: "one", 2: "two"}
    first = door.read_version("k", 1)
    assert first is not None
    assert (first.text, first.type, first.description) == ("one", SECURE, "")
    assert door.read_version("k", 3) is None
    assert door.history("none") == {}


def test_a_parameter_with_policies_says_so(ssm: "SSMClient", door: Parameters) -> None:
    policies = '[{"Type":"NoChangeNotification","Version":"1.0","Attributes":{"After":"20","Unit":"Days"}}]'
    ssm.put_parameter(Name=ROOT + "k", Value="v", Type="String", Tier="Advanced", Policies=policies)

    assert only(door).policies == ("NoChangeNotification",)


@pytest.mark.parametrize("operation", ["GetParametersByPath", "DescribeParameters", "ListTagsForResource"])
def test_nonsense_in_answer_to_a_read_is_an_outage_and_not_an_empty_environment(
    aws: AwsStandIn, door: Parameters, operation: str
) -> None:
    door.write(add(wanted("k")))
    aws.faults.add(Fault("aws", kind=FaultKind.GARBAGE, operation=f"ssm:{operation}", times=1))

    with pytest.raises(Outage):
        door.read()


def test_nonsense_in_answer_to_a_write_is_an_outage(aws: AwsStandIn, door: Parameters) -> None:
    aws.faults.add(Fault("aws", kind=FaultKind.GARBAGE, operation="ssm:PutParameter", times=1))

    with pytest.raises(Outage):
        door.write(add(wanted("k")))
