"""What the change-ticket system remembers: issues, their workflow, comments, remote links and properties."""

import copy
import re
from dataclasses import dataclass, field
from datetime import datetime

from deployments.sandbox.clock import Clock
from deployments.sandbox.vendors.desk import Json, RequestError

STATUSES: dict[str, Json] = {
    "10000": {"id": "10000", "name": "To Do", "statusCategory": {"key": "new", "name": "To Do"}},
    "10001": {"id": "10001", "name": "Awaiting approval", "statusCategory": {"key": "new", "name": "To Do"}},
    "10002": {"id": "10002", "name": "Approved", "statusCategory": {"key": "indeterminate", "name": "In Progress"}},
    "10003": {"id": "10003", "name": "Implementing", "statusCategory": {"key": "indeterminate", "name": "In Progress"}},
    "10004": {"id": "10004", "name": "Done", "statusCategory": {"key": "done", "name": "Done"}},
    "10005": {"id": "10005", "name": "Declined", "statusCategory": {"key": "done", "name": "Done"}},
}
WORKFLOW: dict[str, tuple[tuple[str, str, str], ...]] = {
    "10000": (("11", "Ask for approval", "10001"),),
    "10001": (("21", "Approve", "10002"), ("22", "Decline", "10005")),
    "10002": (("31", "Start", "10003"), ("32", "Withdraw approval", "10001")),
    "10003": (("41", "Complete", "10004"), ("42", "Put back", "10002")),
    "10004": (("51", "Reopen", "10000"),),
    "10005": (("61", "Reopen", "10000"),),
}
"""Transitions (id, name, to) by the status that they start from."""


def paragraph(text: str) -> Json:
    """Plain text as an Atlassian document."""
    return {
        "type": "doc",
        "version": 1,
        "content": [{"type": "paragraph", "content": [{"type": "text", "text": text}]}],
    }


def plain(document: object) -> str:
    """The text of an Atlassian document, block by block."""
    if isinstance(document, list):
        return "\n".join(filter(None, (plain(item) for item in document)))
    if not isinstance(document, dict):
        return ""
    if document.get("type") == "hardBreak":
        return "\n"
    inline = document.get("type") in {"paragraph", "heading"}
    children = document.get("content", [])
    inner = "".join(plain(child) for child in children) if inline else plain(children)
    return str(document.get("text", "")) + inner


def stamp(moment: datetime) -> str:
    """A time as the ticket system writes it: `2026-11-22T21:40:00.000+0000`."""
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


@dataclass(slots=True)
class Ticket:
    """One issue with what hangs on it."""

    key: str
    id: str
    fields: Json
    visible: bool = True
    """Whether the product's account may see it; if not it does not exist for it."""
    comments: list[Json] = field(default_factory=list)
    links: list[Json] = field(default_factory=list)
    properties: Json = field(default_factory=dict)
    created_at: float = 0.0
    """By the monotonic clock: a search finds an issue only when its index has caught up."""

    def document(self, fields: list[str], properties: list[str], base: str) -> Json:
        """As the API answers it: all fields or the ones asked for, and the properties asked for."""
        everything = not fields or "*all" in fields or "*navigable" in fields
        chosen = {key: value for key, value in self.fields.items() if everything or key in fields}
        if everything or "comment" in fields:
            chosen["comment"] = {"comments": copy.deepcopy(self.comments), "total": len(self.comments)}
        answer: Json = {"id": self.id, "key": self.key, "self": f"{base}/rest/api/3/issue/{self.id}"}
        answer["fields"] = copy.deepcopy(chosen)
        if properties:
            every = "*all" in properties
            answer["properties"] = {k: v for k, v in self.properties.items() if every or k in properties}
        return answer


