"""What the block documents of a sandbox hold: where its world listens, and made-up secrets."""

from collections.abc import Mapping
from typing import Any

from deployments.sandbox.approvers import secrets_of
from deployments.sandbox.database import programs
from deployments.sandbox.databases import database_urls
from deployments.sandbox.vendors.state import Credentials
from rules.catalogue import Catalogue

MADE_UP = "sandbox"
CHANNEL = "releases"


def block_values(settings: Mapping[str, Any], catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Fields by document, from the supervisor's settings file once the world has said where it listens."""
    world, name, secrets = settings["world"], catalogue.application, Credentials()
    vendors = world["vendors_url"].rstrip("/")
    values: dict[str, dict[str, Any]] = {
        f"local-ledger/{name}": {"directory": f"{settings['state']}/ledger"},
        f"feature-flags/{name}": {"url": f"{vendors}/launchdarkly", "token": secrets.flag_token},
        f"chat/{name}": {"url": f"{vendors}/slack/api", "token": secrets.chat_token, "channel": CHANNEL},
        f"pager/{name}": {"url": f"{vendors}/pagerduty", "routing_key": secrets.pager_key},
    }
    values |= {
        f"approvers/{name}": {"secrets": secrets_of(catalogue.people)},
        f"change-tickets/{name}": {
            "url": f"{vendors}/jira",
            "user": secrets.ticket_user,
            "token": secrets.ticket_token,
        },
        f"source-history/{name}": {"url": f"{vendors}/github", "token": secrets.source_token},
    }
    for environment, edge in world["edges"].items():
        values[f"probes/{name}-{environment}"] = {"api_url": edge}
    if database_url := settings.get("database_url"):
        values |= _databases(str(database_url), catalogue)
    for environment in catalogue.environments.values():
        values[f"promotion-account/{name}-{environment.name}"] = {
            "credentials": _credentials(world["aws_url"], environment.region)
        }
    return values


def _databases(server: str, catalogue: Catalogue) -> dict[str, dict[str, Any]]:
    """Each environment's own database; migrations are rehearsed on the same server, there is no other."""
    urls = database_urls(server, catalogue)
    pg_dump = str(programs() / "pg_dump")
    scratch = {"url": server, "pg_dump": pg_dump, "same_server_is_fine": True}
    name = catalogue.application
    return {f"promotion-database/{name}-{environment}": {"url": url} for environment, url in urls.items()} | {
        f"promotion-scratch-database/{name}": scratch
    }


def _credentials(aws_url: str, region: str) -> dict[str, Any]:
    return {
        "aws_access_key_id": MADE_UP,
        "aws_secret_access_key": MADE_UP,
        "region_name": region,
        "aws_client_parameters": {"endpoint_url": aws_url},
    }
