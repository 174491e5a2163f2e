"""The catalogue of a sandbox: the real policy, limits and all, with less patience.

What a canary is judged by stays; only how long it is watched is shortened, or a story would take half an hour.
Production's window is always open, because people play on Sundays, too; a story may close it.
And, where that is asked for, with the load-balanced service given to CodeDeploy.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

HOLD_SECONDS = 150.0
"""Two windows, then a person, and the margin that the product keeps before ECS goes back by itself."""
STEP_SECONDS = 60.0
"""CodeDeploy's canary stays at its step for so long: a window and what the numbers are late."""
LOAD_SECONDS, SHORTER_LOAD = 'SECONDS = "60"', 'SECONDS = "12"'
NOISE_MS = 400.0
"""The world, its visitors and the load test share one machine, so that p95 is as quick as the others let it be."""
TIME_ZONE = "Europe/Zurich"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?$")
ARRAY = re.compile(r"\s*\[\[([^\[\]]+)\]\]\s*(#.*)?$")
KEY = re.compile(r"\s*([\w-]+)\s*=")
NO_VALUE = re.compile(r"\s*(#.*)?$")
Value = float | str | Sequence[str]
Tables = Mapping[str, Mapping[str, Value]]
Arrays = Mapping[str, Sequence[Mapping[str, Value]]]


def less_patient(text: str, minute_seconds: float) -> str:
    """The text of a catalogue with shorter canaries. `minute_seconds`: how long a minute of the world's AWS lasts."""
    shorter: Tables = {
        "canary": {
            "window_minutes": 0.75,
            "extensions": 1,
            "hold_minutes": math.ceil(HOLD_SECONDS / minute_seconds),
            "sample_seconds": 5,
        },
        "judge": {"segment_seconds": 10, "warm_up_seconds": 10, "silence_seconds": 20},
        "validation.load": {"growth_ms": NOISE_MS},
    }
    return always_open(with_values(text.replace(LOAD_SECONDS, SHORTER_LOAD), shorter))


def with_k6(text: str, program: Path) -> str:
    """The text of a catalogue whose load test is run by this program."""
    return with_values(text, {"validation.load": {"program": str(program)}})


def by_codedeploy(text: str, service: str, minute_seconds: float) -> str:
    """The text of a catalogue in which CodeDeploy moves the traffic of one service, and its canary has one step."""
    stays = {"canary": {"codedeploy_minutes": math.ceil(STEP_SECONDS / minute_seconds)}}
    given = {
        "controller": "codedeploy",
        "codedeploy_application": "batbern-{environment}",
        "codedeploy_group": service,
    }
    return with_values(text, {f"services.{service}": given, **stays}).replace("steps = [10, 50]", "steps = [10]")


def always_open(text: str) -> str:
    """The text of a catalogue whose window never closes, and without freezes."""
    return _in_windows(text, DAYS, "00:00", "24:00")


def closed(text: str, now: datetime) -> str:
    """The text of a catalogue whose window is closed now, and opens the day after tomorrow at nine."""
    opens = now.astimezone(ZoneInfo(TIME_ZONE)) + timedelta(days=2)
    return _in_windows(text, (DAYS[opens.weekday()],), "09:00", "16:00")


def impatient(text: str, seconds: float) -> str:
    """The text of a catalogue in which approvers have only so many seconds, and are reminded after half of them."""
    hours = seconds / 3600
    return with_values(text, {"approvals": {"deadline_hours": hours, "reminder_hours": hours / 2}})


def _in_windows(text: str, days: Sequence[str], opens: str, closes: str) -> str:
    window = {"days": days, "opens": opens, "closes": closes, "timezone": TIME_ZONE}
    return with_arrays(text, {"windows.open": [window], "windows.freezes": []})


# ----------------------------------------------------------------------------------------------- TOML, as text


def with_values(text: str, tables: Tables) -> str:
    """TOML text with other values: a line that is there is replaced, one that lacks is added to its table."""
    missing = {table: dict(values) for table, values in tables.items()}
    lines: list[str] = []
    table = ""
    for line in text.splitlines():
        if header := TABLE.match(line):
            table = header[1].strip()
            lines += [line, *_written(missing.pop(table, {}))]
        elif ARRAY.match(line):
            table = ""  # the keys that follow are those of one of its tables
            lines.append(line)
        elif not ((key := KEY.match(line)) and key[1] in tables.get(table, {})):
            lines.append(line)
    for name, values in missing.items():
        lines += ["", f"[{name}]", *_written(values)]
    return "\n".join(lines) + "\n"


def with_arrays(text: str, arrays: Arrays) -> str:
    """TOML text with other arrays of tables: those of these names go, comments stay, the new ones come at the end."""
    lines: list[str] = []
    goes = False
    for line in text.splitlines():
        if header := ARRAY.match(line) or TABLE.match(line):
            goes = line.lstrip().startswith("[[") and header[1].strip() in arrays
        if not goes or NO_VALUE.match(line):
            lines.append(line)
    for name, entries in arrays.items():
        for entry in entries:
            lines += ["", f"[[{name}]]", *_written(entry)]
    return "\n".join(lines) + "\n"


def _written(values: Mapping[str, Value]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: Value) -> str:
    if isinstance(value, str):
        return json.dumps(value)
    return json.dumps(list(value)) if isinstance(value, Sequence) else format(value, ".10g")
