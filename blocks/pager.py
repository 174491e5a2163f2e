"""The door to on-call: PagerDuty's Events API v2. A page is opened and closed under one key of our choice."""

from collections.abc import Mapping
from typing import Any, Self

from httpx import codes
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.wire import Patience, Wire, Wiring
from rules.messages import ChangeNote, Page

SYSTEM = "PagerDuty"
PATIENCE = Patience(attempts=6, total_seconds=180, longest_pause_seconds=30)
"""A page that says that a person is needed is worth some minutes of trying."""


class Pager(Block):
    """Where on-call people are woken (PagerDuty)."""

    _block_type_name = "Pager"
    _block_type_slug = "pager"

    url: str = Field(default="https://events.pagerduty.com", description="Address of the events API.")
    routing_key: SecretStr = Field(description="Integration key of the service that is on call.")
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def trigger(self, page: Page) -> str:
        """Open a page, or add to the open one with the same key. Returns the key."""
        payload = {
            "summary": page.summary,
            "source": page.source,
            "severity": page.severity,
            "component": page.component,
            "group": page.group,
            "custom_details": dict(page.details),
        }
        self._alert("trigger", page.dedup_key, {"payload": payload, **_links(page.run_url)})
        return page.dedup_key

    def resolve(self, dedup_key: str) -> None:
        """Close the page with this key. One that is not open is no error."""
        self._alert("resolve", dedup_key, {})

    def note_change(self, note: ChangeNote) -> None:
        """Leave a note of a change. Not repeated after a lost answer: it has no key and would stand there twice."""
        payload = {"summary": note.summary, "source": note.source, "custom_details": dict(note.details)}
        body = {"routing_key": self._key(), "payload": payload, **_links(note.run_url)}
        self._send("/v2/change/enqueue", body, "noting a change", repeatable=False)

    def _alert(self, action: str, dedup_key: str, more: Mapping[str, Any]) -> None:
        body = {"routing_key": self._key(), "event_action": action, "dedup_key": dedup_key, **more}
        self._send("/v2/enqueue", body, f"sending the event {action} of {dedup_key}", repeatable=True)

    def _send(self, path: str, body: Mapping[str, Any], doing: str, *, repeatable: bool) -> None:
        secrets = [self.routing_key]
        with Wire(SYSTEM, self.url, secrets=secrets, patience=PATIENCE, wiring=self._wiring) as wire:
            wire.ask("POST", path, doing=doing, body=body, repeatable=repeatable).require(codes.ACCEPTED)

    def _key(self) -> str:
        return self.routing_key.get_secret_value().strip()


def _links(url: str) -> dict[str, Any]:
    return {"links": [{"href": url, "text": "The run"}]} if url.startswith(("https://", "http://")) else {}
