"""The feature flag service as LaunchDarkly answers it: `/api/v2/…`."""

import copy
import secrets
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors import contracts
from deployments.sandbox.vendors.desk import Call, Desk, Handler, Json, RequestError
from deployments.sandbox.vendors.flag_store import missing
from deployments.sandbox.vendors.rates import Window
from deployments.sandbox.vendors.state import VendorState

SEMANTIC = "domain-model=launchdarkly.semanticpatch"
DETAILS = ("targets", "contextTargets", "rules", "prerequisites")
FLAG = "/api/v2/flags/{project}/{flag}"
REQUESTS = "/api/v2/projects/{project}/flags/{flag}/environments/{environment}/approval-requests"
ENVIRONMENT = "/api/v2/projects/{project}/environments/{environment}"


def launchdarkly(state: VendorState, faults: Faults) -> Starlette:
    """The stand-in; mount it where the product's base address points."""
    service = FlagService(state)
    desk = Desk("launchdarkly", faults, state.lock, admit=service.admit, refuse=service.refuse, stamp=service.stamp)
    routes = [desk.route(method, path, handler) for method, path, handler in service.operations()]
    return Starlette(routes=routes, exception_handlers={HTTPException: desk.lost})


class FlagService:
    """The operations. Each takes a Call and answers; refusals are raised as RequestError."""

    def __init__(self, state: VendorState) -> None:
        self._state = state
        limits = state.limits
        self._route_window = Window(state.clock, limits.flag_requests, limits.flag_window_seconds)
        self._global_window = Window(state.clock, limits.flag_requests * 5, limits.flag_window_seconds)

    def operations(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/api/v2/projects/{project}", self.get_project),
            ("GET", "/api/v2/projects/{project}/environments", self.list_environments),
            ("GET", ENVIRONMENT, self.get_environment),
            ("PATCH", ENVIRONMENT, self.patch_environment),
            ("GET", "/api/v2/segments/{project}/{environment}", self.list_segments),
            ("GET", "/api/v2/segments/{project}/{environment}/{segment}", self.get_segment),
            ("GET", "/api/v2/flags/{project}", self.list_flags),
            ("GET", FLAG, self.get_flag),
            ("PATCH", FLAG, self.patch_flag),
            ("POST", f"{FLAG}/copy", self.copy_flag),
            ("GET", REQUESTS, self.list_approvals),
            ("POST", REQUESTS, self.ask_approval),
            ("GET", f"{REQUESTS}/{{id}}", self.get_approval),
            ("POST", f"{REQUESTS}/{{id}}/apply", self.apply_approval),
            ("POST", f"{REQUESTS}/{{id}}/reviews", self.review_approval),
            ("DELETE", f"{REQUESTS}/{{id}}", self.delete_approval),
        ]

    # Who may come in, and in what words we answer

    def admit(self, call: Call) -> None:
        token = call.header("authorization")
        if token not in self._state.credentials.flag_members:
            hint = "; send the token itself, without Bearer" if token.startswith("Bearer ") else ""
            raise RequestError(401, "unauthorized", f"invalid access token{hint}")
        if not (self._global_window.take("all") and self._route_window.take(call.operation)):
            raise RequestError(429, "rate_limited", "You've exceeded the API rate limit. Try again later.")

    def refuse(self, error: RequestError) -> Response:
        body = {"code": error.code, "message": error.message, "id": secrets.token_hex(16)}
        response = JSONResponse(body, status_code=error.status, headers=error.headers)
        if error.status == 429:
            response.headers["X-Ratelimit-Route-Remaining"] = "0"
            response.headers["X-Ratelimit-Reset"] = str(self._reset())
        return response

    def stamp(self, call: Call, response: Response) -> None:
        for name, window, key in (
            ("Route", self._route_window, call.operation),
            ("Global", self._global_window, "all"),
        ):
            response.headers[f"X-Ratelimit-{name}-Limit"] = str(window.limit)
            response.headers[f"X-Ratelimit-{name}-Remaining"] = str(window.remaining(key))
        response.headers["X-Ratelimit-Reset"] = str(self._reset())

    def _reset(self) -> int:
        return self._state.flags.milliseconds() + int(self._route_window.reset_in() * 1000)

    def _member(self, call: Call) -> str:
        return self._state.credentials.flag_members[call.header("authorization")]

    # Projects, environments, segments

    def get_project(self, call: Call) -> Response:
        store = self._state.flags
        if call.path["project"] != store.project:
            raise missing(f"project {call.path['project']}")
        return JSONResponse({"key": store.project, "name": store.project.capitalize(), "tags": []})

    def list_environments(self, call: Call) -> Response:
        self.get_project(call)
        return JSONResponse(_page(list(self._state.flags.environments.values()), call))

    def get_environment(self, call: Call) -> Response:
        return JSONResponse(self._environment(call))

    def patch_environment(self, call: Call) -> Response:
        """JSON patch, as the real one; of it, the approval settings."""
        environment = self._environment(call)
        for step in call.json(contracts.ENVIRONMENT_PATCH):
            key = step["path"].rsplit("/", 1)[1]
            if key not in environment["approvalSettings"]:
                raise RequestError(400, "invalid_request", f"approvalSettings has no {key}")
            environment["approvalSettings"][key] = step.get("value")
        return JSONResponse(environment)

    def list_segments(self, call: Call) -> Response:
        self._environment(call)
        keys = sorted(self._state.flags.segments[call.path["environment"]])
        return JSONResponse(_page([{"key": key, "name": key} for key in keys], call))

    def get_segment(self, call: Call) -> Response:
        self._environment(call)
        key = call.path["segment"]
        if key not in self._state.flags.segments[call.path["environment"]]:
            raise missing(f"segment {key}")
        return JSONResponse({"key": key, "name": key})

    def _environment(self, call: Call) -> Json:
        return self._state.flags.environment(call.path["project"], call.path["environment"])

    # Flags

    def list_flags(self, call: Call) -> Response:
        self.get_project(call)
        chosen = [flag for flag in self._state.flags.flags.values() if _matches(flag, call.query("filter"))]
        tag = call.query("tag")
        chosen = [flag for flag in chosen if not tag or tag in flag["tags"]]
        page = _page(chosen, call)
        page["items"] = [self._shown(flag, call, summary=call.query("summary") != "0") for flag in page["items"]]
        return JSONResponse(page)

    def get_flag(self, call: Call) -> Response:
        return JSONResponse(self._shown(self._flag(call), call, summary=False))

    def patch_flag(self, call: Call) -> Response:
        if SEMANTIC not in call.header("content-type").replace(" ", ""):
            raise RequestError(400, "invalid_request", f"body is read as JSON patch; semantic patch needs {SEMANTIC}")
        store, flag, wish = self._state.flags, self._flag(call), call.json(contracts.SEMANTIC_PATCH)
        if "environmentKey" not in wish:
            raise RequestError(400, "invalid_request", "these instructions need an environmentKey")
        store.environment(call.path["project"], wish["environmentKey"])
        if store.needs_approval(wish["environmentKey"], flag):
            raise RequestError(405, "method_not_allowed", "the environment requires approval for this change")
        store.patch(
            flag,
            wish["environmentKey"],
            wish["instructions"],
            ignore_conflicts=call.query("ignoreConflicts") == "true",
        )
        return JSONResponse(self._shown(flag, call, summary=False))

    def copy_flag(self, call: Call) -> Response:
        self._flag(call)
        raise RequestError(403, "forbidden", "copying flag settings is available on Enterprise plans only")

    def _flag(self, call: Call) -> Json:
        return self._state.flags.flag(call.path["project"], call.path["flag"])

    def _shown(self, flag: Json, call: Call, *, summary: bool) -> Json:
        """A flag as it is answered: the environments asked for, without the details in a list."""
        shown = copy.deepcopy(flag)
        wanted = call.request.query_params.getlist("env") or _filters(call.query("filter")).get("filterEnv")
        for key in list(shown["environments"]):
            if wanted and key not in wanted:
                del shown["environments"][key]
            elif summary:
                for detail in DETAILS:
                    shown["environments"][key].pop(detail)
        return shown

    # Approval requests

    def list_approvals(self, call: Call) -> Response:
        flag, environment = self._flag(call), self._environment(call)
        found = [
            _request(item)
            for item in self._state.flags.approvals.values()
            if (item["_flag"], item["_environment"]) == (flag["key"], environment["key"])
        ]
        return JSONResponse({"items": found, "totalCount": len(found)})

    def ask_approval(self, call: Call) -> Response:
        flag, environment = self._flag(call), self._environment(call)
        wish = call.json(contracts.APPROVAL_REQUEST)
        request = self._state.flags.ask_approval(flag, environment["key"], wish, self._member(call))
        return JSONResponse(_request(request), status_code=201)

    def get_approval(self, call: Call) -> Response:
        return JSONResponse(_request(self._approval(call)))

    def apply_approval(self, call: Call) -> Response:
        request = self._approval(call)
        return JSONResponse(_request(self._state.flags.apply_approval(request["_id"], self._member(call))))

    def review_approval(self, call: Call) -> Response:
        request, wish = self._approval(call), call.json(contracts.APPROVAL_REVIEW)
        member = self._member(call)
        reviewed = self._state.flags.review(request["_id"], member, wish["kind"], wish.get("comment", ""))
        return JSONResponse(_request(reviewed))

    def delete_approval(self, call: Call) -> Response:
        del self._state.flags.approvals[self._approval(call)["_id"]]
        return Response(status_code=204)

    def _approval(self, call: Call) -> Json:
        flag, environment = self._flag(call), self._environment(call)
        request = self._state.flags.approval(call.path["id"])
        if (request["_flag"], request["_environment"]) != (flag["key"], environment["key"]):
            raise missing(f"approval request {call.path['id']}")
        return request


