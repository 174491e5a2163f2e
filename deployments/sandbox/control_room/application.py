"""The control room: one page that shows the world, and the orders that change it.

    GET    /                     the page
    GET    /api/state            the world, the vendors and the faults in force, as JSON
    GET    /api/approvers        who may approve, each with the code that works now: of a sandbox only
    GET    /api/aws-calls        what AWS was asked after the call with the number `?since=`, the product's told apart
    POST   /api/releases         {environment, behaviour, age_minutes?} -> {version, digests}
    POST   /api/ages             {environment, age_minutes}: what runs there has been running for so long
    POST   /api/faults           {target, kind, operation?, times?, seconds?}
    DELETE /api/faults           all of them, or those of `?target=`
    POST   /api/parameters       {environment, name, value, type?}
    DELETE /api/parameters       {environment, name}
    POST   /api/flags/approve    {id}: approve a request in the flag service, as the release manager
    POST   /api/flags/approvals  {environment, required}: whether an environment's flags need approval
    POST   /api/tickets          {summary, status} -> {key}: a change ticket, made by the release manager
    POST   /api/tickets/move     {key, transition}
    POST   /api/visitors         {environment, per_second}: how many visitors come from now on

An order that cannot be carried out is a 400 with `{"error": sentence}`. Orders are JSON with the JSON content type,
and only a loopback host name is answered, so that no page elsewhere in the browser can give them.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from deployments.sandbox.control_room.orders import Orders
from deployments.sandbox.control_room.shape import FaultView, ParameterView, World
from deployments.sandbox.faults import Fault
from deployments.sandbox.vendors.desk import RequestError

STATIC = Path(__file__).parent / "static"
LONGEST_NUMBER = 16
MASK = "••••••••"
POLICY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def create_app(world: World) -> Starlette:
    """The control room of this world. The world's methods are called from threads."""
    orders = Orders(world)
    routes = [
        Route("/", _page, methods=["GET"]),
        Route("/api/state", _state_of(world), methods=["GET"]),
        Route("/api/approvers", _approvers_of(world), methods=["GET"]),
        Route("/api/aws-calls", _aws_calls_of(world), methods=["GET"]),
        Route("/api/releases", _order(orders.release), methods=["POST"]),
        Route("/api/ages", _order(orders.let_pass), methods=["POST"]),
        Route("/api/faults", _order(orders.add_fault), methods=["POST"]),
        Route("/api/faults", _clear_faults(orders), methods=["DELETE"]),
        Route("/api/parameters", _order(orders.put_parameter), methods=["POST"]),
        Route("/api/parameters", _order(orders.delete_parameter), methods=["DELETE"]),
        Route("/api/flags/approve", _order(orders.approve_flag), methods=["POST"]),
        Route("/api/flags/approvals", _order(orders.require_flag_approvals), methods=["POST"]),
        Route("/api/tickets", _order(orders.create_ticket), methods=["POST"]),
        Route("/api/tickets/move", _order(orders.move_ticket), methods=["POST"]),
        Route("/api/visitors", _order(orders.set_visitors), methods=["POST"]),
        Mount("/static", StaticFiles(directory=STATIC)),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost", "[::1]"])
    return Starlette(routes=routes, middleware=[hosts])


def whole_state(world: World) -> dict[str, Any]:
    """The world's own picture, and with it what the vendors hold and which faults are in force."""
    state = world.state()
    for environment in state["environments"]:
        environment["parameters"] = [_masked(parameter) for parameter in environment["parameters"]]
    return {
        **state,
        "vendors": world.vendors.snapshot(),
        "faults": [_fault_view(fault) for fault in world.faults.active],
    }


def _masked(parameter: ParameterView) -> ParameterView:
    secret = parameter["type"] == "SecureString"
    return {**parameter, "value": MASK} if secret else parameter


def _fault_view(fault: Fault) -> FaultView:
    return {
        "target": fault.target,
        "operation": fault.operation,
        "kind": str(fault.kind),
        "times": fault.times,
        "seconds": fault.seconds,
    }


async def _page(_request: Request) -> Response:
    return FileResponse(STATIC / "index.html", headers=POLICY)


def _state_of(world: World) -> Callable[[Request], Any]:
    async def state(_request: Request) -> Response:
        return JSONResponse(await run_in_threadpool(whole_state, world), headers={"Cache-Control": "no-store"})

    return state


def _approvers_of(world: World) -> Callable[[Request], Any]:
    async def approvers(_request: Request) -> Response:
        answer = {"approvers": await run_in_threadpool(world.approvers)}
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return approvers


def _aws_calls_of(world: World) -> Callable[[Request], Any]:
    async def aws_calls(request: Request) -> Response:
        since = request.query_params.get("since", "0")
        if not (since.isascii() and since.isdecimal() and len(since) < LONGEST_NUMBER):
            return _refused(400, f"since is {since!r}; it is the number of a call, 0 for all.")
        answer = await run_in_threadpool(world.aws_calls, int(since))
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    return aws_calls


def _order(carry_out: Callable[[Any], Mapping[str, Any]]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        if not request.headers.get("content-type", "").startswith("application/json"):
            return _refused(415, "An order is sent as application/json.")
        try:
            wish = json.loads(await request.body())
            return JSONResponse(dict(await run_in_threadpool(carry_out, wish)))
        except RequestError as error:
            return _refused(400, error.message)
        except (ValueError, KeyError) as error:
            return _refused(400, str(error.args[0]) if error.args else "The order was not understood.")

    return endpoint


def _clear_faults(orders: Orders) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        return JSONResponse(orders.clear_faults(request.query_params.get("target")))

    return endpoint


def _refused(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status_code=status)
