"""The catalogue of a sandbox: the real policy, limits and all, with less patience.

What a canary is judged by stays; only how long it is watched is shortened, or a story would take half an hour.
And, where that is asked for, with the load-balanced service given to CodeDeploy.
"""

import json
import math
import re
from collections.abc import Mapping

HOLD_SECONDS = 150.0
"""Two windows, then a person, and the margin that the product keeps before ECS goes back by itself."""
STEP_SECONDS = 60.0
"""CodeDeploy's canary stays at its step for so long: a window and what the numbers are late."""
TABLE = re.compile(r"\s*\[([^\[\]]+)\]\s*(#.*)?$")
KEY = re.compile(r"\s*([\w-]+)\s*=")
Tables = Mapping[str, Mapping[str, float | str]]


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
    }
    return with_values(text, shorter)


def by_codedeploy(text: str, service: str, minute_seconds: float) -> str:
    """The text of a catalogue in which CodeDeploy moves the traffic of one service, and its canary has one step."""
    stays = {"canary": {"codedeploy_minutes": math.ceil(STEP_SECONDS / minute_seconds)}}
    given = {
        "controller": "codedeploy",
        "codedeploy_application": "batbern-{environment}",
        "codedeploy_group": service,
    }
    return with_values(text, {f"services.{service}": given, **stays}).replace("steps = [10, 50]", "steps = [10]")


def with_values(text: str, tables: Tables) -> str:
    """TOML text with other numbers: a line that is there is replaced, one that lacks is added to its table."""
    missing = {table: dict(numbers) for table, numbers in tables.items()}
    lines: list[str] = []
    table = ""
    for line in text.splitlines():
        if header := TABLE.match(line):
            table = header[1].strip()
            lines += [line, *_written(missing.pop(table, {}))]
        elif not ((key := KEY.match(line)) and key[1] in tables.get(table, {})):
            lines.append(line)
    for name, numbers in missing.items():
        lines += ["", f"[{name}]", *_written(numbers)]
    return "\n".join(lines) + "\n"


def _written(values: Mapping[str, float | str]) -> list[str]:
    return [f"{key} = {_toml(value)}" for key, value in values.items()]


def _toml(value: float | str) -> str:
    return json.dumps(value) if isinstance(value, str) else format(value, "g")
