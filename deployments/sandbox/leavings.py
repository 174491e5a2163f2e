"""What CI leaves beside a release's images: the results of its suites and scans, and its database migrations.

    left("vulnerable", services, now) → Leavings: files by key below `<version>/`, scan findings by service id

A good release leaves what a good release leaves. The others differ in one thing each, which is their name.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from xml.sax.saxutils import quoteattr

CASES = ("log in", "list events", "register", "cancel", "move up the waiting list", "find a speaker", "read the slides")
FAILING = "register"
CVE = "CVE-2026-31337"
SCANNED_BY = "0.71.2"
KEY = "AKIA" + "SANDBOX" * 2 + "42"
"""Made up, and put together here, so that no scanner takes it for one."""

FIRST = "V1__conference.sql"
TABLES = ("events", "speakers", "partners", "content", "companies")
MIGRATIONS: Mapping[str, str] = {
    FIRST: "".join(f"CREATE TABLE {table} (id int PRIMARY KEY, document jsonb NOT NULL);\n" for table in TABLES),
    "V2__waiting_list.sql": "-- The service fills it when somebody waits; nobody has to.\n"
    "ALTER TABLE events ADD COLUMN waiting_list integer;\n",
}
THIRD: Mapping[str, Mapping[str, str]] = {
    "migration-unsafe": {
        "V3__rename_waiting_list.sql": "ALTER TABLE events RENAME COLUMN waiting_list TO waiting;\n",
    },
    "migration-fails-on-data": {
        "V3__short_numbers.sql": "ALTER TABLE speakers ADD COLUMN number smallint;\n"
        "UPDATE speakers SET number = id WHERE number IS NULL;\n",
    },
}
BY_HAND: Mapping[str, str] = {
    "schema-breaks": "ALTER TABLE partners ADD COLUMN region text;\n"
    "UPDATE partners SET region = 'Bern';\n"
    "ALTER TABLE partners ALTER COLUMN region SET NOT NULL;\n",
}
"""What somebody did to the first environment's database beside all migrations. The services there still answer."""
GATED = (
    "regression-fails", "regression-empty", "slow-under-load", "vulnerable", "scan-empty", "secret-found",
    "schema-breaks", "migration-unsafe", "migration-fails-on-data",
)  # fmt: skip
"""Releases that run well, or as well as one sees, and that a gate of the validation suite finds wanting."""


@dataclass(frozen=True, slots=True)
class Leavings:
    files: Mapping[str, bytes]
    """By key below `<version>/`."""
    findings: Mapping[str, tuple[Mapping[str, Any], ...]] = field(default_factory=dict)
    """Of the registry's own scan, by service id, in the shape of ECR's API."""


def left(kind: str, services: Iterable[str], now: datetime) -> Leavings:
    """Of a release of that kind: one of `GATED`, or any other, which leaves what a good one does."""
    ids = tuple(services)
    files = {"end-to-end.xml": _suite(kind, now), "secrets.sarif": _secrets(kind)}
    files |= {f"{service}/dependencies.json": _dependencies(service, now) for service in ids}
    if kind == "scan-empty":
        files[f"{ids[0]}/dependencies.json"] = b"{}\n"
    files |= {f"migrations/{name}": text.encode() for name, text in migrations(kind).items()}
    return Leavings(files, {service: _findings(kind, service == ids[0]) for service in ids})


def migrations(kind: str) -> Mapping[str, str]:
    """The release's scripts by name, all that there ever were."""
    return {**MIGRATIONS, **THIRD.get(kind, {})}


def _suite(kind: str, now: datetime) -> bytes:
    cases = () if kind == "regression-empty" else CASES
    failing = {FAILING} if kind == "regression-fails" else set()
    return "\n".join(_junit(cases, failing & set(cases), now)).encode()


def _junit(cases: Iterable[str], failing: set[str], now: datetime) -> Iterator[str]:
    told = list(cases)
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    counts = f'tests="{len(told)}" failures="{len(failing)}" errors="0" skipped="0"'
    yield f'<testsuite name="end to end" {counts} timestamp="{now.isoformat(timespec="seconds")}">'
    for case in told:
        inside = '<failure message="expected 201, was 500"/>' if case in failing else ""
        yield f'<testcase classname="conference" name={quoteattr(case)} time="0.4">{inside}</testcase>'
    yield "</testsuite>"


def _dependencies(service: str, now: datetime) -> bytes:
    """Trivy's JSON of a Java service whose libraries are all up to date."""
    libraries = [("org.springframework:spring-web", "6.2.9"), ("org.postgresql:postgresql", "42.7.8")]
    packages = [{"Name": name, "Identifier": {"PURL": _purl(name, at)}, "Version": at} for name, at in libraries]
    result = {"Target": f"{service}/app.jar", "Class": "lang-pkgs", "Type": "jar", "Packages": packages}
    document = {
        "SchemaVersion": 2,
        "CreatedAt": now.isoformat(timespec="seconds"),
        "ArtifactName": service,
        "ArtifactType": "filesystem",
        "Trivy": {"Version": SCANNED_BY},
        "Results": [result],
    }
    return json.dumps(document).encode()


def _purl(name: str, version: str) -> str:
    return f"pkg:maven/{name.replace(':', '/')}@{version}"


def _secrets(kind: str) -> bytes:
    """Gitleaks' SARIF. What it found stands there as in a real one, so whoever reads it must leave it out."""
    rules = [{"id": name, "shortDescription": {"text": name}} for name in ("aws-access-token", "github-pat", "jwt")]
    region = {"startLine": 12, "snippet": {"text": KEY}}
    place = {"artifactLocation": {"uri": "gateway/src/main/resources/application.yml"}, "region": region}
    found = {
        "ruleId": "aws-access-token",
        "level": "error",
        "message": {
            "text": "aws-access-token has detected secret for file gateway/src/main/resources/application.yml."
        },
        "locations": [{"physicalLocation": place}],
    }
    driver = {"name": "gitleaks", "semanticVersion": "8.30.1", "rules": rules}
    run = {"tool": {"driver": driver}, "results": [found] if kind == "secret-found" else []}
    return json.dumps(
        {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}
    ).encode()


def _findings(kind: str, is_first: bool) -> tuple[Mapping[str, Any], ...]:
    """What the registry's scan says: nothing but a trifle, or a hole that has been mended elsewhere for long."""
    trifle = _vulnerability("CVE-2025-1111", "LOW", "tar", "1.35+dfsg-3")
    if kind == "vulnerable" and is_first:
        return (trifle, _vulnerability(CVE, "CRITICAL", "openssl", "3.0.15-1"))
    return (trifle,)


def _vulnerability(name: str, severity: str, package: str, version: str) -> Mapping[str, Any]:
    attributes = [{"key": "package_name", "value": package}, {"key": "package_version", "value": version}]
    about = f"A hole in {package}."
    return {
        "name": name,
        "severity": severity,
        "description": about,
        "uri": f"https://nvd.example/{name}",
        "attributes": attributes,
    }
