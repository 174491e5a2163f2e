"""How traffic is to move from one revision of a service to the next, and the door that every mover of traffic has."""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol

from rules.rollouts import Deployment

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import (
        DeploymentAlarmsTypeDef,
        DeploymentConfigurationTypeDef,
        DeploymentLifecycleHookTypeDef,
    )


STAGE: Final = "PRE_PRODUCTION_TRAFFIC_SHIFT"
"""Before every step of the traffic."""
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BlueGreen:
    """All traffic at once, when all new tasks are healthy."""

    bake_minutes: float
    alarms: tuple[str, ...] = ()
    """None: those that the service's owner has given it stay as they are."""
    unguarded: bool = False
    """On the way back neither alarms nor lifecycle hooks may hold up the version that is known to be good."""

    def request(self, present: Mapping[str, Any] = NOTHING) -> DeploymentConfigurationTypeDef:
        """What Amazon ECS is asked for. `present`: its configuration, of which a canary's pause goes."""
        request: DeploymentConfigurationTypeDef = {
            "strategy": "BLUE_GREEN",
            "bakeTimeInMinutes": round(self.bake_minutes),
        }
        if self.unguarded:
            return {**request, "alarms": _alarms(()), "lifecycleHooks": []}
        owners = owners_hooks(present)
        if len(owners) != len(present.get("lifecycleHooks", ())):
            request["lifecycleHooks"] = owners
        return {**request, "alarms": _alarms(self.alarms)} if self.alarms else request


@dataclass(frozen=True, slots=True)
class Canary:
    """Step by step, waiting for our word before each: held at `steps` (percent), straight on between them."""

    steps: tuple[int, ...]
    hold_minutes: float
    """Without our word for so long, the mover of traffic goes back by itself."""
    bake_minutes: float
    alarms: tuple[str, ...] = ()

    def request(self, present: Mapping[str, Any] = NOTHING) -> DeploymentConfigurationTypeDef:
        """What Amazon ECS is asked for: equal steps of which ours are some, a pause before every one of them."""
        request: DeploymentConfigurationTypeDef = {
            "strategy": "LINEAR",
            "bakeTimeInMinutes": round(self.bake_minutes),
            "linearConfiguration": {"stepPercent": float(gcd(*self.steps, 100)), "stepBakeTimeInMinutes": 0},
            "lifecycleHooks": [*owners_hooks(present), _pause(self.hold_minutes)],
        }
        return {**request, "alarms": _alarms(self.alarms)} if self.alarms else request


Shift = BlueGreen | Canary


def _pause(minutes: float) -> DeploymentLifecycleHookTypeDef:
    return {
        "targetType": "PAUSE",
        "lifecycleStages": [STAGE],
        "timeoutConfiguration": {"timeoutInMinutes": round(minutes), "action": "ROLLBACK"},
    }


def owners_hooks(present: Mapping[str, Any]) -> list[DeploymentLifecycleHookTypeDef]:
    """The hooks that the service's owner has given it. A canary's pause stays with it until it is taken away by name.

    A pause at the same stage may be the owner's approval, so ours is only one that stands where a canary left it.
    """
    linear = present.get("linearConfiguration", {})
    ours = present.get("strategy") == "LINEAR" and linear.get("stepBakeTimeInMinutes") == 0
    return [hook for hook in present.get("lifecycleHooks", ()) if not (ours and _is_canarys(hook))]


def _is_canarys(hook: DeploymentLifecycleHookTypeDef) -> bool:
    back = hook.get("timeoutConfiguration", {}).get("action") == "ROLLBACK"
    return back and hook.get("targetType") == "PAUSE" and hook.get("lifecycleStages") == [STAGE]


def _alarms(names: Sequence[str]) -> DeploymentAlarmsTypeDef:
    """All three are required together; without alarms the feature is switched off by name."""
    return {"alarmNames": list(names), "enable": bool(names), "rollback": bool(names)}


@dataclass(frozen=True, slots=True)
class Look:
    """A service at one moment."""

    ongoing: Deployment | None
    """The deployment in progress, whoever started it."""
    serving: frozenset[str]
    """Digests of the running tasks that carry production traffic."""
    steady: bool
    """As many tasks run as are wanted, and no deployment is in progress."""


class Controller(Protocol):
    """Who moves the traffic of a service. Every write is preceded by a look; asking twice is asking once."""

    def look(self, name: str, container: str) -> Look:
        """One look at a service, with as few calls as it takes."""

    def deployment(self, arn: str) -> Deployment:
        """One deployment, ongoing or ended."""

    def start(self, name: str, task_definition: str, how: Shift) -> str:
        """Starts the deployment of a task definition, unless it is on its way. The deployment's ARN or id.

        Raises:
            Outage: it is not listed yet. Asking again adopts it.
            Conflict: somebody else's deployment was faster.

        """

    def go_on(self, deployment: Deployment) -> None:
        """Answers the pause at which the deployment waits: on to the next step."""

    def stop(self, deployment: str) -> None:
        """Gives all traffic back to the old revision."""
