"""What the pager remembers: incidents by their deduplication key, and change events."""

from dataclasses import dataclass, field

from deployments.sandbox.clock import Clock
from deployments.sandbox.vendors.desk import Json


@dataclass(slots=True)
class PagerStore:
    """Incidents, newest last, and change events, which notify nobody."""

    clock: Clock
    incidents: list[Json] = field(default_factory=list)
    changes: list[Json] = field(default_factory=list)

    def open_incident(self, dedup_key: str) -> Json | None:
        """The one that further events with this key belong to; a resolved one is closed for good."""
        return next((i for i in self.incidents if i["dedup_key"] == dedup_key and i["status"] != "resolved"), None)

    def take(self, dedup_key: str, event: Json) -> None:
        incident, at = self.open_incident(dedup_key), self.clock.now().isoformat()
        if event["event_action"] == "trigger":
            if incident is None:
                self.incidents.append(self._opened(dedup_key, event, at))
            else:
                incident["alerts"] += 1
                incident["updated_at"] = at
        elif incident is not None:
            # Events for an incident that is not open are taken in and dropped.
            incident["status"] = {"acknowledge": "acknowledged", "resolve": "resolved"}[event["event_action"]]
            incident["updated_at"] = at

    def _opened(self, dedup_key: str, event: Json, at: str) -> Json:
        payload = event["payload"]
        return {
            "dedup_key": dedup_key,
            "status": "triggered",
            "summary": payload["summary"],
            "severity": payload["severity"],
            "source": payload["source"],
            "component": payload.get("component", ""),
            "details": payload.get("custom_details"),
            "links": hrefs(event),
            "alerts": 1,
            "created_at": at,
            "updated_at": at,
        }


def hrefs(event: Json) -> list[Json]:
    return [{"href": link["href"], "text": link.get("text", link["href"])} for link in event.get("links", [])]
