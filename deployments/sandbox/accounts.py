"""Clients for the accounts of the sandbox, by the ordinary way: taking on a role in each."""

from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config

from rules.vocabulary import Environment

ADMINISTRATOR = "OrganizationAccountAccessRole"
CONFIG = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "total_max_attempts": 3})

Clients = Callable[[Environment, str], Any]
"""`clients(environment, "ssm")` → the account administrator's client of that service."""


class SandboxAccounts:
    """Keeps one session for each account and one client for each service in it."""

    def __init__(self, url: str, region: str = "eu-central-1") -> None:
        self._url, self._region = url, region
        # Made-up keys, given explicitly so that a developer's own never reach the stand-in.
        self._root = boto3.session.Session("sandbox", "sandbox", region_name=region)
        self._sessions: dict[str, boto3.session.Session] = {}
        self._clients: dict[tuple[str, str], Any] = {}

    def __call__(self, environment: Environment, service: str) -> Any:
        key = (environment.account, service)
        if key not in self._clients:
            self._clients[key] = self._client(self._session(environment), service, environment.region)
        return self._clients[key]

    def _session(self, environment: Environment) -> boto3.session.Session:
        if environment.account not in self._sessions:
            self._sessions[environment.account] = self._assumed(environment)
        return self._sessions[environment.account]

    def _assumed(self, environment: Environment) -> boto3.session.Session:
        role = f"arn:aws:iam::{environment.account}:role/{ADMINISTRATOR}"
        sts = self._client(self._root, "sts", self._region)
        keys = sts.assume_role(RoleArn=role, RoleSessionName="sandbox")["Credentials"]
        return boto3.session.Session(
            keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], region_name=environment.region
        )

    def _client(self, session: boto3.session.Session, service: str, region: str) -> Any:
        make: Any = session.client
        return make(service, region_name=region, endpoint_url=self._url, config=CONFIG)
