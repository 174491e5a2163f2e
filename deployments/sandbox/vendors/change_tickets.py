"""The change-ticket system as Jira Cloud answers it: `/rest/api/3/…`."""

import base64
import binascii
import json

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors import contracts
from deployments.sandbox.vendors.desk import Call, Desk, Handler, Json, RequestError
from deployments.sandbox.vendors.rates import Window
from deployments.sandbox.vendors.state import VendorState
from deployments.sandbox.vendors.ticket_store import Ticket

ISSUE = "/rest/api/3/issue/{key}"
PROPERTY_LIMIT = 32_768
COMMENTS_PAGE = 100
WRITES = frozenset({"transition", "add_comment", "put_link", "put_property"})


def jira(state: VendorState, faults: Faults) -> Starlette:
    """The stand-in; mount it where the product's base address points."""
    service = ChangeTickets(state)
    desk = Desk("jira", faults, state.lock, admit=service.admit, refuse=service.refuse)
    routes = [desk.route(method, path, handler) for method, path, handler in service.operations()]
    return Starlette(routes=routes, exception_handlers={HTTPException: desk.lost})


class ChangeTickets:
    """The operations. Each takes a Call and answers; refusals are raised as RequestError."""

    def __init__(self, state: VendorState) -> None:
        self._state = state
        limits = state.limits
        self._burst = Window(state.clock, limits.ticket_requests_per_second, 1.0)
        self._per_issue = Window(state.clock, limits.ticket_writes_per_issue, 2.0)

    def operations(self) -> list[tuple[str, str, Handler]]:
        return [
            ("GET", "/rest/api/3/myself", self.get_myself),
            ("POST", "/rest/api/3/issue", self.create_issue),
            ("GET", ISSUE, self.get_issue),
            ("GET", f"{ISSUE}/transitions", self.list_transitions),
            ("POST", f"{ISSUE}/transitions", self.transition),
            ("GET", f"{ISSUE}/comment", self.list_comments),
            ("POST", f"{ISSUE}/comment", self.add_comment),
            ("GET", f"{ISSUE}/remotelink", self.list_links),
            ("POST", f"{ISSUE}/remotelink", self.put_link),
            ("GET", f"{ISSUE}/properties/{{name}}", self.get_property),
            ("PUT", f"{ISSUE}/properties/{{name}}", self.put_property),
            ("DELETE", f"{ISSUE}/properties/{{name}}", self.delete_property),
            ("POST", "/rest/api/3/search/jql", self.search),
            ("GET", "/rest/api/3/search", self.search_removed),
            ("POST", "/rest/api/3/search", self.search_removed),
        ]

    def admit(self, call: Call) -> None:
        credentials = self._state.credentials
        if _basic(call.header("authorization")) != (credentials.ticket_user, credentials.ticket_token):
            raise RequestError(401, "", "Client must be authenticated to access this resource.")
        if not self._burst.take(call.operation):
            raise self._limited("jira-burst-based", self._burst)
        if call.operation in WRITES and not self._per_issue.take(call.path["key"]):
            raise self._limited("jira-per-issue-on-write", self._per_issue)

    def _limited(self, reason: str, window: Window) -> RequestError:
        headers = {
            "Retry-After": str(max(1, round(window.reset_in()))),
            "RateLimit-Reason": reason,
            "X-RateLimit-Limit": str(window.limit),
            "X-RateLimit-Remaining": "0",
        }
        return RequestError(429, "", "Rate limit exceeded.", headers)

    def refuse(self, error: RequestError) -> Response:
        """Jira's shape: sentences without a field, or one per field."""
        named = error.status == 400 and error.code not in {"", "invalid_request"}
        body: Json = {
            "errorMessages": [] if named else [error.message],
            "errors": {error.code: error.message} if named else {},
        }
        return JSONResponse(body, status_code=error.status, headers=error.headers)

    # Issues

    def get_myself(self, _call: Call) -> Response:
        user = self._state.credentials.ticket_user
        return JSONResponse({"accountId": "5b10sandbox", "emailAddress": user, "displayName": "Promotion bot"})

    def create_issue(self, call: Call) -> Response:
        wish = call.json(contracts.NEW_ISSUE)["fields"]
        _short_enough(wish.get("description"), "description")
        ticket = self._state.tickets.create(wish, self._state.credentials.ticket_user)
        link = f"{self._base(call)}/rest/api/3/issue/{ticket.id}"
        return JSONResponse({"id": ticket.id, "key": ticket.key, "self": link}, status_code=201)

    def get_issue(self, call: Call) -> Response:
        fields, properties = _names(call.query("fields")), _names(call.query("properties"))
        return JSONResponse(self._ticket(call).document(fields, properties, self._base(call)))

    def list_transitions(self, call: Call) -> Response:
        return JSONResponse({"transitions": self._state.tickets.transitions(self._ticket(call))})

    def transition(self, call: Call) -> Response:
        ticket = self._ticket(call)
        self._state.tickets.transition(ticket, call.json(contracts.TRANSITION)["transition"]["id"])
        return Response(status_code=204)

    # What hangs on an issue

    def list_comments(self, call: Call) -> Response:
        """A page, the oldest first unless asked otherwise."""
        comments = self._ticket(call).comments
        start, size = _number(call, "startAt", 0), min(_number(call, "maxResults", COMMENTS_PAGE), COMMENTS_PAGE)
        ordered = comments[::-1] if call.query("orderBy") == "-created" else comments
        page = {"startAt": start, "maxResults": size, "total": len(comments)}
        return JSONResponse({**page, "comments": ordered[start : start + size]})

    def add_comment(self, call: Call) -> Response:
        ticket = self._ticket(call)
        body = call.json(contracts.COMMENT, code="comment")["body"]
        _short_enough(body, "comment")
        comment = self._state.tickets.comment(ticket, body, self._state.credentials.ticket_user)
        return JSONResponse(comment, status_code=201)

    def list_links(self, call: Call) -> Response:
        wanted = call.query("globalId")
        links = [link for link in self._ticket(call).links if not wanted or link["globalId"] == wanted]
        if not wanted:
            return JSONResponse(links)
        if not links:
            raise RequestError(404, "", f"The remote link with the globalId {wanted} does not exist.")
        return JSONResponse(links[0])

    def put_link(self, call: Call) -> Response:
        ticket = self._ticket(call)
        link, new = self._state.tickets.link(ticket, call.json(contracts.REMOTE_LINK))
        return JSONResponse({"id": link["id"], "self": self._base(call)}, status_code=201 if new else 200)

    def get_property(self, call: Call) -> Response:
        ticket, name = self._ticket(call), call.path["name"]
        if name not in ticket.properties:
            raise RequestError(404, "", f"The property {name} does not exist.")
        return JSONResponse({"key": name, "value": ticket.properties[name]})

    def put_property(self, call: Call) -> Response:
        ticket, name, value = self._ticket(call), call.path["name"], call.json()
        if not 1 <= len(name) <= 255:
            raise RequestError(400, "", "The property key must be 1 to 255 characters long.")
        if len(json.dumps(value)) > PROPERTY_LIMIT:
            raise RequestError(413, "", f"The property value must be shorter than {PROPERTY_LIMIT} characters.")
        new = name not in ticket.properties
        ticket.properties[name] = value
        return JSONResponse(None, status_code=201 if new else 200)

    def delete_property(self, call: Call) -> Response:
        self.get_property(call)
        del self._ticket(call).properties[call.path["name"]]
        return Response(status_code=204)

    # Search

    def search(self, call: Call) -> Response:
        """One page. Without `fields` only the ids, as in the real one; no total."""
        wish = call.json(contracts.SEARCH)
        found = self._state.tickets.search(wish["jql"])
        start, size = _offset(wish.get("nextPageToken", "")), wish.get("maxResults", 50)
        page, rest = found[start : start + size], found[start + size :]
        answer: Json = {"issues": [self._hit(ticket, wish, call) for ticket in page], "isLast": not rest}
        if rest:
            answer["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
        return JSONResponse(answer)

    def search_removed(self, _call: Call) -> Response:
        raise RequestError(410, "", "The requested API has been removed. Please use /rest/api/3/search/jql.")

    def _hit(self, ticket: Ticket, wish: Json, call: Call) -> Json:
        fields = wish.get("fields", [])
        document = ticket.document(fields, wish.get("properties", []), self._base(call))
        return document if fields and fields != ["id"] else {"id": ticket.id}

    def _ticket(self, call: Call) -> Ticket:
        return self._state.tickets.find(call.path["key"])

    def _base(self, call: Call) -> str:
        return str(call.request.base_url).rstrip("/")


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _number(call: Call, name: str, default: int) -> int:
    text = call.query(name)
    if text and not text.isdecimal():
        raise RequestError(400, "", f"{name} must be a number.")
    return int(text) if text else default


def _short_enough(document: object, field: str) -> None:
    if len(json.dumps(document)) > contracts.ADF_LIMIT:
        limit = f"{contracts.ADF_LIMIT:,}"
        raise RequestError(
            400, field, f"The entered text is too long. It exceeds the allowed limit of {limit} characters."
        )


def _offset(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError as error:
        raise RequestError(400, "", "The nextPageToken is not valid.") from error


def _basic(header: str) -> tuple[str, str]:
    """User and token of an Authorization header; two empty texts when it is none."""
    scheme, _, value = header.partition(" ")
    try:
        user, _, token = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return (user, token) if scheme.lower() == "basic" else ("", "")
