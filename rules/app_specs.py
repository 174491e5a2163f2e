"""The AppSpec: what AWS CodeDeploy is told to put behind which port of which container.

Written as JSON with its keys in order, so that one request has one text and one hash, whoever writes it.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

_TASK_DEFINITION = re.compile(r"""["']?\bTaskDefinition["']?\s*:\s*["']?(?P<name>[^\s"',}{]+)""")


@dataclass(frozen=True, slots=True)
class AppSpec:
    """One replacement task set for an ECS service."""

    task_definition: str
    """ARN."""
    container: str
    """The container that the load balancer reaches; not always the one that carries the release's image."""
    port: int
    platform_version: str = ""
    """Fargate's, where the service has a fixed one. Empty: CodeDeploy's own choice, the latest."""

    @property
    def text(self) -> str:
        resource = {"TargetService": {"Type": "AWS::ECS::Service", "Properties": self._properties()}}
        return json.dumps({"version": 0.0, "Resources": [resource]}, separators=(",", ":"))

    @property
    def sha256(self) -> str:
        """Hexadecimal, of the text: the name under which CodeDeploy keeps it."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def _properties(self) -> dict[str, Any]:
        properties: dict[str, Any] = {
            "TaskDefinition": self.task_definition,
            "LoadBalancerInfo": {"ContainerName": self.container, "ContainerPort": self.port},
        }
        if self.platform_version:
            properties["PlatformVersion"] = self.platform_version
        return properties


def target_of(text: str) -> str:
    """The task definition that an AppSpec names, in JSON or in YAML, whoever wrote it; empty when it names none."""
    found = _TASK_DEFINITION.search(text)
    return found["name"] if found else ""
