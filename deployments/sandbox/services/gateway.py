"""The gateway: `/api/…` and `/services/{id}/health` to the service that answers for them, over Service Connect."""

import random

from aiohttp import web

from deployments.sandbox.services.answers import HEALTH_PATHS, failure, health, misbehaviour
from deployments.sandbox.services.content import service_for
from deployments.sandbox.services.forwarding import Forwarder, Reply
from deployments.sandbox.services.service import Handler, Task


def gateway(task: Task, forwarder: Forwarder, environment: str, dice: random.Random | None = None) -> Handler:
    """The gateway's request handler."""
    chance = dice or random.Random()

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        service = health_of(request.path)
        if request.path in HEALTH_PATHS or service == task.service:
            return health(task)
        if service:
            return (await forwarder.forward(request, environment, service, "/actuator/health")).response()
        return await misbehaviour(task, chance) or await _routed(request)

    async def _routed(request: web.BaseRequest) -> web.StreamResponse:
        service = service_for(request.path)
        if service is None:
            return failure(task, 404, "Not Found", f"No route for {request.path}.")
        return _spring(task, await forwarder.forward(request, environment, service, request.path_qs))

    return answer


def health_of(path: str) -> str | None:
    """`/services/event-management/health` → `event-management`."""
    match path.strip("/").split("/"):
        case ["services", service, "health"]:
            return service
        case _:
            return None


def _spring(task: Task, reply: Reply) -> web.Response:
    """Where the router had no answer the gateway gives Spring's error document instead of a load balancer's page."""
    if reply.from_target:
        return reply.response()
    return failure(task, reply.status, "Service Unavailable", "upstream connect error")
