"""Where requests go: a short-lived copy of what the AWS stand-in routes, and the choice among its targets."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

FRESH_SECONDS = 0.1
"""How long a router may act on what it read: less than a leaving task goes on answering."""


class Route(Protocol):
    """One revision of a service that may get traffic, as `EcsSimulator.routing` gives it."""

    @property
    def revision(self) -> str: ...
    @property
    def weight(self) -> float: ...
    @property
    def addresses(self) -> tuple[str, ...]: ...


Routing = Callable[[str, str, str], Sequence[Route]]
"""`EcsSimulator.routing`: account, cluster, ECS service name → its routes. `KeyError`: no such service."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where a service lives: what `routing` is asked for."""

    account: str
    cluster: str
    service: str
    """The ECS service's generated name."""


@dataclass(frozen=True, slots=True)
class Target:
    revision: str
    address: str | None
    """None when the revision that the weights chose has no healthy task."""


class Routes:
    """Chooses a target for each request, by the weights that hold at that moment."""

    def __init__(
        self, routing: Routing, homes: Mapping[tuple[str, str], Home], dice: random.Random | None = None
    ) -> None:
        """`homes` by environment name and service id."""
        self._routing, self._homes, self._dice = routing, homes, dice or random.Random()
        self._read: dict[Home, tuple[float, Sequence[Route]]] = {}

    def of(self, environment: str, service: str, *, fresh: bool = False) -> Sequence[Route]:
        """The routes of a service, at most `FRESH_SECONDS` old; empty for a service that is not there."""
        home = self._homes.get((environment, service))
        if home is None:
            return ()
        at, routes = self._read.get(home, (0.0, ()))
        if fresh or time.monotonic() - at > FRESH_SECONDS:
            routes = self._ask(home)
            self._read[home] = (time.monotonic(), routes)
        return routes

    def _ask(self, home: Home) -> Sequence[Route]:
        try:
            return self._routing(home.account, home.cluster, home.service)
        except KeyError:
            return ()

    def choose(self, environment: str, service: str, *, but: str | None = None) -> Target:
        """A target by weight; `but` is an address that just failed, avoided where there is another."""
        return pick(self.of(environment, service, fresh=but is not None), self._dice, but)


def pick(routes: Sequence[Route], dice: random.Random, but: str | None = None) -> Target:
    """First the revision by weight, as a listener rule does, then any of its tasks."""
    weighted = [route for route in routes if route.weight > 0]
    if not weighted:
        return Target("", None)
    route = dice.choices(weighted, [route.weight for route in weighted])[0]
    others = [address for address in route.addresses if address != but]
    return Target(route.revision, dice.choice(others or route.addresses) if route.addresses else None)
