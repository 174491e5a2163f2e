"""Registers everything that an application needs in the Prefect server, and can be run again at any time.

    python -m deployments.register [--catalogue FILE] [--settings FILE] [--check]

Makes the block types and documents, one lock for each environment, the work pool and the deployments of
prefect.yaml. What people entered in the Prefect UI stays. `--settings` is a JSON file with values for documents:

    {"blocks": {"chat/batbern": {"token": "xoxb-…", "channel": "releases"},
                "probes/batbern-dev": {"api_url": "https://api-dev.batbern.ch"}}}

`--check` reads the catalogue and says what is wrong with it, and does nothing else.
Exit code 0: done; 1: not done, and why; 2: called wrongly.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import (
    GlobalConcurrencyLimitCreate,
    GlobalConcurrencyLimitUpdate,
    WorkPoolCreate,
)
from prefect.exceptions import ObjectNotFound
from prefect.settings import get_current_settings
from prefect.workers.process import ProcessWorker

from blocks.catalogue import PROJECT, load_catalogue
from deployments.documents import KINDS, Values, documents, placeholders, save
from rules.catalogue import Catalogue
from rules.errors import InvalidInput, PromotionError
from tasks.locks import lock_name

CATALOGUE = PROJECT / "deployments" / "catalogue.toml"
PREFECT_FILE = PROJECT / "deployments" / "prefect.yaml"
POOL = "promotions"
DEPLOY_SECONDS = 300
LAST_WORDS = 2000


def main(arguments: Sequence[str] | None = None) -> int:
    options = _options(arguments)
    try:
        settings = _settings(options.settings)
        file = options.catalogue or Path(settings.get("catalogue", CATALOGUE))
        catalogue = load_catalogue(file)
        if options.check:
            print(f"{file} is a catalogue: {catalogue.application}, {' → '.join(catalogue.chain)}.")
            return 0
        register(catalogue, file, _values(settings, catalogue))
    except PromotionError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def register(catalogue: Catalogue, file: Path, given: Values, prefect_file: Path = PREFECT_FILE) -> None:
    """Everything, in an order in which each part finds what it needs; the slow deploying goes on meanwhile.

    Raises:
        InvalidInput: a value that no document takes.
        PromotionError: Prefect refused the deployments.

    """
    with get_client(sync_client=True) as client:
        make_pool(client)
        deploying = _start_deploying(prefect_file)
        try:
            for environment in catalogue.environments:
                make_lock(client, lock_name(catalogue.application, environment))
            save_documents(catalogue, file, given)
            _finish_deploying(deploying, prefect_file)
        finally:
            deploying.kill()
            deploying.wait()


def save_documents(catalogue: Catalogue, file: Path, given: Values) -> None:
    wanted = documents(catalogue, file)
    if strangers := sorted(set(given) - {document.path for document in wanted}):
        paths = ", ".join(document.path for document in wanted)
        raise InvalidInput("a document in the settings", strangers[0], f"one of {paths}")
    for kind in KINDS:
        kind.register_type_and_schema()
    for document in wanted:
        print(f"{document.path}: {save(document, given.get(document.path, {}))}")
    for document in wanted:
        for name in placeholders(document):
            print(f"{document.path}: {name} is a placeholder; enter it in the Prefect UI under Blocks.")


def make_lock(client: SyncPrefectClient, name: str) -> None:
    """A limit of one that is switched on: the runs of an environment change it one after the other."""
    try:
        existing = client.read_global_concurrency_limit_by_name(name)
    except ObjectNotFound:
        client.create_global_concurrency_limit(GlobalConcurrencyLimitCreate(name=name, limit=1))
        print(f"lock {name}: made")
        return
    if existing.limit != 1 or not existing.active:
        client.update_global_concurrency_limit(name, GlobalConcurrencyLimitUpdate(limit=1, active=True))
        print(f"lock {name}: changed")


def make_pool(client: SyncPrefectClient) -> None:
    try:
        client.read_work_pool(POOL)
    except ObjectNotFound:
        template = ProcessWorker.get_default_base_job_template()
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process", base_job_template=template))
        print(f"work pool {POOL}: made")


def _start_deploying(prefect_file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own interpreter and arguments
        [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", str(prefect_file), "--all"],
        cwd=PROJECT,
        env={**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _finish_deploying(deploying: subprocess.Popen[str], prefect_file: Path) -> None:
    try:
        said, _ = deploying.communicate(timeout=DEPLOY_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise PromotionError(f"Deploying {prefect_file} took more than {DEPLOY_SECONDS} seconds.") from error
    if deploying.returncode != 0:
        raise PromotionError(f"Prefect did not take {prefect_file}: {said[-LAST_WORDS:]}")
    print(f"deployments of {prefect_file}: registered")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.register", description=__doc__.split("\n")[0])
    parser.add_argument("--catalogue", type=Path, help="the catalogue (default: deployments/catalogue.toml)")
    parser.add_argument("--settings", type=Path, help="JSON file with values for block documents")
    parser.add_argument("--check", action="store_true", help="only say whether the catalogue is right")
    return parser.parse_args(arguments)


def _settings(file: Path | None) -> dict[str, Any]:
    if file is None:
        return {}
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        reason = type(error).__name__  # the error's own text may show the file's content
        raise InvalidInput("the settings", str(file), f"a file with a JSON object ({reason})") from error
    if not isinstance(content, dict):
        raise InvalidInput("the settings", str(file), "a file with a JSON object")
    return content


def _values(settings: Mapping[str, Any], catalogue: Catalogue) -> Values:
    """As the settings give them; the sandbox's settings say instead where its world listens."""
    if "world" in settings:
        from deployments.sandbox.block_values import block_values  # a real set-up never loads the sandbox

        return block_values(settings, catalogue)
    values = settings.get("blocks", {})
    if not isinstance(values, dict) or not all(isinstance(fields, dict) for fields in values.values()):
        raise InvalidInput("blocks in the settings", type(values).__name__, "an object of objects, by document")
    return values


if __name__ == "__main__":
    sys.exit(main())
