"""Load balancers: the weight of a target group is a whole number from 0 to 999."""

from collections.abc import Mapping
from typing import Any

from deployments.sandbox.aws.patches.seams import original, refusal, replace

MAX_WEIGHT = 999


def install() -> None:
    from moto.elbv2.models import FakeAction

    replace(FakeAction, "__init__", with_legal_weights)


def with_legal_weights(self: Any, data: dict[str, Any]) -> None:
    for group in _groups(data):
        weight = int(group.get("Weight", 1))
        if not 0 <= weight <= MAX_WEIGHT:
            reason = f"The weight for target group {group['TargetGroupArn']} is {weight}; 0 to {MAX_WEIGHT} is allowed."
            raise refusal("ValidationError", reason)
    original(type(self), "__init__")(self, data)


def _groups(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return list((data.get("ForwardConfig") or {}).get("TargetGroups") or [])
