"""Where our layer is sewn onto moto: replace a method once, keep the original at hand, share one clock.

moto's classes are process-wide, so the layer is too; installing it again only changes the clock.
"""

from typing import Any

from moto.core.exceptions import ServiceException

from deployments.sandbox.clock import Clock

_ORIGINALS: dict[tuple[type, str], Any] = {}


class Current:
    """The clock and the settings of the stand-in that runs now."""

    clock = Clock()
    region = "eu-central-1"
    snapshot_minutes = 2.0
    parameter_writes_per_second: int | None = None
    """None: no limit. A standard account has 3, with higher throughput 10."""


def replace(owner: type, name: str, new: Any) -> None:
    """Put `new` in the place of `owner.name`; the first value seen there stays available as `original`."""
    _ORIGINALS.setdefault((owner, name), getattr(owner, name, None))
    setattr(owner, name, new)


def original(owner: type, name: str) -> Any:
    return next(_ORIGINALS[(kind, name)] for kind in owner.__mro__ if (kind, name) in _ORIGINALS)


class Refusal(ServiceException):
    """An error that moto writes in the protocol of the caller; `code` is an error of the service's model."""


def refusal(code: str, message: str) -> Refusal:
    return Refusal(code, message)
