"""The security gate gathers files, programs' results and the registry's scans; what is not there is named."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from blocks.files import Files
from blocks.image_scans import NoScan, Why
from rules.scan_policies import ScanPolicy
from rules.scan_results import ScanKind
from rules.validation_policies import ScanSource, SecurityPolicy, ValidationPolicy
from rules.vocabulary import Finding, Release, Service, Verdict
from tasks.security import check_security

DIGEST = "sha256:" + "1" * 64
RELEASE = Release("3f2a1bc", {"events": DIGEST})
SERVICE = Service("events", "Events", "batbern/events", "app", "/health")
NONE_REQUIRED = ScanPolicy(required=())
WRITES = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text(sys.argv[2]); sys.exit(int(sys.argv[3]))"


def sarif(*found: str) -> str:
    rules = [{"id": "aws-access-token"}]
    place = {"physicalLocation": {"artifactLocation": {"uri": "application.yml"}, "region": {"startLine": 12}}}
    results = [{"ruleId": it, "level": "error", "message": {"text": it}, "locations": [place]} for it in found]
    driver = {"name": "gitleaks", "semanticVersion": "8.30.1", "rules": rules}
    return json.dumps({"version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]})


class World:
    """A folder of files and a registry's scans."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scan: Any = {"findings": []}

    def findings(self, repository: str, digest: str) -> bytes:
        if isinstance(self.scan, Exception):
            raise self.scan
        told = {"repositoryName": repository, "imageId": {"imageDigest": digest}, "registryId": "111111111111"}
        at = datetime.now(UTC).isoformat()
        counts: dict[str, int] = {}
        for it in self.scan["findings"]:
            counts[it["severity"]] = counts.get(it["severity"], 0) + 1
        found = {"imageScanCompletedAt": at, "findingSeverityCounts": counts, **self.scan}
        return json.dumps({**told, "imageScanStatus": {"status": "COMPLETE"}, "imageScanFindings": found}).encode()

    def ask(self, *sources: ScanSource, policy: ScanPolicy = NONE_REQUIRED) -> dict[str, Finding]:
        promotion: Any = SimpleNamespace(
            application=SimpleNamespace(files=Files(self.folder), image_scans=self),
            catalogue=SimpleNamespace(validation=ValidationPolicy(security=SecurityPolicy(sources, policy))),
            services=(SERVICE,),
        )
        doors: Any = SimpleNamespace(
            environment=SimpleNamespace(name="staging"), probes=SimpleNamespace(api_url="http://staging")
        )
        with disable_run_logger():
            return {it.gate: it for it in check_security.fn(promotion, doors, RELEASE)}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


REGISTRY = ScanSource("images", registry=True)
SECRETS = ScanSource("secrets", result="{version}/secrets.sarif")


def running(text: str, code: int = 0) -> ScanSource:
    return ScanSource("secrets", command=(sys.executable, "-c", WRITES, "{result}", text, str(code)))


def test_each_kind_of_scan_has_its_finding(world: World) -> None:
    (world.folder / "3f2a1bc").mkdir()
    (world.folder / "3f2a1bc" / "secrets.sarif").write_text(sarif())
    found = world.ask(REGISTRY, SECRETS)
    assert {gate: it.verdict for gate, it in found.items()} == {
        "security/image": Verdict.PASSED,
        "security/secrets": Verdict.PASSED,
    }, found


def test_what_the_registry_found_blocks(world: World) -> None:
    attributes = [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0"}]
    world.scan = {"findings": [{"name": "CVE-2026-1", "severity": "CRITICAL", "attributes": attributes}]}
    found = world.ask(REGISTRY)["security/image"]
    assert found.verdict is Verdict.FAILED
    assert "CVE-2026-1 in openssl 3.0" in found.sentence


def test_an_image_that_nobody_scanned_blocks(world: World) -> None:
    world.scan = NoScan("batbern/events", Why.NOT_SCANNED, "never")
    found = world.ask(REGISTRY, policy=ScanPolicy(required=(ScanKind.IMAGE,)))
    assert {it.verdict for it in found.values()} == {Verdict.INCONCLUSIVE}
    assert "images" in found["security/images"].sentence


def test_a_file_that_is_not_there_or_not_readable_is_named(world: World) -> None:
    assert "nothing at 3f2a1bc/secrets.sarif" in world.ask(SECRETS)["security/secrets"].sentence
    (world.folder / "3f2a1bc").mkdir()
    (world.folder / "3f2a1bc" / "secrets.sarif").write_text("{}")
    found = world.ask(SECRETS)["security/secrets"]
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "secrets proves nothing" in found.sentence


def test_a_scanner_that_is_run_is_read(world: World) -> None:
    assert world.ask(running(sarif()))["security/secrets"].verdict is Verdict.PASSED
    found = world.ask(running(sarif("aws-access-token"), 1))["security/secrets"]
    assert found.verdict is Verdict.FAILED
    assert "application.yml, line 12" in found.sentence


def test_a_scanner_that_failed_or_is_not_there_proves_nothing(world: World) -> None:
    failed = world.ask(running(sarif(), 2))["security/secrets"]
    missing = world.ask(ScanSource("secrets", command=("no-such-scanner", "{result}")))["security/secrets"]
    for found, words in ((failed, "exit status 2"), (missing, "no-such-scanner")):
        assert found.verdict is Verdict.INCONCLUSIVE
        assert words in found.sentence
