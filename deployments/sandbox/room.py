"""The control room, as the stories use it: arrange the world, and read what really runs in it."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx

Serving = dict[str, dict[str, str]]
"""Version by service by environment: what the visitors get."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A release that was placed in an environment."""

    version: str
    digests: Mapping[str, str]


def serving(state: Mapping[str, Any]) -> Serving:
    """What serves in every environment, by the control room's account of the world."""
    return {
        environment["name"]: {
            service["id"]: serving_version(service["revisions"]) for service in environment["services"]
        }
        for environment in state["environments"]
    }


def view_of(state: Mapping[str, Any], environment: str) -> dict[str, Any]:
    """One environment of the control room's state."""
    view: dict[str, Any] = next(it for it in state["environments"] if it["name"] == environment)
    return view


def service_of(state: Mapping[str, Any], environment: str, service: str) -> dict[str, Any]:
    view: dict[str, Any] = next(it for it in view_of(state, environment)["services"] if it["id"] == service)
    return view


def ticket_of(state: Mapping[str, Any], key: str) -> dict[str, Any]:
    """A change ticket of the control room's state; empty when there is none of that key."""
    return next((it for it in state["vendors"].get("tickets", ()) if it["key"] == key), {})


def serving_version(revisions: Iterable[Mapping[str, Any]]) -> str:
    """The version that all traffic goes to; every version with its share when traffic is split; else nothing."""
    shares: dict[str, float] = {}
    for revision in revisions:
        if revision["weight"] > 0:
            shares[revision["version"]] = shares.get(revision["version"], 0.0) + revision["weight"]
    if len(shares) == 1:
        return next(iter(shares))
    return ", ".join(f"{version} {share:.0%}" for version, share in sorted(shares.items())) or "nothing"


class ControlRoom:
    """The control room at `url`. Raises httpx.HTTPStatusError with the world's own sentence in its answer."""

    def __init__(self, url: str, transport: httpx.BaseTransport | None = None) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=60, trust_env=False, transport=transport)

    def close(self) -> None:
        self._http.close()

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._http.get("/api/state").raise_for_status().json()
        return state

    def aws_calls(self, since: int = 0) -> Iterator[dict[str, Any]]:
        """Every call that AWS answered after the one with that number. RuntimeError when some are forgotten by now."""
        while True:
            answer = self._http.get("/api/aws-calls", params={"since": since}).raise_for_status().json()
            if since and answer["lost"]:
                raise RuntimeError(f"{answer['lost']} AWS calls after call {since} are no longer remembered.")
            if not answer["calls"]:
                return
            yield from answer["calls"]
            since = answer["last"]

    def release(self, environment: str, behaviour: str, age_minutes: float) -> Placed:
        """Place a new release in an environment, as if it had been deployed so long ago."""
        order = {"environment": environment, "behaviour": behaviour, "age_minutes": age_minutes}
        answer = self._http.post("/api/releases", json=order).raise_for_status().json()
        return Placed(answer["version"], answer["digests"])

    def let_pass(self, environment: str, minutes: float) -> None:
        """What runs in an environment has been running for so long."""
        order = {"environment": environment, "age_minutes": minutes}
        self._http.post("/api/ages", json=order).raise_for_status()

    def create_ticket(self, summary: str, status: str) -> str:
        """A new change ticket in that status, as a release manager would have made it. Its key."""
        answer = self._http.post("/api/tickets", json={"summary": summary, "status": status})
        return str(answer.raise_for_status().json()["key"])

    def put_parameter(self, environment: str, name: str, value: str, kind: str = "String") -> None:
        order = {"environment": environment, "name": name, "value": value, "type": kind}
        self._http.post("/api/parameters", json=order).raise_for_status()

    def delete_parameter(self, environment: str, name: str) -> None:
        order = {"environment": environment, "name": name}
        self._http.request("DELETE", "/api/parameters", json=order).raise_for_status()

    def set_visitors(self, environment: str, per_second: float) -> None:
        order = {"environment": environment, "per_second": per_second}
        self._http.post("/api/visitors", json=order).raise_for_status()

    def approve_flag_change(self, request_id: str) -> None:
        self._http.post("/api/flags/approve", json={"id": request_id}).raise_for_status()

    def require_flag_approvals(self, environment: str, *, required: bool) -> None:
        """Whether a change of an environment's feature flags needs somebody's approval."""
        order = {"environment": environment, "required": required}
        self._http.post("/api/flags/approvals", json=order).raise_for_status()

    def add_fault(self, target: str, kind: str, operation: str = "*", **limits: float) -> None:
        """Break something: `times` or `seconds` say for how long."""
        order = {"target": target, "kind": kind, "operation": operation, **limits}
        self._http.post("/api/faults", json=order).raise_for_status()

    def clear_faults(self) -> None:
        self._http.delete("/api/faults").raise_for_status()
