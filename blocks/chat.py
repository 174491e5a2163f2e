"""The door to the team's chat: Slack, by a bot token and a channel, or by an incoming webhook.

Slack answers 200 with `ok: false` when it refuses, which is read here. It has no idempotency key: after a lost
answer a page-like message is sent again (better twice than never), an ordinary one is not.
"""

from dataclasses import dataclass
from typing import Any, Self

from httpx import codes
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr, model_validator

from blocks.wire import Answer, Wire, Wiring
from rules.errors import Declined, Outage
from rules.messages import ChatMessage

SYSTEM = "Slack"
PASSING = frozenset({"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable",
                     "request_timeout", "team_added_to_org"})  # fmt: skip
"""Errors in Slack's own words after which asking later may help."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Where a message stands, so that it can be changed or answered. Empty for a webhook, which does not tell."""

    channel: str = ""
    ts: str = ""


class Chat(Block):
    """Where people are told (Slack)."""

    _block_type_name = "Chat"
    _block_type_slug = "chat"

    url: str = Field(default="https://slack.com/api", description="Address of the chat's API.")
    token: SecretStr | None = Field(default=None, description="Bot token (xoxb-…) that may write to the channel.")
    channel: str = Field(default="", description="Channel for release messages, by id or name.")
    webhook: SecretStr | None = Field(
        default=None, description="Incoming webhook, instead of token and channel. Its address is a secret."
    )
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if bool(self.webhook) == bool(self.token and self.channel):
            raise ValueError("Chat needs either a webhook, or a token and a channel.")
        return self

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def post(self, message: ChatMessage, *, thread: Posted | None = None, urgent: bool = False) -> Posted:
        """A new message, or an answer in a thread. `urgent`: rather twice than never.

        Raises Declined when Slack refuses (unknown channel, revoked token, blocks it does not take), else Outage.
        """
        if self.webhook:
            return self._by_webhook(message, urgent=urgent)
        body = {"channel": self.channel, **_content(message)}
        if thread and thread.ts:
            body["thread_ts"] = thread.ts
        return self._call("chat.postMessage", body, repeatable=urgent)

    def update(self, posted: Posted, message: ChatMessage) -> Posted:
        """Change a message; where it cannot be changed (webhook) post a new one."""
        if not posted.ts:
            return self.post(message)
        return self._call(
            "chat.update", {"channel": posted.channel, "ts": posted.ts, **_content(message)}, repeatable=True
        )

    def _call(self, method: str, body: dict[str, Any], *, repeatable: bool) -> Posted:
        token = self.token.get_secret_value().strip() if self.token else ""
        headers = {"Authorization": f"Bearer {token}"}
        doing = f"writing to {self.channel} ({method})"
        with Wire(SYSTEM, self.url, headers=headers, secrets=[self.token], wiring=self._wiring) as wire:
            answer = wire.ask("POST", f"/{method}", doing=doing, body=body, repeatable=repeatable)
        return _posted(answer, doing)

    def _by_webhook(self, message: ChatMessage, *, urgent: bool) -> Posted:
        address = self.webhook.get_secret_value().strip() if self.webhook else ""
        doing = "writing by incoming webhook"
        with Wire(SYSTEM, address, secrets=[self.webhook], wiring=self._wiring) as wire:
            answer = wire.ask("POST", "", doing=doing, body=_content(message), repeatable=urgent, json_expected=False)
        if answer.require(codes.OK).text.strip() != "ok":
            raise Outage(SYSTEM, doing, f"`ok` was expected, found {answer.excerpt}")
        return Posted()


def _content(message: ChatMessage) -> dict[str, Any]:
    return {"text": message.text, "blocks": list(message.blocks), "unfurl_links": False}


def _posted(answer: Answer, doing: str) -> Posted:
    body = answer.require(codes.OK).mapping()
    if body.get("ok") is True:
        return Posted(str(body.get("channel", "")), str(body.get("ts", "")))
    error = str(body.get("error", "no reason given"))
    if error in PASSING:
        raise Outage(SYSTEM, doing, error)
    raise Declined(SYSTEM, doing, answer.status, answer.excerpt)
