"""Furnishes the AWS stand-in with the environments of a catalogue, by ordinary AWS calls.

seed = Seed(catalogue, SandboxAccounts(aws.url), place=aws.simulator.place)
seed.environments()                       # clusters, roles, registry, load balancers, parameters, alarms
seed.deploy("dev", "good", 180)           # a release that was deployed three hours ago
"""

import itertools
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from deployments.sandbox.accounts import Clients
from deployments.sandbox.aws.ecs_state import ServiceState
from deployments.sandbox.behaviour import MANIFEST_TYPE, Behaviour, behaviours_by_environment, image_manifest
from deployments.sandbox.furniture import Furniture
from deployments.sandbox.names import family, image_uri, role_arn, service_name
from rules.catalogue import Catalogue
from rules.vocabulary import Environment, Service

DAY_MINUTES = 24 * 60
FIRST_BUILD = 482
BRANCH = "develop"
FIRST_RELEASE = "good"

Place = Callable[[str, str, str, str, datetime], None]
"""`EcsSimulator.place(account, cluster, service, task_definition_arn, deployed_at)`."""


@dataclass(frozen=True, slots=True)
class PushedRelease:
    """A release whose images lie in the registry."""

    version: str
    """The seven digits of the Git SHA that the image tags bear."""
    tag: str
    behaviour: str
    digests: Mapping[str, str]
    """By service id."""


Leave = Callable[[PushedRelease], None]
"""What CI does beside pushing images."""
Migrate = Callable[[str, PushedRelease], None]
"""What an environment's deployment does to its database."""


def nothing_left(_release: PushedRelease) -> None:
    pass


def not_migrated(_environment: str, _release: PushedRelease) -> None:
    pass


