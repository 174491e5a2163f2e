"""The door to the change tickets: Jira Cloud, by the e-mail address and the API token of an account.

Jira has no idempotency keys. So whatever it would do twice is looked for before it is done, and after a lost answer:
a ticket by its label, a comment by its marker (in a property of the ticket, and in the comments themselves), a
transition by the ticket's status. A remote link is the exception: with the same global id it is written over.
"""

from base64 import b64encode
from typing import Self

from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.ticket_calls import SYSTEM, TicketCalls
from blocks.wire import Wire, Wiring
from rules.change_tickets import Moved, Ticket, is_ticket_key
from rules.errors import InvalidInput, Outage
from rules.ticket_comments import Document, Draft

LOOKS = (2.0, 5.0)
"""Seconds before each look for a ticket whose making was not answered: the search lags behind."""


class ChangeTickets(Block):
    """Where changes are approved and tracked (Jira)."""

    _block_type_name = "Change Tickets"
    _block_type_slug = "change-tickets"

    url: str = Field(description="Address of the site, such as https://your-team.atlassian.net.")
    user: str = Field(description="E-mail address of the promotion account.")
    token: SecretStr = Field(
        description="API token of that account. It may browse, create, edit, link, comment and transition tickets."
    )
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def find(self, key: str) -> Ticket | None:
        """The ticket; None when it is not there, or this account may not see it. Both are the same answer."""
        with self._open() as wire:
            return TicketCalls(wire, self.url).ticket(_checked(key))

    def created_before(self, project: str, label: str) -> Ticket | None:
        """The youngest open ticket with this label. The search lags some seconds behind."""
        with self._open() as wire:
            return TicketCalls(wire, self.url).labelled(project, label)

    def create(self, draft: Draft) -> Ticket:
        """The ticket of this draft, made unless there is an open one with its label."""
        with self._open() as wire:
            calls = TicketCalls(wire, self.url)
            if known := calls.labelled(draft.project, draft.label):
                return known
            try:
                return calls.create(draft)
            except Outage:
                if known := self._made_after_all(calls, draft):
                    return known
                raise

    def link(self, key: str, global_id: str, url: str, title: str) -> None:
        """A link from the ticket, one for each global id: the same again replaces what was there."""
        with self._open() as wire:
            TicketCalls(wire, self.url).link(_checked(key), global_id, url, title)

    def comment(self, key: str, document: Document, marker: str) -> bool:
        """Write a comment that ends with this marker, unless there is one. Whether it was written now."""
        with self._open() as wire:
            return TicketCalls(wire, self.url).comment_once(_checked(key), document, marker)

    def move(self, key: str, status: str, via: str = "") -> Moved:
        """Have the ticket in this status, in one step, or in two over `via`. Says why not, where there is no way."""
        with self._open() as wire:
            calls = TicketCalls(wire, self.url)
            moved = calls.move(_checked(key), status)
            if moved.there or not via or not calls.move(key, via).there:
                return moved
            return calls.move(key, status)

    def _made_after_all(self, calls: TicketCalls, draft: Draft) -> Ticket | None:
        for seconds in LOOKS:
            self._wiring.sleep(seconds)
            if known := calls.labelled(draft.project, draft.label):
                return known
        return None

    def _open(self) -> Wire:
        pair = f"{self.user.strip()}:{self.token.get_secret_value().strip()}"
        basic = b64encode(pair.encode()).decode()
        headers = {"Authorization": f"Basic {basic}", "Accept": "application/json"}
        return Wire(SYSTEM, self.url, headers=headers, secrets=[self.token, SecretStr(basic)], wiring=self._wiring)


def _checked(key: str) -> str:
    """A key becomes part of an address, so it must be one. Raises InvalidInput."""
    if not is_ticket_key(key):
        raise InvalidInput("the key of a ticket", key[:40], "one such as CHG-123")
    return key
