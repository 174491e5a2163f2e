"""The pager as PagerDuty's Events API v2 answers it: `/v2/enqueue`, `/v2/change/enqueue`."""

import secrets

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors import contracts
from deployments.sandbox.vendors.desk import Call, Desk, Handler, Json, RequestError
from deployments.sandbox.vendors.pager_store import hrefs
from deployments.sandbox.vendors.rates import Window
from deployments.sandbox.vendors.state import VendorState

PAYLOAD_LIMIT = 512 * 1024


def pagerduty(state: VendorState, faults: Faults) -> Starlette:
    """The stand-in; mount it where the product's base address points."""
    service = PagerService(state)
    desk = Desk("pagerduty", faults, state.lock, admit=service.admit, refuse=service.refuse)
    routes = [desk.route(method, path, handler) for method, path, handler in service.operations()]
    return Starlette(routes=routes, exception_handlers={HTTPException: desk.lost})


class PagerService:
    """The operations. 202 means taken in, not delivered."""

    def __init__(self, state: VendorState) -> None:
        self._state = state
        self._window = Window(state.clock, state.limits.pager_events_per_minute, 60.0)

    def operations(self) -> list[tuple[str, str, Handler]]:
        return [("POST", "/v2/enqueue", self.enqueue), ("POST", "/v2/change/enqueue", self.enqueue_change)]

    def admit(self, call: Call) -> None:
        if len(call.body) > PAYLOAD_LIMIT:
            raise RequestError(413, "payload too large", f"an event may have {PAYLOAD_LIMIT} bytes")

    def refuse(self, error: RequestError) -> Response:
        status = {400: "invalid event", 429: "throttle exceeded"}.get(error.status, error.code)
        body = {"status": status, "message": "Event object is invalid", "errors": [error.message]}
        if error.status != 400:
            body["message"] = error.message
        return JSONResponse(body, status_code=error.status, headers=error.headers)

    def enqueue(self, call: Call) -> Response:
        event = call.json(contracts.ALERT)
        self._check_key(event)
        dedup_key = event.get("dedup_key") or secrets.token_hex(16)
        self._state.pager.take(dedup_key, event)
        answer = {"status": "success", "message": "Event processed", "dedup_key": dedup_key}
        return JSONResponse(answer, status_code=202)

    def enqueue_change(self, call: Call) -> Response:
        event = call.json(contracts.CHANGE)
        self._check_key(event)
        at = self._state.clock.now().isoformat()
        self._state.pager.changes.append({"at": at, "summary": event["payload"]["summary"], "links": hrefs(event)})
        return JSONResponse({"status": "success", "message": "Change event processed"}, status_code=202)

    def _check_key(self, event: Json) -> None:
        if event["routing_key"] not in self._state.credentials.pager_services:
            raise RequestError(400, "invalid event", "Invalid routing key")
        if not self._window.take(event["routing_key"]):
            raise RequestError(429, "throttle exceeded", "Requests for this service are arriving too quickly.")
