"""The world in one process: AWS, the services with their edges and visitors, the vendors, the control room.

    with World(WorldSettings(catalogue=load_catalogue(path), minute_seconds=1)) as world:
        world.deploy("dev", "good", 180)

    python -m deployments.sandbox.world --settings FILE

The process prints one line when it is ready, a JSON object: `aws_url`, `control_room_url`, `vendors_url`, `edges`
(URL by environment) and `pid`. It ends on SIGTERM and SIGINT. The file's keys are described in settings.py.
"""

import argparse
import contextlib
import errno
import json
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from deployments.sandbox.accounts import SandboxAccounts
from deployments.sandbox.asking import Asking, approver_views
from deployments.sandbox.aws.ecs_state import ServiceState
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.runtime import TaskSpec, environment_of
from deployments.sandbox.ci import Ci
from deployments.sandbox.clock import Clock
from deployments.sandbox.control_room.shape import ActivityView, ApproverView, AwsCallsView, Deployed, WorldState
from deployments.sandbox.databases import prepared_databases
from deployments.sandbox.faults import Faults
from deployments.sandbox.metering import Metering
from deployments.sandbox.names import homes
from deployments.sandbox.own_metrics import OwnMetrics, Place, Versions
from deployments.sandbox.picture import REMEMBERED, Picture
from deployments.sandbox.ports import holder, is_free
from deployments.sandbox.seed import Seed
from deployments.sandbox.services.counting import Counting
from deployments.sandbox.services.edge import Edge
from deployments.sandbox.services.loop import LoopThread
from deployments.sandbox.services.meter import Balancer
from deployments.sandbox.services.routes import Routes
from deployments.sandbox.services.runtime import ServiceRuntime
from deployments.sandbox.services.visitors import Visitors
from deployments.sandbox.serving import Served
from deployments.sandbox.told_calls import calls_since
from deployments.sandbox.vendors.application import create_app as vendors_app
from deployments.sandbox.vendors.state import VendorState
from deployments.sandbox.world_settings import WorldSettings, read_settings
from rules.vocabulary import Environment

DATABASE_PARAMETER = "database/connection-string"
Work = Callable[[], Coroutine[Any, Any, None]]
SERVING_SECONDS = 30.0


