"""The block documents of an application: what the catalogue says, what is given, and what people entered.

A document that is there keeps what a person entered in the Prefect UI. The catalogue's fields follow the
catalogue. Given addresses are written; a given secret is written only where there is none yet.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from blocks.accounts import Account
from blocks.approvers import Approvers
from blocks.catalogue import PROJECT, CatalogueFile
from blocks.change_tickets import ChangeTickets
from blocks.chat import Chat
from blocks.databases import Database
from blocks.feature_flags import FeatureFlags
from blocks.http_checks import CheckSecrets
from blocks.ledger import LocalLedger, S3Ledger
from blocks.pager import Pager
from blocks.probes import Probes
from blocks.scratch_databases import ScratchServer
from blocks.source_history import SourceHistory
from rules.catalogue import Catalogue
from rules.errors import InvalidInput

PLACEHOLDER = "SET-THIS-IN-THE-PREFECT-UI"
"""Stands where a secret is needed and none was given; no outside system takes it for one."""
NO_ADDRESS = "https://set-this-in-the-prefect-ui.invalid"

KINDS: tuple[type[Block], ...] = (
    AwsCredentials, Account, Approvers, CatalogueFile, ChangeTickets, Chat, CheckSecrets, Database, FeatureFlags,
    LocalLedger, Pager, Probes, S3Ledger, ScratchServer, SourceHistory,
)  # fmt: skip

Values = Mapping[str, Mapping[str, Any]]
"""Fields by document, for example `{"chat/batbern": {"url": "https://…", "token": "…"}}`."""


class Outcome(StrEnum):
    MADE = "made"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Document:
    kind: type[Block]
    name: str
    reviewed: Mapping[str, Any] = field(default_factory=dict)
    """Fields that follow the catalogue."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a new document that nothing was given for."""

    @property
    def path(self) -> str:
        return f"{self.kind.get_block_type_slug()}/{self.name}"


def documents(catalogue: Catalogue, file: Path) -> tuple[Document, ...]:
    """Every document that a run of this application opens."""
    name = catalogue.application
    ledger = PROJECT / ".state" / "ledger" / name
    shared = (
        Document(CatalogueFile, name, {"path": _portable(file)}),
        Document(LocalLedger, name, defaults={"directory": str(ledger)}),
        Document(FeatureFlags, name, {"project": catalogue.flags.project}, {"token": PLACEHOLDER}),
        Document(Chat, name, defaults={"token": PLACEHOLDER, "channel": "releases"}),
        Document(Pager, name, defaults={"routing_key": PLACEHOLDER}),
        *_of_production(catalogue),
        *_of_validation(catalogue),
    )
    return shared + tuple(
        document for environment in catalogue.environments for document in _of_environment(catalogue, environment)
    )


def _of_production(catalogue: Catalogue) -> tuple[Document, ...]:
    """Only what the catalogue makes use of: nobody is asked for a token that nothing needs."""
    name = catalogue.application
    found = [Document(Approvers, name)] if catalogue.people else []
    if catalogue.tickets.project:
        missing = {"url": NO_ADDRESS, "user": PLACEHOLDER, "token": PLACEHOLDER}
        found.append(Document(ChangeTickets, name, defaults=missing))
    if catalogue.history.repository:
        found.append(Document(SourceHistory, name, defaults={"token": PLACEHOLDER}))
    return tuple(found)


def _of_validation(catalogue: Catalogue) -> tuple[Document, ...]:
    """The services' databases, where schemas are compared or migrations applied, and where those are rehearsed."""
    name, asked = catalogue.application, catalogue.validation
    missing = {"url": PLACEHOLDER}
    found = [Document(CheckSecrets, name)] if _checks_need_secrets(catalogue) else []
    if asked.schema.is_declared or asked.migrations.is_declared:
        found += [Document(Database, f"{name}-{environment}", defaults=missing) for environment in catalogue.chain]
    if asked.migrations.is_declared:
        found.append(Document(ScratchServer, name, defaults=missing))
    return tuple(found)


def _checks_need_secrets(catalogue: Catalogue) -> bool:
    return any(check.authentication for it in catalogue.validation.regression.scenarios for check in it.checks)


def save(document: Document, given: Mapping[str, Any]) -> Outcome:
    """Make the document, or bring it up to date.

    Raises:
        InvalidInput: the values do not make a document of that kind.

    """
    existing = _existing(document)
    try:
        wanted = document.kind(**_values(document, existing, given))
    except ValueError:
        # pydantic's own message would show the values, and among them secrets
        raise InvalidInput(document.path, sorted(given), "values of this block's fields") from None
    if existing is not None and _fields(existing) == _fields(wanted):
        return Outcome.UNCHANGED
    wanted.save(document.name, overwrite=True)
    return Outcome.MADE if existing is None else Outcome.CHANGED


def placeholders(document: Document) -> tuple[str, ...]:
    """Fields of the saved document that still wait for a person."""
    block = _existing(document)
    if block is None:
        return ()
    return tuple(name for name in type(block).model_fields if _open(getattr(block, name)) in (PLACEHOLDER, NO_ADDRESS))


def _of_environment(catalogue: Catalogue, name: str) -> tuple[Document, Document]:
    environment = catalogue.environments[name]
    reviewed = {
        "role_arn": environment.role_arn,
        "region": environment.region,
        "account_id": environment.account,
    }
    document = f"{catalogue.application}-{name}"
    return Document(Account, document, reviewed), Document(Probes, document, defaults={"api_url": NO_ADDRESS})


def _portable(file: Path) -> str:
    """Relative to the project where it can be, so that the document holds on every worker."""
    absolute = file.resolve()
    return str(absolute.relative_to(PROJECT) if absolute.is_relative_to(PROJECT) else absolute)


def _existing(document: Document) -> Block | None:
    try:
        return cast("Block", document.kind.load(document.name))  # typed as "or a coroutine", not so in sync code
    except ValueError:
        return None


def _values(document: Document, existing: Block | None, given: Mapping[str, Any]) -> dict[str, Any]:
    if existing is None:
        return {**document.defaults, **document.reviewed, **given}
    return {**_merged(existing, given), **document.reviewed}


def _merged(existing: BaseModel, given: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: getattr(existing, name) for name in type(existing).model_fields}
    for name, new in given.items():
        old = values.get(name)
        if isinstance(old, BaseModel) and isinstance(new, Mapping):
            values[name] = type(old)(**_merged(old, new))
        elif not (isinstance(old, Secret | SecretStr | SecretBytes) and _open(old) not in ("", b"", PLACEHOLDER, {})):
            values[name] = new
    return values


def _fields(model: BaseModel) -> dict[str, Any]:
    """For comparing: a block's own equality also compares where it was loaded from."""
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return {name: _fields(value) if isinstance(value, BaseModel) else value for name, value in values.items()}


def _open(value: object) -> object:
    return value.get_secret_value() if isinstance(value, Secret | SecretStr | SecretBytes) else value
