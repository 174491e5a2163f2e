"""The door to ECS task definitions: the target's own, with another image in one container."""

from __future__ import annotations  # the client's type is a stub, not there at run time

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from blocks.aws_errors import translated
from rules.errors import InvalidInput

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

SYSTEM = "Amazon ECS"
_READ_ONLY = frozenset(
    {
        "taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt",
        "registeredBy", "deregisteredAt", "deleteRequestedAt",
    }
)  # fmt: skip
"""What describe_task_definition says that register_task_definition does not take."""


class TaskDefinitions:
    """Task definitions of one account and region."""

    def __init__(self, ecs: ECSClient) -> None:
        self._ecs = ecs

    def image_of(self, definition: str, container: str) -> str:
        """The image reference that a task definition gives a container."""
        return str(_container_of(self.read(definition), container)["image"])

    def register(self, definition: str, container: str, image: str) -> str:
        """A revision of `definition` with `image` in `container`: the one that is there, else a new one. Its ARN.

        Everything else (environment, secrets, size, role) stays as the target environment has it.
        """
        base = self.read(definition)
        if _container_of(base, container)["image"] == image:
            return str(base["taskDefinitionArn"])
        newest, wanted = self.read(str(base["family"])), _with_image(base, container, image)
        if _writable(newest) == wanted:
            return str(newest["taskDefinitionArn"])
        with translated(SYSTEM, f"registering {image}"):
            return self._ecs.register_task_definition(**wanted)["taskDefinition"]["taskDefinitionArn"]

    def read(self, name: str) -> dict[str, Any]:
        """By ARN, or by family for its newest revision. As AWS words it, with tags."""
        with translated(SYSTEM, f"reading task definition {name}"):
            answer = self._ecs.describe_task_definition(taskDefinition=name, include=["TAGS"])
            return {**answer["taskDefinition"], "tags": answer.get("tags", [])}


def _container_of(definition: Mapping[str, Any], container: str) -> Mapping[str, Any]:
    for one in definition["containerDefinitions"]:
        if one["name"] == container:
            return dict(one)
    names = ", ".join(one["name"] for one in definition["containerDefinitions"])
    raise InvalidInput(
        "container", container, f"one of {names} in {definition['taskDefinitionArn']}", "Mend the catalogue."
    )


def _with_image(definition: Mapping[str, Any], container: str, image: str) -> dict[str, Any]:
    containers = [
        {**one, "image": image} if one["name"] == container else one for one in definition["containerDefinitions"]
    ]
    return {**_writable(definition), "containerDefinitions": containers}


def _writable(definition: Mapping[str, Any]) -> dict[str, Any]:
    """What may be said again: AWS gives tags of its own, refuses them from others, and refuses an empty list."""
    tags = [tag for tag in definition["tags"] if not tag["key"].lower().startswith("aws:")]
    kept = {key: value for key, value in definition.items() if key not in _READ_ONLY and key != "tags"}
    return {**kept, "tags": tags} if tags else kept
