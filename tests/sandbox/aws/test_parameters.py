"""Contract of deployments/sandbox/aws/patches/parameters.py: what Parameter Store refuses and hides."""

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.patches import Current

LOSSLESS = {
    "spaces": "  a  b  ",
    "newline": "a\nb\n",
    "tab": "a\tb",
    "json": '{"a": "ä \\" 𝄞"}',
    "option": "--x",
    "file": "file://etc/hosts",
    "url": "https://example.com/?a=b&c=d%20e",
}


@pytest.fixture
def ssm(open_client: Callable[..., Any]) -> Any:
    return open_client("ssm")


def refused(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize("value", LOSSLESS.values(), ids=LOSSLESS.keys())
@pytest.mark.parametrize("kind", ["String", "SecureString"])
def test_a_value_comes_back_as_it_was(ssm: Any, kind: str, value: str) -> None:
    ssm.put_parameter(Name="/batbern/value", Value=value, Type=kind)
    answer = ssm.get_parameter(Name="/batbern/value", WithDecryption=True)
    assert answer["Parameter"]["Value"] == value


@pytest.mark.parametrize(
    ("size", "tier", "got"),
    [
        (4096, "Standard", "Standard"),
        (4096, "Intelligent-Tiering", "Standard"),
        (4097, "Intelligent-Tiering", "Advanced"),
        (8192, "Advanced", "Advanced"),
    ],
)
def test_a_value_that_fits_gets_its_tier(ssm: Any, size: int, tier: str, got: str) -> None:
    assert ssm.put_parameter(Name="/size", Value="x" * size, Type="String", Tier=tier)["Tier"] == got
    assert ssm.describe_parameters()["Parameters"][0]["Tier"] == got


@pytest.mark.parametrize(("size", "tier"), [(4097, "Standard"), (8193, "Advanced"), (8193, "Intelligent-Tiering")])
def test_a_value_that_does_not_fit_is_refused(ssm: Any, size: int, tier: str) -> None:
    assert refused(ssm.put_parameter, Name="/size", Value="x" * size, Type="String", Tier=tier) == "ValidationException"
    assert ssm.describe_parameters()["Parameters"] == []


def test_sizes_count_bytes(ssm: Any) -> None:
    assert refused(ssm.put_parameter, Name="/size", Value="ä" * 2049, Type="String") == "ValidationException"


def test_an_advanced_parameter_stays_advanced(ssm: Any) -> None:
    ssm.put_parameter(Name="/tier", Value="x", Type="String", Tier="Advanced")
    again = {"Name": "/tier", "Value": "y", "Type": "String", "Overwrite": True}
    assert refused(ssm.put_parameter, Tier="Standard", **again) == "ValidationException"
    assert ssm.put_parameter(Tier="Intelligent-Tiering", **again)["Tier"] == "Advanced"


@pytest.mark.parametrize("name", ["/a b", "/ä", "/a:b", "a/b", "/a//b", "/a/"])
def test_an_illegal_name_is_refused(ssm: Any, name: str) -> None:
    assert refused(ssm.put_parameter, Name=name, Value="x", Type="String") == "ValidationException"


def test_fifteen_levels_are_the_most(ssm: Any) -> None:
    ssm.put_parameter(Name="/l" * 15, Value="x", Type="String")
    code = refused(ssm.put_parameter, Name="/l" * 16, Value="x", Type="String")
    assert code == "HierarchyLevelLimitExceededException"


def test_the_allowed_pattern_holds_also_for_later_values(ssm: Any) -> None:
    ssm.put_parameter(Name="/port", Value="8080", Type="String", AllowedPattern=r"^\d+$")
    code = refused(ssm.put_parameter, Name="/port", Value="http", Type="String", Overwrite=True)
    assert code == "ParameterPatternMismatchException"
    assert ssm.get_parameter(Name="/port")["Parameter"]["Value"] == "8080"


def test_a_pattern_that_is_none_is_refused(ssm: Any) -> None:
    code = refused(ssm.put_parameter, Name="/port", Value="1", Type="String", AllowedPattern="(")
    assert code == "InvalidAllowedPatternException"


def test_a_value_must_not_nest_a_parameter(ssm: Any) -> None:
    assert refused(ssm.put_parameter, Name="/n", Value="{{ssm:x}}", Type="String") == "ValidationException"


def test_only_known_keys_encrypt(ssm: Any, open_client: Callable[..., Any]) -> None:
    kms = open_client("kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/batbern", TargetKeyId=key)
    for place, known in enumerate([key, "alias/batbern", "alias/aws/ssm"]):
        ssm.put_parameter(Name=f"/known{place}", Value="x", Type="SecureString", KeyId=known)
        assert ssm.get_parameter(Name=f"/known{place}", WithDecryption=True)["Parameter"]["Value"] == "x"
    code = refused(ssm.put_parameter, Name="/unknown", Value="x", Type="SecureString", KeyId="alias/no")
    assert code == "InvalidKeyId"


def test_a_secret_read_without_decryption_shows_nothing(ssm: Any) -> None:
    ssm.put_parameter(Name="/p/secret", Value="hunter2", Type="SecureString")
    answers = [
        ssm.get_parameter(Name="/p/secret"),
        ssm.get_parameters(Names=["/p/secret"]),
        ssm.get_parameters_by_path(Path="/p"),
        ssm.get_parameter_history(Name="/p/secret"),
        ssm.describe_parameters(),
    ]
    assert not [answer for answer in answers if "hunter2" in str(answer)]
    assert ssm.get_parameters_by_path(Path="/p", WithDecryption=True)["Parameters"][0]["Value"] == "hunter2"


def test_tags_and_overwrite_do_not_go_together(ssm: Any) -> None:
    tags = [{"Key": "team", "Value": "batbern"}]
    assert refused(ssm.put_parameter, Name="/t", Value="x", Type="String", Tags=tags, Overwrite=True) == (
        "ValidationException"
    )


def test_ten_names_are_the_most(ssm: Any, open_client: Callable[..., Any]) -> None:
    names = [f"/n{i}" for i in range(11)]
    loose = open_client("ssm")
    loose.meta.events.unregister("provide-client-params.*", unique_id="strict-calls")
    assert refused(loose.get_parameters, Names=names) == "ValidationException"
    assert refused(loose.delete_parameters, Names=names) == "ValidationException"


def test_versions_and_labels_are_selected_by_name(ssm: Any) -> None:
    ssm.put_parameter(Name="/v", Value="one", Type="String")
    ssm.put_parameter(Name="/v", Value="two", Type="String", Overwrite=True)
    ssm.label_parameter_version(Name="/v", ParameterVersion=1, Labels=["good"])
    by_version = ssm.get_parameter(Name="/v:1")["Parameter"]
    by_label = ssm.get_parameters(Names=["/v:good"])["Parameters"][0]
    assert (by_version["Value"], by_version["Selector"]) == ("one", ":1")
    assert (by_label["Value"], by_label["Selector"], by_label["Name"]) == ("one", ":good", "/v")
    assert "Selector" not in ssm.get_parameter(Name="/v")["Parameter"]


def test_who_wrote_it_is_remembered(ssm: Any) -> None:
    ssm.put_parameter(Name="/who", Value="x", Type="String")
    metadata = ssm.describe_parameters()["Parameters"][0]
    assert metadata["LastModifiedUser"] == "arn:aws:sts::222222222222:assumed-role/promotion-flows/test"
    assert metadata["ARN"] == "arn:aws:ssm:eu-central-1:222222222222:parameter/who"


def test_policies_are_described_as_text(ssm: Any) -> None:
    policy = '[{"Type": "Expiration", "Version": "1.0", "Attributes": {"Timestamp": "2030-01-01T00:00:00Z"}}]'
    ssm.put_parameter(Name="/p", Value="x", Type="String", Tier="Advanced", Policies=policy)
    (described,) = ssm.describe_parameters()["Parameters"][0]["Policies"]
    assert described["PolicyType"] == "Expiration"
    assert '"Timestamp": "2030-01-01T00:00:00Z"' in described["PolicyText"]


def test_more_writes_than_the_limit_are_throttled(ssm: Any) -> None:
    Current.parameter_writes_per_second = 3
    for i in range(3):
        ssm.put_parameter(Name=f"/{i}", Value="x", Type="String")
    assert refused(ssm.put_parameter, Name="/3", Value="x", Type="String") == "ThrottlingException"


def test_two_writes_to_one_name_at_once_collide(ssm: Any, world_clock: Any) -> None:
    Current.parameter_writes_per_second = 10
    ssm.put_parameter(Name="/one", Value="x", Type="String")
    again = {"Name": "/one", "Value": "y", "Type": "String", "Overwrite": True}
    assert refused(ssm.put_parameter, **again) == "TooManyUpdates"
    world_clock.advance(0.2)
    assert ssm.put_parameter(**again)["Version"] == 2


def test_accounts_do_not_see_each_other(ssm: Any, open_client: Callable[..., Any]) -> None:
    ssm.put_parameter(Name="/mine", Value="x", Type="String")
    assert refused(open_client("ssm", account="333333333333").get_parameter, Name="/mine") == "ParameterNotFound"