class World:
    """Everything outside the product. `start` returns when every service of every environment answers."""

    def __init__(self, settings: WorldSettings) -> None:
        self.settings, self.catalogue = settings, settings.catalogue
        self.clock = Clock(settings.minute_seconds)
        self.faults = Faults()
        self.vendors = VendorState(clock=self.clock)
        self._loop = LoopThread()
        self.counting = Counting()
        self.routes = Routes(self._routing, homes(self.catalogue))
        self.runtime = ServiceRuntime(
            self._loop,
            self.routes,
            lambda digest: self.aws.manifest(digest),  # noqa: PLW0108 - the stand-in comes after the runtime
            services={service.repository: service.id for service in self.catalogue.services.values()},
            database_of=self._database_of,
            observe=self.counting.record,
        )
        self.aws = AwsStandIn(clock=self.clock, runtime=self.runtime, port=settings.port("aws"), faults=self.faults)
        self.edges = {
            name: Edge(name, self.routes, port=settings.port(name), observe=self.counting.record)
            for name in self.catalogue.chain
        }
        self.visitors: dict[str, Visitors] = {}
        self._picture = Picture(self)
        self._asking = Asking(self.catalogue, settings.ledger, settings.prefect_url)
        self._said: deque[ActivityView] = deque(maxlen=REMEMBERED)
        self._one_deploys = threading.Lock()
        self._open = contextlib.ExitStack()

    # ---------------------------------------------------------------------------------------- start and stop

    def start(self) -> None:
        """Raises `OSError` when a port is held; nothing is left running then."""
        self._require_free_ports()
        try:
            self._start_aws()
            self._start_traffic()
            self._start_pages()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End everything, the visitors first. Does nothing a second time."""
        self._open.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _require_free_ports(self) -> None:
        """Before anything starts, because some listen only at the end."""
        for name, port in self.settings.ports.items():
            if port and not is_free(port):
                raise OSError(errno.EADDRINUSE, f"The port {port} of {name} is held by {holder(port)}.")

    def _start_aws(self) -> None:
        self._loop.start()
        self._open.callback(self._loop.stop)
        self._open.callback(lambda: self._loop.run(self.runtime.close()))
        databases = prepared_databases(self.settings.database_url, self.catalogue)
        self.aws.start()
        self._open.callback(self.aws.stop)
        self._open.callback(self.aws.reset)
        self.accounts = SandboxAccounts(self.aws.url)
        ci = Ci(self.catalogue, self.accounts, self.aws, databases, self.clock.now)
        self.seed = Seed(
            self.catalogue,
            self.accounts,
            self._place,
            leave=ci.leave,
            migrate=ci.migrate,
            databases=databases,
            requests_per_minute=dict.fromkeys(self.catalogue.chain, self._a_minute(self.settings.requests_per_second)),
        )
        self.seed.environments()
        self.seed.same_release_everywhere()

    def _start_traffic(self) -> None:
        for edge in self.edges.values():
            self._on_loop(edge.open, edge.close)
        self._wait_until_serving()
        for name, edge in self.edges.items():
            visitors = self.visitors[name] = Visitors(edge.url, self.settings.requests_per_second)
            self._on_loop(visitors.open, visitors.close)
        metering = Metering(self.clock, self.aws.lock, self.edges, self._balancers(), self._group_of)
        places = {name: Place(it.account, it.region) for name, it in self.catalogue.environments.items()}
        versions = Versions(self.services, self.aws.manifest)
        for carrier in (metering, OwnMetrics(self.counting, self.aws.lock, places, versions)):
            carrier.start()
            self._open.callback(carrier.stop)

    def _on_loop(self, begin: Work, end: Work) -> None:
        """Begin something that lives on the loop, and see to its end."""
        self._loop.run(begin())
        self._open.callback(lambda: self._loop.run(end()))

    def _start_pages(self) -> None:
        from deployments.sandbox.control_room.application import create_app as control_room_app

        self.vendors.seed(self.catalogue.application, self.catalogue.chain)
        self._vendors_page = self._served(vendors_app(self.vendors, self.faults), "vendors")
        self._control_room = self._served(control_room_app(self), "control_room")

    def _served(self, app: Any, name: str) -> Served:
        page = Served(app, name, self.settings.port(name))
        self._open.callback(page.stop)
        page.start()
        return page

    def _wait_until_serving(self) -> None:
        """Until every service of every environment has a target that answers."""
        deadline = time.monotonic() + SERVING_SECONDS
        waiting = [(name, service) for name in self.catalogue.chain for service in self.catalogue.services]
        while waiting:
            if time.monotonic() > deadline:
                raise TimeoutError(f"No task answers yet for {waiting} after {SERVING_SECONDS} s.")
            time.sleep(0.05)
            waiting = [pair for pair in waiting if not self._answers(*pair)]

    def _answers(self, environment: str, service: str) -> bool:
        routes = self.routes.of(environment, service, fresh=True)
        return bool(routes) and all(route.addresses for route in routes)

    # ------------------------------------------------------------------------------------------ what it offers

    def ready(self) -> dict[str, Any]:
        """Where everything listens, as the process prints it."""
        return {
            "pid": os.getpid(),
            "aws_url": self.aws.url,
            "control_room_url": self._control_room.url,
            "vendors_url": self._vendors_page.url,
            "edges": {name: edge.url for name, edge in self.edges.items()},
        }

    def deploy(self, environment: str, behaviour: str, age_minutes: float = 0) -> Deployed:
        """Place a new release, as if deployed that long ago. Raises `ValueError` for what is not known."""
        with self._one_deploys:
            version, digests = self.seed.deploy(environment, behaviour, age_minutes)
        self._say(environment, f"Release {version} ({behaviour}) was placed, {age_minutes:g} minutes old.")
        return {"version": version, "digests": digests}

    def let_pass(self, environment: str, age_minutes: float) -> None:
        """What runs in an environment has been running for so long. Raises `ValueError` while something is deployed."""
        where = self._environment(environment)
        with self._one_deploys:
            self.seed.let_pass(where, age_minutes, self.services())
        self._say(environment, f"{age_minutes:g} minutes have passed since the last deployment.")

    def _say(self, environment: str, sentence: str) -> None:
        at = self.clock.now().isoformat()
        self._said.append({"at": at, "environment": environment, "sentence": sentence, "tone": "info"})

    def put_parameter(self, environment: str, name: str, value: str, kind: str) -> None:
        """Create or change a parameter; `name` may be relative. Raises `ValueError` with what AWS said."""
        where = self._environment(environment)
        wanted = {"Name": _absolute(where, name), "Value": value, "Type": kind, "Overwrite": True}
        self._ssm(where, "put_parameter", wanted)

    def delete_parameter(self, environment: str, name: str) -> None:
        """Raises `ValueError` when there is no such parameter."""
        where = self._environment(environment)
        self._ssm(where, "delete_parameter", {"Name": _absolute(where, name)})

    def set_visitors(self, environment: str, per_second: float) -> None:
        """So many visitors a second from now on. Raises `ValueError` for an environment that is not known."""
        where = self._environment(environment)
        self.visitors[where.name].per_second = per_second
        self.seed.expect(where.name, self._a_minute(per_second))

    def state(self) -> WorldState:
        """The picture that the control room shows."""
        return {**self._picture.taken(self._said), "waiting": self._asking.views()}

    def approvers(self) -> list[ApproverView]:
        """Who may approve, each with the code that works now."""
        return approver_views(self.catalogue.people)

    def aws_calls(self, since: int) -> AwsCallsView:
        """What AWS was asked after the call with that number."""
        roles = {it.role_arn for it in self.catalogue.environments.values()}
        return calls_since(self.aws.calls, since, roles)

    # ----------------------------------------------------------------------- what the picture is taken of

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """The stand-in's: nothing moves in AWS while it is held."""
        return self.aws.lock

    @property
    def prefect_url(self) -> str | None:
        return self.settings.prefect_url

    def services(self) -> list[ServiceState]:
        return list(self.aws.simulator.services())

    # ------------------------------------------------------------------------------------------------- inside

    def _environment(self, name: str) -> Environment:
        if name not in self.catalogue.environments:
            known = ", ".join(self.catalogue.environments)
            raise ValueError(f"environment is {name!r}; allowed is one of {known}.")
        return self.catalogue.environments[name]

    def _ssm(self, environment: Environment, operation: str, wanted: Mapping[str, Any]) -> None:
        try:
            getattr(self.accounts(environment, "ssm"), operation)(**wanted)
        except (ClientError, BotoCoreError) as problem:
            raise ValueError(f"{wanted['Name']} in {environment.name}: {problem}") from problem

    def _routing(self, account: str, cluster: str, service: str) -> Any:
        return self.aws.simulator.routing(account, cluster, service)

    def _place(self, account: str, cluster: str, service: str, definition: str, deployed_at: datetime) -> None:
        with self.aws.lock:
            self.aws.simulator.place(account, cluster, service, definition, deployed_at)

    def _group_of(self, revision: str) -> str:
        """The target group of a revision, as CloudWatch names it."""
        arns = (state.groups.get(revision, "") for state in self.services())
        return next((arn.rpartition(":")[2] for arn in arns if arn), "")

    def _balancers(self) -> dict[str, Balancer]:
        return {
            name: Balancer(it.account, it.region, self.seed.balancers[name])
            for name, it in self.catalogue.environments.items()
        }

    def _a_minute(self, per_second: float) -> float:
        return per_second * self.settings.minute_seconds

    def _database_of(self, spec: TaskSpec) -> str | None:
        """The database that the environment's parameter names, read when the task starts, as ECS does."""
        if self.settings.database_url is None:
            return None
        from moto.ssm.models import ssm_backends

        where = self._environment(environment_of(spec))
        name = where.parameter_path + DATABASE_PARAMETER
        found = ssm_backends[where.account][where.region].get_parameter(name)
        return found.decrypt(found.value) if found else None


def _absolute(environment: Environment, name: str) -> str:
    return name if name.startswith("/") else environment.parameter_path + name


def main() -> None:
    """Be the world until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m deployments.sandbox.world", description="Run the world.")
    parser.add_argument("--settings", type=Path, required=True, help="the file that the supervisor wrote")
    settings = read_settings(parser.parse_args().settings)
    leave = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: leave.set())
    with World(settings) as world:
        print(json.dumps(world.ready()), flush=True)
        leave.wait()


if __name__ == "__main__":
    main()
