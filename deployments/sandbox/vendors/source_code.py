"""The source repository as GitHub's REST API answers it: `/repos/{owner}/{name}/compare/…`, `…/commits`."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors.desk import Call, Desk, Handler, Json, RequestError
from deployments.sandbox.vendors.rates import Window
from deployments.sandbox.vendors.state import VendorState

REPOSITORY = "/repos/{owner}/{name}"
MOST_A_PAGE = 100
HOUR = 3600.0


def github(state: VendorState, faults: Faults) -> Starlette:
    """The stand-in; mount it where the product's base address points."""
    service = SourceCode(state)
    desk = Desk("github", faults, state.lock, admit=service.admit, refuse=service.refuse, stamp=service.stamp)
    routes = [desk.route(method, path, handler) for method, path, handler in service.operations()]
    return Starlette(routes=routes, exception_handlers={HTTPException: desk.lost})


class SourceCode:
    """The operations. A repository that the token may not see does not exist."""

    def __init__(self, state: VendorState) -> None:
        self._state = state
        self._window = Window(state.clock, state.limits.source_requests_per_hour, HOUR)

    def operations(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", f"{REPOSITORY}/compare/{{basehead}}", self.compare),
            ("GET", f"{REPOSITORY}/commits", self.list_commits),
        ]

    def admit(self, call: Call) -> None:
        token = self._state.credentials.source_token
        if call.header("authorization") != f"Bearer {token}":
            raise RequestError(401, "", "Bad credentials")
        if not self._window.take(token):
            raise RequestError(403, "", "API rate limit exceeded for user ID 482.")

    def refuse(self, error: RequestError) -> Response:
        body = {"message": error.message, "documentation_url": "https://docs.github.com/rest"}
        return JSONResponse(body | {"status": str(error.status)}, status_code=error.status, headers=error.headers)

    def stamp(self, _call: Call, response: Response) -> None:
        remaining = self._window.remaining(self._state.credentials.source_token)
        reset = self._state.clock.now().timestamp() + self._window.reset_in()
        response.headers["x-ratelimit-limit"] = str(self._window.limit)
        response.headers["x-ratelimit-remaining"] = str(remaining)
        response.headers["x-ratelimit-reset"] = str(round(reset))
        response.headers["x-ratelimit-resource"] = "core"

    def compare(self, call: Call) -> Response:
        """One page of the commits, and on each page what the comparison is."""
        self._require_repository(call)
        base, dots, head = call.path["basehead"].partition("...")
        if not dots:
            raise RequestError(404, "", "Not Found")
        comparison = self._state.source.compare(base, head)
        return JSONResponse(comparison | {"commits": _page(call, comparison["commits"])})

    def list_commits(self, call: Call) -> Response:
        self._require_repository(call)
        return JSONResponse(_page(call, self._state.source.newest(call.query("sha"))))

    def _require_repository(self, call: Call) -> None:
        if f"{call.path['owner']}/{call.path['name']}".lower() != self._state.source.repository.lower():
            raise RequestError(404, "", "Not Found")


def _page(call: Call, commits: list[Json]) -> list[Json]:
    try:
        size, page = int(call.query("per_page", "30")), int(call.query("page", "1"))
    except ValueError:
        size, page = 30, 1
    size, page = min(max(size, 1), MOST_A_PAGE), max(page, 1)
    return commits[(page - 1) * size : page * size]
