"""Clients for the accounts of the sandbox, by the ordinary way: taking on a role in each."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from rules.vocabulary import Environment

ADMINISTRATOR = "OrganizationAccountAccessRole"
CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})

Keys = tuple[str, str, str | None]
ROOT: Keys = ("sandbox", "sandbox", None)
"""Made up, and given explicitly, so that a developer's own keys never reach the stand-in."""

Clients = Callable[[Environment, str], Any]
"""`clients(environment, "ssm")` → the account administrator's client of that service."""


class SandboxAccounts:
    """Keeps the keys of one role in each account and one client for each service in it."""

    def __init__(self, url: str) -> None:
        self._url = url
        # One session for all accounts: the models of the services are large and are read once for each session.
        self._session = boto3.session.Session()
        self._keys: dict[str, Keys] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def __call__(self, environment: Environment, service: str) -> Any:
        key = (environment.account, service)
        if key not in self._clients:
            self._clients[key] = self._client(service, environment.region, self._assumed(environment))
        return self._clients[key]

    def _assumed(self, environment: Environment) -> Keys:
        if environment.account not in self._keys:
            role = f"arn:aws:iam::{environment.account}:role/{ADMINISTRATOR}"
            sts = self._client("sts", environment.region, ROOT)
            keys = sts.assume_role(RoleArn=role, RoleSessionName="sandbox")["Credentials"]
            self._keys[environment.account] = (
                keys["AccessKeyId"],
                keys["SecretAccessKey"],
                keys["SessionToken"],
            )
        return self._keys[environment.account]

    def _client(self, service: str, region: str, keys: Keys) -> Any:
        make: Any = self._session.client
        identity, secret, token = keys
        return make(
            service,
            region_name=region,
            endpoint_url=self._url,
            config=CONFIG,
            aws_access_key_id=identity,
            aws_secret_access_key=secret,
            aws_session_token=token,
        )
