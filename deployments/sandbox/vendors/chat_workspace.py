"""The chat workspace as Slack answers it: `/api/chat.postMessage`, `/api/chat.update`, incoming webhooks."""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, PlainTextResponse, Response

from deployments.sandbox.faults import Faults
from deployments.sandbox.vendors.contracts import BLOCKS, problems
from deployments.sandbox.vendors.desk import Call, Desk, Handler, Json, RequestError
from deployments.sandbox.vendors.rates import Trickle
from deployments.sandbox.vendors.state import VendorState

TEXT_LIMIT = 40_000
BLOCKS_LIMIT = 13_200
"""All blocks of one message together, in characters; not documented, but enforced."""
ATTACHMENTS_LIMIT = 100


def slack(state: VendorState, faults: Faults) -> Starlette:
    """The stand-in; mount it where the product's base address points. The webhook's path is a credential."""
    service = ChatWorkspace(state)
    desk = Desk("slack", faults, state.lock, admit=service.admit, refuse=service.refuse)
    routes = [desk.route(method, path, handler) for method, path, handler in service.operations()]
    return Starlette(routes=routes, exception_handlers={HTTPException: desk.lost})


class ChatWorkspace:
    """The operations. Slack answers 200 with `ok: false` to what it refuses; webhooks have real statuses."""

    def __init__(self, state: VendorState) -> None:
        self._state = state
        limits = state.limits
        self._trickle = Trickle(state.clock, limits.chat_messages_per_second, limits.chat_burst)

    def operations(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", "/api/auth.test", self.auth_test),
            ("POST", "/api/chat.postMessage", self.post_message),
            ("POST", "/api/chat.update", self.update_message),
            ("GET", "/api/conversations.history", self.history),
            ("POST", "/services/{team}/{hook}/{secret}", self.webhook),
        ]

    def admit(self, call: Call) -> None:
        if call.operation == "webhook":
            return
        if call.header("authorization") != f"Bearer {self._state.credentials.chat_token}":
            raise RequestError(200, "invalid_auth" if call.header("authorization") else "not_authed", "")

    def refuse(self, error: RequestError) -> Response:
        if error.status == 429:
            body = {"ok": False, "error": "ratelimited"}
            return JSONResponse(body, status_code=429, headers={"Retry-After": "1"} | error.headers)
        if error.headers.get("X-Webhook"):
            return PlainTextResponse(error.code, status_code=error.status)
        detail = {"response_metadata": {"messages": [f"[ERROR] {error.message}"]}} if error.message else {}
        return JSONResponse({"ok": False, "error": error.code} | detail, status_code=error.status)

    def auth_test(self, _call: Call) -> Response:
        return JSONResponse({"ok": True, "team": "BATbern", "user": "promotions", "bot_id": "B0PROMOTE"})

    def post_message(self, call: Call) -> Response:
        wish = _arguments(call)
        channel = self._channel(wish)
        _check(wish)
        self._slow_down(channel["id"])
        message = self._state.chat.post(channel["id"], wish, "Promotions")
        return JSONResponse({"ok": True, "channel": channel["id"], "ts": message["ts"], "message": message})

    def update_message(self, call: Call) -> Response:
        wish = _arguments(call)
        channel = self._channel(wish)
        _check(wish)
        message = self._state.chat.find(channel["id"], str(wish.get("ts", "")))
        if message is None:
            raise RequestError(200, "message_not_found", "")
        self._slow_down(f"update {channel['id']}")
        self._state.chat.update(message, wish)
        return JSONResponse({"ok": True, "channel": channel["id"], "ts": message["ts"], "text": message["text"]})

    def history(self, call: Call) -> Response:
        channel = self._channel({"channel": call.query("channel")})
        messages = [m for m in self._state.chat.messages if m["channel"] == channel["id"]]
        return JSONResponse({"ok": True, "messages": messages[::-1], "has_more": False})

    def webhook(self, call: Call) -> Response:
        """Answers `ok` or one word; the channel belongs to the webhook."""
        hooks = self._state.credentials.chat_webhooks
        path = "/services/{team}/{hook}/{secret}".format_map(call.path)
        if path not in hooks:
            raise _webhook_error(404, "no_service")
        try:
            wish = _arguments(call)
            _check(wish)
        except RequestError as error:
            raise _webhook_error(400, "invalid_payload" if error.code == "invalid_json" else error.code) from error
        channel = self._state.chat.channel(hooks[path])
        if channel is None:
            raise _webhook_error(404, "channel_not_found")
        self._slow_down(path)
        self._state.chat.post(channel["id"], wish, "Promotions (webhook)")
        return PlainTextResponse("ok")

    def _channel(self, wish: Json) -> Json:
        channel = self._state.chat.channel(str(wish.get("channel", "")))
        if channel is None:
            raise RequestError(200, "channel_not_found", "")
        if not channel["is_member"]:
            raise RequestError(200, "not_in_channel", "")
        return channel

    def _slow_down(self, key: str) -> None:
        wait = self._trickle.wait(key)
        if wait > 0:
            raise RequestError(429, "ratelimited", "", {"Retry-After": str(max(1, round(wait)))})


def _webhook_error(status: int, code: str) -> RequestError:
    return RequestError(status, code, "", {"X-Webhook": "1"})


def _arguments(call: Call) -> Json:
    if "json" not in call.header("content-type"):
        raise RequestError(200, "invalid_arguments", "send application/json; charset=utf-8")
    try:
        wish: Any = json.loads(call.body)
    except ValueError as error:
        raise RequestError(200, "invalid_json", "") from error
    if not isinstance(wish, dict):
        raise RequestError(200, "json_not_object", "")
    return wish


def _check(wish: Json) -> None:
    """Slack's limits on one message."""
    text, blocks, attachments = wish.get("text", ""), wish.get("blocks", []), wish.get("attachments", [])
    if not (text or blocks or attachments):
        raise RequestError(200, "no_text", "")
    if not isinstance(text, str) or len(text) > TEXT_LIMIT:
        raise RequestError(200, "msg_too_long", f"text may have {TEXT_LIMIT} characters")
    if not isinstance(attachments, list) or len(attachments) > ATTACHMENTS_LIMIT:
        raise RequestError(200, "too_many_attachments", f"{ATTACHMENTS_LIMIT} attachments are allowed")
    nested = [block for item in attachments if isinstance(item, dict) for block in item.get("blocks", [])]
    for group in (blocks, nested):
        found = problems(BLOCKS, group)
        if found:
            raise RequestError(200, "invalid_blocks", "; ".join(found))
    if len(json.dumps([blocks, nested], ensure_ascii=False)) > BLOCKS_LIMIT:
        raise RequestError(200, "msg_blocks_too_long", f"all blocks together may have {BLOCKS_LIMIT} characters")
