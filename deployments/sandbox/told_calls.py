"""What AWS was asked, as the control room tells it: the product's calls apart from the world's own."""

from collections.abc import Collection, Sequence

from deployments.sandbox.aws.calls import Call
from deployments.sandbox.control_room.shape import AwsCallsView, AwsCallView

MOST = 5000
"""In one answer."""


def calls_since(calls: Sequence[Call], since: int, product: Collection[str]) -> AwsCallsView:
    """Those after the number `since`, at most `MOST`. `product` are the ARNs of the product's roles."""
    later = [call for call in calls if call.sequence > since][:MOST]
    return {
        "calls": [_view(call, by_product=call.role in product) for call in later],
        "last": later[-1].sequence if later else since,
        "lost": later[0].sequence - since - 1 if later else 0,
    }


def _view(call: Call, *, by_product: bool) -> AwsCallView:
    return {
        "sequence": call.sequence,
        "at": call.at.isoformat(),
        "service": call.service,
        "operation": call.operation,
        "account": call.account,
        "role": call.role.rpartition("/")[2],
        "by_product": by_product,
        "status": call.status,
        "error": call.error,
        "checked": call.breaches is not None,
        "breaches": list(call.breaches or ()),
    }