def _request(request: Json) -> Json:
    return {key: value for key, value in request.items() if key not in {"_flag", "_environment"}}


def _filters(text: str) -> dict[str, list[str]]:
    """`tags:a+b,query:x` as `{"tags": ["a", "b"], "query": ["x"]}`. A `+` in a query arrives as a space."""
    parts = [part.partition(":") for part in text.split(",") if part]
    return {name: value.replace(" ", "+").split("+") for name, _, value in parts}


def _matches(flag: Json, text: str) -> bool:
    filters = _filters(text)
    wanted = filters.get("query", [""])[0].lower()
    states = filters.get("state", filters.get("archived", ["live"]))
    archived = states[0] in {"archived", "true"}
    return (
        set(filters.get("tags", [])) <= set(flag["tags"])
        and wanted in f"{flag['key']} {flag['name']}".lower()
        and flag["archived"] == archived
    )


def _page(items: list[Any], call: Call) -> Json:
    """Twenty at a time unless asked otherwise, never more than a hundred."""
    try:
        limit, offset = int(call.query("limit", "20")), int(call.query("offset", "0"))
    except ValueError as error:
        raise RequestError(400, "invalid_request", "limit and offset must be integers") from error
    if not 1 <= limit <= 100 or offset < 0:
        raise RequestError(400, "invalid_request", "limit must be 1 to 100 and offset 0 or more")
    links: Json = {"self": {"href": _href(call, limit, offset), "type": "application/json"}}
    if offset + limit < len(items):
        links["next"] = {"href": _href(call, limit, offset + limit), "type": "application/json"}
    return {"items": items[offset : offset + limit], "totalCount": len(items), "_links": links}


def _href(call: Call, limit: int, offset: int) -> str:
    """A link below the service's base address, as the real service gives it."""
    path = call.request.url.path.removeprefix(call.request.scope.get("root_path", ""))
    return f"{path}?{call.request.url.include_query_params(limit=limit, offset=offset).query}"
