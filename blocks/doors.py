"""The one place that opens doors. Nothing else loads a block.

Documents are named by application and environment: `promotion-account/batbern-staging`, `chat/batbern`.
`python -m deployments.register` makes them; people edit addresses and secrets in the Prefect UI.
"""

from functools import cached_property
from typing import TYPE_CHECKING, TypeVar, cast

from prefect.blocks.core import Block
from pydantic import ValidationError

from blocks.accounts import Account
from blocks.alarms import Alarms
from blocks.catalogue import PROJECT, CatalogueFile
from blocks.chat import Chat
from blocks.containers import Containers
from blocks.discretion import invalid
from blocks.feature_flags import FeatureFlags
from blocks.images import Images
from blocks.ledger import Ledger, open_ledger
from blocks.load_balancers import LoadBalancers
from blocks.pager import Pager
from blocks.parameters import Parameters
from blocks.probes import Probes
from rules.catalogue import Catalogue, MetricSource
from rules.errors import InvalidInput
from rules.releases import ServiceState
from rules.rollouts import Arm
from rules.traffic import Traffic
from rules.vocabulary import Controller, Environment, Role, Service

if TYPE_CHECKING:
    from blocks.approvers import Approvers
    from blocks.change_tickets import ChangeTickets
    from blocks.code_deployments import CodeDeployments
    from blocks.databases import Database
    from blocks.files import Files
    from blocks.functions import Functions
    from blocks.http_checks import CheckSecrets
    from blocks.image_scans import ImageScans
    from blocks.metrics import Metrics
    from blocks.scratch_databases import ScratchServer
    from blocks.snapshots import Snapshots
    from blocks.source_history import SourceHistory
    from blocks.weighted_rules import WeightedRules

B = TypeVar("B", bound=Block)


def load(kind: type[B], name: str) -> B:
    """The block document of that kind and name. Raises InvalidInput when it is not there or not valid."""
    what = f"{kind.get_block_type_slug()} block"
    try:
        return cast("B", kind.load(name))  # typed as "or a coroutine", which it is not in synchronous code
    except ValidationError as error:
        raise invalid(what, name, error) from None
    except ValueError as error:
        raise InvalidInput(
            what, name, "a registered document",
            "Run `python -m deployments.register`, or create it in the Prefect UI under Blocks.",
        ) from error  # fmt: skip


class Doors:
    """The outside systems of one environment. Not a dataclass: Prefect walks through those when tasks get them."""

    def __init__(self, catalogue: Catalogue, environment: Environment) -> None:
        account = load(Account, f"{catalogue.application}-{environment.name}")
        self.environment = environment
        self.services: tuple[Service, ...] = tuple(catalogue.services.values())
        ecs = account.client("ecs")
        self._account = account
        self._catalogue = catalogue
        self.containers = Containers(ecs, environment.cluster, self._state_of_pair)
        self.alarms = Alarms(account.client("cloudwatch"))
        self.balancers = LoadBalancers(ecs, account.client("elbv2"), environment.cluster)
        self.parameters = Parameters(account.client("ssm"), environment.parameter_path)
        self.probes = load(Probes, f"{catalogue.application}-{environment.name}")

    def controller(self, service: Service) -> "Containers | CodeDeployments | WeightedRules":
        """Who moves the traffic of a service."""
        if service.controller is Controller.LISTENER:
            return self._pair(service)
        return self._code_deployments(service) if service.controller is Controller.CODEDEPLOY else self.containers

    def _code_deployments(self, service: Service) -> "CodeDeployments":
        from blocks.code_deployments import CodeDeployments

        name = self.environment.name
        return CodeDeployments(
            self._account.client("codedeploy"),
            self.containers,
            service.codedeploy_application.format(environment=name),
            service.codedeploy_group.format(environment=name),
        )

    def _pair(self, service: Service) -> "WeightedRules":
        from blocks.weighted_rules import WeightedRules

        name = self.environment.name
        names = (service.ecs_service.format(environment=name), service.ecs_service_beside.format(environment=name))
        return WeightedRules(self._account.client("ecs"), self._account.client("elbv2"), self.containers, names)

    def _state_of_pair(self, service: Service) -> ServiceState | None:
        return self._pair(service).state(service.id, service.container)

    def traffic(self, service: Service, name: str) -> Traffic | None:
        """Where a load balancer sends the traffic of a service, whose full name in ECS is `name`."""
        if service.controller is Controller.LISTENER:
            return self._pair(service).traffic()
        group = self._code_deployments(service).group() if service.controller is Controller.CODEDEPLOY else None
        return self.balancers.traffic(name, group)

    def arm(self, service: Service, name: str) -> Arm | None:
        """The version that serves now, as its metrics name it."""
        return self._pair(service).arm() if service.controller is Controller.LISTENER else self.containers.arm(name)

    @cached_property
    def snapshots(self) -> "Snapshots":
        from blocks.snapshots import Snapshots

        return Snapshots(self._account.client("rds"))

    @cached_property
    def functions(self) -> "Functions":
        from blocks.functions import Functions

        return Functions(self._account.client("lambda"))

    @cached_property
    def database(self) -> "Database":
        """The services' database. Only who compares schemas or brings migrations needs its document."""
        from blocks.databases import Database

        return load(Database, f"{self._catalogue.application}-{self.environment.name}")

    @cached_property
    def metrics(self) -> "Metrics":
        """Where a canary's numbers come from. Opened when asked for: pandas is for those who have a canary."""
        from blocks.cloudwatch_metrics import CloudWatchMetrics

        policy = self._catalogue.metrics
        if policy.source is MetricSource.PROMETHEUS:
            from blocks.prometheus import PrometheusMetrics

            return load(PrometheusMetrics, f"{self._catalogue.application}-{self.environment.name}").asking(policy)
        return CloudWatchMetrics(self._account.client("cloudwatch"), self._account.client("elbv2"), policy)


