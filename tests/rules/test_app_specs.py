"""The AppSpec has one text and one hash, and names its task definition in whatever form it was written."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.app_specs import AppSpec, target_of

DEFINITION = "arn:aws:ecs:eu-central-1:222222222222:task-definition/gateway:7"
SPEC = AppSpec(DEFINITION, "proxy", 8443)
YAML = f"""
version: 0.0
Resources:
  - TargetService:
      Type: AWS::ECS::Service
      Properties:
        TaskDefinition: "{DEFINITION}"
        LoadBalancerInfo: {{ ContainerName: proxy, ContainerPort: 8443 }}
"""


def test_it_says_what_is_to_run_behind_which_port_of_which_container() -> None:
    [resource] = json.loads(SPEC.text)["Resources"]
    assert resource["TargetService"] == {
        "Type": "AWS::ECS::Service",
        "Properties": {
            "TaskDefinition": DEFINITION,
            "LoadBalancerInfo": {"ContainerName": "proxy", "ContainerPort": 8443},
        },
    }
    assert json.loads(SPEC.text)["version"] == 0.0


def test_a_fixed_platform_version_stays() -> None:
    fixed = json.loads(AppSpec(DEFINITION, "proxy", 8443, "1.4.0").text)
    assert fixed["Resources"][0]["TargetService"]["Properties"]["PlatformVersion"] == "1.4.0"


def test_its_hash_is_of_its_text() -> None:
    assert SPEC.sha256 == hashlib.sha256(SPEC.text.encode()).hexdigest()
    assert AppSpec(DEFINITION, "proxy", 8443).sha256 == SPEC.sha256


@pytest.mark.parametrize("text", [SPEC.text, YAML, YAML.replace('"', "'"), YAML.replace('"', "")])
def test_its_task_definition_is_read_in_every_form(text: str) -> None:
    assert target_of(text) == DEFINITION


@given(st.text())
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert isinstance(target_of(text), str)


@given(
    st.from_regex(r"arn:aws:ecs:[a-z-]{3,12}:[0-9]{12}:task-definition/[a-zA-Z0-9_-]{1,20}:[0-9]{1,4}", fullmatch=True)
)
def test_what_is_written_is_read_again(definition: str) -> None:
    assert target_of(AppSpec(definition, "app", 80).text) == definition
