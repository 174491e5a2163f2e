"""Registering a task definition says again only what AWS lets others say."""

from typing import Any, cast

from blocks.task_definitions import TaskDefinitions

OURS, AWS = {"key": "team", "value": "events"}, {"key": "aws:cloudformation:stack-name", "value": "staging"}


class Registry:
    """Task definitions of one family; keeps what was registered."""

    def __init__(self, tags: list[dict[str, str]]) -> None:
        self.registered: list[dict[str, Any]] = []
        self._tags = tags

    def describe_task_definition(self, **_: Any) -> dict[str, Any]:
        container = {"name": "app", "image": "registry/events@sha256:0", "environment": [{"name": "A", "value": "b"}]}
        definition = {
            "family": "events",
            "revision": 7,
            "taskDefinitionArn": "td:7",
            "containerDefinitions": [container],
        }
        return {"taskDefinition": definition, "tags": self._tags}

    def register_task_definition(self, **given: Any) -> dict[str, Any]:
        self.registered.append(given)
        return {"taskDefinition": {"taskDefinitionArn": "td:8"}}


def registered(*tags: dict[str, str]) -> dict[str, Any]:
    registry = Registry(list(tags))
    TaskDefinitions(cast("Any", registry)).register("td:7", "app", "registry/events@sha256:1")
    return registry.registered[0]


def test_tags_that_aws_gives_are_not_said_again() -> None:
    assert registered(OURS, AWS)["tags"] == [OURS]
    assert "tags" not in registered(AWS)


def test_only_the_image_changes() -> None:
    given = registered()
    assert given["containerDefinitions"][0]["environment"] == [{"name": "A", "value": "b"}]
    assert set(given) == {"family", "containerDefinitions"}
