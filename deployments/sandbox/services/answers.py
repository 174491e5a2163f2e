"""What the services answer: Actuator health, their part of the API, and the faults of their release."""

import asyncio
import json
import random
from typing import Any

from aiohttp import web

from deployments.sandbox.aws.runtime import TaskPhase
from deployments.sandbox.services.content import TABLE_OF, Row, Store
from deployments.sandbox.services.service import Handler, Task

HEALTH_PATHS = frozenset({"/actuator/health", "/actuator/health/liveness", "/actuator/health/readiness"})
UP = {"status": "UP", "groups": ["liveness", "readiness"]}


def backend(task: Task, store: Store, dice: random.Random | None = None) -> Handler:
    """The request handler of every service but the gateway."""
    chance = dice or random.Random()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        if request.path in HEALTH_PATHS:
            return health(task)
        return await misbehaviour(task, chance) or await _api(task, store, request.path)

    return answer


def health(task: Task) -> web.Response:
    """Spring Boot's answer: with its groups when UP, and not a word more than the status when not."""
    if task.condition.phase is TaskPhase.HEALTHY:
        return reply(task, UP)
    starting = task.condition.phase is TaskPhase.STARTING
    return reply(task, {"status": "OUT_OF_SERVICE" if starting else "DOWN"}, 503)


async def misbehaviour(task: Task, dice: random.Random) -> web.Response | None:
    """Take the time and the memory that the behaviour asks for. The failure it asks for, or None."""
    task.requests += 1
    await asyncio.sleep(task.behaviour.seconds(dice))
    if task.behaviour.leak_mb_per_request and task.leak():
        await asyncio.Event().wait()  # the dead do not answer; their connections are about to be cut
    minutes = (asyncio.get_running_loop().time() - task.ready_at) / 60
    if dice.random() < task.behaviour.errors(minutes):
        return failure(task, 500, "Internal Server Error", "could not serialize access due to concurrent update")
    return None


async def _api(task: Task, store: Store, path: str) -> web.Response:
    table = TABLE_OF.get(task.service)
    parts = path.strip("/").split("/")
    if table is None or parts[:2] != ["api", table] or len(parts) > 3:
        return failure(task, 404, "Not Found", f"No endpoint {path}.")
    try:
        rows = await store.rows(table)
    except OSError as outage:
        return failure(task, 503, "Service Unavailable", str(outage))
    return reply(task, {"data": rows, "total": len(rows)}) if len(parts) == 2 else _one(task, rows, parts[2])


def _one(task: Task, rows: list[Row], wanted: str) -> web.Response:
    found = next((row for row in rows if str(row["id"]) == wanted), None)
    return reply(task, found) if found else failure(task, 404, "Not Found", f"No element {wanted}.")


def reply(task: Task, document: Any, status: int = 200) -> web.Response:
    # No header tells the version: in the real system only the image does.
    body = json.dumps(document).encode()
    return web.Response(body=body, status=status, content_type="application/json", headers={"X-Task": task.id[:8]})


def failure(task: Task, status: int, error: str, message: str) -> web.Response:
    """Spring's error document."""
    return reply(task, {"status": status, "error": error, "message": message}, status)
