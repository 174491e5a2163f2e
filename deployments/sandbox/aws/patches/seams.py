"""Where our layer is sewn onto moto: replace a method once, keep the original at hand, share one clock.

moto's classes are process-wide, so the layer is too; installing it again only changes the clock.
"""

from typing import Any

from deployments.sandbox.clock import Clock

_ORIGINALS: dict[tuple[type, str], Any] = {}


class Current:
    """The clock of the stand-in that runs now."""

    clock = Clock()


def replace(owner: type, name: str, new: Any) -> None:
    """Put `new` in the place of `owner.name`; the first value seen there stays available as `original`."""
    _ORIGINALS.setdefault((owner, name), getattr(owner, name, None))
    setattr(owner, name, new)


def original(owner: type, name: str) -> Any:
    return _ORIGINALS[(owner, name)]


def refusal(code: str, message: str) -> Exception:
    """An error that moto writes in the protocol of the caller; `code` is a shape name of the service's model."""
    from moto.core.exceptions import ServiceException

    return ServiceException(code, message)
