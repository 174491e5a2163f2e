"""What an AppSpec may say, in JSON and in YAML, and what CodeDeploy says when it cannot read one."""

import json
from contextlib import suppress
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.codedeploy_appspec import AppSpec, AppSpecError, parse, written

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def document(**properties: Any) -> dict[str, Any]:
    balancer = {"ContainerName": "app", "ContainerPort": 8080}
    whole = {"TaskDefinition": "gateway:7", "LoadBalancerInfo": balancer, **properties}
    return {"version": 0.0, "Resources": [{"TargetService": {"Type": "AWS::ECS::Service", "Properties": whole}}]}


@given(words, words, st.integers(1, 65535))
def test_what_is_written_is_read_again_in_either_form(definition: str, container: str, port: int) -> None:
    content = written(definition, container, port)
    expected = AppSpec(definition, container, port)
    assert parse(content) == expected
    assert parse(yaml.safe_dump(json.loads(content))) == expected


@given(
    st.text() | st.recursive(st.none() | st.integers() | words, lambda it: st.lists(it) | st.dictionaries(words, it))
)
def test_whatever_comes_is_read_or_refused_in_codedeploys_words(content: Any) -> None:
    text = content if isinstance(content, str) else json.dumps(content)
    with pytest.raises(AppSpecError, match="AppSpec file that specifies the deployment configuration is missing or"):
        parse(text)


@given(st.data())
def test_a_damaged_appspec_is_refused_or_read_but_breaks_nothing(data: st.DataObject) -> None:
    content = json.dumps(document())
    cut = data.draw(st.integers(0, len(content)))
    damaged = content[:cut] + data.draw(st.text(max_size=3)) + content[cut + data.draw(st.integers(0, 3)) :]
    with suppress(AppSpecError):
        assert 1 <= parse(damaged).port <= 65535


def test_platform_network_and_capacity_are_handed_on_by_ecs_names() -> None:
    network = {"Subnets": ["subnet-1"], "SecurityGroups": ["sg-1"], "AssignPublicIp": "ENABLED"}
    spec = parse(
        json.dumps(
            document(
                PlatformVersion="1.4.0",
                NetworkConfiguration={"AwsvpcConfiguration": network},
                CapacityProviderStrategy=[{"Base": 1, "CapacityProvider": "FARGATE_SPOT", "Weight": 2}],
            )
        )
    )
    assert spec.settings == {
        "platformVersion": "1.4.0",
        "networkConfiguration": {
            "awsvpcConfiguration": {
                "subnets": ["subnet-1"],
                "securityGroups": ["sg-1"],
                "assignPublicIp": "ENABLED",
            }
        },
        "capacityProviderStrategy": [{"capacityProvider": "FARGATE_SPOT", "base": 1, "weight": 2}],
    }


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"version": 1}, "it must be 0.0"),
        ({"Resources": []}, "exactly one target service"),
        ({"Resources": [{"TargetService": {"Type": "AWS::Lambda::Function"}}]}, "it must be 'AWS::ECS::Service'"),
        ({"Hooks": [{"AfterInstall": "check"}]}, "runs no Lambda functions"),
        ({"Hooks": [{"Afterwards": "check"}]}, "is no lifecycle event for a hook"),
    ],
)
def test_the_refusal_names_what_is_wrong(change: dict[str, Any], says: str) -> None:
    with pytest.raises(AppSpecError, match=says):
        parse(json.dumps(document() | change))


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"TaskDefinition": ""}, "TaskDefinition of the target service is missing"),
        ({"LoadBalancerInfo": None}, "LoadBalancerInfo of the target service is missing"),
        ({"LoadBalancerInfo": {"ContainerName": "app", "ContainerPort": 70000}}, "between 1 and 65535"),
        ({"NetworkConfiguration": {"AwsvpcConfiguration": {"Subnets": []}}}, "a list of at least one entry"),
    ],
)
def test_every_property_is_checked(properties: dict[str, Any], says: str) -> None:
    with pytest.raises(AppSpecError, match=says):
        parse(json.dumps(document(**properties)))