class Application:
    """What all environments of an application share: catalogue, registry, flags, ledger, chat, pager."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.catalogue = load(CatalogueFile, name).read()
        registry = self.catalogue.environments[self.catalogue.registry]
        self._registry = load(Account, f"{name}-{registry.name}")
        self.images = Images(self._registry.client("ecr"), registry.account)
        self.registry_url = f"{registry.account}.dkr.ecr.{registry.region}.amazonaws.com"
        self.flags = load(FeatureFlags, name)
        self.chat = load(Chat, name)
        self.pager = load(Pager, name)
        self.ledger: Ledger = open_ledger(name)

    # Opened when asked for: only production needs them, and who has none must be able to promote to staging.

    @cached_property
    def tickets(self) -> "ChangeTickets":
        from blocks.change_tickets import ChangeTickets

        return load(ChangeTickets, self.name)

    @cached_property
    def approvers(self) -> "Approvers":
        from blocks.approvers import Approvers

        return load(Approvers, self.name)

    @cached_property
    def files(self) -> "Files":
        """What was left for a release beside its images, in the registry's account; or below the project's folder."""
        from blocks.files import Files

        return Files(PROJECT, self._registry.client("s3"))

    @cached_property
    def image_scans(self) -> "ImageScans":
        """What the registry itself found in the images."""
        from blocks.image_scans import ImageScans

        return ImageScans(self._registry.client("ecr"), self.catalogue.environments[self.catalogue.registry].account)

    @cached_property
    def check_secrets(self) -> "CheckSecrets":
        """What regression checks need to be let in."""
        from blocks.http_checks import CheckSecrets

        return load(CheckSecrets, self.name)

    @cached_property
    def scratch(self) -> "ScratchServer":
        """A database server on which migrations are rehearsed."""
        from blocks.scratch_databases import ScratchServer

        return load(ScratchServer, self.name)

    @cached_property
    def history(self) -> "SourceHistory":
        from blocks.source_history import SourceHistory

        return load(SourceHistory, self.name)

    def environment(self, name: str) -> Doors:
        return open_doors(self.catalogue, name)

    def step_to(self, role: Role) -> tuple[Doors, Doors]:
        """The environment of that role and the one before it in the chain: (source, target)."""
        chain = [self.catalogue.environments[name] for name in self.catalogue.chain]
        at = next((at for at, environment in enumerate(chain) if environment.role is role), 0)
        if at == 0:
            names = ", ".join(f"{environment.name} ({environment.role})" for environment in chain)
            allowed = f"an environment of role {role} with one before it"
            raise InvalidInput("chain", names, allowed, "Mend the catalogue.")
        return self.environment(chain[at - 1].name), self.environment(chain[at].name)


def open_application(name: str) -> Application:
    return Application(name)


def open_doors(catalogue: Catalogue, environment: str) -> Doors:
    """The doors of one environment of the catalogue."""
    if environment not in catalogue.environments:
        raise InvalidInput("environment", environment, f"one of {', '.join(catalogue.environments)}")
    return Doors(catalogue, catalogue.environments[environment])
