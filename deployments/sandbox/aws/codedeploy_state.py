"""What the stand-in remembers about CodeDeploy deployments. Changed only under the simulator's lock."""

import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.codedeploy.models import CodeDeployBackend, codedeploy_backends

from deployments.sandbox.aws.codedeploy_configs import PREDEFINED, Config, refuse
from deployments.sandbox.aws.codedeploy_stages import FINAL, Progress, RolloutPlan
from deployments.sandbox.aws.ecs_fleet import Caller, Fleet
from deployments.sandbox.aws.ecs_state import Document, Revision, ServiceState

ID_LETTERS = string.ascii_uppercase + string.digits


@dataclass(slots=True)
class Rollout:
    """One CodeDeploy deployment of an ECS service."""

    id: str
    account: str
    region: str
    application: str
    group: str
    config: str
    """Name of the deployment configuration."""
    revision: Document
    """The `RevisionLocation` that it was asked to deploy."""
    plan: RolloutPlan
    progress: Progress
    created_at: datetime
    terms: Document
    """What `get_deployment` tells of the group as it was then, by the API's names, and the request's description."""
    rollback_events: frozenset[str] = frozenset()
    """Those after which it is to be rolled back automatically."""
    creator: str = "user"
    service: ServiceState | None = None
    """None until the deployment has begun."""
    blue: Revision | None = None
    green: Revision | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    updated_at: datetime | None = None
    rollback_asked: bool | None = None
    """What the one who stopped it said about rolling back; None: nothing."""
    rollback_id: str = ""
    """The deployment that rolls this one back."""
    triggered_by: str = ""
    """The deployment that this one rolls back."""
    previous: Document = field(default_factory=dict)
    """The `RevisionLocation` before this one, where it is known."""

    @property
    def active(self) -> bool:
        return self.progress.status not in FINAL

    @property
    def green_group(self) -> str:
        """ARN of the replacement's target group; empty before there is one."""
        return self.service.groups[self.green.arn] if self.service is not None and self.green is not None else ""


@dataclass(slots=True)
class Desk:
    """All CodeDeploy deployments and configurations of all accounts."""

    fleet: Fleet
    rollouts: dict[tuple[str, str, str], Rollout] = field(default_factory=dict)
    """By account, region and id, oldest first."""
    configs: dict[tuple[str, str, str], Config] = field(default_factory=dict)
    """Those that somebody has created, by account, region and name."""

    def config(self, caller: Caller, name: str) -> Config:
        """Raises DeploymentConfigDoesNotExistException."""
        found = PREDEFINED.get(name) or self.configs.get((caller.account, caller.region, name))
        if found is None:
            raise refuse("DeploymentConfigDoesNotExistException", f"No Deployment Configuration found for name: {name}")
        return found

    def rollout(self, caller: Caller, deployment_id: str) -> Rollout:
        """Raises DeploymentDoesNotExistException."""
        found = self.rollouts.get((caller.account, caller.region, deployment_id))
        if found is None:
            raise refuse("DeploymentDoesNotExistException", f"The deployment {deployment_id} could not be found")
        return found

    def of_group(self, account: str, region: str, application: str, group: str) -> Iterator[Rollout]:
        """The deployments of a group, newest first."""
        place = (account, region, application, group)
        return (r for r in reversed(self.rollouts.values()) if (r.account, r.region, r.application, r.group) == place)

    def add(self, rollout: Rollout) -> None:
        self.rollouts[rollout.account, rollout.region, rollout.id] = rollout


def new_id() -> str:
    """`d-` and nine capital letters or digits, as CodeDeploy makes them."""
    return "d-" + "".join(secrets.choice(ID_LETTERS) for _ in range(9))


def backend(caller: Caller) -> CodeDeployBackend:
    """Moto's applications and deployment groups."""
    return codedeploy_backends[caller.account][caller.region]


def group_of(caller: Caller, name: str) -> Any:
    """The deployment group, as moto holds it. Raises moto's errors for what is not there."""
    return backend(caller).get_deployment_group(caller.parameters["applicationName"], name)
