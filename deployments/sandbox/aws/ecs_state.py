"""What the stand-in remembers about services. Changed only under the simulator's lock."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from deployments.sandbox.aws.ecs_stages import DeploymentPlan, Progress, Wanted
from deployments.sandbox.aws.runtime import TaskCondition, TaskPhase, TaskSpec

Document = dict[str, Any]
"""A structure of the ECS API, as it came in and as it goes out."""


@dataclass(frozen=True, slots=True)
class ContainerImage:
    """One container of a revision with the image that its tag stood for when the revision was made."""

    container: str
    image: str
    digest: str
    environment: Document = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Revision:
    """An immutable snapshot of everything that a deployment rolls out."""

    arn: str
    deployment_id: str
    """`ecs-svc/…`: what its tasks carry as `startedBy`."""
    task_definition: str
    images: tuple[ContainerImage, ...]
    created_at: datetime
    settings: Document
    """Load balancers, network and the like, by the API's names."""


@dataclass(slots=True)
class ServiceTask:
    """One task of a service, from its start until it is forgotten."""

    spec: TaskSpec
    arn: str
    revision: str
    started_by: str
    created_at: datetime
    condition: TaskCondition = field(default_factory=lambda: TaskCondition(TaskPhase.STARTING))
    started_at: datetime | None = None
    healthy_once: bool = False
    unhealthy_since: datetime | None = None
    stopping_at: datetime | None = None
    """Since when it is told to stop: first drained, then ended."""
    ending: bool = False
    """Drained and told to end."""
    stopped_at: datetime | None = None
    stop_code: str = ""
    stopped_reason: str = ""

    @property
    def living(self) -> bool:
        return self.stopped_at is None

    @property
    def active(self) -> bool:
        """Counted on: neither stopped nor on the way there."""
        return self.stopped_at is None and self.stopping_at is None

    @property
    def healthy(self) -> bool:
        return self.active and self.condition.phase is TaskPhase.HEALTHY


@dataclass(slots=True)
class Deployment:
    """A service deployment: what it was asked, how far it is, and when."""

    arn: str
    plan: DeploymentPlan
    target: Revision
    progress: Progress
    created_at: datetime
    configuration: Document
    source: Revision | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    updated_at: datetime | None = None
    wanted: Wanted = field(default_factory=lambda: Wanted(0, 0))


@dataclass(slots=True)
class Failures:
    """How a revision's tasks have been failing, which slows down their replacement."""

    total: int = 0
    in_a_row: int = 0
    """Since the last task that became healthy."""
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class TargetGroupPair:
    """The two target groups between which a deployment group of CodeDeploy moves a service's traffic."""

    groups: tuple[str, str]
    listeners: tuple[str, ...]
    """ARNs of the listeners whose rules carry production traffic."""
    test_listeners: tuple[str, ...] = ()


@dataclass(slots=True)
class TaskSet:
    """What CodeDeploy says of a revision: the other half of a task set, beside its tasks."""

    external_id: str
    """The CodeDeploy deployment that has made it; empty for the one that the service was created with."""
    wanted: bool
    updated_at: datetime


@dataclass(slots=True)
class ServiceState:
    """One ECS service."""

    account: str
    region: str
    cluster: str
    cluster_arn: str
    name: str
    arn: str
    settings: Document
    created_at: datetime
    desired: int
    status: str = "ACTIVE"
    steady: Revision | None = None
    """The revision of the last deployment that succeeded."""
    current: Deployment | None = None
    waiting: Deployment | None = None
    """The next deployment, while the current one gives its traffic back."""
    history: list[Deployment] = field(default_factory=list)
    """All deployments, newest last."""
    revisions: dict[str, Revision] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    """Target group ARN by revision ARN, for services behind a load balancer."""
    tasks: dict[str, ServiceTask] = field(default_factory=dict)
    failures: dict[str, Failures] = field(default_factory=dict)
    task_sets: dict[str, TaskSet] = field(default_factory=dict)
    """By revision ARN, those that CodeDeploy has set up or keeps. Without CodeDeploy there are none."""
    pair: TargetGroupPair | None = None
    """Where CodeDeploy moves the traffic; None until a deployment group names this service."""
    events: deque[Document] = field(default_factory=lambda: deque(maxlen=100))
    said_steady: bool = False

    @property
    def controller(self) -> str:
        return str((self.settings.get("deploymentController") or {}).get("type", "ECS"))

    @property
    def primary(self) -> Revision | None:
        """The revision that the service is to run: the one on its way in, unless it is on its way back."""
        if self.current is not None and self.current.progress.rollback_at is None:
            return self.current.target
        return self.steady

    def of(self, revision: Revision | None) -> Iterator[ServiceTask]:
        """The tasks of a revision; those of all other revisions are not it."""
        return (t for t in self.tasks.values() if revision is not None and t.revision == revision.arn)

    def living(self, revision: Revision | None) -> int:
        return sum(task.living for task in self.of(revision))

    def healthy(self, revision: Revision | None) -> int:
        return sum(task.healthy for task in self.of(revision))

    def say(self, now: datetime, message: str) -> None:
        """Add to the service's events, as the console shows them."""
        number = len(self.events) + int(now.timestamp() * 1000)
        self.events.appendleft(
            {"id": f"{number:032x}", "createdAt": now, "message": f"(service {self.name}) {message}"}
        )