@dataclass(slots=True)
class TicketStore:
    """All issues of one site. Projects exist when they have a counter."""

    clock: Clock
    search_lag_seconds: float = 1.0
    tickets: dict[str, Ticket] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def find(self, key: str) -> Ticket:
        """By key or id. What may not be seen is not found."""
        for ticket in self.tickets.values():
            if key.upper() in {ticket.key, ticket.id} and ticket.visible:
                return ticket
        raise RequestError(404, "", "Issue does not exist or you do not have permission to see it.")

    def create(self, wish: Json, reporter: str, *, status: str = "10000", visible: bool = True) -> Ticket:
        project = wish["project"]["key"]
        if project not in self.counters:
            raise RequestError(400, "project", "valid project is required")
        self.counters[project] += 1
        now = stamp(self.clock.now())
        fields: Json = {
            "labels": [],
            "description": None,
            **copy.deepcopy(wish),
            "status": STATUSES[status],
            "reporter": {"displayName": reporter},
            "created": now,
            "updated": now,
        }
        key = f"{project}-{self.counters[project]}"
        ticket = Ticket(key, str(10_000 + len(self.tickets)), fields, visible, created_at=self.clock.monotonic())
        self.tickets[key] = ticket
        return ticket

    def transitions(self, ticket: Ticket) -> list[Json]:
        return [
            {"id": number, "name": name, "to": STATUSES[to], "isAvailable": True}
            for number, name, to in WORKFLOW[ticket.fields["status"]["id"]]
        ]

    def transition(self, ticket: Ticket, number: str) -> None:
        for transition in self.transitions(ticket):
            if transition["id"] == number:
                ticket.fields["status"] = transition["to"]
                self.touch(ticket)
                return
        raise RequestError(
            400,
            "",
            f"It is not possible to perform transition {number} from status {ticket.fields['status']['name']}.",
        )

    def comment(self, ticket: Ticket, body: Json, author: str) -> Json:
        now = stamp(self.clock.now())
        number = str(20_000 + sum(len(other.comments) for other in self.tickets.values()))
        comment = {"id": number, "author": {"displayName": author}, "body": body, "created": now, "updated": now}
        ticket.comments.append(comment)
        self.touch(ticket)
        return comment

    def link(self, ticket: Ticket, wish: Json) -> tuple[Json, bool]:
        """Insert, or replace wholly the link with the same globalId. Returns it and whether it is new."""
        fresh: Json = {"globalId": None, "application": None, "relationship": None} | copy.deepcopy(wish)
        for index, link in enumerate(ticket.links):
            if fresh["globalId"] and link["globalId"] == fresh["globalId"]:
                ticket.links[index] = fresh | {"id": link["id"]}
                return ticket.links[index], False
        ticket.links.append(fresh | {"id": 10_000 + len(ticket.links)})
        return ticket.links[-1], True

    def touch(self, ticket: Ticket) -> None:
        ticket.fields["updated"] = stamp(self.clock.now())

    def search(self, query: str) -> list[Ticket]:
        """The part of JQL that a promotion needs: `field = value`, `!=`, `~`, `in (…)`, joined by AND."""
        body, _, order = re.split(r"(\border\s+by\b)", query + " order by created", maxsplit=1, flags=re.IGNORECASE)
        clauses = [part for part in re.split(r"\s+and\s+", body.strip(), flags=re.IGNORECASE) if part]
        if not clauses:
            raise RequestError(400, "", "Unbounded JQL queries are not allowed here. Please add a search restriction.")
        before = self.clock.monotonic() - self.search_lag_seconds
        known = [ticket for ticket in self.tickets.values() if ticket.visible and ticket.created_at <= before]
        found = [ticket for ticket in known if all(_meets(ticket, clause) for clause in clauses)]
        return found[::-1] if re.search(r"\bdesc\b", order, flags=re.IGNORECASE) else found


_CLAUSE = re.compile(r"^(?P<field>\w+)\s*(?P<op>=|!=|~|\bnot\s+in\b|\bin\b)\s*(?P<value>.+)$", re.IGNORECASE)


def _meets(ticket: Ticket, clause: str) -> bool:
    match = _CLAUSE.match(clause.strip())
    if match is None:
        raise RequestError(400, "", f"Error in the JQL Query: the clause '{clause}' is not understood.")
    wanted = {value.strip().strip("\"'").lower() for value in match["value"].strip().strip("()").split(",")}
    actual = _values(ticket, match["field"].lower())
    if match["op"] == "~":
        return any(value in text for value in wanted for text in actual)
    return bool(wanted & actual) != match["op"].lower().startswith(("!", "not"))


def _values(ticket: Ticket, name: str) -> set[str]:
    fields = ticket.fields
    known = {
        "key": [ticket.key],
        "issuekey": [ticket.key],
        "id": [ticket.id],
        "project": [fields["project"]["key"]],
        "status": [fields["status"]["name"]],
        "issuetype": [fields["issuetype"].get("name", "")],
        "labels": fields["labels"],
        "summary": [fields["summary"]],
        "text": [fields["summary"], plain(fields["description"])],
    }
    if name not in known:
        raise RequestError(400, "", f"Field '{name}' does not exist or you do not have permission to view it.")
    return {str(value).lower() for value in known[name]}
