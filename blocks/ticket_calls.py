"""Jira's REST calls, one by one, and what they answer as the types of `rules.change_tickets`."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from httpx import codes

from blocks.wire import Answer, Wire
from rules.change_tickets import Move, Moved, Ticket, is_ticket_key, move_to, no_way, same_status
from rules.errors import Declined, Outage
from rules.ticket_comments import Document, Draft, bears

SYSTEM = "Jira"
API = "/rest/api/3"
PROPERTY = "promotion-flows"
"""Of a ticket: which markers it has been told."""
MOST_MARKERS = 200
"""In the property, which takes 32,768 characters."""
PAGE, MOST_PAGES = 100, 50
TRIES = 2
PAUSE_SECONDS = 2.0
"""After a lost answer, before we look what became of it."""
NOT_LET_IN = frozenset({"AUTHENTICATED_FAILED", "AUTHENTICATION_DENIED"})
"""In the header that tells a 404 for lack of a valid token from one for lack of a ticket."""


class TicketCalls:
    """The calls, on an open wire. `site`: where people look at tickets."""

    def __init__(self, wire: Wire, site: str) -> None:
        self._wire, self._site = wire, site.rstrip("/")

    # ------------------------------------------------------------------------------------------------------- tickets

    def ticket(self, key: str) -> Ticket | None:
        query = {"fields": "summary,status"}
        answer = self._wire.ask("GET", f"{API}/issue/{key}", doing=f"looking at {key}", query=query)
        if answer.status == codes.NOT_FOUND and answer.headers.get("x-seraph-loginreason", "") not in NOT_LET_IN:
            return None
        return self._ticket(answer.require(codes.OK).mapping(), answer)

    def labelled(self, project: str, label: str) -> Ticket | None:
        """The youngest open ticket of the project with this label."""
        body = {
            "jql": f'project = "{project}" AND labels = "{label}" ORDER BY created DESC',
            "fields": ["summary", "status", "labels"],
            "maxResults": PAGE,
        }
        doing = f"looking for a ticket of {project} that was created before"
        answer = self._wire.ask("POST", f"{API}/search/jql", doing=doing, body=body, repeatable=True)
        issues = answer.require(codes.OK).mapping().get("issues") or []
        found = (self._ticket(issue, answer) for issue in _mappings(issues))
        return next((ticket for ticket in found if ticket.is_open), None)

    def create(self, draft: Draft) -> Ticket:
        fields = {
            "project": {"key": draft.project},
            "issuetype": {"name": draft.issue_type},
            "summary": draft.summary,
            "description": draft.description,
            "labels": [draft.label],
        }
        doing = f"creating a ticket in {draft.project}"
        answer = self._wire.ask("POST", f"{API}/issue", doing=doing, body={"fields": fields})
        key = str(answer.require(codes.CREATED).mapping().get("key", ""))
        made = self.ticket(key) if is_ticket_key(key) else None
        if made is None:
            raise Outage(SYSTEM, doing, f"it answered with the key {key[:40]!r}, and shows no such ticket")
        return made

    # ---------------------------------------------------------------------------------------- what hangs on a ticket

    def link(self, key: str, global_id: str, url: str, title: str) -> None:
        body = {
            "globalId": global_id,
            "application": {"type": "promotion-flows", "name": "promotion-flows"},
            "relationship": "promoted by",
            "object": {"url": url, "title": title},
        }
        self._wire.ask(
            "POST", f"{API}/issue/{key}/remotelink", doing=f"linking {key}", body=body, repeatable=True
        ).require(codes.OK, codes.CREATED)

    def comment_once(self, key: str, document: Document, marker: str) -> bool:
        """Whether the comment was written now. The property alone would not do: we may die before it is written."""
        heard = self._markers(key)
        if marker in heard:
            return False
        wrote = self._once(lambda: self._is_there(key, marker), lambda: self._comment(key, document))
        self._note(key, (*heard, marker))
        return wrote

    def move(self, key: str, status: str) -> Moved:
        """In one step. A ticket that is there already stays; one that somebody moves meanwhile is looked at again."""
        trouble: Outage | Declined = Outage(SYSTEM, f"moving {key} to {status}", "it was not tried")
        for _ in range(TRIES):
            ticket = self._seen(key)
            if same_status(ticket.status, status):
                return Moved(there=True)
            moves = self._moves(key)
            move = move_to(moves, status)
            if move is None:
                return no_way(ticket, status, moves)
            try:
                self._transition(key, move)
            except (Outage, Declined) as error:
                trouble = error
                self._wire.wiring.sleep(PAUSE_SECONDS)
            else:
                return Moved(there=True)
        return self._after(key, status, trouble)

    def _after(self, key: str, status: str, trouble: Outage | Declined) -> Moved:
        """What became of a move that never was answered as it should."""
        if same_status(self._seen(key).status, status):
            return Moved(there=True)
        if isinstance(trouble, Declined) and trouble.status == codes.BAD_REQUEST:
            return Moved(there=False, why_not=str(trouble))
        raise trouble

    def _seen(self, key: str) -> Ticket:
        ticket = self.ticket(key)
        if ticket is None:
            raise Declined(SYSTEM, f"looking at {key}", codes.NOT_FOUND, "the ticket is not there any more")
        return ticket

    def _moves(self, key: str) -> tuple[Move, ...]:
        answer = self._wire.ask("GET", f"{API}/issue/{key}/transitions", doing=f"looking where {key} can move")
        offered = answer.require(codes.OK).mapping().get("transitions") or []
        return tuple(
            Move(str(it.get("id", "")), str(it.get("name", "")), str(_mapping(it.get("to")).get("name", "")))
            for it in _mappings(offered)
            if it.get("isAvailable", True)
        )

    def _transition(self, key: str, move: Move) -> None:
        doing = f"moving {key} to {move.to}"
        body = {"transition": {"id": move.id}}
        answer = self._wire.ask("POST", f"{API}/issue/{key}/transitions", doing=doing, body=body, json_expected=False)
        if answer.status == codes.CONFLICT:
            raise Outage(SYSTEM, doing, f"somebody else was changing it: {answer.excerpt}")
        answer.require(codes.NO_CONTENT)

    def _comment(self, key: str, document: Document) -> None:
        path, doing = f"{API}/issue/{key}/comment", f"commenting {key}"
        self._wire.ask("POST", path, doing=doing, body={"body": document}).require(codes.CREATED)

    def _is_there(self, key: str, marker: str) -> bool:
        """Whether a comment bears the marker; the newest first."""
        for page in range(MOST_PAGES):
            comments, total = self._comments(key, page * PAGE)
            if any(bears(comment.get("body"), marker) for comment in comments):
                return True
            if not comments or page * PAGE + len(comments) >= total:
                return False
        return False

    def _comments(self, key: str, start: int) -> tuple[list[Mapping[str, Any]], int]:
        query: dict[str, str | int] = {"startAt": start, "maxResults": PAGE, "orderBy": "-created"}
        doing = f"reading the comments of {key}"
        answer = self._wire.ask("GET", f"{API}/issue/{key}/comment", doing=doing, query=query).require(codes.OK)
        body = answer.mapping()
        comments, total = body.get("comments"), body.get("total")
        if not isinstance(comments, list) or not isinstance(total, int):
            raise Outage(SYSTEM, doing, f"comments and their number were expected, found {answer.excerpt}")
        return _mappings(comments), total

    def _markers(self, key: str) -> tuple[str, ...]:
        path, doing = f"{API}/issue/{key}/properties/{PROPERTY}", f"reading what {key} was told"
        answer = self._wire.ask("GET", path, doing=doing)
        if answer.status == codes.NOT_FOUND:
            return ()  # no such property, or no such ticket, which the next call says
        value = _mapping(answer.require(codes.OK).mapping().get("value"))
        told = value.get("told")
        return tuple(str(one) for one in told) if isinstance(told, list) else ()

    def _note(self, key: str, markers: Iterable[str]) -> None:
        path, doing = f"{API}/issue/{key}/properties/{PROPERTY}", f"noting what {key} was told"
        value = {"told": list(dict.fromkeys(markers))[-MOST_MARKERS:]}
        self._wire.ask("PUT", path, doing=doing, body=value, json_expected=False).require(codes.OK, codes.CREATED)

    def _once(self, done: Callable[[], bool], act: Callable[[], None]) -> bool:
        """Act unless it is done; after a lost answer look, before it is tried once more. Whether we did it now."""
        trouble: Outage | None = None
        for _ in range(TRIES):
            if done():
                return trouble is not None
            try:
                act()
            except Outage as lost:
                trouble = lost
                self._wire.wiring.sleep(PAUSE_SECONDS)
            else:
                return True
        if trouble is not None and not done():
            raise trouble
        return True

    def _ticket(self, issue: Mapping[str, Any], answer: Answer) -> Ticket:
        fields = _mapping(issue.get("fields"))
        key, status = str(issue.get("key", "")), _mapping(fields.get("status"))
        if not is_ticket_key(key) or not status.get("name"):
            raise Outage(SYSTEM, answer.doing, f"a ticket with key and status was expected, found {answer.excerpt}")
        category = str(_mapping(status.get("statusCategory")).get("key", ""))
        url = f"{self._site}/browse/{key}"
        return Ticket(key, str(fields.get("summary") or ""), str(status["name"]), category, url)


def _mapping(value: object) -> Mapping[str, Any]:
    """The value where it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _mappings(values: object) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, dict)] if isinstance(values, list) else []
