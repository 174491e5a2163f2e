"""What the chat workspace remembers: channels and messages."""

from dataclasses import dataclass, field

from deployments.sandbox.clock import Clock
from deployments.sandbox.vendors.desk import Json


@dataclass(slots=True)
class ChatStore:
    """Channels and messages; a message's `ts` is its name, unique within the workspace."""

    clock: Clock
    channels: dict[str, Json] = field(default_factory=dict)
    messages: list[Json] = field(default_factory=list)
    _last: int = 0

    def add_channel(self, number: str, name: str, *, is_member: bool = True) -> None:
        self.channels[number] = {"id": number, "name": name, "is_member": is_member}

    def channel(self, wanted: str) -> Json | None:
        """By id, or by name with or without `#`."""
        for channel in self.channels.values():
            if wanted.removeprefix("#") in {channel["id"], channel["name"]} and wanted not in {"", "#"}:
                return channel
        return None

    def post(self, channel: str, wish: Json, user: str) -> Json:
        self._last = max(self._last + 1, int(self.clock.now().timestamp() * 1_000_000))
        ts = f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"
        message: Json = {"type": "message", "ts": ts, "channel": channel, "username": wish.get("username", user)}
        message |= {key: wish[key] for key in ("thread_ts",) if wish.get(key)}
        self.messages.append(message | _content(wish))
        return self.messages[-1]

    def find(self, channel: str, ts: str) -> Json | None:
        return next((m for m in self.messages if (m["channel"], m["ts"]) == (channel, ts)), None)

    def update(self, message: Json, wish: Json) -> None:
        message.update(_content(wish))
        message["edited"] = {"ts": f"{self.clock.now().timestamp():.6f}"}


def _content(wish: Json) -> Json:
    return {
        "text": wish.get("text", ""),
        "blocks": wish.get("blocks", []),
        "attachments": wish.get("attachments", []),
    }
