"""How one sandbox is set up, and the file by which its processes learn of it.

The supervisor writes `settings.json` into the state folder before it starts the first process. The world and
the registration are started with `--settings FILE`. Keys of the file:

    minute_seconds       how many real seconds a minute of the world lasts
    requests_per_second  the visitors of each environment
    catalogue            absolute path of the sandbox's own copy of the catalogue
    database_url         the PostgreSQL server as its superuser, a URL that psycopg takes
    ports                {"control_room", "aws", "vendors", "dev", "staging", "production"}; 0 is any free port
    state                absolute path of the state folder
    prefect_url          the Prefect UI, `http://127.0.0.1:4200`
    prefect_api_url      the Prefect API, `http://127.0.0.1:4200/api`
    world                what the world said when it was ready (absent until then): its ports
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from deployments.sandbox.patience import by_codedeploy, less_patient, with_k6
from deployments.sandbox.services.edge import ENTRANCE

CHECKOUT = Path(__file__).resolve().parents[2]
LOOPBACK = "127.0.0.1"
K6 = tuple(CHECKOUT / ".venv" / folder / "bin" / "k6" for folder in ("k6", "tools"))
"""Where `make sandbox`, or `make test`, put it."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the processes listen. 0 is any free port; two have a fixed default because people type them."""

    ui: int = 4200
    control_room: int = 4280
    aws: int = 0
    vendors: int = 0
    dev: int = 0
    staging: int = 0
    production: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    state: Path = CHECKOUT / ".state" / "sandbox"
    ports: Ports = field(default_factory=Ports)
    minute_seconds: float = 60.0
    requests_per_second: float = 10.0
    catalogue: Path = CHECKOUT / "deployments" / "catalogue.toml"
    """What the sandbox's own copy is made of."""
    codedeploy: bool = False
    """Whether AWS CodeDeploy moves the gateway's traffic instead of Amazon ECS."""

    @property
    def own_catalogue(self) -> Path:
        return self.state / "catalogue.toml"

    @property
    def file(self) -> Path:
        return self.state / "settings.json"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def home(self) -> Path:
        """The home folder of every process of the sandbox: nothing is read from or written to the user's."""
        return self.state / "home"

    @property
    def prefect_url(self) -> str:
        return f"http://{LOOPBACK}:{self.ports.ui}"

    @property
    def prefect_api_url(self) -> str:
        return f"{self.prefect_url}/api"

    def write(self, database_url: str, world: Mapping[str, Any] | None = None) -> None:
        """Write the file, and the catalogue beside it; `world` is added once the world has said where it listens."""
        ports = asdict(self.ports)
        del ports["ui"]
        content: dict[str, Any] = {
            "minute_seconds": self.minute_seconds,
            "requests_per_second": self.requests_per_second,
            "catalogue": str(self.own_catalogue),
            "database_url": database_url,
            "ports": ports,
            "state": str(self.state),
            "prefect_url": self.prefect_url,
            "prefect_api_url": self.prefect_api_url,
        }
        if world is not None:
            content["world"] = dict(world)
        text = less_patient(self.catalogue.read_text(), self.minute_seconds)
        if k6 := next((it for it in K6 if it.exists()), None):
            text = with_k6(text, k6)
        self.own_catalogue.write_text(by_codedeploy(text, ENTRANCE, self.minute_seconds) if self.codedeploy else text)
        self.file.write_text(json.dumps(content, indent=2) + "\n")


def write_whole(file: Path, text: str) -> None:
    """At once: whoever reads the file meanwhile finds the old text or the new one."""
    beside = file.with_name(f"{file.name}.new")
    beside.write_text(text)
    beside.replace(file)
