"""Everything that the outside systems remember, in one place: what tests look at and the control room shows."""

import copy
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployments.sandbox.clock import Clock
from deployments.sandbox.vendors import seeds
from deployments.sandbox.vendors.chat_store import ChatStore
from deployments.sandbox.vendors.desk import Json
from deployments.sandbox.vendors.flag_store import FlagStore
from deployments.sandbox.vendors.pager_store import PagerStore
from deployments.sandbox.vendors.source_store import SourceStore
from deployments.sandbox.vendors.ticket_store import STATUSES, TicketStore, plain

CHAT_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the stand-ins let in. Made up, the same in every sandbox, worthless outside."""

    flag_token: str = "api-sandbox-promotions"
    flag_reviewer_token: str = "api-sandbox-reviewer"
    ticket_user: str = "promotions@batbern.example"
    ticket_token: str = "sandbox-ticket-token"
    chat_token: str = "sandbox-chat-token"
    chat_webhook: str = "/services/TSANDBOX/BRELEASES/sandboxwebhook"
    pager_key: str = "5a4db0x0000000000000000000000000"
    source_token: str = "sandbox-source-token"

    @property
    def flag_members(self) -> Mapping[str, str]:
        """Member by token: who asks is not who approves."""
        return {self.flag_token: "promotion-bot", self.flag_reviewer_token: "release-manager"}

    @property
    def chat_webhooks(self) -> Mapping[str, str]:
        """Channel by webhook path."""
        return {self.chat_webhook: "releases"}

    @property
    def pager_services(self) -> Mapping[str, str]:
        """Service by routing key."""
        return {self.pager_key: "BATbern production"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the vendors take. The figures that are not published are guesses on the generous side."""

    flag_requests: int = 100
    flag_window_seconds: float = 10.0
    ticket_requests_per_second: int = 100
    ticket_writes_per_issue: int = 20
    """Per two seconds."""
    chat_messages_per_second: float = 1.0
    chat_burst: int = 6
    pager_events_per_minute: int = 120
    source_requests_per_hour: int = 5000


@dataclass(slots=True)
class VendorState:
    """The five systems. `lock` is held while a request is handled and while a snapshot is taken."""

    clock: Clock = field(default_factory=Clock)
    credentials: Credentials = Credentials()
    limits: Limits = Limits()
    lock: Any = field(default_factory=threading.RLock)
    flags: FlagStore = field(init=False)
    tickets: TicketStore = field(init=False)
    chat: ChatStore = field(init=False)
    pager: PagerStore = field(init=False)
    source: SourceStore = field(init=False)

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        with self.lock:
            self.flags = FlagStore(self.clock)
            self.tickets = TicketStore(self.clock)
            self.chat = ChatStore(self.clock)
            self.pager = PagerStore(self.clock)
            self.source = SourceStore(self.clock)

    def seed(
        self, application: str = "batbern", environments: Sequence[str] = ("dev", "staging", "production")
    ) -> None:
        """Fill the systems as a running team would have left them. The last environment needs flag approvals."""
        with self.lock:
            seeds.fill_flags(self.flags, application, environments)
            seeds.fill_tickets(self.tickets)
            seeds.fill_chat(self.chat)
            seeds.fill_source(self.source, application)

    def require_flag_approvals(self, environment: str, *, required: bool) -> None:
        """Raises RequestError 404 for an environment that the flag service does not know."""
        with self.lock:
            settings = self.flags.environment(self.flags.project, environment)["approvalSettings"]
            settings["required"] = required

    def approve_flag_request(self, request_id: str, comment: str = "") -> None:
        """Approve as the release manager. Raises RequestError 404 when there is no such request."""
        with self.lock:
            self.flags.review(request_id, "release-manager", "approve", comment)

    def create_ticket(self, summary: str, status: str) -> str:
        """A change ticket that a person has made; its key. Raises ValueError for a status that there is not."""
        numbers = {it["name"].lower(): number for number, it in STATUSES.items()}
        if status.lower() not in numbers:
            names = ", ".join(it["name"] for it in STATUSES.values())
            raise ValueError(f"status is {status!r}; allowed is one of {names}.")
        wish = {"project": {"key": seeds.PROJECT}, "issuetype": {"name": "Change"}, "summary": summary}
        with self.lock:
            return self.tickets.create(wish, seeds.MANAGER, status=numbers[status.lower()]).key

    def move_ticket(self, key: str, transition: str) -> None:
        """Move as a person would. Raises RequestError 400 when the workflow does not allow it, 404 without ticket."""
        with self.lock:
            self.tickets.transition(self.tickets.find(key), transition)

    def wrote(self, version: str, emails: Sequence[str]) -> None:
        """Who wrote the commits of a version, by address; otherwise it is somebody who approves nothing."""
        with self.lock:
            self.source.wrote(version, emails)

    def snapshot(self) -> Json:
        """What the control room shows, as JSON without anything secret."""
        with self.lock:
            shown = {
                "flags": _flags(self.flags),
                "tickets": _tickets(self.tickets),
                "chat": {
                    "channels": list(self.chat.channels.values()),
                    "messages": self.chat.messages[-CHAT_SHOWN:],
                },
                "pager": {"incidents": self.pager.incidents, "changes": self.pager.changes},
            }
            return copy.deepcopy(shown)


def _flags(store: FlagStore) -> Json:
    return {
        "project": store.project,
        "environments": [
            {"key": key, "approval_required": environment["approvalSettings"]["required"]}
            for key, environment in store.environments.items()
        ],
        "flags": list(store.flags.values()),
        "approvals": [
            {
                "id": request["_id"],
                "flag": request["_flag"],
                "environment": request["_environment"],
                "description": request["description"],
                "review": request["reviewStatus"],
                "status": request["status"],
                "instructions": request["instructions"],
            }
            for request in store.approvals.values()
        ],
    }


def _tickets(store: TicketStore) -> list[Json]:
    return [
        {
            "key": ticket.key,
            "type": ticket.fields["issuetype"].get("name", ""),
            "summary": ticket.fields["summary"],
            "status": ticket.fields["status"]["name"],
            "category": ticket.fields["status"]["statusCategory"]["key"],
            "labels": ticket.fields["labels"],
            "updated": ticket.fields["updated"],
            "description": plain(ticket.fields["description"]),
            "comments": [
                {"author": item["author"]["displayName"], "at": item["created"], "text": plain(item["body"])}
                for item in ticket.comments
            ],
            "links": [{"title": link["object"]["title"], "url": link["object"]["url"]} for link in ticket.links],
            "transitions": [{"id": move["id"], "name": move["name"]} for move in store.transitions(ticket)],
        }
        for ticket in store.tickets.values()
        if ticket.visible
    ]
