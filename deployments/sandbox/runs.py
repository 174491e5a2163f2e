"""Flow runs through the Prefect server's API: start one, look at it, follow it to its end.

The API is spoken directly, because importing Prefect takes longer than everything else that the supervisor does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
MOST_STEPS = 200
"""Of one run: Prefect answers no more at once."""


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

    @property
    def suspended(self) -> bool:
        """It waits without a process: for approvers, or for its time."""
        return self.kind == "PAUSED" and self.name == "Suspended"

    @property
    def paused(self) -> bool:
        """Its process waits for a person's decision."""
        return self.kind == "PAUSED" and not self.suspended


@dataclass(frozen=True, slots=True)
class Question:
    """What a suspended run asks its approvers."""

    key: str
    """Of this question alone."""
    plan: str
    """Hash of the plan that it is about."""


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
        """The run's latest task runs that have begun, in the order in which they did."""
        begun = {"task_runs": {"start_time": {"is_null_": False}}, "flow_runs": {"id": {"any_": [run_id]}}}
        latest = {"sort": "EXPECTED_START_TIME_DESC", "limit": MOST_STEPS}
        answer = self._http.post("/task_runs/filter", json={**begun, **latest}).raise_for_status().json()
        return [_step(run) for run in reversed(answer)]

    def question(self, run_id: str) -> Question | None:
        """What the run asks its approvers now; None while it asks nothing."""
        state = self._http.get(f"/flow_runs/{run_id}").raise_for_status().json().get("state") or {}
        keys = (state.get("state_details") or {}).get("run_input_keyset")
        if state.get("type") != "PAUSED" or not keys:
            return None
        form = self._http.get(f"/flow_runs/{run_id}/input/{keys['schema']}")
        if form.status_code == httpx.codes.NOT_FOUND:
            return None  # it has just been suspended, and its form is not there yet
        plan = form.raise_for_status().json()["properties"].get("plan")
        return Question(keys["response"], str(plan.get("default", ""))) if plan else None

    def resume(self, run_id: str, said: Mapping[str, Any]) -> bool:
        """Answer a paused run, as the form in the UI does. False when it was not waiting any more."""
        reply = self._http.post(f"/flow_runs/{run_id}/resume", json={"run_input": dict(said)})
        if reply.status_code == httpx.codes.CONFLICT:  # somebody else has answered at this very moment
            return False
        answer = reply.raise_for_status().json()
        if answer["status"] == "REJECT":
            shown = {key: value for key, value in said.items() if key != "code"}
            raise Unregistered(f"The paused run does not take {shown}: {answer.get('details')}")
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
