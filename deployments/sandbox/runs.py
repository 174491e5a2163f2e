"""Flow runs through the Prefect server's API: start one, look at it, follow it to its end.

The API is spoken directly, because importing Prefect takes longer than everything else that the supervisor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


class Unregistered(Exception):
    """The deployment, or one of its parameters, is not what the Prefect server knows."""


@dataclass(frozen=True, slots=True)
class RunState:
    kind: str
    """Prefect's type: COMPLETED, FAILED, RUNNING, …"""
    name: str
    """What a reader sees: Completed, Refused, PutBack, …"""
    message: str

    @property
    def final(self) -> bool:
        return self.kind in FINAL


@dataclass(frozen=True, slots=True)
class Step:
    """One task run (or sub-flow) of a run."""

    id: str
    name: str
    state: RunState
    started: datetime | None


def _state(run: Mapping[str, Any]) -> RunState:
    state = run.get("state") or {}
    return RunState(state.get("type") or "", state.get("name") or "", state.get("message") or "")


def _step(run: Mapping[str, Any]) -> Step:
    started = run.get("start_time")
    return Step(run["id"], run["name"], _state(run), datetime.fromisoformat(started) if started else None)


class Prefect:
    """The Prefect server at `api_url` (`http://127.0.0.1:4200/api`)."""

    def __init__(self, api_url: str, transport: httpx.BaseTransport | None = None) -> None:
        self._http = httpx.Client(base_url=api_url, timeout=20, trust_env=False, transport=transport)

    def close(self) -> None:
        self._http.close()

    def answers(self) -> bool:
        try:
            return self._http.get("/health", timeout=2).is_success
        except httpx.HTTPError:
            return False

    def create_pool(self, name: str) -> None:
        """Have a pool for process workers, whether or not there was one."""
        answer = self._http.post("/work_pools/", json={"name": name, "type": "process"})
        if answer.status_code != httpx.codes.CONFLICT:
            answer.raise_for_status()

    def workers_online(self, pool: str) -> int:
        answer = self._http.post(f"/work_pools/{pool}/workers/filter", json={})
        answer.raise_for_status()
        return sum(1 for worker in answer.json() if worker.get("status") == "ONLINE")

    def start(self, deployment: str, parameters: Mapping[str, Any]) -> str:
        """Start `flow/deployment` as the Run button does; the run's id. Raises Unregistered."""
        found = self._http.get(f"/deployments/name/{deployment}")
        if found.status_code == httpx.codes.NOT_FOUND:
            raise Unregistered(
                f"The Prefect server has no deployment {deployment!r}: the registration did not make it."
            )
        found.raise_for_status()
        created = self._http.post(
            f"/deployments/{found.json()['id']}/create_flow_run",
            json={"parameters": dict(parameters), "state": {"type": "SCHEDULED"}, "enforce_parameter_schema": True},
        )
        if created.is_client_error:
            raise Unregistered(f"{deployment} does not take the parameters {dict(parameters)}: {created.text[:500]}")
        return str(created.raise_for_status().json()["id"])

    def state(self, run_id: str) -> RunState:
        return _state(self._http.get(f"/flow_runs/{run_id}").raise_for_status().json())

    def steps(self, run_id: str) -> list[Step]:
        """The run's task runs that have begun, in the order in which they did."""
        begun = {"task_runs": {"start_time": {"is_null_": False}}, "flow_runs": {"id": {"any_": [run_id]}}}
        answer = self._http.post("/task_runs/filter", json={**begun, "sort": "EXPECTED_START_TIME_ASC", "limit": 200})
        return [_step(run) for run in answer.raise_for_status().json()]

    def resume(self, run_id: str, said: Mapping[str, Any]) -> bool:
        """Answer a paused run, as the form in the UI does. False when it was not waiting any more."""
        answer = (
            self._http.post(f"/flow_runs/{run_id}/resume", json={"run_input": dict(said)}).raise_for_status().json()
        )
        if answer["status"] == "REJECT":
            raise Unregistered(f"The paused run does not take {dict(said)}: {answer.get('details')}")
        return bool(answer["status"] == "ACCEPT")

    def cancel(self, run_id: str) -> None:
        """Ask the worker to end a run."""
        cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}, "force": False}
        self._http.post(f"/flow_runs/{run_id}/set_state", json=cancelling).raise_for_status()

    def crash_unfinished(self, why: str) -> None:
        """Say of every run that is still going on that it crashed."""
        going_on = {"flow_runs": {"state": {"type": {"any_": ["RUNNING", "PENDING", "PAUSED", "CANCELLING"]}}}}
        found = self._http.post("/flow_runs/filter", json=going_on).raise_for_status().json()
        for run in found:
            crashed = {"state": {"type": "CRASHED", "name": "Crashed", "message": why}, "force": True}
            self._http.post(f"/flow_runs/{run['id']}/set_state", json=crashed).raise_for_status()
