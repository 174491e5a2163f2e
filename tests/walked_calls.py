"""What AWS is asked while a flow runs in the world: valid, and no more than deployments/aws_calls.toml lists.

With RECORD_AWS_CALLS=FILE the walks are written into that file instead, for `python -m deployments.aws_calls record`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.aws_calls import FILE, Need, Place, action, line, load, needs

if TYPE_CHECKING:
    from deployments.sandbox.room import ControlRoom
    from rules.catalogue import Catalogue

RECORDING = "RECORD_AWS_CALLS"


@dataclass
class Walked:
    """One run of a flow, and what it needed of AWS."""

    flow: str
    end: str = "?"
    needs: set[Need] = field(default_factory=set)


WALKS: list[Walked] = []
"""Of this session."""
_HEARD: dict[str, int] = {}
"""By control room: the number of the last call that belongs to nobody any more."""


@contextmanager
def walking(room: "ControlRoom", catalogue: "Catalogue", flow: str, target: str, source: str = "") -> Iterator[Walked]:
    """Listens to AWS while the block runs the flow. Fails when a call is not valid, or is not listed."""
    _heard(room)
    walked = Walked(flow)
    yield walked
    calls = [call for call in _heard(room) if call["by_product"]]
    walked.needs = {need(call, flow, places(catalogue, source, target)) for call in calls}
    WALKS.append(walked)
    refuse(invalid(calls))
    if recording := os.environ.get(RECORDING):
        with Path(recording).open("a") as file:
            file.write(line(flow, walked.end, walked.needs) + "\n")
    else:
        refuse(unlisted(walked.needs, needs(load())))


def refuse(sentences: Sequence[str]) -> None:
    """Raised, not asserted: pytest rewrites the assertions of tests only, and others say nothing."""
    if sentences:
        raise AssertionError("\n".join(sentences))


def places(catalogue: "Catalogue", source: str, target: str) -> dict[str, Place]:
    """Place by account."""
    known = {source: Place.SOURCE, target: Place.TARGET}
    return {it.account: known[it.name] for it in catalogue.environments.values() if it.name in known}


def need(call: Mapping[str, Any], flow: str, by_account: Mapping[str, Place]) -> Need:
    """What a call needed, and where. KeyError for an account that the flow has nothing to do with."""
    service = {"sts": Place.WORKER, "ecr": Place.REGISTRY, "s3": Place.REGISTRY}
    place = service.get(call["service"]) or by_account[call["account"]]
    return Need(flow, place, action(call["service"], call["operation"]))


def invalid(calls: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence for each call that is not known to be what AWS's model says.

    Of Amazon S3, whose calls stand in method and path, none is held against the model.
    """
    wrong = [call for call in calls if call["breaches"] or not (call["checked"] or call["service"] == "s3")]
    return [
        f"{call['service']}:{call['operation']}: {'; '.join(call['breaches']) or 'not held against the model'}"
        for call in wrong
    ]


def unlisted(found: Iterable[Need], listed: Iterable[Need]) -> list[str]:
    """One sentence for each need that the policies would not meet."""
    return [
        f"{it.flow} calls {it.action} in {it.place}, which {FILE.name} does not list; `make aws-calls` writes it anew."
        for it in sorted(set(found) - set(listed))
    ]


def _heard(room: "ControlRoom") -> list[dict[str, Any]]:
    """What was called since this was asked the last time."""
    calls = list(room.aws_calls(_HEARD.get(room.url, 0)))
    if calls:
        _HEARD[room.url] = calls[-1]["sequence"]
    return calls