class Seed:
    """Builds environments and places releases in them. Calls may come from any thread, one at a time."""

    def __init__(
        self,
        catalogue: Catalogue,
        clients: Clients,
        place: Place,
        *,
        databases: Mapping[str, str] | None = None,
        requests_per_minute: Mapping[str, float] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        leave: Leave = nothing_left,
        migrate: Migrate = not_migrated,
    ) -> None:
        """`databases`: the real database's URL by environment; `requests_per_minute`: what the alarms expect."""
        self._leave, self._migrate = leave, migrate
        self._catalogue, self._clients, self._place, self._now = catalogue, clients, place, now
        self._furniture = Furniture(catalogue, clients, databases or {}, requests_per_minute or {})
        self._builds = itertools.count(FIRST_BUILD)
        self._placed: set[str] = set()
        self.releases: dict[str, PushedRelease] = {}
        """Every release that was pushed, by version, oldest first."""

    @property
    def balancers(self) -> Mapping[str, str]:
        """The load balancer's name in CloudWatch, by environment."""
        return self._furniture.balancers

    def expect(self, environment: str, requests_per_minute: float) -> None:
        """The alarms of an environment take so many requests in a minute of AWS for usual."""
        self._furniture.expect(self._catalogue.environments[environment], requests_per_minute)

    @property
    def _registry(self) -> Environment:
        return self._catalogue.environments[self._catalogue.registry]

    def environments(self) -> None:
        """Everything but the services: they need a release to run."""
        self._furniture.registry(self._registry)
        for environment in self._catalogue.environments.values():
            self._furniture.environment(environment)

    def same_release_everywhere(self, age_minutes: float = DAY_MINUTES) -> PushedRelease:
        """The sandbox's first state: one healthy release in all environments."""
        release = self.push(FIRST_RELEASE)
        for name in self._catalogue.chain:
            self.put(name, release, age_minutes)
        return release

    def deploy(self, environment: str, behaviour: str, age_minutes: float = 0) -> tuple[str, dict[str, str]]:
        """A new release, placed as if it had been deployed that long ago: its version and digests.

        Raises `ValueError` with a sentence for the person who asked when environment or behaviour is unknown.
        """
        if environment not in self._catalogue.environments:
            known = ", ".join(self._catalogue.environments)
            raise ValueError(f"environment is {environment!r}; allowed is one of {known}.")
        release = self.push(behaviour)
        self.put(environment, release, age_minutes)
        return release.version, dict(release.digests)

    def push(self, behaviour: str) -> PushedRelease:
        """Build: one image for each service, with the behaviour in its manifest."""
        sha = secrets.token_hex(20)
        first = self._catalogue.chain[0]
        services = self._catalogue.services.values()
        behaviours = {it.id: behaviours_by_environment(behaviour, first, entrance=it.load_balanced) for it in services}
        tag = f"{sha[:7]}-{BRANCH}.{next(self._builds)}"
        digests = {it.id: self._push_image(it, sha, tag, behaviours[it.id]) for it in services}
        release = PushedRelease(sha[:7], tag, behaviour, digests)
        self.releases[release.version] = release
        self._leave(release)
        return release

    def put(self, environment: str, release: PushedRelease, age_minutes: float) -> None:
        """Make the release what the environment has been running for `age_minutes` of wall-clock time."""
        where = self._catalogue.environments[environment]
        deployed_at = self._now() - timedelta(minutes=age_minutes)
        self._migrate(environment, release)
        for service in self._catalogue.services.values():
            definition = self._register(where, service, release)
            if environment not in self._placed:
                self._furniture.service(where, service, definition)
            name = service_name(where, service)
            self._place(where.account, where.cluster, name, definition, deployed_at)
        self._placed.add(environment)

    def let_pass(self, environment: Environment, age_minutes: float, states: Iterable[ServiceState]) -> None:
        """Place what is steady in the environment once more, as if it had been deployed that long ago.

        Raises `ValueError` while something is being deployed there.
        """
        here = [it for it in states if (it.account, it.cluster) == (environment.account, environment.cluster)]
        if busy := [it.name for it in here if it.current is not None or it.steady is None]:
            raise ValueError(f"Time cannot pass in {environment.name} while {', '.join(busy)} is being deployed.")
        deployed_at = self._now() - timedelta(minutes=age_minutes)
        for state in here:
            if state.steady is not None:
                self._place(state.account, state.cluster, state.name, state.steady.task_definition, deployed_at)

    def _push_image(self, service: Service, sha: str, tag: str, behaviours: Mapping[str, Behaviour]) -> str:
        answer = self._clients(self._registry, "ecr").put_image(
            repositoryName=service.repository,
            imageManifest=image_manifest(service.repository, sha, behaviours),
            imageManifestMediaType=MANIFEST_TYPE,
            imageTag=tag,
        )
        return str(answer["image"]["imageId"]["imageDigest"])

    def _register(self, environment: Environment, service: Service, release: PushedRelease) -> str:
        answer = self._clients(environment, "ecs").register_task_definition(
            family=family(self._catalogue.application, environment, service),
            requiresCompatibilities=["FARGATE"],
            networkMode="awsvpc",
            cpu="256",
            memory="512",
            executionRoleArn=role_arn(environment, "ecs-execution"),
            taskRoleArn=role_arn(environment, f"{self._catalogue.application}-{service.id}"),
            containerDefinitions=[self._container(environment, service, release)],
        )
        return str(answer["taskDefinition"]["taskDefinitionArn"])

    def _container(self, environment: Environment, service: Service, release: PushedRelease) -> dict[str, Any]:
        root = f"arn:aws:ssm:{environment.region}:{environment.account}:parameter{environment.parameter_path}"
        return {
            "name": service.container,
            "image": image_uri(self._registry, service, release.tag),
            "essential": True,
            "memory": 512,
            "portMappings": [{"name": "http", "containerPort": 8080, "protocol": "tcp", "appProtocol": "http"}],
            "environment": [{"name": "SPRING_PROFILES_ACTIVE", "value": environment.name}],
            "secrets": [{"name": "DATABASE_URL", "valueFrom": f"{root}database/connection-string"}],
        }
