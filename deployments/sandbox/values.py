"""The parameters that each environment of the sandbox begins with: what really stands in such a store.

An environment's own name, addresses and secrets lie next to values that travel with a release. Between dev and
the others two of those differ, so that the first promotion has something to plan.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from rules.vocabulary import Environment, Role

DOMAINS = {Role.INTEGRATION: "dev.batbern.ch", Role.STAGING: "staging.batbern.ch", Role.PRODUCTION: "www.batbern.ch"}
RATE_LIMITS = {"default": {"perSecond": 50, "burst": 100}, "/api/events": {"perSecond": 200, "burst": 400}}

Kind = Literal["String", "StringList", "SecureString"]


@dataclass(frozen=True, slots=True)
class Value:
    key: str
    """Relative to the environment's parameter path."""
    text: str
    kind: Kind = "String"

    def __repr__(self) -> str:
        return f"Value({self.key!r}, {self.kind})"


def made_up_secret(environment: str, purpose: str) -> str:
    """A password of the sandbox: the same at every start, another in every environment."""
    return hashlib.sha256(f"{environment}/{purpose}".encode()).hexdigest()[:24]


def values(environment: Environment, application: str, database: str | None) -> Iterator[Value]:
    """All parameters of an environment. `database` is the real database's URL where there is one."""
    yield from _own(environment, application, database or _made_up_database(environment, application))
    yield from _monitoring(environment, application)
    yield from _travelling(environment)


def _made_up_database(environment: Environment, application: str) -> str:
    password = made_up_secret(environment.name, "database")
    host = f"{application}-{environment.name}.c9x2kq.{environment.region}.rds.amazonaws.com"
    return f"postgresql://{application}_{environment.name}:{password}@{host}:5432/{application}"


def _own(environment: Environment, application: str, database: str) -> Iterator[Value]:
    name, domain = environment.name, DOMAINS[environment.role]
    yield Value("environment/name", name)
    yield Value("environment/region", environment.region)
    yield Value("environment/api-token", made_up_secret(name, "token"), "SecureString")
    yield Value("database/connection-string", database, "SecureString")
    yield Value("redis/cluster-endpoint", f"clustercfg.{application}-{name}.k3v8ab.euc1.cache.amazonaws.com:6379")
    yield Value("api-gateway/cors-origins", f"https://{domain}", "StringList")
    yield Value("feature-flags/canary-enabled", "true" if environment.role is Role.PRODUCTION else "false")


def _monitoring(environment: Environment, application: str) -> Iterator[Value]:
    name = environment.name
    yield Value("monitoring/alert-endpoints", f"https://hooks.batbern.ch/alerts/{name}", "StringList")
    yield Value("monitoring/dashboard-urls", f"https://grafana.batbern.ch/d/{application}-{name}", "StringList")
    if environment.role is not Role.INTEGRATION:
        yield Value("monitoring/pager-key", made_up_secret(name, "pager"), "SecureString")


def _travelling(environment: Environment) -> Iterator[Value]:
    ahead = environment.role is Role.INTEGRATION
    yield Value("database/pool-size", "20")
    yield Value("database/statement-timeout", "30s")
    yield Value("redis/cache-ttl", "600" if ahead else "300")
    yield Value("api-gateway/rate-limits", json.dumps(RATE_LIMITS, indent=2))
    yield Value("monitoring/error-threshold", "0.05")
    yield Value("feature-flags/agenda-search", "true")
    if ahead:
        yield Value("feature-flags/speaker-notes", "true")
