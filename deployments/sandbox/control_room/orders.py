"""What people and stories may order from the control room, checked before it reaches the world."""

from collections.abc import Mapping
from typing import Any

from deployments.sandbox.behaviour import BEHAVIOURS
from deployments.sandbox.control_room.shape import World
from deployments.sandbox.faults import Fault, FaultKind
from deployments.sandbox.vendors.contracts import TEXT, closed, problems

TARGETS = ("aws", "launchdarkly", "jira", "slack", "pagerduty", "github")
MOST_VISITORS = 200
"""A second, of one environment."""
NAME = TEXT | {"maxLength": 1011}

RELEASE = closed(
    ["environment", "behaviour"],
    environment=TEXT,
    behaviour={"enum": list(BEHAVIOURS)},
    age_minutes={"type": "number", "minimum": 0, "maximum": 1_000_000},
)
FAULT = closed(
    ["target", "kind"],
    target={"enum": list(TARGETS)},
    operation=TEXT,
    kind={"enum": [str(kind) for kind in FaultKind]},
    times={"type": ["integer", "null"], "minimum": 1},
    seconds={"type": ["number", "null"], "minimum": 0, "maximum": 3600},
)
PARAMETER = closed(
    ["environment", "name", "value"],
    environment=TEXT,
    name=NAME,
    value={"type": "string"},
    type={"enum": ["String", "StringList", "SecureString"]},
)
PARAMETER_NAME = closed(["environment", "name"], environment=TEXT, name=NAME)
VISITORS = closed(
    ["environment", "per_second"],
    environment=TEXT,
    per_second={"type": "number", "minimum": 0, "maximum": MOST_VISITORS},
)
APPROVAL = closed(["id"], id=TEXT)
APPROVALS = closed(["environment", "required"], environment=TEXT, required={"type": "boolean"})
AGE = closed(
    ["environment", "age_minutes"],
    environment=TEXT,
    age_minutes={"type": "number", "minimum": 0, "maximum": 1_000_000},
)
TICKET = closed(["summary", "status"], summary=TEXT | {"maxLength": 255}, status=TEXT)
MOVE = closed(["key", "transition"], key=TEXT, transition=TEXT)

DONE: Mapping[str, Any] = {"done": True}


def _checked(schema: dict[str, Any], wish: Any) -> dict[str, Any]:
    found = problems(schema, wish)
    if found:
        raise ValueError("; ".join(found))
    checked: dict[str, Any] = wish
    return checked


class Orders:
    """Each method takes the JSON of an order; raises ValueError or RequestError with a sentence for the person."""

    def __init__(self, world: World) -> None:
        self._world = world

    def release(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(RELEASE, wish)
        placed = self._world.deploy(order["environment"], order["behaviour"], order.get("age_minutes", 0))
        return {"version": placed["version"], "digests": placed["digests"]}

    def let_pass(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(AGE, wish)
        self._world.let_pass(order["environment"], order["age_minutes"])
        return DONE

    def add_fault(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(FAULT, wish)
        fault = Fault(
            order["target"],
            kind=FaultKind(order["kind"]),
            operation=order.get("operation", "*"),
            times=order.get("times"),
            seconds=order.get("seconds"),
        )
        self._world.faults.add(fault)
        return DONE

    def clear_faults(self, target: str | None) -> Mapping[str, Any]:
        self._world.faults.clear(target)
        return DONE

    def put_parameter(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(PARAMETER, wish)
        kind = order.get("type", "String")
        self._world.put_parameter(order["environment"], order["name"], order["value"], kind)
        return DONE

    def delete_parameter(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(PARAMETER_NAME, wish)
        self._world.delete_parameter(order["environment"], order["name"])
        return DONE

    def set_visitors(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(VISITORS, wish)
        self._world.set_visitors(order["environment"], order["per_second"])
        return DONE

    def approve_flag(self, wish: Any) -> Mapping[str, Any]:
        self._world.vendors.approve_flag_request(_checked(APPROVAL, wish)["id"], "Approved in the control room.")
        return DONE

    def require_flag_approvals(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(APPROVALS, wish)
        self._world.vendors.require_flag_approvals(order["environment"], required=order["required"])
        return DONE

    def create_ticket(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(TICKET, wish)
        return {"key": self._world.vendors.create_ticket(order["summary"], order["status"])}

    def move_ticket(self, wish: Any) -> Mapping[str, Any]:
        order = _checked(MOVE, wish)
        self._world.vendors.move_ticket(order["key"], order["transition"])
        return DONE
