"""The worker is killed in the middle of a canary: what the world does then, and what the ledger learns of it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployments.sandbox.machinery import Machinery
from deployments.sandbox.narration import Look, Narrator
from deployments.sandbox.room import ControlRoom, service_of


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it. `weight` in percent; `back_seconds` until the old version had all traffic again."""

    processes: int
    weight: float
    back_seconds: float | None
    """None: it never had."""
    aws: str
    """The status of the deployment and its reason, as Amazon ECS says it."""
    ledger: str = ""

    @property
    def told(self) -> bool:
        """The traffic came back, and the ledger says why."""
        return self.back_seconds is not None and bool(self.ledger)


class Killing:
    def __init__(
        self,
        room: ControlRoom,
        machinery: Machinery,
        narrator: Narrator,
        observe: Callable[[], Look],
        *,
        poll_seconds: float,
        environment: str,
    ) -> None:
        """`observe` looks at the run that is going on in that environment; so often the world is looked at."""
        self._room, self._machinery, self._narrator, self._observe = room, machinery, narrator, observe
        self._poll_seconds, self._environment = poll_seconds, environment

    def kill(self, service: str, deadline: float) -> Killed:
        """Kill at the first share of the traffic, wait until it is back, start a new worker."""
        weight = self._first_share(service, deadline)
        processes = self._machinery.kill_worker()
        began = time.monotonic()
        self._narrator.say(f"[red]killed[/]     the worker and its run, {processes} processes, at {weight:.0%}")
        back = self._until(lambda state: self._share(state, service) == 0, deadline)
        self._until(lambda state: settled_deployment(state, self._environment, service), deadline)
        seconds = round(back - began, 1) if back is not None else None
        self._narrator.say(f"world      the old version has all traffic again after {seconds} s")
        self._machinery.start_worker()
        return Killed(
            processes, round(100 * weight, 1), seconds, deployment_words(self._room.state(), self._environment, service)
        )

    def _first_share(self, service: str, deadline: float) -> float:
        """Look until the new version has a share, or the run has ended without one. The share."""
        while time.monotonic() < deadline:
            now = self._observe()
            self._narrator.observe(now)
            share = self._share(self._room.state(), service)
            if share > 0 or now.run.final:
                return share
            time.sleep(self._poll_seconds)
        return 0.0

    def _share(self, state: Mapping[str, Any], service: str) -> float:
        return new_share(state, self._environment, service)

    def _until(self, fact: Callable[[Mapping[str, Any]], bool], deadline: float) -> float | None:
        """When it was so; None when it never was."""
        while time.monotonic() < deadline:
            if fact(self._room.state()):
                return time.monotonic()
            self._narrator.observe(self._observe())
            time.sleep(self._poll_seconds)
        return None


def new_share(state: Mapping[str, Any], environment: str, service: str) -> float:
    """The share of the traffic (0 to 1) that the arriving version has."""
    revisions = service_of(state, environment, service)["revisions"]
    return float(sum(it["weight"] for it in revisions if it["role"] == "new"))


def settled_deployment(state: Mapping[str, Any], environment: str, service: str) -> bool:
    deployment = service_of(state, environment, service)["deployment"]
    return deployment is None or deployment["finished_at"] is not None


def deployment_words(state: Mapping[str, Any], environment: str, service: str) -> str:
    deployment = service_of(state, environment, service)["deployment"]
    return f"{deployment['status']}: {deployment['reason']}" if deployment else ""
