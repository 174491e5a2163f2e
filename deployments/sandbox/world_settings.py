"""How a world is set up, and where it reads that: the file that the supervisor wrote (its keys: settings.py)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rules.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class WorldSettings:
    catalogue: Catalogue
    minute_seconds: float = 60.0
    requests_per_second: float = 7.0
    """Visitors of each environment."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """`aws`, `control_room`, `vendors` and each environment's name; 0, or none given, is any free port."""
    database_url: str | None = None
    """A PostgreSQL server, as somebody who may create databases in it. None: the services read from memory."""
    prefect_url: str | None = None
    ledger: Path | None = None
    """The folder in which the product keeps its ledger: the control room shows who is awaited. None: it cannot."""

    def port(self, name: str) -> int:
        return self.ports.get(name, 0)


def read_settings(file: Path) -> WorldSettings:
    """The settings that the supervisor wrote."""
    from blocks.catalogue import load_catalogue

    given = json.loads(file.read_text())
    return WorldSettings(
        catalogue=load_catalogue(given["catalogue"]),
        minute_seconds=given.get("minute_seconds", 60.0),
        requests_per_second=given.get("requests_per_second", 7.0),
        ports=given.get("ports", {}),
        database_url=given.get("database_url"),
        prefect_url=given.get("prefect_url"),
        ledger=Path(given["state"]) / "ledger" if "state" in given else None,
    )
