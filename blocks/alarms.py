"""The door to the alarms of one environment (CloudWatch). Changes nothing."""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from blocks.aws_errors import translated
from rules.alarms import AlarmState, AlarmValue

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

SYSTEM = "CloudWatch"
MOST_NAMES = 100
"""In one call."""


class Alarms:
    """Metric alarms and composite ones."""

    def __init__(self, cloudwatch: CloudWatchClient) -> None:
        self._cloudwatch = cloudwatch

    def states(self, names: Iterable[str]) -> Mapping[str, AlarmState]:
        """The state of each alarm by its name. One that is not in it does not exist: it was asked for twice."""
        wanted = list(dict.fromkeys(names))
        found = self._look(wanted)
        missed = [name for name in wanted if name not in found]
        return found | self._look(missed)

    def _look(self, names: Sequence[str]) -> dict[str, AlarmState]:
        parts = [names[at : at + MOST_NAMES] for at in range(0, len(names), MOST_NAMES)]
        return {name: state for part in parts for name, state in self._ask(part).items()}

    def _ask(self, names: Sequence[str]) -> dict[str, AlarmState]:
        with translated(SYSTEM, f"asking for the alarms {', '.join(names)}"):
            # Without the types it would leave the composite alarms out.
            pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
                AlarmNames=list(names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
            alarms = [it for page in pages for key in ("MetricAlarms", "CompositeAlarms") for it in _of(page, key)]
            return {it["AlarmName"]: _state(it) for it in alarms}


def _of(page: Mapping[str, Any], key: str) -> Sequence[Mapping[str, Any]]:
    return page.get(key) or ()


def _state(alarm: Mapping[str, Any]) -> AlarmState:
    since = alarm.get("StateTransitionedTimestamp") or alarm.get("StateUpdatedTimestamp")
    return AlarmState(AlarmValue(alarm["StateValue"]), alarm.get("StateReason", ""), since)
