"""What the control room shows and what it asks of the world: the contract between the two.

`World.state()` fills a `WorldState`; the control room adds the vendors' snapshot and the active faults by
itself and serves all of it as JSON at `GET /api/state`. Times are ISO 8601 in UTC. Every key is present; what is
not known yet is None or an empty list.
"""

from typing import Literal, NotRequired, Protocol, TypedDict

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors.state import VendorState

Health = Literal["healthy", "degraded", "unhealthy", "starting", "unknown"]


class RevisionView(TypedDict):
    """One revision of a service that has tasks or traffic. During a roll-out there are two."""

    revision: str
    """Name of the service revision or task definition: `gateway:7`."""
    version: str
    """The release's Git SHA, as long as it is known."""
    digest: str
    weight: float
    """Share of the service's traffic, 0.0 to 1.0."""
    desired: int
    running: int
    healthy: int
    """Tasks that pass their health check."""
    health: Health
    behaviour: str
    """What the release was made to do: `good`, `bad`, `slow`, … or empty."""
    role: Literal["primary", "new", "old"]
    """`primary` when steady; during a roll-out `new` is the revision that arrives, `old` the one that leaves."""


class PauseView(TypedDict):
    """Where a deployment waits for somebody's word."""

    hook: str
    stage: str
    expires_at: str
    goes_back: bool
    """What it does by itself then: back, or on."""


class DeploymentView(TypedDict):
    """A service deployment that is under way, or the last one."""

    id: str
    status: str
    """As ECS says it: IN_PROGRESS, SUCCESSFUL, ROLLBACK_SUCCESSFUL, …"""
    stage: str
    """As ECS says it: PRODUCTION_TRAFFIC_SHIFT, BAKE_TIME, …; empty when none."""
    strategy: str
    weights: list[float]
    """The shares of the traffic that the new revision is to have one after the other, percent."""
    pause: PauseView | None
    reason: str
    started_at: str | None
    finished_at: str | None


class ServiceView(TypedDict):
    id: str
    """The catalogue's id: `event-management`."""
    name: str
    """The name ECS knows: `BATbern-dev-EventManagement-Service-…`."""
    wave: int
    load_balanced: bool
    health: Health
    deployed_at: str | None
    """Since when the primary revision runs."""
    revisions: list[RevisionView]
    deployment: DeploymentView | None


class TrafficSample(TypedDict):
    """What the visitors saw during one interval, oldest sample first."""

    at: str
    requests: int
    errors: int
    """Answers of 5xx and requests without an answer."""
    p95_ms: float | None
    """None when nothing was requested."""


class MetView(TypedDict):
    """What visitors met since the world began."""

    requests: int
    failed: int
    """Answers of 5xx."""
    slow: int
    """Answers that took half a second or longer, failed ones too."""
    bad: int
    """Failed, slow or both."""


class VisitorsView(TypedDict):
    per_second: float
    met: MetView
    by_version: dict[str, MetView]
    """By the version of the load-balanced service that answered; empty for no version."""


class ParameterView(TypedDict):
    name: str
    type: str
    """String, StringList or SecureString."""
    value: str
    """A SecureString's value is masked; the control room masks it again if the world forgets."""
    version: int


class AlarmView(TypedDict):
    name: str
    state: str
    """OK, ALARM or INSUFFICIENT_DATA."""
    reason: str


class EnvironmentView(TypedDict):
    name: str
    role: str
    account: str
    url: str
    """The environment's edge: where its visitors go."""
    services: list[ServiceView]
    traffic: list[TrafficSample]
    """About one sample a second, the last 60 to 120 of them."""
    visitors: VisitorsView
    parameters: list[ParameterView]
    alarms: list[AlarmView]


class ActivityView(TypedDict):
    """Something that happened in the world: a release placed, a deployment started or rolled back."""

    at: str
    environment: str
    sentence: str
    tone: Literal["info", "good", "bad", "warning"]


class WaitingView(TypedDict):
    """A promotion to production that waits for people or for its time, as the ledger says."""

    run_id: str
    environment: str
    version: str
    plan: str
    awaited: list[str]
    """Names of the people who are asked now; nobody once it is approved."""
    approved: list[str]
    """Names of those who have approved this very plan."""
    until: str | None
    """When its time comes, once it is approved."""
    deadline: str
    url: str
    """Its page in the Prefect UI; empty without a UI."""


class ApproverView(TypedDict):
    """Somebody who may approve. Nowhere but in a sandbox is the code of another person to be had."""

    id: str
    name: str
    groups: list[str]
    code: str
    """That the person's authenticator shows now. It works once."""
    seconds: float
    """Until it shows the next one."""


class WorldState(TypedDict):
    application: str
    now: str
    minute_seconds: float
    """How many real seconds a minute of this world lasts."""
    prefect_url: str | None
    """Where the Prefect UI is: `http://127.0.0.1:4200`."""
    environments: list[EnvironmentView]
    """In the order of promotion."""
    activity: NotRequired[list[ActivityView]]
    """Newest last."""
    waiting: NotRequired[list[WaitingView]]
    """Oldest first."""


class AwsCallView(TypedDict):
    """One call that AWS answered."""

    sequence: int
    at: str
    service: str
    """As boto3 names its client: `elbv2`."""
    operation: str
    account: str
    role: str
    """Name of the role that called, or that is assumed; empty without one."""
    by_product: bool
    """By a role of the catalogue; false for what the world does to itself."""
    status: int
    """0: the connection was cut."""
    error: str
    checked: bool
    """Whether it was held against AWS's model. False for Amazon S3."""
    breaches: list[str]
    """What it has against the model; it was refused then."""


class AwsCallsView(TypedDict):
    """Calls after a sequence number, oldest first."""

    calls: list[AwsCallView]
    last: int
    """Sequence number of the last call that was looked at: where to go on."""
    lost: int
    """So many after the number that was asked for are no longer remembered."""


class FaultView(TypedDict):
    target: str
    operation: str
    kind: str
    times: int | None
    """How often it still strikes; None means until it is cleared."""
    seconds: float | None


class Deployed(TypedDict):
    """A release that was placed in an environment at once."""

    version: str
    digests: dict[str, str]


class World(Protocol):
    """The world as the control room drives it. Methods may block for seconds; they are called from threads.

    `deploy` raises ValueError with a sentence for the person at the page when it cannot do what is asked;
    `let_pass`, `put_parameter`, `delete_parameter` and `set_visitors` do the same.
    """

    faults: Faults
    vendors: VendorState

    def state(self) -> WorldState: ...

    def approvers(self) -> list[ApproverView]: ...

    def aws_calls(self, since: int) -> AwsCallsView: ...

    def deploy(self, environment: str, behaviour: str, age_minutes: float) -> Deployed: ...

    def let_pass(self, environment: str, age_minutes: float) -> None: ...

    def put_parameter(self, environment: str, name: str, value: str, kind: str) -> None: ...

    def delete_parameter(self, environment: str, name: str) -> None: ...

    def set_visitors(self, environment: str, per_second: float) -> None: ...
