"""Alarms that guard a roll-out must be able to: each is there, quiet, and has data, before traffic moves.

Amazon ECS ignores a deployment's alarms when one of them is in ALARM as it starts, and an alarm that it does not find
it does not watch. So this is looked at before, and it is never taken for a pass that nobody looked.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rules.vocabulary import Finding, Verdict

GATE = "alarms"


class AlarmValue(StrEnum):
    """As CloudWatch names it."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class AlarmState:
    value: AlarmValue
    reason: str = ""
    """In CloudWatch's words."""
    since: datetime | None = None


def check_alarms(
    service: str, names: Iterable[str], states: Mapping[str, AlarmState], environment: str
) -> tuple[Finding, ...]:
    """One finding for each alarm of a service. None where it has no alarms: the canary's judge is then alone.

    An alarm without data is INCONCLUSIVE and not FAILED: nothing is known to be wrong, but nothing guards either.
    An alarm on errors that a healthy service does not report is to treat missing data as not breaching; then it is OK.
    """
    return tuple(_findings(service, names, states, environment))


def _findings(
    service: str, names: Iterable[str], states: Mapping[str, AlarmState], environment: str
) -> Iterator[Finding]:
    for name in dict.fromkeys(names):
        gate, state = f"{GATE}/{name}", states.get(name)
        verdict, sentence = _judge(service, name, state, environment)
        measured = state.value if state else "missing"
        yield Finding(gate, verdict, sentence, measured, AlarmValue.OK, state.reason if state else "")


def _judge(service: str, name: str, state: AlarmState | None, environment: str) -> tuple[Verdict, str]:
    what = f"Alarm {name}, which guards {service} in {environment},"
    if state is None:
        return Verdict.FAILED, f"{what} does not exist. Create it, or take it out of the catalogue."
    since = f" since {state.since:%Y-%m-%d %H:%M} UTC" if state.since else ""
    if state.value is AlarmValue.ALARM:
        told = f"{what} is firing{since}; a roll-out that starts now would not be guarded by any alarm."
        return Verdict.FAILED, f"{told} Mend what it tells of, then run again."
    if state.value is AlarmValue.INSUFFICIENT_DATA:
        told = f"{what} has had no data{since}, so it guards nothing."
        return Verdict.INCONCLUSIVE, f"{told} Let it treat missing data as not breaching, or mend its metric."
    return Verdict.PASSED, f"{what} is quiet."
